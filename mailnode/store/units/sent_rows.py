"""Units over what accounts sent: how much in which hour, and to whom."""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.store.engines.engine import Transaction
from mailnode.values.rows import StoredRow
from mailnode.values.sending import Counted

SWEPT = 500  # rows one unit forgets


def load(
    tx: Transaction, account_id: str, first: int, before: int, now: int
) -> tuple[dict[int, Counted], int, tuple[float, bool]]:
    """Return what an account sent in each hour from ``first`` on, to how many recipients it sent in the busiest hour from
    ``before`` on but for ``now``, and since when it was loud last and whether its mail is held."""
    hours = {
        int(hour): Counted(*counted)
        for hour, *counted in tx.execute(
            "SELECT hour, messages, recipients, strangers FROM sent_hour WHERE account_id = ? AND hour >= ?",
            (account_id, first),
        )
    }
    [(busiest,)] = tx.execute(
        "SELECT MAX(recipients) FROM sent_hour WHERE account_id = ? AND hour >= ? AND hour < ?",
        (account_id, before, now),
    )
    loud = tx.execute("SELECT since, held FROM loud WHERE account_id = ?", (account_id,))
    return hours, int(busiest or 0), (float(loud[0][0]), bool(loud[0][1])) if loud else (0.0, False)


def knows(tx: Transaction, account_id: str, digest: bytes) -> int | None:
    """Return the day an account is noted to have sent to somebody, None where it never did."""
    rows = tx.execute("SELECT day FROM correspondent WHERE account_id = ? AND digest = ?", (account_id, digest))
    return int(rows[0][0]) if rows else None


def write(tx: Transaction, counted: Sequence[StoredRow], met: Sequence[StoredRow]) -> None:
    """Add (account, hour, messages, recipients, strangers), and note (account, digest, day)."""
    tx.many(
        "INSERT INTO sent_hour (account_id, hour, messages, recipients, strangers) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (account_id, hour) DO UPDATE SET messages = sent_hour.messages + excluded.messages,"
        " recipients = sent_hour.recipients + excluded.recipients, strangers = sent_hour.strangers + excluded.strangers",
        counted,
    )
    tx.many(
        "INSERT INTO correspondent (account_id, digest, day) VALUES (?, ?, ?)"
        " ON CONFLICT (account_id, digest) DO UPDATE SET day = excluded.day",
        met,
    )


def set_loud(tx: Transaction, account_id: str, since: float, held: bool) -> None:
    """Note since when an account is loud, and whether its mail is held."""
    tx.execute(
        "INSERT INTO loud (account_id, since, held) VALUES (?, ?, ?)"
        " ON CONFLICT (account_id) DO UPDATE SET since = excluded.since, held = excluded.held",
        (account_id, since, int(held)),
    )


def sweep(tx: Transaction, hour: int, day: int) -> int:
    """Forget some of what was sent before an hour, and of the recipients not written to since a day; return how many."""
    hours = tx.execute("SELECT account_id, hour FROM sent_hour WHERE hour < ? LIMIT ?", (hour, SWEPT))
    tx.many("DELETE FROM sent_hour WHERE account_id = ? AND hour = ?", hours)
    met = tx.execute("SELECT account_id, digest FROM correspondent WHERE day < ? LIMIT ?", (day, SWEPT))
    tx.many("DELETE FROM correspondent WHERE account_id = ? AND digest = ?", met)
    tx.execute("DELETE FROM loud WHERE held = 0 AND since < ?", (hour * 3600.0,))
    return len(hours) + len(met)
