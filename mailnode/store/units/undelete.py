"""Units that find what was expunged, or went with its mailbox, and place it again.

A message that was moved or copied stands elsewhere and is not gone. One that is gone from several places comes back where
it was last.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.store.engines.engine import Transaction, growing
from mailnode.store.units import messages
from mailnode.store.units.accounts import charge, touch, untouch
from mailnode.store.units.arrivals import grow
from mailnode.store.units.messages import require
from mailnode.store.units.statements import listed, pieces
from mailnode.values.deleted import DeletedMailbox
from mailnode.values.flags import DELETED
from mailnode.values.mailbox_name import SEPARATOR
from mailnode.values.rows import StoredRow

_DIGESTS = 1_000  # messages of one unit

_FROM = (
    " FROM placement p JOIN mailbox b ON b.account_id = p.account_id AND b.mailbox_id = p.mailbox_id"
    " JOIN message m ON m.account_id = p.account_id AND m.message_id = p.message_id"
    " WHERE p.account_id = ? AND p.mailbox_id = ? AND p.uid < b.uidnext"
    " AND (p.expunged_modseq IS NOT NULL OR b.deleted_at IS NOT NULL)"
    # It stands nowhere else, and was nowhere else after it was here.
    " AND NOT EXISTS (SELECT 1 FROM placement o"
    " JOIN mailbox c ON c.account_id = o.account_id AND c.mailbox_id = o.mailbox_id"
    " WHERE o.account_id = p.account_id AND o.message_id = p.message_id AND o.uid < c.uidnext"
    " AND ((o.expunged_modseq IS NULL AND c.deleted_at IS NULL)"
    " OR coalesce(o.expunged_modseq, c.deleted_modseq, 0) > coalesce(p.expunged_modseq, b.deleted_modseq, 0)"
    " OR (coalesce(o.expunged_modseq, c.deleted_modseq, 0) = coalesce(p.expunged_modseq, b.deleted_modseq, 0)"
    " AND (o.mailbox_id > p.mailbox_id OR (o.mailbox_id = p.mailbox_id AND o.uid > p.uid)))))"
)


def mailboxes(tx: Transaction, account_id: str) -> list[DeletedMailbox]:
    """All mailboxes, those that are there no more included, by id."""
    rows = tx.execute(
        "SELECT mailbox_id, parent_id, name, deleted_at FROM mailbox WHERE account_id = ? ORDER BY mailbox_id",
        (account_id,),
    )
    above = {mailbox_id: (parent_id, name) for mailbox_id, parent_id, name, _ in rows}
    return [
        DeletedMailbox(mailbox_id, _full_name(above, mailbox_id), deleted_at is None)
        for mailbox_id, _, _, deleted_at in rows
    ]


def _full_name(above: dict[int, tuple[int, str]], mailbox_id: int) -> str:
    names = []
    while mailbox_id in above:
        mailbox_id, name = above[mailbox_id]
        names.append(name)
    return SEPARATOR.join(reversed(names))


def gone(tx: Transaction, account_id: str, mailbox_id: int, after: int, limit: int) -> list[StoredRow]:
    """UID, when it went (UTC microseconds), size, INTERNALDATE, SHA-256, sort keys (NULL: in a blob), that blob, of some messages
    that are gone from a mailbox and stand nowhere, those above a UID, ascending."""
    return tx.execute(
        "SELECT p.uid, coalesce(p.expunged_at, b.deleted_at), p.size, m.internaldate, m.blob_digest, m.sort,"
        " m.facts_blob"
        f"{_FROM} AND p.uid > ? ORDER BY p.uid LIMIT ?",
        (account_id, mailbox_id, after, limit),
    )


def digests(tx: Transaction, account_id: str, after: int) -> tuple[list[bytes], int | None]:
    """SHA-256 of the content of some messages that stand somewhere and are not set aside, those with an id above ``after``; and
    behind which to go on, None at the end."""
    rows = tx.execute(
        "SELECT m.message_id, m.blob_digest, (SELECT 1 FROM placement p"
        " JOIN mailbox b ON b.account_id = p.account_id AND b.mailbox_id = p.mailbox_id"
        " WHERE p.account_id = m.account_id AND p.message_id = m.message_id AND p.expunged_modseq IS NULL"
        " AND b.deleted_at IS NULL AND p.uid < b.uidnext AND NOT EXISTS (SELECT 1 FROM set_aside s"
        " WHERE s.account_id = m.account_id AND s.message_id = m.message_id) LIMIT 1)"
        " FROM message m WHERE m.account_id = ? AND m.message_id > ? ORDER BY m.message_id LIMIT ?",
        (account_id, after, _DIGESTS),
    )
    return [digest for _, digest, stands in rows if stands], rows[-1][0] if len(rows) == _DIGESTS else None


# Not of its account alone: the sweep removes what it finds.
@growing
def undelete(
    tx: Transaction, account_id: str, mailbox_id: int, uids: Sequence[int], target: int, now: int
) -> tuple[int, int]:
    """Place again those of these messages that are gone from a mailbox and stand nowhere, under new UIDs, without \\Deleted;
    all or none. Return how many, and the account's modseq.

    :param now: UTC microseconds. :raises NoSuchAccount, NoSuchMailbox, OverQuota:
    """
    modseq, _, _ = touch(tx, account_id)
    require(tx, account_id, target)
    rows: list[StoredRow] = []
    for some in pieces(uids):
        marks, values = listed(some)
        rows += tx.execute(
            f"SELECT p.uid, p.flags, p.size, p.message_id{_FROM} AND p.uid IN {marks} ORDER BY p.uid",
            (account_id, mailbox_id, *values),
        )
    if not rows:
        untouch(tx, account_id)
        return 0, modseq - 1
    found = [(uid, flags & ~DELETED, size, message_id) for uid, flags, size, message_id in rows]
    unseen, deleted, size = messages.totals(found)
    first, _ = grow(tx, account_id, target, modseq, len(found), unseen, deleted, size)
    messages.place_copies(tx, account_id, target, first, modseq, found, now)
    charge(tx, account_id, size, len(found), check=True)
    return len(found), modseq
