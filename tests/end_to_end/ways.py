"""Every way to connect: without TLS, by STARTTLS, with TLS from the first octet, each with the PROXY protocol before it or not.

A case that moves more than a buffer of a transport goes over each of them: its server is ``EveryWay``, its clients are ``Dial``'s,
what it sends is ``large``. Cases that do not are in ``OTHER_WAYS``, with the reason.
"""

from __future__ import annotations

import imaplib
import poplib
import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

from tests.free_ports import free_port

BUFFER = 65536  # octets
HEADER = b"PROXY TCP4 192.0.2.7 192.0.2.1 999 25\r\n"
Way = tuple[str, bool]  # TLS, whether proxied
WAYS: dict[str, Way] = {
    f"{tls}{', proxied' if proxied else ''}": (tls, proxied)
    for tls in ("none", "starttls", "implicit")
    for proxied in (False, True)
}
PROTOCOLS = ("smtp", "lmtp", "submission", "imap", "pop3")
every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)

# Cases that move more than a buffer in fewer ways, and why. tests/house/test_house_ways.py compares both lists with the tests.
OTHER_WAYS = {
    "test_e2e_arc::test_a_large_message": "It comes by STARTTLS, as from other servers; what the seals cover is what is tested.",
    "test_e2e_arc::test_by_whichever_door_it_comes": "Other servers come without TLS, by STARTTLS, or by LMTP.",
    "test_e2e_budgets::test_a_header": "Strangers come without TLS; what a header holds is what is tested.",
    "test_e2e_dkim::test_what_arrives_is_verified": "It is submitted in one way; what the signatures cover is what is tested.",
    "test_e2e_eight_bit::test_it_arrives_in_ascii_and_says_the_same": "It is changed on its way out, by whichever way it came in.",
    "test_e2e_exim::test_a_megabyte_each_way": "Exim comes to the port for other servers, and it is what is tested.",
    "test_e2e_import::test_a_mailbox_comes_whole_and_then_what_is_new": "It comes through the control socket, not by a way.",
    "test_e2e_privilege::test_an_ordinary_user_serves_and_its_data_are_its_own": "Where it is kept is what is tested.",
    "test_e2e_privilege::test_a_backup_is_its_owners_alone": "Where it is kept is what is tested.",
    "test_e2e_repair::test_a_message_whose_file_is_cut_is_named_set_aside_and_taken_back": "What the file holds is what is tested.",
    "test_e2e_sending::test_a_notice_counts_in_whichever_process_it_comes_and_a_forged_one_nowhere": "Notices come to the port for"
    " other servers; what they say is what is tested.",
    "test_e2e_sink_faults::test_what_becomes_of_it": "One message is submitted for all; how it goes out is what is tested.",
    "test_e2e_quota::test_the_copy_for_a_full_account_of_several_waits_for_room": "Its messages have 2,000 octets, by that helper.",
    "test_e2e_bad_servers::test_it_is_deferred_and_told": "What is long is said by other servers, to which we connect.",
    "test_e2e_mta_sts::test_a_policy_of_a_gigabyte_is_let_go_of_and_mail_goes_without": "A web server says it, over https.",
    "test_e2e_managesieve::test_a_large_script_holds_nobody_up": "What is checked of it is what is tested.",
    "test_e2e_managesieve::test_what_is_refused_is_taken_in_bounded_memory": "What is kept of it is what is tested.",
    "test_e2e_sieve_delivery::test_a_large_message_with_a_test_of_its_body_holds_nobody_up": "What a script reads of it is what is"
    " tested.",
    "test_e2e_stopped_readers::test_it_is_tried_again_later": "How it goes out is what is tested: plain, STARTTLS, implicit TLS.",
    "test_e2e_faulty_disk::test_each_call_fails_in_turn": "What the store does is what is tested.",
    "test_e2e_milter::test_signatures_are_verified_over_one_connection": "How it goes on to a milter is what is tested.",
    "test_e2e_programs::test_rspamd": "How it goes on to other programs is what is tested.",
    "test_e2e_programs::test_clamd_and_what_becomes_of_mail_when_it_is_down": "How it goes on to other programs is what is tested.",
    "test_e2e_programs::test_clamd_that_takes_less_than_it_is_sent": "How it goes on to other programs is what is tested.",
    "test_e2e_judge::test_where_no_server_runs_a_large_one_too": "It is read from a file; no connection is made.",
    "test_e2e_judge::test_what_is_wrong_is_said": "It is read from a file; no connection is made.",
    "test_e2e_slow_clients::test_who_is_slow_is_let_go_at_each_deadline_while_others_are_served": "When it ends is what"
    " is tested; who stops reading does so in every way in test_e2e_transports.",
    "test_e2e_webmail_browser::test_many_messages_are_opened_by_the_page": "A webmail has one way; what it asks is what is tested.",
    "test_e2e_transports::test_behind_haproxy": "Through haproxy there is no way without a header.",
}


def ways() -> dict[tuple[str, str, bool], int]:
    """Return a port for each protocol and way."""
    return {(protocol, *way): free_port() for protocol in PROTOCOLS for way in WAYS.values()}


def listeners(ports: dict[tuple[str, str, bool], int]) -> str:
    """Return a configuration of listeners there."""
    return "".join(
        f'[[listener]]\nprotocol = "{protocol}"\ntls = "{tls}"\n'
        + f"plain_login = {'true' if tls == 'none' else 'false'}\n" * (protocol not in ("smtp", "lmtp"))
        + f'endpoint = "{"haproxy:" * proxied}tcp:{port}:interface=127.0.0.1"\n'
        + 'proxy_from = ["127.0.0.1"]\n' * proxied
        for (protocol, tls, proxied), port in ports.items()
    )


class EveryWay:
    """What a server of the tests is mixed with to listen in each way for each protocol, beside its own listeners."""

    password = "correct horse battery"
    address: str
    ca: Any

    def __init__(self, *arguments: Any, extra: str = "", **options: Any) -> None:
        """:param extra: more of the configuration; it stays at the end, where tests write on."""
        self.ways = ways()
        super().__init__(*arguments, extra=listeners(self.ways) + extra, **options)

    def dials(self, **options: Any) -> Iterator[Dial]:
        """Yield how a client connects in each way."""
        for way in WAYS.values():
            yield Dial(self, *way, **options)


def large(subject: str, size: int, *, sender: str = "alice@a.test") -> bytes:
    """Return a message of about so many octets; its last line tells that it is whole."""
    text = f"From: {sender}\r\nSubject: {subject}\r\n\r\n" + ("y" * 70 + "\r\n") * (size // 72)
    return f"{text}end of {subject}\r\n".encode()


class Dial:
    """How a client of Python's library connects: whatever it is, a header first and TLS at once where they are asked for."""

    def __init__(
        self,
        node: Any,
        tls: str,
        proxied: bool,
        port: int = 0,
        source: tuple[str, int] | None = None,
        receive_buffer: int = 0,
        taking: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """:param node: a server with such listeners, its ``ways``, and accounts with its ``password``.
        :param port: another one than the way's. :param source: where to connect from.
        :param receive_buffer: octets the kernel may take for us, where a test wants few.
        :param taking: what is around the time until the server has taken a connection."""
        self.taking = taking
        self.node, self.tls, self.proxied, self.port, self.source = node, tls, proxied, port, source
        self.receive_buffer = receive_buffer
        self.context = ssl.create_default_context(cafile=node.ca)

    @property
    def name(self) -> str:
        """Of the way, without spaces."""
        return self.tls + "-proxied" * self.proxied

    def connect(self, protocol: str) -> Any:
        """Return a socket that is ready for the protocol's first octet."""
        port = self.port or self.node.ways[protocol, self.tls, self.proxied]
        raw = socket.socket()
        if self.receive_buffer:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)
        raw.settimeout(60)
        if self.source:
            raw.bind(self.source)
        with self.taking():
            raw.connect((self.node.address, port))
            if self.proxied:
                raw.sendall(HEADER)
            if self.tls == "implicit":
                return self.context.wrap_socket(raw, server_hostname="localhost")
            if self.taking is not nullcontext:
                raw.recv(1, socket.MSG_PEEK)  # greeted
        return raw

    def secured(self, protocol: str) -> Any:
        """Return a socket over which the protocol has been greeted, and TLS begun where the way has it."""
        made = self.connect(protocol)
        assert made.recv(4096)
        if self.tls == "starttls":
            for command in {"imap": (b"a STARTTLS",), "pop3": (b"STLS",), "lmtp": (b"LHLO x", b"STARTTLS")}.get(
                protocol, (b"EHLO x", b"STARTTLS")
            ):
                made.sendall(command + b"\r\n")
                assert made.recv(4096)
            made = self.context.wrap_socket(made, server_hostname="localhost")
        return made

    def _smtp(self, protocol: str) -> smtplib.SMTP:
        made: Any = (smtplib.LMTP if protocol == "lmtp" else smtplib.SMTP)()
        made.timeout = 60
        made._host = "localhost"
        made._get_socket = lambda *_: self.connect(protocol)
        smtplib.SMTP.connect(made, "localhost", 1)
        if self.tls == "starttls":
            made.starttls(context=self.context)
        return made  # type: ignore[no-any-return]

    def smtp(self) -> smtplib.SMTP:
        """Return a client of the port for other servers."""
        return self._smtp("smtp")

    def lmtp(self) -> smtplib.SMTP:
        """Return a client that hands over for delivery."""
        return self._smtp("lmtp")

    def submission(self, user: str = "alice@a.test") -> smtplib.SMTP:
        """Log in."""
        made = self._smtp("submission")
        made.login(user, self.node.password)
        return made

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
