"""Units on the flags of messages as somebody else than the owner sees them: \\Seen is their own, all others are shared.

That somebody has seen a message is a row of theirs, with a modseq which the account gave out and nobody else is told of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mailnode.errors import NoSuchMailbox, NotPermitted
from mailnode.store.engines.engine import Transaction, of_account
from mailnode.store.units import messages
from mailnode.store.units.accounts import keyword_bits, save_keywords, touch, untouch, with_keywords
from mailnode.store.units.flag_changes import write_flags
from mailnode.store.units.mailbox_rights import require
from mailnode.store.units.messages import LIVE, NOT_RECENT, by_uids
from mailnode.store.units.statements import insert_rows, listed, pieces
from mailnode.values.flags import SEEN, SYSTEM_MASK
from mailnode.values.mailbox import FlagsStored, MailboxChanges, MailboxSnapshot, MailboxStatus
from mailnode.values.rights import READ, WRITE, settable

_OWN = " LEFT JOIN own_flag o ON o.account_id = p.account_id AND o.mailbox_id = p.mailbox_id AND o.uid = p.uid AND o.reader = ?"
_UNSEEN = f"p.flags - (p.flags & {SEEN})"
_SEEN_BY = f"{_UNSEEN} + {SEEN} * coalesce(o.seen, 0)"
_MODSEQ = "CASE WHEN o.modseq > p.modseq THEN o.modseq ELSE p.modseq END"


def snapshot(tx: Transaction, account_id: str, mailbox_id: int, reader: str) -> MailboxSnapshot:
    """All live messages; nothing is recent. :raises NoSuchMailbox, NotPermitted:"""
    require(tx, account_id, mailbox_id, reader, READ)
    own = _highest(tx, account_id, mailbox_id, reader, 0)
    if own:
        select = f"SELECT p.uid, {_SEEN_BY}, {_MODSEQ} FROM placement p{_OWN}"
        found = messages.snapshot(tx, account_id, mailbox_id, select, (reader,))
    else:  # of who has seen nothing yet no row is looked for beside each message
        found = messages.snapshot(tx, account_id, mailbox_id, f"SELECT p.uid, {_UNSEEN}, p.modseq FROM placement p")
    return replace(found, highest_modseq=max(own, found.highest_modseq), recent_from=NOT_RECENT)


def _highest(tx: Transaction, account_id: str, mailbox_id: int, reader: str, of_mailbox: int) -> int:
    [(own,)] = tx.execute(
        "SELECT max(modseq) FROM own_flag WHERE account_id = ? AND mailbox_id = ? AND reader = ?",
        (account_id, mailbox_id, reader),
    )
    return max(own or 0, of_mailbox)


def changes(tx: Transaction, account_id: str, mailbox_id: int, reader: str, since: int) -> MailboxChanges:
    """What happened after a modseq. :raises NoSuchMailbox: also when the reader may not read it any more."""
    try:
        require(tx, account_id, mailbox_id, reader, READ)
    except NotPermitted:
        raise NoSuchMailbox(str(mailbox_id)) from None
    found = messages.changes(tx, account_id, mailbox_id, since)
    changed = {uid: (flags & ~SEEN, modseq) for uid, flags, modseq in found.changed}
    own = tx.execute(
        f"SELECT p.uid, {_SEEN_BY}, {_MODSEQ} FROM placement p{_OWN}"
        f" WHERE p.account_id = ? AND p.mailbox_id = ?{LIVE} AND o.modseq > ?",
        (reader, account_id, mailbox_id, since),
    )
    seen = own_rows(tx, account_id, mailbox_id, reader, sorted(changed))
    changed = {uid: (flags | SEEN * seen.get(uid, (0, 0))[0], modseq) for uid, (flags, modseq) in changed.items()}
    changed.update({uid: (flags, modseq) for uid, flags, modseq in own})
    return replace(
        found,
        highest_modseq=_highest(tx, account_id, mailbox_id, reader, found.highest_modseq),
        changed=tuple((uid, *changed[uid]) for uid in sorted(changed)),
        recent_from=NOT_RECENT,
    )


def as_read(tx: Transaction, account_id: str, reader: str, counts: MailboxStatus) -> MailboxStatus:
    """Return the counts of a mailbox as a reader sees them."""
    # The modseq says nothing, but so SQLite takes the index by reader: the rows of all others stand between theirs.
    [(seen,)] = tx.execute(
        "SELECT count(*) FROM own_flag o JOIN placement p ON p.account_id = o.account_id"
        " AND p.mailbox_id = o.mailbox_id AND p.uid = o.uid"
        f" WHERE o.account_id = ? AND o.mailbox_id = ? AND o.reader = ? AND o.seen = 1{LIVE} AND o.modseq > 0",
        (account_id, counts.mailbox_id, reader),
    )
    highest = _highest(tx, account_id, counts.mailbox_id, reader, counts.highest_modseq)
    return replace(counts, recent=0, unseen=counts.messages - seen, highest_modseq=highest, account_id=account_id)


def save_seen(
    tx: Transaction, account_id: str, mailbox_id: int, reader: str, modseq: int, seen: Sequence[tuple[int, int]]
) -> None:
    """Note what a reader has seen: pairs of UID and 1 or 0."""
    insert_rows(
        tx,
        "own_flag (account_id, mailbox_id, uid, reader, seen, modseq)",
        [(account_id, mailbox_id, uid, reader, is_seen, modseq) for uid, is_seen in seen],
        " ON CONFLICT (account_id, mailbox_id, uid, reader) DO UPDATE SET seen = excluded.seen, modseq = excluded.modseq",
    )


@dataclass(frozen=True, slots=True)
class Altered:
    """Whether flags that all share were altered, and the reader's own."""

    shared: bool
    own: bool


@of_account
def store_flags(
    tx: Transaction,
    account_id: str,
    mailbox_id: int,
    reader: str,
    uids: Sequence[int],
    mode: str,
    flags: int,
    keywords: Sequence[str],
    unchanged_since: int | None,
) -> tuple[FlagsStored, Altered]:
    """Change flags of live messages, those that the reader may; see ``IMailbox.store_flags``.

    :raises NoSuchAccount, NoSuchMailbox, KeywordLimit: :raises NotPermitted: none of the flags may be changed.
    """
    mask = _mask(require(tx, account_id, mailbox_id, reader, READ), flags, keywords)
    modseq, _, known = touch(tx, account_id)
    messages.require(tx, account_id, mailbox_id)
    table = with_keywords(known, keywords) if mode != "remove" and mask >> 8 else known
    bits = flags & SYSTEM_MASK | keyword_bits(table, keywords)
    stored, shared, seen, modified, flags_before = [], [], [], [], []
    for uid, owners, before, last in _as_told(tx, account_id, mailbox_id, reader, uids):
        if unchanged_since is not None and last > unchanged_since:
            modified.append(uid)
            continue
        after = before & ~mask | _after(mode, bits, before) & mask
        if (before ^ after) & SEEN:
            seen.append((uid, after & SEEN))
        if (before ^ after) & ~SEEN:
            shared.append((uid, owners, after & ~SEEN | owners & SEEN, modseq))
        stored.append((uid, after, modseq if before != after else last))
        flags_before.append(before)
    if not shared and not seen:
        untouch(tx, account_id)
        return FlagsStored(tuple(stored), tuple(modified), known, modseq - 1, tuple(flags_before)), Altered(
            False, False
        )
    if table is not known:
        save_keywords(tx, account_id, table)
    if shared:
        write_flags(tx, account_id, mailbox_id, modseq, shared)
    save_seen(tx, account_id, mailbox_id, reader, modseq, seen)
    result = FlagsStored(tuple(stored), tuple(modified), table, modseq, tuple(flags_before))
    return result, Altered(bool(shared), bool(seen))


def _after(mode: str, bits: int, before: int) -> int:
    return bits if mode == "set" else before | bits if mode == "add" else before & ~bits


def _as_told(
    tx: Transaction, account_id: str, mailbox_id: int, reader: str, uids: Sequence[int]
) -> list[tuple[int, int, int, int]]:
    """UID, flags as the owner and as the reader has them, and the modseq that the reader was told, of live messages."""
    select = "SELECT p.uid, p.flags, p.modseq FROM placement p"
    live = by_uids(tx, select, account_id, mailbox_id, uids, LIVE)
    own = own_rows(tx, account_id, mailbox_id, reader, [row[0] for row in live])
    told = []
    for uid, flags, modseq in live:
        is_seen, own_modseq = own.get(uid, (0, 0))
        told.append((uid, flags, flags & ~SEEN | SEEN * is_seen, max(modseq, own_modseq)))
    return told


def _mask(has: str, flags: int, keywords: Sequence[str]) -> int:
    """Return the bits that may be changed. :raises NotPermitted: none of those that are named (RFC 4314 4)."""
    mask = settable(has)
    named = flags & SYSTEM_MASK
    any_named = bool(named & mask) or (bool(keywords) and WRITE in has)
    if not mask or ((named or keywords) and not any_named):
        raise NotPermitted("flags")
    return mask


def own_rows(
    tx: Transaction, account_id: str, mailbox_id: int, reader: str, uids: Sequence[int]
) -> dict[int, tuple[int, int]]:
    """Return whether a reader has seen messages (1 or 0) and the modseq of that, by UID, of those with a row of theirs."""
    found: dict[int, tuple[int, int]] = {}
    for some in pieces(uids):
        marks, values = listed(some)
        for uid, seen, modseq in tx.execute(
            "SELECT uid, seen, modseq FROM own_flag WHERE account_id = ? AND mailbox_id = ? AND reader = ?"
            f" AND uid IN {marks}",
            (account_id, mailbox_id, reader, *values),
        ):
            found[uid] = seen, modseq
    return found
