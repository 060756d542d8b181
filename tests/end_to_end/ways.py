"""Every way to connect: without TLS, by STARTTLS, with TLS from the first octet, each with the PROXY protocol before it or not."""

from __future__ import annotations

import imaplib
import poplib
import smtplib
import socket
import ssl
from typing import Any

from tests.free_ports import free_port

HEADER = b"PROXY TCP4 192.0.2.7 192.0.2.1 999 25\r\n"
Way = tuple[str, bool]  # TLS, whether proxied
WAYS: dict[str, Way] = {
    f"{tls}{', proxied' if proxied else ''}": (tls, proxied)
    for tls in ("none", "starttls", "implicit")
    for proxied in (False, True)
}
PROTOCOLS = ("submission", "imap", "pop3")


def ways() -> dict[tuple[str, str, bool], int]:
    """Return a port for each protocol and way."""
    return {(protocol, *way): free_port() for protocol in PROTOCOLS for way in WAYS.values()}


def listeners(ports: dict[tuple[str, str, bool], int]) -> str:
    """Return a configuration of listeners there."""
    return "".join(
        f'[[listener]]\nprotocol = "{protocol}"\ntls = "{tls}"\nplain_login = {"true" if tls == "none" else "false"}\n'
        f'endpoint = "{"haproxy:" * proxied}tcp:{port}:interface=127.0.0.1"\n'
        + 'proxy_from = ["127.0.0.1"]\n'
        * proxied
        for (protocol, tls, proxied), port in ports.items()
    )


class Dial:
    """How a client of Python's library connects: whatever it is, a header first and TLS at once where they are asked for."""

    def __init__(
        self, node: Any, tls: str, proxied: bool, port: int = 0, source: tuple[str, int] | None = None
    ) -> None:
        """:param node: a server with such listeners, its ``ways``, and accounts with its ``password``.
        :param port: another one than the way's. :param source: where to connect from."""
        self.node, self.tls, self.proxied, self.port, self.source = node, tls, proxied, port, source
        self.context = ssl.create_default_context(cafile=node.ca)

    def connect(self, protocol: str) -> Any:
        """Return a socket that is ready for the protocol's first octet."""
        port = self.port or self.node.ways[protocol, self.tls, self.proxied]
        raw = socket.create_connection((self.node.address, port), 60, source_address=self.source)
        if self.proxied:
            raw.sendall(HEADER)
        return self.context.wrap_socket(raw, server_hostname="localhost") if self.tls == "implicit" else raw

    def secured(self, protocol: str) -> Any:
        """Return a socket over which the protocol has been greeted, and TLS begun where the way has it."""
        made = self.connect(protocol)
        assert made.recv(4096)
        if self.tls == "starttls":
            for command in {"submission": (b"EHLO x", b"STARTTLS"), "imap": (b"a STARTTLS",), "pop3": (b"STLS",)}[
                protocol
            ]:
                made.sendall(command + b"\r\n")
                assert made.recv(4096)
            made = self.context.wrap_socket(made, server_hostname="localhost")
        return made

    def submission(self, user: str = "alice@a.test") -> smtplib.SMTP:
        """Log in."""
        made: Any = smtplib.SMTP(timeout=60)
        made._host = "localhost"
        made._get_socket = lambda *_: self.connect("submission")
        made.connect("localhost", 1)
        if self.tls == "starttls":
            made.starttls(context=self.context)
        made.login(user, self.node.password)
        return made  # type: ignore[no-any-return]

    def imap(self, user: str = "bob@a.test") -> imaplib.IMAP4:
        """Log in."""
        dial = self

        class Client(imaplib.IMAP4):
            def _create_socket(self, timeout: float | None) -> Any:
                return dial.connect("imap")

        made = Client("localhost", timeout=60)
        if self.tls == "starttls":
            made.starttls(self.context)
        made.login(user, self.node.password)
        return made

    def pop3(self, user: str = "bob@a.test") -> poplib.POP3:
        """Log in."""
        dial = self

        class Client(poplib.POP3):
            def _create_socket(self, timeout: float | None) -> Any:
                return dial.connect("pop3")

        made = Client("localhost", timeout=60)
        if self.tls == "starttls":
            made.stls(self.context)
        made.user(user)
        made.pass_(self.node.password)
        return made
