"""Units on mailboxes whose messages go by themselves: the oldest when there are too many, and all after some time."""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.errors import MailboxExists
from mailnode.store.engines.engine import Transaction, growing, of_account, patient
from mailnode.store.units import mailbox_tree
from mailnode.store.units.arrivals import Prepared, append
from mailnode.store.units.messages import LIVE, expunge
from mailnode.values.mailbox import NewMessage

ACCOUNTS = 100  # that one unit names
EXPUNGED = 300  # messages of one unit
NAMES = 10  # that are tried before it is given up


@patient
@growing
@of_account
def place(
    tx: Transaction, account_id: str, name: str, message: NewMessage, prepared: Prepared, most: int, kept: int, now: int
) -> int:
    """Place a message, and expunge what is too much; return the account's modseq. The mailbox is the account's one with a time to
    keep, whatever its name.

    :param kept: seconds. :param now: UTC microseconds. :raises NoSuchAccount, OverQuota, LimitReached, MailboxExists:
    """
    rows = tx.execute(
        "SELECT mailbox_id FROM mailbox WHERE account_id = ? AND kept IS NOT NULL AND deleted_at IS NULL AND selectable = 1"
        " ORDER BY mailbox_id LIMIT 1",
        (account_id,),
    )
    mailbox_id = int(rows[0][0]) if rows else _make(tx, account_id, name, kept)
    modseq = append(tx, account_id, mailbox_id, [(message, prepared)], now).modseq
    surplus = tx.execute(
        f"SELECT uid FROM placement WHERE account_id = ? AND mailbox_id = ?{LIVE} ORDER BY uid DESC LIMIT ? OFFSET ?",
        (account_id, mailbox_id, EXPUNGED, most),
    )
    if surplus:
        _, modseq = expunge(tx, account_id, mailbox_id, sorted(uid for (uid,) in surplus), False, now)
    return modseq


def _make(tx: Transaction, account_id: str, name: str, kept: int) -> int:
    """Make the mailbox, subscribed; one of that name that is there already is its owner's."""
    for number in range(1, NAMES + 1):
        wanted = name if number == 1 else f"{name} {number}"
        try:
            info, _ = mailbox_tree.create(tx, account_id, wanted, "")
        except MailboxExists:
            continue
        tx.execute("UPDATE mailbox SET kept = ? WHERE account_id = ? AND mailbox_id = ?", (kept, account_id, info.id))
        mailbox_tree.subscribe(tx, account_id, wanted, True)
        return info.id
    raise MailboxExists(name)


def kept(tx: Transaction, after: str, now: int) -> Sequence[tuple[str, int, list[int]]]:
    """Return mailboxes that keep messages for a time, by account, of accounts behind one: account, mailbox, and UIDs of some
    whose time is over. :param now: UTC microseconds."""
    found = []
    for account_id, mailbox_id, seconds in tx.execute(
        "SELECT account_id, mailbox_id, kept FROM mailbox WHERE kept IS NOT NULL AND deleted_at IS NULL AND account_id > ?"
        " ORDER BY account_id LIMIT ?",
        (after, ACCOUNTS),
    ):
        rows = tx.execute(
            f"SELECT uid FROM placement WHERE account_id = ? AND mailbox_id = ?{LIVE} AND savedate < ? ORDER BY uid LIMIT ?",
            (account_id, mailbox_id, now - seconds * 1_000_000, EXPUNGED),
        )
        found.append((account_id, mailbox_id, [uid for (uid,) in rows]))
    return found
