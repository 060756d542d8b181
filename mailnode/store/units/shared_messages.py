"""Units by which somebody else than the owner places, copies and moves messages within the owner's mailboxes."""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.store.engines.engine import Transaction, growing, of_account
from mailnode.store.units import arrivals, messages
from mailnode.store.units.accounts import charge, touch, untouch
from mailnode.store.units.mailbox_rights import require
from mailnode.store.units.moved_flags import carry_seen
from mailnode.store.units.shared_flags import own_rows, save_seen
from mailnode.values.flags import SEEN
from mailnode.values.mailbox import Appended, Copied, NewMessage
from mailnode.values.rights import DELETE_MESSAGES, EXPUNGE, INSERT, READ, WRITE, settable


@growing
@of_account
def append(
    tx: Transaction,
    account_id: str,
    mailbox_id: int,
    reader: str,
    new: Sequence[tuple[NewMessage, arrivals.Prepared]],
    now: int,
) -> Appended:
    """Place new messages, all or none, with those of their flags that the reader may set (RFC 4314 4); that they are seen
    is the reader's own. :param now: UTC microseconds.

    :raises NoSuchAccount, NoSuchMailbox, NotPermitted, OverQuota, KeywordLimit:
    """
    has = require(tx, account_id, mailbox_id, reader, INSERT)
    mask = settable(has)
    placed = [
        (
            message._replace(flags=message.flags & mask & ~SEEN, keywords=message.keywords if WRITE in has else ()),
            prepared,
        )
        for message, prepared in new
    ]
    appended = arrivals.append(tx, account_id, mailbox_id, placed, now)
    seen = [(uid, 1) for uid, (message, _) in zip(appended.uids, new, strict=True) if message.flags & mask & SEEN]
    save_seen(tx, account_id, mailbox_id, reader, appended.modseq, seen)
    return appended


@of_account
def copy(
    tx: Transaction,
    account_id: str,
    mailbox_id: int,
    reader: str,
    uids: Sequence[int],
    target: int,
    move: bool,
    now: int,
) -> Copied:
    """Place live messages in another mailbox of the owner, all or none; ``move``: expunge them here in the same step.

    :param now: UTC microseconds. :raises NoSuchAccount, NoSuchMailbox, NotPermitted, OverQuota:
    """
    require(tx, account_id, mailbox_id, reader, READ + (DELETE_MESSAGES + EXPUNGE if move else ""))
    mask = settable(require(tx, account_id, target, reader, INSERT))
    modseq, _, _ = touch(tx, account_id)
    messages.require(tx, account_id, mailbox_id)
    uidvalidity = messages.require(tx, account_id, target)[0]
    found = messages.live_rows(tx, account_id, mailbox_id, uids)
    if not found:
        untouch(tx, account_id)
        return Copied(uidvalidity, (), (), modseq - 1)
    # What the owner has seen they have seen there too; that is no flag the reader sets.
    copied = [(uid, flags & (mask | SEEN), *rest) for uid, flags, *rest in found]
    unseen, deleted, size = messages.totals(copied)
    first, _ = arrivals.grow(tx, account_id, target, modseq, len(copied), unseen, deleted, size)
    messages.place_copies(tx, account_id, target, first, modseq, copied, now)
    charge(tx, account_id, size, len(copied), check=not move)
    own = own_rows(tx, account_id, mailbox_id, reader, [row[0] for row in found]) if mask & SEEN else {}
    seen = [(first + number, 1) for number, row in enumerate(found) if own.get(row[0], (0, 0))[0]]
    save_seen(tx, account_id, target, reader, modseq, seen)
    if move:
        carry_seen(tx, account_id, mailbox_id, [row[0] for row in found], target, first, modseq, reader)
        messages.expunge_rows(tx, account_id, mailbox_id, modseq, found, now)
    return Copied(uidvalidity, tuple(row[0] for row in found), tuple(range(first, first + len(found))), modseq)
