"""Line ends of imported and appended mail: a bare CR or LF becomes CRLF, in pieces of any size."""

from __future__ import annotations


class LineEnds:
    """Converts a stream. Feed it pieces in order, then :meth:`finish`; each octet is looked at a fixed number of times."""

    def __init__(self) -> None:
        self._held = b""  # a CR at the end of a piece: its LF may be the next octet

    def feed(self, piece: bytes) -> bytes:
        """Return the next part of the converted stream."""
        data = self._held + piece
        self._held = b""
        if data.endswith(b"\r"):
            data, self._held = data[:-1], b"\r"
        return to_crlf(data)

    def finish(self) -> bytes:
        """Return what was held back."""
        held, self._held = self._held, b""
        return b"\r\n" if held else b""


def to_crlf(data: bytes) -> bytes:
    """Return data with every bare CR and LF made CRLF; the same object when there is none."""
    pairs = data.count(b"\r\n")
    if data.count(b"\n") == pairs and data.count(b"\r") == pairs:
        return data
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
