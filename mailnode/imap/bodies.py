"""What FETCH and SEARCH read: rows a range at a time, octets exactly as asked for, small messages together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from mailnode.errors import BlobDamaged, RowsDamaged
from mailnode.imap.messages.ranges import uids_of
from mailnode.imap.view.view import View
from mailnode.interfaces.store import IMailbox
from mailnode.values.blob import BlobRef
from mailnode.values.rows import StoredRow

T = TypeVar("T")

PIECE = 256 * 1024  # octets of a message read at a time, and of all small messages that are held at once
BATCH = 64  # small messages held at once


async def read_rows(
    mailbox: IMailbox, view: View, indexes: Sequence[int], columns: Sequence[str], keep: bool = False
) -> tuple[Sequence[int], list[StoredRow], RowsDamaged | None]:
    """Return the rows of at most ``RANGE`` messages, the indexes they belong to, and why some could not be read: those, and
    messages that are kept no more, are missing among rows and indexes. :param keep: as for ``IMailbox.rows``."""
    uids = uids_of(view, indexes)
    damage = None
    try:
        rows = await mailbox.rows(uids, columns, keep)
    except RowsDamaged as error:
        rows, damage = error.rows, error
    if len(rows) < len(uids):
        by_uid = dict(zip(uids, indexes, strict=True))
        return [by_uid[row[0]] for row in rows], rows, damage
    return indexes, rows, damage


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
    mailbox: IMailbox, blobs: Sequence[BlobRef], contents: Sequence[bytes | BlobDamaged | None], keep: bool = False
) -> list[bytes | BlobDamaged | None]:
    """Return each message whole: None for one over ``PIECE`` octets, the error for a damaged one.

    :param contents: what was read with the rows; what is missing among it is read together. :param keep: as for
        ``IMailbox.rows``.
    """
    if None not in contents:
        return list(contents)
    small = [blob for blob, content in zip(blobs, contents, strict=True) if content is None and blob.size <= PIECE]
    if not small:
        return list(contents)
    missing = iter(await mailbox.read_several(small, keep))
    return [
        next(missing) if content is None and blob.size <= PIECE else content
        for blob, content in zip(blobs, contents, strict=True)
    ]
