"""Units over what an operator paused: destinations, or with "" as destination the whole queue."""

from __future__ import annotations

from mailnode.store.engines.engine import Transaction


def pause(tx: Transaction, shard: int, destination: str, since: float) -> None:
    """Pause a destination; one that is paused stays so since then."""
    tx.execute(
        "INSERT INTO pause (shard, destination, since) VALUES (?, ?, ?) ON CONFLICT (shard, destination) DO NOTHING",
        (shard, destination, since),
    )


def resume(tx: Transaction, shard: int, destination: str) -> bool:
    """End a pause; False when there is none."""
    return bool(
        tx.execute("DELETE FROM pause WHERE shard = ? AND destination = ? RETURNING destination", (shard, destination))
    )


def paused(tx: Transaction, shard: int) -> dict[str, float]:
    """Return all destinations that are paused, and since when."""
    return dict(tx.execute("SELECT destination, since FROM pause WHERE shard = ?", (shard,)))
