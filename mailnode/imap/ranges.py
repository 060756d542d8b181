"""Messages of a view a bounded number at a time, and their rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mailnode.errors import RowsDamaged
from mailnode.imap.view.view import View
from mailnode.interfaces.store import IMailbox


def ranges_of(spans: Iterable[Sequence[int]], size: int) -> Iterator[Sequence[int]]:
    """Yield ascending indexes ``size`` at a time at most, those of short spans together."""
    gathered: list[int] = []
    for span in spans:
        for start in range(0, len(span), size):
            piece = span[start : start + size]
            if gathered and len(gathered) + len(piece) > size:
                yield gathered
                gathered = []
            if len(piece) == size:
                yield piece
            else:
                gathered.extend(piece)
    if gathered:
        yield gathered


async def read_rows(
    mailbox: IMailbox, view: View, indexes: Sequence[int], columns: Sequence[str]
) -> tuple[Sequence[int], list[tuple[Any, ...]], RowsDamaged | None]:
    """Return the rows of at most 256 messages, the indexes they belong to, and why some could not be read: those, and
    messages that are kept no more, are missing among rows and indexes."""
    uids = uids_of(view, indexes)
    damage = None
    try:
        rows = await mailbox.rows(uids, columns)
    except RowsDamaged as error:
        rows, damage = error.rows, error
    if len(rows) < len(uids):
        by_uid = dict(zip(uids, indexes, strict=True))
        return [by_uid[row[0]] for row in rows], rows, damage
    return indexes, rows, damage


def uids_of(view: View, indexes: Sequence[int]) -> Sequence[int]:
    """Return the UIDs of ascending indexes."""
    held = view.uids
    if isinstance(indexes, range):
        return held[indexes.start : indexes.stop]
    return [held[index] for index in indexes]
