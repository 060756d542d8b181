"""One message on its way into the store: its header is held until it is whole, edited, then all is streamed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from mailnode.interfaces.delivery import IBinaryMail
from mailnode.interfaces.store import IBlobWriter
from mailnode.message.digests import BodyDigests, Digests
from mailnode.message.headers import header_end, repair
from mailnode.message.verifying import body_forms
from mailnode.smtp.wire.replies import HEADER_TOO_LARGE, NOT_IN_LINES, Rejected

HEADER_ROOM = 64 * 1024  # octets that may be on top of a header block as it came
PIECE = 256 * 1024  # octets that are looked at at a time

SMALL_BODY = 8 * 1024  # octets
MAX_FIELDS = 5000  # of a header block; who goes over more of them holds everybody else up

EditHeader = Callable[[bytes], Awaitable[bytes]]


class Intake:
    """The content of one message. Whatever is raised here: nothing is kept once :meth:`abort` was called."""

    def __init__(self, writer: IBlobWriter, edit: EditHeader, header_limit: int) -> None:
        """:param edit: given the whole header block with its empty line, returns what is to stand in its place.
        :param header_limit: octets of the block as it came."""
        self.header = b""  # as edited; known once the body has begun or the message ended
        self.is_ascii = True  # nothing but ASCII came
        self.writer = writer  # to be finished after :meth:`end_header`
        self.on_body: Callable[[bytes], None] | None = None  # hears the octets of the body; to be set with the header
        self._signed = b""  # the header block, while it is open whether the body is hashed as it comes
        self._begun: list[bytes] = []  # what has come of the body meanwhile
        self._digests: Digests | None = None
        self._edit = edit
        self._limit = header_limit
        self._held: bytearray | None = bytearray()

    @property
    def size(self) -> int:
        """Octets written so far, our fields included."""
        return int(self.writer.size)

    async def take(self, data: bytes) -> None:
        """Take the next octets. :raises Rejected, LimitReached, StoreUnavailable:"""
        if self.is_ascii and not data.isascii():
            self.is_ascii = False
        if self._held is None:
            self._look_at(data)
            await self.writer.write(data)
            return
        known = len(self._held)
        self._held += data
        end = header_end(self._held, known)  # type: ignore[arg-type]  # reads any octets
        if (end if end >= 0 else len(self._held)) > self._limit:
            raise Rejected(HEADER_TOO_LARGE)
        if end >= 0:
            await self._pass_header(end)

    async def end_header(self) -> None:
        """The message ended: if it was all header, that is whole now. :raises Rejected, StoreUnavailable:"""
        if self._held is not None:
            await self._pass_header(len(self._held))

    def hash_body(self, header: bytes) -> None:
        """Hash the body as it comes, if it is not small; to be said with the header. :param header: has signatures."""
        self._signed = header

    def body_digests(self) -> BodyDigests:
        """Return the hashes of the body, which is whole; none of one that was not to be hashed, or is small: whoever asks for
        them has it at hand. To be called once."""
        return self._digests.finish() if self._digests is not None else {}

    async def in_lines(self, binary: IBinaryMail | None) -> None:
        """A message that came in binary is in lines from now on. :raises Rejected: it cannot be said so."""
        writer = await binary.in_lines(self.writer) if binary is not None else None
        if writer is None:
            raise Rejected(NOT_IN_LINES)
        before, self.writer = self.writer, writer
        before.abort()
        begun = await writer.read(0, self._limit + HEADER_ROOM)
        end = header_end(begun)
        self.header = begun[:end] if end >= 0 else begun
        self.is_ascii = begun.isascii() and await self._is_ascii(len(begun))

    async def _is_ascii(self, offset: int) -> bool:
        """Whether nothing but ASCII follows in what was written."""
        while piece := await self.writer.read(offset, PIECE):
            if not piece.isascii():
                return False
            offset += len(piece)
        return True

    def abort(self) -> None:
        """Keep nothing. No error if it ended already."""
        self.writer.abort()

    async def _pass_header(self, end: int) -> None:
        """Write the edited block, and what came behind it."""
        held, self._held = self._held, None
        assert held is not None
        if _count_fields(held, end) > MAX_FIELDS:
            raise Rejected(HEADER_TOO_LARGE)
        # What a broken line in the header begins is body: from there on nothing of it may be taken for a field of ours.
        block = repair(bytes(held[:end]))
        cut = header_end(block)
        self.header = await self._edit(block[:cut])
        body = block[cut:] + bytes(held[end:])
        self._look_at(body)
        await self.writer.write(self.header + body)

    def _look_at(self, body: bytes) -> None:
        if self.on_body is not None:
            self.on_body(body)
        if self._digests is not None:
            self._digests.update(body)
        elif self._signed:
            self._begun.append(body)
            if sum(map(len, self._begun)) > SMALL_BODY:
                self._digests = Digests(body_forms(self._signed))
                self._digests.update(b"".join(self._begun))
                self._signed, self._begun = b"", []


def _count_fields(held: bytearray, end: int) -> int:
    """Return how many lines of a block begin without white space."""
    return held.count(b"\r\n", 0, end) - held.count(b"\r\n ", 0, end) - held.count(b"\r\n\t", 0, end)
