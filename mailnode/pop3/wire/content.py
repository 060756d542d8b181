"""Message content on its way to a POP3 client, in pieces: dot-stuffing and TOP (RFC 1939 3 and 7)."""

from __future__ import annotations


class DotStuffer:
    """Doubles a dot at the start of each line, wherever the pieces are cut, and ends the content."""

    def __init__(self) -> None:
        self._tail = b"\r\n"  # the last two octets before this piece; the content begins at a line's start

    def feed(self, piece: bytes) -> bytes:
        """Return a piece as it goes on the wire."""
        if not piece:
            return b""
        tail = self._tail
        self._tail = (tail + piece[-2:])[-2:]
        stuffed = piece.replace(b"\r\n.", b"\r\n..")
        if tail == b"\r\n" and piece.startswith(b"."):
            return b"." + stuffed
        if tail.endswith(b"\r") and piece.startswith(b"\n."):
            return b"\n." + stuffed[1:]
        return stuffed

    def finish(self) -> bytes:
        """Return what ends the content: a line end if its last line has none, and the terminating line."""
        return b".\r\n" if self._tail == b"\r\n" else b"\r\n.\r\n"


class TopFilter:
    """Passes the header block, the empty line and the first ``lines`` lines of the body."""

    def __init__(self, lines: int) -> None:
        self._lines = lines
        self._tail = b"\r\n"  # up to three octets before this piece; an empty header ends with the first line
        self._in_body = False
        self.done = False
        """Nothing more will be passed."""

    def feed(self, piece: bytes) -> bytes:
        """Return the part of a piece that belongs to the answer."""
        start = 0
        if not self._in_body:
            start = self._header_end(piece)
            if start < 0:
                return piece
            self._in_body = True
        return piece[: self._body_end(piece, start)]

    def _header_end(self, piece: bytes) -> int:
        """The offset in the piece behind the empty line, or -1."""
        tail = self._tail
        joined = tail + piece
        found = joined.find(b"\r\n\r\n")
        self._tail = joined[-3:]
        return found + 4 - len(tail) if found >= 0 else -1

    def _body_end(self, piece: bytes, position: int) -> int:
        ends = piece.count(b"\n", position)
        if ends < self._lines:
            self._lines -= ends
            return len(piece)
        self.done = True
        while self._lines:
            position = piece.index(b"\n", position) + 1
            self._lines -= 1
        return position
