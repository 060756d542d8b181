"""An IMAP connection that hands on every response as it comes, and says when the server closed it."""

from __future__ import annotations

import re
import select
from collections.abc import Iterator

from tests.end_to_end.ways import Dial

_LITERAL = re.compile(rb"\{(\d+)\}\r\n\Z")
_LOST = (OSError, EOFError)  # TLS errors are OSErrors


class Lost(Exception):
    """The server closed the connection, or let go of it."""


class Client:
    """One connection over TLS, logged in."""

    def __init__(self, node, user: str) -> None:
        try:
            self._socket = Dial(node, "implicit", False, node.ports["imaps"]).connect("imap")
        except _LOST as error:
            raise Lost from error
        self._held = bytearray()
        self._tags = 0
        self.line()  # the greeting
        list(self.responses(self.send(f'LOGIN {user} "{node.password}"'.encode())))

    def send(self, command: bytes) -> bytes:
        """Send a command; return its tag."""
        self._tags += 1
        tag = b"t%d" % self._tags
        self.write(tag + b" " + command + b"\r\n")
        return tag

    def write(self, data: bytes) -> None:
        """Send octets as they are."""
        try:
            self._socket.sendall(data)
        except _LOST as error:
            raise Lost from error

    def line(self) -> bytes:
        """Return one response, literals included, without its last CRLF."""
        end = 0
        while True:
            end = self._until(end)
            literal = _LITERAL.search(self._held[:end])
            if literal is None:
                break
            end += int(literal[1])
        whole = bytes(self._held[:end])
        del self._held[:end]
        if whole.startswith(b"* BYE"):
            raise Lost(whole)
        return whole[:-2]

    def _until(self, start: int) -> int:
        """Return where the line ends that begins at, or holds, a place."""
        while (end := self._held.find(b"\r\n", start)) < 0 or len(self._held) < start:
            try:
                more = self._socket.recv(65536)
            except _LOST as error:
                raise Lost from error
            if not more:
                raise Lost("closed")
            self._held += more
        return end + 2

    def responses(self, tag: bytes) -> Iterator[bytes]:
        """Yield the untagged responses to a command and then the tagged one, without its tag."""
        while not (line := self.line()).startswith(tag + b" "):
            yield line
        yield line[len(tag) + 1 :]

    def readable(self, seconds: float) -> bool:
        """Whether something comes within a time."""
        held = bool(self._held) or bool(self._socket.pending())
        return held or bool(select.select([self._socket], [], [], seconds)[0])

    def close(self) -> None:
        """Close without a word."""
        self._socket.close()
