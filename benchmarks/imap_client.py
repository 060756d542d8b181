"""A raw IMAP client that costs little: whole answers as octets, nothing parsed."""

from __future__ import annotations

import re
import socket
import ssl
import time
from functools import lru_cache

from tests.end_to_end.ways import HEADER


@lru_cache(maxsize=1)
def without_names() -> ssl.SSLContext:
    """Return a context that believes every certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Imap:
    """One connection. Every command returns its whole answer; a tagged answer that is not OK raises."""

    def __init__(
        self,
        host: str,
        port: int,
        user: str,
        password: str,
        *,
        tls: bool = False,
        starttls: bool = False,
        proxied: bool = False,
    ) -> None:
        self.socket = socket.create_connection((host, port), 60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if proxied:
            self.socket.sendall(HEADER)
        if tls:
            self.socket = without_names().wrap_socket(self.socket)
        self._tag = 0
        self._rest = b""
        self.until(b"\r\n")
        if starttls:
            self.command(b"STARTTLS")
            self.socket = without_names().wrap_socket(self.socket)
        self.command(f'LOGIN {user} "{password}"'.encode())

    def until(self, end: bytes) -> bytes:
        """Return what comes up to and with ``end``, which must be the last octets."""
        pieces = []
        tail = b""
        while not tail.endswith(end):
            piece = self.socket.recv(1 << 20)
            if not piece:
                raise ConnectionError("the server closed the connection")
            pieces.append(piece)
            tail = (tail + piece)[-len(end) :] if len(piece) < len(end) else piece[-len(end) :]
        return b"".join(pieces)

    def send(self, command: bytes) -> bytes:
        """Send one command and return its tag."""
        self._tag += 1
        tag = b"t%d" % self._tag
        self.socket.sendall(tag + b" " + command + b"\r\n")
        return tag

    def answer(self, tag: bytes) -> bytes:
        """Return everything up to the tagged line; what follows it is kept for the next answer."""
        mark = b"\r\n" + tag + b" "
        received = bytearray(b"\r\n") + self._rest
        looked = 0
        while True:
            at = received.find(mark, looked)
            end = received.find(b"\r\n", at + 2) if at >= 0 else -1
            if end >= 0:
                self._rest = bytes(received[end + 2 :])
                if not received.startswith(b"OK", at + len(mark)):
                    raise RuntimeError(bytes(received[at:end]).decode("utf-8", "replace"))
                return bytes(received[: end + 2])
            looked = max(0, len(received) - len(mark)) if at < 0 else at
            piece = self.socket.recv(1 << 20)
            if not piece:
                raise ConnectionError("the server closed the connection")
            received += piece

    def command(self, command: bytes) -> bytes:
        """Send and wait."""
        return self.answer(self.send(command))

    def timed(self, command: bytes) -> float:
        """Return the seconds a command took."""
        started = time.perf_counter()
        self.command(command)
        return time.perf_counter() - started

    def append(self, mailbox: bytes, message: bytes) -> bytes:
        """Send an APPEND with a non-synchronising literal; return its tag."""
        self._tag += 1
        tag = b"t%d" % self._tag
        self.socket.sendall(b"%b APPEND %b {%d+}\r\n%b\r\n" % (tag, mailbox, len(message), message))
        return tag

    def count(self, mailbox: str) -> int:
        """Return how many messages a mailbox holds."""
        found = re.search(rb"MESSAGES (\d+)", self.command(b"STATUS %b (MESSAGES)" % mailbox.encode()))
        assert found is not None
        return int(found[1])

    def line_with(self, text: bytes) -> bytes:
        """Return what comes up to the end of the first line that holds a text."""
        received = b""
        while text not in received or not received.endswith(b"\r\n"):
            received += self.until(b"\r\n")
        return received

    def close(self) -> None:
        """Close without ceremony."""
        self.socket.close()
