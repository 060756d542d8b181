"""Units over what policies remember."""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.store.engines.engine import Transaction
from mailnode.values.rows import StoredRow

MOST = 100_000  # things of one space; those that expire first go first
SWEPT = 500  # rows that one unit removes


def recall(tx: Transaction, space: str, digest: bytes) -> tuple[str, float] | None:
    """Return what is remembered under a key, though it may have expired, and until when (UTC seconds)."""
    rows = tx.execute("SELECT said, expires FROM policy_memory WHERE space = ? AND digest = ?", (space, digest))
    return (str(rows[0][0]), float(rows[0][1])) if rows else None


def write(tx: Transaction, kept: Sequence[StoredRow], forgotten: Sequence[StoredRow]) -> None:
    """Keep (space, digest, said, expires), forget (space, digest), and of each space that grew what is too much."""
    tx.many(
        "INSERT INTO policy_memory (space, digest, said, expires) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (space, digest) DO UPDATE SET said = excluded.said, expires = excluded.expires",
        kept,
    )
    tx.many("DELETE FROM policy_memory WHERE space = ? AND digest = ?", forgotten)
    for space in sorted({row[0] for row in kept}):
        [(count,)] = tx.execute("SELECT COUNT(*) FROM policy_memory WHERE space = ?", (space,))
        if count > MOST:
            surplus = tx.execute(
                "SELECT space, digest FROM policy_memory WHERE space = ? ORDER BY expires LIMIT ?",
                (space, count - MOST),
            )
            tx.many("DELETE FROM policy_memory WHERE space = ? AND digest = ?", surplus)


def sweep(tx: Transaction, now: float) -> int:
    """Forget some of what has expired; return how many."""
    rows = tx.execute("SELECT space, digest FROM policy_memory WHERE expires <= ? LIMIT ?", (now, SWEPT))
    tx.many("DELETE FROM policy_memory WHERE space = ? AND digest = ?", rows)
    return len(rows)
