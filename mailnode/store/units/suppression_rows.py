"""Units over recipients that bounced for an account, or that an operator suppressed."""

from __future__ import annotations

from mailnode.store.engines.engine import Transaction
from mailnode.values.sending import DAY, Suppression

REMEMBERED = 30 * DAY  # seconds a bounce is remembered behind the time it suppresses for
LONGEST = 90 * DAY  # seconds a bounce suppresses for at most
MOST = 5_000  # recipients of one account
SWEPT = 500  # rows one unit forgets

_COLUMNS = "recipient, bounces, bounced_at, refused_until, status, reply"
_ONE = "shard = ? AND account_id = ? AND recipient = ?"


def find(tx: Transaction, shard: int, account_id: str, recipient: str) -> tuple[Suppression | None, bool]:
    """Return what is known of a recipient, and whether anything is of any recipient of the account."""
    rows = tx.execute(f"SELECT {_COLUMNS} FROM suppression WHERE {_ONE}", (shard, account_id, recipient))
    if rows:
        return Suppression(*rows[0]), True
    others = tx.execute("SELECT 1 FROM suppression WHERE shard = ? AND account_id = ? LIMIT 1", (shard, account_id))
    return None, bool(others)


def bounced(
    tx: Transaction,
    shard: int,
    account_id: str,
    recipient: str,
    status: str,
    reply: str,
    now: float,
    after: int,
    seconds: float,
) -> Suppression:
    """See ISuppressions. Mail that was on its way before adds no bounce to a recipient that is suppressed."""
    rows = tx.execute(
        f"SELECT bounces, refused_until FROM suppression WHERE {_ONE} AND forget_at > ?",
        (shard, account_id, recipient, now),
    )
    bounces, until = rows[0] if rows else (0, 0.0)
    if until <= now:
        bounces += 1
        further = min(bounces - after, 20)  # 2 ** 20 times is above any bound
        until = now + min(seconds * 2**further, LONGEST) if further >= 0 else 0.0
    made = Suppression(recipient, bounces, now, until, status, reply)
    _put(tx, shard, account_id, made, max(until, now) + REMEMBERED)
    return made


def suppress(tx: Transaction, shard: int, account_id: str, recipient: str, now: float, until: float) -> Suppression:
    """See ISuppressions."""
    made = Suppression(recipient, 0, now, until)
    _put(tx, shard, account_id, made, until)
    return made


def _put(tx: Transaction, shard: int, account_id: str, made: Suppression, forget_at: float) -> None:
    """Put one in the place of what was known; what of an account would be forgotten first gives way."""
    changed = ", ".join(f"{name} = excluded.{name}" for name in ("forget_at", *_COLUMNS.split(", ")[1:]))
    tx.execute(
        f"INSERT INTO suppression (shard, account_id, forget_at, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        f" ON CONFLICT (shard, account_id, recipient) DO UPDATE SET {changed}",
        (
            shard,
            account_id,
            forget_at,
            made.recipient,
            made.bounces,
            made.bounced_at,
            made.refused_until,
            made.status,
            made.reply,
        ),
    )
    surplus = tx.execute(
        "SELECT shard, account_id, recipient FROM suppression WHERE shard = ? AND account_id = ?"
        " ORDER BY forget_at DESC LIMIT 1 OFFSET ?",
        (shard, account_id, MOST),
    )
    tx.many(f"DELETE FROM suppression WHERE {_ONE}", surplus)


def listed(tx: Transaction, shard: int, account_id: str) -> list[Suppression]:
    """See ISuppressions."""
    rows = tx.execute(
        f"SELECT {_COLUMNS} FROM suppression WHERE shard = ? AND account_id = ? ORDER BY recipient LIMIT ?",
        (shard, account_id, MOST),
    )
    return [Suppression(*row) for row in rows]


def remove(tx: Transaction, shard: int, account_id: str, recipient: str) -> bool:
    """See ISuppressions."""
    gone = tx.execute(f"DELETE FROM suppression WHERE {_ONE} RETURNING recipient", (shard, account_id, recipient))
    return bool(gone)


def sweep(tx: Transaction, shard: int, now: float) -> int:
    """Forget some whose time has passed; return how many."""
    rows = tx.execute(
        "SELECT shard, account_id, recipient FROM suppression WHERE shard = ? AND forget_at <= ? LIMIT ?",
        (shard, now, SWEPT),
    )
    tx.many(f"DELETE FROM suppression WHERE {_ONE}", rows)
    return len(rows)
