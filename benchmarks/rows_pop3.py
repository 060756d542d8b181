"""POP3 on the same mailboxes: a list of all, a download of many."""

from __future__ import annotations

import socket

from benchmarks.imap_client import without_names
from benchmarks.lab import BIG_USER, Lab
from benchmarks.peers import PASSWORD, Dovecot, MailNodeForLoad
from benchmarks.report import Measurement
from benchmarks.rows import Row, in_turn, seconds
from tests.end_to_end.ways import HEADER, Way


class Pop3:
    """A raw POP3 client."""

    def __init__(self, server: MailNodeForLoad | Dovecot, way: Way | None, user: str) -> None:
        """:param way: how to connect; None: with TLS from the first octet."""
        tls, proxied = way or ("implicit", False)
        port = server.ways["pop3", tls, proxied] if way else server.ports["pop3s"]
        self.socket = socket.create_connection(("127.0.0.1", port), 120)
        if proxied:
            self.socket.sendall(HEADER)
        self._read(encrypt=tls == "implicit")
        self.line()
        if tls == "starttls":
            self.command(b"STLS")
            self._read(encrypt=True)
        self.command(b"USER " + user.encode())
        self.command(b"PASS " + PASSWORD.encode())

    def _read(self, *, encrypt: bool) -> None:
        if encrypt:
            self.socket = without_names().wrap_socket(self.socket)
        self.file = self.socket.makefile("rb", 1 << 20)

    def line(self) -> bytes:
        """Read one line; +OK is expected."""
        line = self.file.readline()
        if not line.startswith(b"+OK"):
            raise RuntimeError(line.decode())
        return line

    def command(self, command: bytes) -> bytes:
        """Send one command, return its one line."""
        self.socket.sendall(command + b"\r\n")
        return self.line()

    def lines(self) -> int:
        """Read to the dot; return the octets."""
        self.line()
        size = 0
        while (line := self.file.readline()) != b".\r\n":
            size += len(line)
        return size

    def close(self) -> None:
        """Quit."""
        self.command(b"QUIT")
        self.socket.close()


def _list(client: Pop3) -> None:
    client.socket.sendall(b"UIDL\r\n")
    client.lines()


def _retrieve(client: Pop3, count: int) -> None:
    for start in range(1, count + 1, 20):
        numbers = range(start, min(start + 20, count + 1))
        client.socket.sendall(b"".join(b"RETR %d\r\n" % number for number in numbers))
        for _ in numbers:
            client.lines()


def _measure(lab: Lab, made: Measurement, work) -> None:  # type: ignore[no-untyped-def]
    def once(peer: str) -> float:
        client = Pop3(lab.big(peer), lab.way, BIG_USER)
        try:
            return seconds(lambda: work(client)) * (1000 if made.unit == "ms" else 1)
        finally:
            client.close()

    in_turn(lab, made, lambda: once("mailnode"), lambda: once("dovecot"))


def _measure_list(lab: Lab, made: Measurement) -> None:
    _measure(lab, made, _list)


def _measure_download(lab: Lab, made: Measurement) -> None:
    _measure(lab, made, lambda client: _retrieve(client, min(10_000, lab.size // 5)))


ROWS = [
    Row("pop3 list of the mailbox", "ms", _measure_list, "Dovecot", large=True),
    Row("pop3 download of 10,000", "s", _measure_download, "Dovecot", large=True),
]
