"""A reading unit that tells what the queue's messages should hold."""

from __future__ import annotations

from mailnode.store.engines.engine import Transaction
from mailnode.values.blob import BlobRef


def contents(tx: Transaction, after: str, limit: int) -> list[tuple[BlobRef, bytes | None]]:
    """The messages of the queue behind one blob id, at most so many, whatever the shard; with the stored form of those that
    are inline."""
    rows = tx.execute(
        "SELECT id, size, place, encoding, digest, data FROM blob WHERE id > ? ORDER BY id, shard LIMIT ?",
        (after, limit),
    )
    return [(BlobRef(*row[:5]), row[5]) for row in rows]
