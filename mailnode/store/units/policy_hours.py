"""Units over how often each policy answered what."""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.store.engines.engine import Transaction
from mailnode.values.policy import PolicyTotal
from mailnode.values.rows import StoredRow

SWEPT = 500  # rows that one unit removes
LISTED = 10_000


def add(tx: Transaction, counted: Sequence[StoredRow]) -> None:
    """Add (hour, policy, stage, answer, times, score, seconds)."""
    tx.many(
        "INSERT INTO policy_hour (hour, policy, stage, answer, times, score, seconds) VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (hour, policy, stage, answer) DO UPDATE SET times = policy_hour.times + excluded.times,"
        " score = policy_hour.score + excluded.score, seconds = policy_hour.seconds + excluded.seconds",
        counted,
    )


def totals(tx: Transaction, hour: int) -> list[PolicyTotal]:
    """Return what was counted in an hour and those after it, together."""
    rows = tx.execute(
        "SELECT policy, stage, answer, SUM(times), SUM(score), SUM(seconds) FROM policy_hour WHERE hour >= ?"
        " GROUP BY policy, stage, answer ORDER BY policy, stage, answer LIMIT ?",
        (hour, LISTED),
    )
    return [
        PolicyTotal(policy, stage, answer, int(times), float(score), float(seconds))
        for policy, stage, answer, times, score, seconds in rows
    ]


def sweep(tx: Transaction, hour: int) -> int:
    """Forget some of what was counted before an hour; return how many rows."""
    rows = tx.execute("SELECT hour, policy, stage, answer FROM policy_hour WHERE hour < ? LIMIT ?", (hour, SWEPT))
    tx.many("DELETE FROM policy_hour WHERE hour = ? AND policy = ? AND stage = ? AND answer = ?", rows)
    return len(rows)
