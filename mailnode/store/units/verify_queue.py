"""Reading units that tell what the queue's messages should hold, and whose they are."""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.store.engines.engine import Transaction
from mailnode.store.units.statements import listed
from mailnode.values.blob import BlobRef


def contents(tx: Transaction, after: str, limit: int) -> list[tuple[BlobRef, bytes | None]]:
    """The messages of the queue behind one blob id, at most so many, whatever the shard; with the stored form of those that
    are inline."""
    rows = tx.execute(
        "SELECT id, size, place, encoding, digest, data FROM blob WHERE id > ? ORDER BY id, shard LIMIT ?",
        (after, limit),
    )
    return [(BlobRef(*row[:5]), row[5]) for row in rows]


def using(tx: Transaction, shard: int, blob_ids: Sequence[str]) -> list[tuple[str, str, bool]]:
    """Which envelopes need some of these blobs (``KEYS_AT_ONCE`` at most): id, blob, and whether it is held."""
    marks, values = listed(blob_ids)
    rows = tx.execute(
        f"SELECT id, blob_id, held FROM envelope WHERE shard = ? AND blob_id IN {marks} ORDER BY id", (shard, *values)
    )
    return [(envelope_id, blob_id, bool(held)) for envelope_id, blob_id, held in rows]
