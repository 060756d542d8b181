"""The part of a message that TOP wants (RFC 1939 7), in pieces on their way to the client."""

from __future__ import annotations


class TopFilter:
    """Passes the header block, the empty line and the first ``lines`` lines of the body."""

    def __init__(self, lines: int) -> None:
        self._lines = lines
        self._tail = b"\r\n"  # up to three octets before this piece; an empty header ends with the first line
        self._in_body = False
        self.done = False
        """Nothing more will be passed."""

    def take(self, piece: bytes) -> bytes:
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
        looked_at = tail + piece
        found = looked_at.find(b"\r\n\r\n")
        self._tail = looked_at[-3:]
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
