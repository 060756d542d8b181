"""Units over what tries came to: the last ``KEPT`` of each recipient, while its envelope is in the queue."""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.store.engines.engine import Transaction
from mailnode.store.units.statements import insert_rows, listed, pieces
from mailnode.values.queue import Outcome, PastAttempt

KEPT = 20  # tries of one recipient that are remembered

_COLUMNS = "tried_at, state, status, reply, host, address, tls, reason"


def record(
    tx: Transaction, shard: int, envelope_id: str, outcome: Outcome, attempts: Sequence[tuple[int, int]]
) -> None:
    """Remember how a try ended. :param attempts: (recipient's number, its tries so far)."""
    # One that does not count stands where the next that counts will stand.
    ahead = 0 if outcome.counts_as_attempt else 1
    end = (
        outcome.tried_at,
        outcome.state,
        outcome.status,
        outcome.reply,
        outcome.host,
        outcome.address,
        outcome.tls,
        outcome.reason,
    )
    again = ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS.split(", "))
    insert_rows(
        tx,
        f"attempt (shard, envelope_id, number, slot, {_COLUMNS})",
        [(shard, envelope_id, number, (tries + ahead) % KEPT, *end) for number, tries in attempts],
        f" ON CONFLICT (shard, envelope_id, number, slot) DO UPDATE SET {again}",
    )


def history(tx: Transaction, shard: int, envelope_id: str, limit: int) -> list[PastAttempt]:
    """See IQueueStore."""
    rows = tx.execute(
        f"SELECT number, {_COLUMNS} FROM attempt WHERE shard = ? AND envelope_id = ?"
        " ORDER BY number, tried_at, slot LIMIT ?",
        (shard, envelope_id, limit),
    )
    return [PastAttempt(*row) for row in rows]


def by_recipient(tx: Transaction, shard: int, envelope_id: str, numbers: Sequence[int]) -> dict[int, list[PastAttempt]]:
    """Return what is remembered of some recipients of an envelope, by their numbers."""
    found: dict[int, list[PastAttempt]] = {}
    for some in pieces(numbers):
        marks, values = listed(some)
        rows = tx.execute(
            f"SELECT number, {_COLUMNS} FROM attempt WHERE shard = ? AND envelope_id = ? AND number IN {marks}"
            " ORDER BY number, tried_at, slot",
            (shard, envelope_id, *values),
        )
        for row in rows:
            found.setdefault(row[0], []).append(PastAttempt(*row))
    return found


def delete_some(tx: Transaction, shard: int, envelope_id: str, limit: int) -> bool:
    """Delete what is remembered of an envelope; True when some of it is left."""
    deleted = tx.execute(
        "DELETE FROM attempt WHERE shard = ? AND envelope_id = ? AND (number, slot) IN"
        " (SELECT number, slot FROM attempt WHERE shard = ? AND envelope_id = ? ORDER BY number, slot LIMIT ?)"
        " RETURNING number",
        (shard, envelope_id, shard, envelope_id, limit),
    )
    return len(deleted) == limit
