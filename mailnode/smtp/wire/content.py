"""The octets of a message on the wire: where DATA ends, dots stuffed and unstuffed, and what may not be in them.

Only CRLF.CRLF ends DATA. A bare CR, a bare LF or a NUL anywhere is a fault, told when the end has come, so that no two
servers can disagree about where a message ends (SMTP smuggling). With BDAT the length ends a message, whatever is in it:
there a bare LF becomes CRLF at once, before anything looks at the content, so that everything that is stored, signed or
passed on has CRLF alone. A message in binary stays as it is until it was judged. Nothing here works by the line.
"""

from __future__ import annotations

from io import IncrementalNewlineDecoder

from mailnode.message.binary_mime import LONGEST
from mailnode.smtp.wire.limits import Limits
from mailnode.values.dots import line_dot
from mailnode.values.smtp_reply import Reply

_END = b"\r\n.\r\n"
FEW = 16 * 1024  # octets that are copied twice sooner than a view of them is made
_LINE_ENDS = (None, "\r\n")  # all there may be in a message

BARE = Reply(550, "5.5.2", ("Bare CR, bare LF or NUL in the message: line ends must be CRLF",))
TOO_LARGE = Reply(552, "5.3.4", ("Message too large",))
LINE_TOO_LONG = Reply(550, "5.6.0", ("Line in the message too long",))


def overlap(buffer: bytes | bytearray) -> int:
    """Return how many octets at the end of the buffer may be the beginning of CRLF.CRLF."""
    tail = bytes(buffer[-4:])
    for length in (4, 3, 2, 1):
        if tail.endswith(_END[:length]):
            return length
    return 0


def take(buffer: bytearray, length: int) -> bytes:
    """Remove and return the first octets of a buffer, many of them copied once."""
    if length <= FEW:
        piece = bytes(buffer[:length])
        del buffer[:length]
        return piece
    with memoryview(buffer) as view:
        piece = bytes(view[:length])
    del buffer[:length]
    return piece


class Inspector:
    """Looks at one message's octets as they come: size, line ends, line length. ``fault`` is the first thing wrong."""

    def __init__(self, limits: Limits, binary: bool = False) -> None:
        """:param binary: the message is of any octets (RFC 3030 3); what else would be a fault is noted."""
        self.fault: Reply | None = None
        self.size = 0  # octets so far, those of a faulty message too
        self.binary = binary
        self._not_lines = False
        self._limits = limits
        self._longest = LONGEST if binary else limits.content_line
        self._line = 0  # octets since the last CRLF

    def look(self, piece: bytes) -> None:
        """Look at the next octets, which do not end between CR and LF."""
        self.size += len(piece)
        if self.size > self._limits.message_size and self.binary:
            self.fault = self.fault or TOO_LARGE
        if self.fault is not None or self._not_lines:
            return
        # The decoder of text files notes which of CRLF, CR and LF it saw, in half the time of splitting the lines.
        line_ends = IncrementalNewlineDecoder(None, translate=False)
        line_ends.decode(piece.decode("latin-1"), final=True)
        if line_ends.newlines not in _LINE_ENDS or b"\0" in piece:
            self._found(BARE)
        elif self.size > self._limits.message_size:
            self.fault = TOO_LARGE
        elif self._too_long(piece):
            self._found(LINE_TOO_LONG)

    def _found(self, fault: Reply) -> None:
        if self.binary:
            self._not_lines = True
        else:
            self.fault = fault

    @property
    def are_lines(self) -> bool:
        """Whether a whole message is of lines, the last of which ends."""
        return not self._not_lines and not self.in_line

    @property
    def in_line(self) -> bool:
        """Whether the last line has no end yet."""
        return self._line > 0

    def _too_long(self, piece: bytes) -> bool:
        """Whether a line is over the limit; leaps from the last line end within one limit to the next."""
        start, limit = 0, self._longest
        room = limit - self._line
        while len(piece) - start > room:
            end = piece.rfind(b"\r\n", start, start + max(room, 0) + 2)
            if end < 0:
                return True
            start, room = end + 2, limit
        last = piece.rfind(b"\r\n", start)
        self._line = len(piece) - last - 2 if last >= 0 else len(piece) - start + limit - room
        return False


class DataReader:
    """The content of one DATA command: from a growing buffer to pieces (RFC 5321 4.5.2)."""

    def __init__(self, buffer: bytearray, inspector: Inspector) -> None:
        # The message begins at the start of a line: the line end of the DATA command counts as the one before it.
        buffer[:0] = b"\r\n"
        self._buffer = buffer
        self._inspector = inspector
        self._first = True

    def read(self) -> tuple[bytes, bool]:
        """Take what can be taken out of the buffer; return it without stuffed dots, and whether the end has come.

        What may be the beginning of the end stays in the buffer: at most 4 octets.
        """
        if len(self._buffer) < len(_END):
            return b"", False
        dot = line_dot(self._buffer)
        ends = dot >= 0 and self._buffer[dot + 1 : dot + 3] == b"\r\n"
        end = dot - 2 if ends else self._buffer.find(_END, dot) if dot >= 0 else -1
        length = end + 2 if end >= 0 else len(self._buffer) - overlap(self._buffer)
        if not length:
            return b"", False
        piece = take(self._buffer, length)
        if end >= 0:
            del self._buffer[:3]
        if dot >= 0 and not ends:
            piece = piece.replace(b"\r\n.", b"\r\n")
        if piece and self._first:
            piece = piece[2:]
            self._first = False
        self._inspector.look(piece)
        return piece, end >= 0


class ChunkReader:
    """The content of the BDAT commands of one message (RFC 3030 2): ``left`` octets of the present chunk to come."""

    def __init__(self, buffer: bytearray, inspector: Inspector) -> None:
        self.left = 0
        self.last = False
        self._buffer = buffer
        self._inspector = inspector
        self._held = b""  # a CR whose LF may come with the next piece, or the next chunk

    def begin(self, size: int, last: bool) -> None:
        """A BDAT command came."""
        self.left, self.last = size, last

    def read(self) -> tuple[bytes, bool]:
        """Take what has come of the chunk; return it with CRLF for every LF, and whether the chunk is complete. The last
        line of a message gets the end it lacks: without one no protocol but this could pass the message on. A bare CR
        stays one, a fault: some programs end a line there and some do not."""
        piece = take(self._buffer, min(len(self._buffer), self.left))
        self.left -= len(piece)
        complete = self.left == 0
        piece, self._held = self._held + piece, b""
        if piece.endswith(b"\r") and not (complete and self.last):
            piece, self._held = piece[:-1], b"\r"
        if not self._inspector.binary and piece.count(b"\n") != piece.count(b"\r\n"):
            piece = piece.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        self._inspector.look(piece)
        if complete and self.last and self._inspector.in_line and not self._inspector.binary:
            piece += b"\r\n"
        return piece, complete
