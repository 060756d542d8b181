"""A connection whose octets are compressed both ways (RFC 4978): between the pump and the connection that it drives.

What comes in is inflated by the piece, and the next piece only when the connection has done with the last one: what little
input may stand for much is no burden but to who sends it. Each piece beyond the first waits for the next turn of the reactor.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

from zope.interface import implementer

from mailnode.interfaces.runtime import IClock
from mailnode.interfaces.wire import IConnection
from mailnode.values.wire import NEED_DATA, PAUSED

PIECE = 8 * 1024  # octets inflated in one turn of the reactor
FED = 8 * 1024  # octets of input they are made of, at most
LARGE = 16 * 1024  # octets deflated in one turn of the reactor
# Both ways take 58 KiB at most: of that 41 are the client's window, once it has filled it. Envelopes of a mailbox come to 23 %,
# attachments in base64 to 82 %; with 6 KiB more, to 23 and 79, with all that can be had, 240 more, to 22 and 76.
LEVEL, WINDOW_BITS, MEMORY_LEVEL = 6, -11, 3
CLIENT_WINDOW_BITS = -15  # whatever the client has chosen
FLUSHED = (
    b"\0\0\xff\xff"  # an empty block without compression, by which a client that waits for an answer ends what it says
)


class Deflating:
    """What goes out. Each piece can be read by itself, as soon as it is there."""

    __slots__ = ("_compressor",)

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, WINDOW_BITS, MEMORY_LEVEL)

    def deflate(self, data: bytes) -> bytes:
        """Return what is sent in the place of these octets."""
        compressor = self._compressor
        return compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)

    def end(self) -> bytes:
        """Return what ends the stream."""
        return self._compressor.flush(zlib.Z_FINISH)


@implementer(IConnection)
class Inflating:
    """What comes in: stands before a connection, and gives it octets when it has none."""

    __slots__ = (
        "_behind",
        "_clock",
        "_damaged",
        "_ending",
        "_fed",
        "_input",
        "_made",
        "_more",
        "_stream",
        "_wake",
        "connection",
        "resting",
    )

    def __init__(
        self, connection: IConnection, clock: IClock, wake: Callable[[], None], damaged: Callable[[], None]
    ) -> None:
        """:param wake: has us asked for events again. :param damaged: what comes in is not compressed, or wrongly."""
        self.resting = False  # there is more to inflate, in the next turn of the reactor
        self.connection = connection
        self._clock = clock
        self._wake = wake
        self._damaged = damaged
        self._stream = zlib.decompressobj(CLIENT_WINDOW_BITS)
        self._input = bytearray()
        self._more = False  # the stream may have output that no input is needed for
        self._fed = self._made = 0  # octets, in this turn of the reactor
        self._behind = b""  # the last octets of what was inflated
        self._ending = False  # what comes behind the next flush is not compressed

    @property
    def buffered(self) -> int:
        """Octets taken and not yet given out as events; of those that are compressed as many as came."""
        beyond: int = self.connection.buffered
        return beyond + len(self._input) + len(self._stream.unconsumed_tail)

    @property
    def begun(self) -> int | None:
        """The command of which a part has come."""
        begun: int | None = self.connection.begun
        return begun

    def receive_data(self, data: bytes) -> None:
        """Take compressed input of any length."""
        self._input += data
        if not self.resting:
            self._fed = self._made = 0

    def receive_eof(self) -> None:
        """The peer will send no more."""
        self.connection.receive_eof()

    def tls_started(self) -> None:
        """TLS begins before anything is compressed, or when nothing is any more."""
        if not self._ending:
            raise RuntimeError("TLS below what is compressed already")
        self.connection.tls_started()

    def next_event(self) -> object:
        """Return an event of the connection, NEED_DATA, or PAUSED: also while there is more to inflate."""
        event = self.connection.next_event()
        while event is NEED_DATA and self._waits:
            if self.resting:
                return PAUSED
            try:
                piece = self._uncompressed() if self._ending and self._is_at_end else self._inflate()
            except zlib.error:
                self._input.clear()
                self._stream = zlib.decompressobj(CLIENT_WINDOW_BITS)
                self._more = False
                self._damaged()
                return NEED_DATA
            if self._waits and (self._fed >= FED or self._made >= PIECE):
                self.resting = True
                self._clock.callLater(0, self._rested)
            if piece:
                self.connection.receive_data(piece)
                event = self.connection.next_event()
        return event

    @property
    def _waits(self) -> bool:
        return self._more or bool(self._input)

    def end(self) -> None:
        """Give on as it is what comes behind the end of the stream, or behind the flush that the client ended it with (RFC 8437
        4.1)."""
        self._ending = True

    @property
    def _is_at_end(self) -> bool:
        """Whether what has come next stands behind the end of the stream, or a flush."""
        return self._stream.eof or (self._behind == FLUSHED and not self._stream.unconsumed_tail)

    def _uncompressed(self) -> bytes:
        data = bytes(self._input)
        self._input.clear()
        self._more = False
        return data

    def _inflate(self) -> bytes:
        """Return the next piece, which may be empty. :raises zlib.error:"""
        stream = self._stream
        if stream.eof:
            raise zlib.error("something behind the end")
        data: bytes = stream.unconsumed_tail
        if not data:
            data = self._up_to_flush()
            self._behind = (self._behind + data)[-len(FLUSHED) :]
        piece = stream.decompress(data, PIECE)
        if stream.unused_data:  # it may not be compressed at all, should what was inflated say so
            self._input[:0] = stream.unused_data
        self._fed += len(data)
        self._made += len(piece)
        self._more = not stream.eof and (bool(stream.unconsumed_tail) or len(piece) == PIECE)
        return piece

    def _up_to_flush(self) -> bytes:
        """Take input up to where the client has flushed: what is behind it may not be compressed any more."""
        seen = self._behind[-3:]  # a flush may have come in pieces
        across = (seen + self._input[:3]).find(FLUSHED)
        at = across - len(seen) if across >= 0 else self._input.find(FLUSHED, 0, FED)
        end = FED if at < 0 and across < 0 else at + len(FLUSHED)
        data = bytes(self._input[:end])
        del self._input[:end]
        return data

    def _rested(self) -> None:
        self.resting = False
        self._fed = self._made = 0
        self._wake()
