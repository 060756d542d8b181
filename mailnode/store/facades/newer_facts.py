"""Facts that an older scanner found are found anew when they are read, and kept: a better scanner heals old mail."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from mailnode.errors import BlobDamaged, Busy, NoSuchAccount, StoreUnavailable
from mailnode.store.facades.partition import Partition
from mailnode.store.units import messages, newer_facts
from mailnode.values.blob import BlobRef
from mailnode.values.facts import FACTS_VERSION, EncodedFacts
from mailnode.values.rows import StoredRow

KEPT_AT_ONCE = 32  # messages whose facts one unit keeps


async def with_newer_facts(
    partition: Partition, account_id: str, mailbox_id: int, rows: list[StoredRow], columns: Sequence[str]
) -> list[StoredRow]:
    """Return rows ``(uid, *columns)`` with the facts of the present scanner. What cannot be scanned at the moment keeps
    those it had.

    :param rows: with ``facts_version`` as their last value, which is not among ``columns``.
    """
    older = [row[0] for row in rows if row[-1] < FACTS_VERSION]
    told = [row[:-1] for row in rows]
    if older:
        asked = [(at, name) for at, name in enumerate(columns, 1) if name in messages.SCANNED]
        found = await _find(partition, account_id, mailbox_id, older, asked)
        told = [_with(row, found[row[0]]) if row[0] in found else row for row in told]
    return told


def _with(row: StoredRow, found: dict[int, object]) -> StoredRow:
    return tuple(found.get(at, value) for at, value in enumerate(row))


async def _find(
    partition: Partition, account_id: str, mailbox_id: int, uids: Sequence[int], asked: Sequence[tuple[int, str]]
) -> dict[int, dict[int, object]]:
    """Scan messages one after another; return, by UID, what was asked for of it by its place in the row, once all of it
    is kept if it can be. The rest may be large, and is not held until the last."""
    places, _ = await partition.read_each(messages.rows, account_id, mailbox_id, uids, ("message_id", "blob"))
    found: dict[int, dict[int, object]] = {}
    newer: list[newer_facts.NewerFacts] = []
    for uid, message_id, blob in places:
        with suppress(BlobDamaged, Busy, StoreUnavailable):
            facts = await scan_again(partition, blob)
            found[uid] = {at: getattr(facts, name) for at, name in asked}
            row, facts_blob = await partition.facts_row(facts)
            newer.append(newer_facts.NewerFacts(message_id, facts.header_size, row, facts_blob))
        if newer and (len(newer) == KEPT_AT_ONCE or uid == places[-1][0]):
            with suppress(Busy, NoSuchAccount, StoreUnavailable):  # found anew at the next reading
                await partition.write(newer_facts.keep, account_id, newer)
            newer = []
    return found


async def scan_again(partition: Partition, blob: BlobRef) -> EncodedFacts:
    """Find the facts of a stored message anew; one at a time: mail that comes in is scanned by the same threads and processes.

    :raises BlobDamaged:"""
    assert partition.scan is not None
    async with partition.scanning:
        return await partition.scan(blob.size, partial(partition.read_blob, blob))
