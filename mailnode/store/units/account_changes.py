"""Units on the messages of a whole account: where they stand, and what changed since a modseq, as JMAP asks for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter

from mailnode.errors import ChangesForgotten, NoSuchMailbox
from mailnode.store.engines.engine import Transaction
from mailnode.store.units.messages import modseq_of
from mailnode.store.units.statements import listed, pieces
from mailnode.values.mailbox import AccountChanges, Placed

MOST = 10_000  # placements that changed since, above which everything is to be looked at anew

_STANDING = " JOIN mailbox b ON b.account_id = p.account_id AND b.mailbox_id = p.mailbox_id AND b.deleted_at IS NULL"


def placements(tx: Transaction, account_id: str, message_ids: Sequence[int]) -> dict[int, tuple[Placed, ...]]:
    """Where messages stand, by message id; nothing of those that stand nowhere."""
    found: dict[int, list[Placed]] = {}
    for some in pieces(message_ids):
        places, values = listed(some)
        for message_id, *where in tx.execute(
            f"SELECT p.message_id, p.mailbox_id, p.uid, p.flags, p.modseq FROM placement p{_STANDING}"
            f" WHERE p.account_id = ? AND p.message_id IN {places} AND p.expunged_modseq IS NULL"
            " ORDER BY p.mailbox_id, p.uid",
            (account_id, *values),
        ):
            found.setdefault(message_id, []).append(Placed(*where))
    return {message_id: tuple(where) for message_id, where in found.items()}


def changes(tx: Transaction, account_id: str, since: int, limit: int) -> AccountChanges:
    """What ``IMailAccount.changes`` returns. :raises NoSuchMailbox: the account is gone. :raises ChangesForgotten:"""
    rows = tx.execute(
        "SELECT modseq, forgotten_modseq FROM account WHERE account_id = ? AND removed_at IS NULL", (account_id,)
    )
    if not rows:
        raise NoSuchMailbox(account_id)
    modseq, forgotten = rows[0]
    if since > modseq:
        raise ChangesForgotten
    boxes = tx.execute(
        "SELECT mailbox_id, highest_modseq, forgotten_modseq, deleted_at, deleted_modseq FROM mailbox"
        " WHERE account_id = ? AND (highest_modseq > ? OR coalesce(deleted_modseq, ?) > ? AND deleted_at IS NOT NULL)",
        (account_id, since, modseq + 1, since),
    )
    # Of a mailbox that was deleted before schema 3 nobody knows when.
    unknown = any(box[3] is not None and box[4] is None for box in boxes)
    if unknown or since < max(forgotten, *(box[2] for box in boxes), 0):
        raise ChangesForgotten
    changed: list[tuple[int, int]] = []  # (modseq, message id)
    for mailbox_id, highest, _, deleted_at, deleted_modseq in boxes:
        if deleted_at is None and highest > since:
            changed += _changed(tx, account_id, mailbox_id, since)
        else:
            changed += [(deleted_modseq, message_id) for message_id in _all(tx, account_id, mailbox_id)]
        if len(changed) > MOST:
            raise ChangesForgotten
    until, more = _page(changed, modseq, limit)
    numbers = sorted({message_id for at, message_id in changed if at <= until})
    return AccountChanges(
        until,
        more,
        *_sorted_out(tx, account_id, numbers, since),
        tuple(sorted(box[0] for box in boxes if box[3] is None and box[1] > since)),
        tuple(sorted(box[0] for box in boxes if box[3] is not None)),
    )


def changed_mailboxes(tx: Transaction, account_id: str, since: int) -> tuple[int, frozenset[int]]:
    """The account's modseq, and the mailboxes in which something happened to messages after another. :raises NoSuchMailbox:
    the account is gone."""
    rows = tx.execute(
        "SELECT mailbox_id FROM mailbox WHERE account_id = ? AND highest_modseq > ? AND deleted_at IS NULL",
        (account_id, since),
    )
    return modseq_of(tx, account_id), frozenset(mailbox_id for (mailbox_id,) in rows)


def _changed(tx: Transaction, account_id: str, mailbox_id: int, since: int) -> Iterable[tuple[int, int]]:
    found = tx.execute(
        "SELECT modseq, message_id FROM placement WHERE account_id = ? AND mailbox_id = ? AND modseq > ?"
        " ORDER BY modseq LIMIT ?",
        (account_id, mailbox_id, since, MOST + 1),
    )
    return [(at, message_id) for at, message_id in found]


def _all(tx: Transaction, account_id: str, mailbox_id: int) -> list[int]:
    found = tx.execute(
        "SELECT message_id FROM placement WHERE account_id = ? AND mailbox_id = ? LIMIT ?",
        (account_id, mailbox_id, MOST + 1),
    )
    return [message_id for (message_id,) in found]


def _page(changed: list[tuple[int, int]], modseq: int, limit: int) -> tuple[int, bool]:
    """Return up to which modseq ``limit`` messages, or those of one change, are told of, and whether there are more."""
    told: set[int] = set()
    until = 0
    for at, rows in groupby(sorted(changed), key=itemgetter(0)):
        wanted = told.union(message_id for _, message_id in rows)
        if until and len(wanted) > limit:
            return until, True
        told, until = wanted, at
    return modseq, False


def _sorted_out(
    tx: Transaction, account_id: str, message_ids: Sequence[int], since: int
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Return which were made, changed and destroyed after ``since``; those both made and destroyed are left out."""
    made: list[int] = []
    altered: list[int] = []
    destroyed: list[int] = []
    stands = placements(tx, account_id, message_ids)
    for some in pieces(message_ids):
        places, values = listed(some)
        for message_id, first in tx.execute(
            "SELECT message_id, min(created_modseq) FROM placement"
            f" WHERE account_id = ? AND message_id IN {places} GROUP BY message_id",
            (account_id, *values),
        ):
            if message_id in stands:
                (made if first > since else altered).append(message_id)
            elif first <= since:
                destroyed.append(message_id)
    return tuple(sorted(made)), tuple(sorted(altered)), tuple(sorted(destroyed))
