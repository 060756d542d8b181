"""The lines of content that end with a line of a single dot: SMTP's DATA (RFC 5321 4.5.2) and POP3's answers (RFC 1939 3)."""

from __future__ import annotations

OCTETS_A_DOT = 8192  # searched through in the time in which four dots are looked at


def line_dot(octets: bytes | bytearray) -> int:
    """Return where the first dot behind CRLF stands, -1: nowhere. Nearly no message has one, and encoded attachments have
    no dot at all: a single octet is found fifty times faster than three. Text is full of dots: of those no more are looked
    at one by one than pays."""
    at = octets.find(b".")
    for _ in range(len(octets) // OCTETS_A_DOT):
        if at < 0 or octets[max(at - 2, 0) : at] == b"\r\n":
            return at
        at = octets.find(b".", at + 1)
    at = octets.find(b"\r\n.", max(at - 2, 0)) if at >= 0 else -1
    return at + 2 if at >= 0 else -1


class DotStuffer:
    """Doubles a dot at the start of each line (CRLF line ends), wherever the pieces are cut, and ends the content."""

    def __init__(self) -> None:
        self._tail = b"\r\n"  # the last two octets before this piece; the content begins at a line's start

    def stuff(self, piece: bytes) -> bytes:
        """Return a piece as it goes on the wire."""
        if not piece:
            return b""
        tail = self._tail
        self._tail = (tail + piece[-2:])[-2:]
        stuffed = piece.replace(b"\r\n.", b"\r\n..") if line_dot(piece) >= 0 else piece
        if tail == b"\r\n" and piece.startswith(b"."):
            return b"." + stuffed
        if tail.endswith(b"\r") and piece.startswith(b"\n."):
            return b"\n." + stuffed[1:]
        return stuffed

    def finish(self) -> bytes:
        """Return what ends the content: a line end if its last line has none, and the terminating line."""
        return b".\r\n" if self._tail == b"\r\n" else b"\r\n.\r\n"
