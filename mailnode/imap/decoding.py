"""Parts without their transfer encoding (RFC 3516 4.2), a piece at a time: a large one is read once to find how long it is and
whether it has NUL, which its literal says first, and again to be sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from mailnode.imap.bodies import PIECE
from mailnode.imap.messages.sections import Slice
from mailnode.message.transfer_pieces import piece_decoder

DECODED = 32 * 1024  # octets decoded between two looks at the time: padding behind every letter makes them slow

Partial: TypeAlias = tuple[int, int] | None  # origin and length, of what is decoded
Read: TypeAlias = Callable[[int, int], Awaitable[bytes]]  # octets of the message, from start to end


@dataclass(frozen=True, slots=True)
class Decoded:
    """A part too large to be held."""

    found: Slice
    partial: Partial
    size: int
    has_nul: bool


def is_known(encoding: str) -> bool:
    """Whether a transfer encoding can be undone."""
    return piece_decoder(encoding) is not None


async def decode(
    read: Read, found: Slice, partial: Partial, checkpoint: Callable[[], Awaitable[None]]
) -> bytes | Decoded:
    """Return a part, or what is to be known of it first when it has more than ``PIECE`` octets."""
    kept: list[bytes] = []
    size, has_nul = 0, False
    async for piece in decoded_pieces(read, found, partial):
        size += len(piece)
        has_nul = has_nul or b"\0" in piece
        if size <= PIECE:
            kept.append(piece)
        else:
            kept.clear()
        await checkpoint()
    return b"".join(kept) if size <= PIECE else Decoded(found, partial, size, has_nul)


async def decoded_pieces(read: Read, found: Slice, partial: Partial) -> AsyncIterator[bytes]:
    """Yield what is decoded, as far as it is within a partial."""
    origin, left = partial or (0, -1)
    async for piece in _all_pieces(read, found):
        skipped = min(origin, len(piece))
        origin -= skipped
        piece = piece[skipped:] if left < 0 else piece[skipped : skipped + left]
        if left >= 0:
            left -= len(piece)
        yield piece
        if left == 0:
            return


async def _all_pieces(read: Read, found: Slice) -> AsyncIterator[bytes]:
    decoder = piece_decoder(found.encoding)
    assert decoder is not None, "asked of what can be decoded alone"
    yield found.head
    for start in range(found.start, found.end, PIECE):
        piece = await read(start, min(start + PIECE, found.end))
        for at in range(0, len(piece), DECODED):
            yield decoder.decode(piece[at : at + DECODED])
    yield decoder.finish()
