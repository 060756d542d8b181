"""Replies out of what a server sends, whatever it sends: bounded."""

from __future__ import annotations

from mailnode.smtp.wire.grammar import BadReply, parse_reply
from mailnode.values.smtp_reply import Reply

MAX_LINE = 4096  # octets of one reply line
MAX_LINES = 256  # lines of one reply
MAX_REPLY = 65536  # octets of all lines of one reply


class ReplyReader:
    """Cuts input into replies."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0
        self._lines: list[bytes] = []
        self._size = 0  # octets of the lines

    def __len__(self) -> int:
        """Octets taken that no line was made of."""
        return len(self._buffer)

    def take(self, data: bytes) -> None:
        """Take input of any length."""
        self._buffer += data

    def begins(self, *digits: bytes) -> bool:
        """Whether there is input, and it begins with one of these."""
        return self._buffer.startswith(digits)

    def clear(self) -> None:
        """Forget all input."""
        self._buffer.clear()
        self._scanned = 0
        self._end_reply()

    def next(self) -> Reply | None:
        """Return the next whole reply, None where there is none yet. :raises BadReply: what came is none, or too long."""
        while (end := self._buffer.find(b"\r\n", self._scanned)) >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 2]
            self._scanned = 0
            self._add(line)
            if line[3:4] != b"-":
                return parse_reply(self._end_reply())
        self._scanned = max(0, len(self._buffer) - 1)
        if len(self._buffer) > MAX_LINE:
            raise BadReply("Reply line too long")
        return None

    def _add(self, line: bytes) -> None:
        self._lines.append(line)
        self._size += len(line)
        if len(line) > MAX_LINE or len(self._lines) > MAX_LINES or self._size > MAX_REPLY:
            raise BadReply("Reply too long")

    def _end_reply(self) -> list[bytes]:
        lines, self._lines, self._size = self._lines, [], 0
        return lines
