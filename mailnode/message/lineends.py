"""Line ends of imported and appended mail: a bare LF becomes CRLF, and the last line has an end, in pieces of any size. So
every stored message ends with CRLF, and POP3 sends exactly the octets it tells (RFC 1939 3 and 11).

A bare CR stays: it may be an octet of a binary part, and made a line end it could begin a field nobody wrote.
"""

from __future__ import annotations


class LineEnds:
    """Converts a stream. Give it pieces in order, then :meth:`finish`; each octet is looked at a fixed number of times."""

    def __init__(self) -> None:
        self._held = b""  # a CR at the end of a piece: its LF may be the next octet
        self._open = False  # the last line has no end yet

    def convert(self, piece: bytes) -> bytes:
        """Return the next part of the converted stream."""
        data = self._held + piece
        self._held = b""
        if data.endswith(b"\r"):
            data, self._held = data[:-1], b"\r"
        if data or self._held:
            self._open = bool(self._held) or not data.endswith(b"\n")
        return to_crlf(data)

    def finish(self) -> bytes:
        """Return the end of the last line where it has none; nothing when nothing came."""
        self._held = b""
        was_open, self._open = self._open, False
        return b"\r\n" if was_open else b""


def to_crlf(data: bytes) -> bytes:
    """Return data with every bare LF made CRLF; the same object when there is none."""
    pairs = data.count(b"\r\n")
    if data.count(b"\n") == pairs:
        return data
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def without_bare(data: bytes) -> bytes:
    """Return data with every bare CR and LF made CRLF, as what is sent by SMTP must be (RFC 5321 2.3.8)."""
    if data.count(b"\r") == data.count(b"\r\n"):
        return to_crlf(data)
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
