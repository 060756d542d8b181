"""Units of POP3 maildrops: an exclusive lease with a fencing token, which the final unit checks."""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.errors import Busy, NoSuchMailbox
from mailnode.store.engines.engine import Transaction, of_account
from mailnode.store.units import messages
from mailnode.store.units.soundness import NOTHING, Types, require_ascending, require_types
from mailnode.values.mailbox import PopMessage

_ROW: frozenset[Types] = frozenset(((int, int, str), (int, int, NOTHING)))
_LIVE = "account_id = ? AND mailbox_id = ? AND expunged_modseq IS NULL"


@of_account
def open_maildrop(
    tx: Transaction, account_id: str, mailbox_id: int, token: str, now: float, lease_seconds: float
) -> tuple[PopMessage, ...]:
    """Take the lease and list the messages. :param now: UTC seconds. :raises Busy, NoSuchMailbox:"""
    uidvalidity, uidnext = _identity(tx, account_id, mailbox_id)
    taken = tx.execute(
        "INSERT INTO lease (account_id, mailbox_id, token, expires) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (account_id, mailbox_id) DO UPDATE SET token = excluded.token, expires = excluded.expires"
        " WHERE lease.expires <= ? RETURNING token",
        (account_id, mailbox_id, token, now + lease_seconds, now),
    )
    if not taken:
        raise Busy("maildrop")
    return _messages(tx, account_id, mailbox_id, uidvalidity, uidnext)


def look_into(tx: Transaction, account_id: str, mailbox_id: int, now: float) -> tuple[PopMessage, ...]:
    """List the messages without a lease, where none can be written. :raises Busy, NoSuchMailbox:"""
    uidvalidity, uidnext = _identity(tx, account_id, mailbox_id)
    held = "SELECT token FROM lease WHERE account_id = ? AND mailbox_id = ? AND expires > ?"
    if tx.execute(held, (account_id, mailbox_id, now)):
        raise Busy("maildrop")
    return _messages(tx, account_id, mailbox_id, uidvalidity, uidnext)


def _identity(tx: Transaction, account_id: str, mailbox_id: int) -> tuple[int, int]:
    rows = tx.execute(
        "SELECT uidvalidity, uidnext FROM mailbox WHERE account_id = ? AND mailbox_id = ? AND selectable = 1"
        " AND deleted_at IS NULL",
        (account_id, mailbox_id),
    )
    if not rows:
        raise NoSuchMailbox(str(mailbox_id))
    uidvalidity, uidnext = rows[0]
    return uidvalidity, uidnext


def _messages(
    tx: Transaction, account_id: str, mailbox_id: int, uidvalidity: int, uidnext: int
) -> tuple[PopMessage, ...]:
    rows = tx.execute(
        f"SELECT uid, size, uidl FROM placement WHERE {_LIVE} AND uid < ? ORDER BY uid",
        (account_id, mailbox_id, uidnext),
    )
    require_types(rows, _ROW)
    require_ascending([row[0] for row in rows])
    return tuple(PopMessage(uid, size, f"{uidvalidity}.{uid}" if uidl is None else uidl) for uid, size, uidl in rows)


@of_account
def renew(tx: Transaction, account_id: str, mailbox_id: int, token: str, expires: float) -> None:
    """Prolong the lease. :raises Busy: it was lost."""
    held = tx.execute(
        "UPDATE lease SET expires = ? WHERE account_id = ? AND mailbox_id = ? AND token = ? RETURNING token",
        (expires, account_id, mailbox_id, token),
    )
    if not held:
        raise Busy("maildrop")


@of_account
def release(tx: Transaction, account_id: str, mailbox_id: int, token: str) -> bool:
    """End the lease; False: it was lost before."""
    return bool(
        tx.execute(
            "DELETE FROM lease WHERE account_id = ? AND mailbox_id = ? AND token = ? RETURNING token",
            (account_id, mailbox_id, token),
        )
    )


def end_all(tx: Transaction) -> None:
    """End every lease: whoever held one is dead."""
    tx.execute("DELETE FROM lease")


@of_account
def commit(tx: Transaction, account_id: str, mailbox_id: int, token: str, uids: Sequence[int], now: int) -> int:
    """Expunge and end the lease; return the modseq, 0 when nothing was expunged. :param now: UTC microseconds.

    :raises Busy: the lease was lost; nothing is deleted.
    """
    if not release(tx, account_id, mailbox_id, token):
        raise Busy("maildrop")
    if not uids:
        return 0
    expunged, modseq = messages.expunge(tx, account_id, mailbox_id, uids, False, now)
    return modseq if expunged else 0
