"""Message bytes for FETCH and SEARCH: exactly what was asked for, small messages read together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from mailnode.errors import BlobDamaged
from mailnode.interfaces.store import IMailbox
from mailnode.values.blob import BlobRef

T = TypeVar("T")

PIECE = 256 * 1024  # octets of a message read at a time, and of all small messages that are held at once
BATCH = 64  # small messages held at once


async def read_exactly(mailbox: IMailbox, blob: BlobRef, start: int, end: int) -> bytes:
    """Return these octets of a message. :raises BlobDamaged: there are fewer."""
    if end <= start:
        return b""
    data = await mailbox.read(blob, start, end - start)
    if len(data) != end - start:
        raise BlobDamaged
    return data


def batches(rows: Sequence[tuple[T, BlobRef]]) -> Iterator[list[tuple[T, BlobRef]]]:
    """Yield what goes with each blob in groups that may be held at once, in order; a large message stands alone."""
    batch: list[tuple[T, BlobRef]] = []
    held = 0
    for row in rows:
        size = row[1].size
        if batch and (held + size > PIECE or len(batch) >= BATCH):
            yield batch
            batch, held = [], 0
        batch.append(row)
        held += size
    if batch:
        yield batch


async def read_small(
    mailbox: IMailbox, blobs: Sequence[BlobRef], contents: Sequence[bytes | BlobDamaged | None]
) -> list[bytes | BlobDamaged | None]:
    """Return each message whole: None for one over ``PIECE`` octets, the error for a damaged one.

    :param contents: what was read with the rows; what is missing among it is read together.
    """
    if None not in contents:
        return list(contents)
    small = [blob for blob, content in zip(blobs, contents, strict=True) if content is None and blob.size <= PIECE]
    if not small:
        return list(contents)
    missing = iter(await mailbox.read_several(small))
    return [
        next(missing) if content is None and blob.size <= PIECE else content
        for blob, content in zip(blobs, contents, strict=True)
    ]
