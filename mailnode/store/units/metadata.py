"""Units on what is noted about mailboxes, and about the account itself (RFC 5464)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from mailnode.errors import LimitReached
from mailnode.store.engines.engine import Transaction, growing, of_account
from mailnode.store.units.accounts import require_mailbox, touch, untouch
from mailnode.store.units.statements import insert_rows, listed, pieces
from mailnode.values.rows import StoredRow

MAX_ENTRIES = 100  # of one mailbox, all readers' together
MAX_ACCOUNT_ENTRIES = 1000  # of all mailboxes of an account

Noted: TypeAlias = tuple[str, str, bytes | None]  # reader ("": all share it), entry, value

_INTO = "annotation (account_id, mailbox_id, reader, entry, value, modseq)"


def read(tx: Transaction, account_id: str, mailbox_ids: Sequence[int], reader: str) -> dict[int, dict[str, bytes]]:
    """Values by entry, by mailbox: what all readers share, and what is this reader's own."""
    found: dict[int, dict[str, bytes]] = {}
    for mailbox_id, entry, value in _rows(tx, "value", account_id, mailbox_ids, reader):
        found.setdefault(mailbox_id, {})[entry] = value
    return found


def modseqs(tx: Transaction, account_id: str, mailbox_ids: Sequence[int], reader: str) -> dict[int, dict[str, int]]:
    """When entries were set, by entry, by mailbox: of what all readers share, and of what is this reader's own."""
    found: dict[int, dict[str, int]] = {}
    for mailbox_id, entry, modseq in _rows(tx, "modseq", account_id, mailbox_ids, reader):
        found.setdefault(mailbox_id, {})[entry] = modseq
    return found


def everywhere(tx: Transaction, account_id: str, entry: str) -> dict[int, bytes]:
    """Values of one entry that all readers share, by mailbox; 0 is the account itself."""
    return {
        mailbox_id: bytes(value)
        for mailbox_id, value in tx.execute(
            "SELECT mailbox_id, value FROM annotation WHERE account_id = ? AND reader = '' AND entry = ?",
            (account_id, entry),
        )
    }


def _rows(
    tx: Transaction, column: str, account_id: str, mailbox_ids: Sequence[int], reader: str
) -> Iterator[StoredRow]:
    """Yield the mailbox, the entry and one column of all that a reader may know of, by mailbox and entry."""
    for some in pieces(mailbox_ids):
        marks, values = listed(some)
        yield from tx.execute(
            f"SELECT mailbox_id, entry, {column} FROM annotation WHERE account_id = ? AND mailbox_id IN {marks}"
            " AND reader IN ('', ?) ORDER BY mailbox_id, entry",
            (account_id, *values, reader),
        )


@growing
@of_account
def write(tx: Transaction, account_id: str, mailbox_id: int, values: Sequence[Noted]) -> tuple[int, bool]:
    """Set entries, or remove those that are None; all or none. Return the account's modseq, and whether that changed anything.

    :param mailbox_id: 0: the account itself. :raises NoSuchMailbox, NoSuchAccount: :raises LimitReached: too many.
    """
    modseq, _, _ = touch(tx, account_id)
    if mailbox_id:
        require_mailbox(tx, account_id, mailbox_id)
    values = [one for one in values if one[2] != _value(tx, account_id, mailbox_id, *one[:2])]
    if not values:
        untouch(tx, account_id)
        return modseq - 1, False
    for reader, entry, _ in values:
        tx.execute(
            "DELETE FROM annotation WHERE account_id = ? AND mailbox_id = ? AND reader = ? AND entry = ?",
            (account_id, mailbox_id, reader, entry),
        )
    kept = [(account_id, mailbox_id, *one, modseq) for one in values if one[2] is not None]
    if kept:
        insert_rows(tx, _INTO, kept)
        if _room(tx, account_id, mailbox_id) < 0:
            raise LimitReached("annotations")
    return modseq, True


def _value(tx: Transaction, account_id: str, mailbox_id: int, reader: str, entry: str) -> bytes | None:
    rows = tx.execute(
        "SELECT value FROM annotation WHERE account_id = ? AND mailbox_id = ? AND reader = ? AND entry = ?",
        (account_id, mailbox_id, reader, entry),
    )
    return bytes(rows[0][0]) if rows else None


def _room(tx: Transaction, account_id: str, mailbox_id: int) -> int:
    """How many more entries there may be; below 0: there are too many."""
    [(of_mailbox,)] = tx.execute(
        "SELECT count(*) FROM annotation WHERE account_id = ? AND mailbox_id = ?", (account_id, mailbox_id)
    )
    [(of_account,)] = tx.execute("SELECT count(*) FROM annotation WHERE account_id = ?", (account_id,))
    return min(MAX_ENTRIES - int(of_mailbox), MAX_ACCOUNT_ENTRIES - int(of_account))


def forget(tx: Transaction, account_id: str, mailbox_id: int) -> None:
    """Remove all of a mailbox."""
    tx.execute("DELETE FROM annotation WHERE account_id = ? AND mailbox_id = ?", (account_id, mailbox_id))


@of_account
def copy(tx: Transaction, account_id: str, source: int, target: int) -> None:
    """Give one mailbox all that is noted about another, if there is room (RFC 5464 4.1: INBOX is renamed). What was noted under
    the same names about the target, which may have been there as a name without a mailbox, ends.

    :raises NoSuchAccount:
    """
    modseq, _, _ = touch(tx, account_id)
    rows = tx.execute(
        "SELECT reader, entry, value FROM annotation WHERE account_id = ? AND mailbox_id = ?", (account_id, source)
    )
    if not rows or len(rows) > _room(tx, account_id, target):
        untouch(tx, account_id)
    else:
        values = [(account_id, target, *row, modseq) for row in rows]
        insert_rows(
            tx,
            _INTO,
            values,
            " ON CONFLICT (account_id, mailbox_id, reader, entry)"
            " DO UPDATE SET value = excluded.value, modseq = excluded.modseq",
        )
