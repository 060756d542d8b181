"""Units that put new messages into mailboxes: append and deliver.

What a unit places is prepared before (:func:`prepare`), once for all recipients: encoded facts, hashes of references.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from mailnode.errors import Busy, KeywordLimit, LimitReached, NoSuchMailbox, OverQuota
from mailnode.store.engines.engine import Transaction, growing, of_account, of_accounts, run_together
from mailnode.store.units import mailbox_tree
from mailnode.store.units.accounts import INBOX_ID, charge, keyword_bits, save_keywords, touch, with_keywords
from mailnode.store.units.statements import insert_rows
from mailnode.values.blob import BlobRef, StagedBlob
from mailnode.values.facts import EncodedFacts
from mailnode.values.flags import DELETED, SEEN, SYSTEM_MASK, KeywordTable
from mailnode.values.mailbox import Appended, CopyPlace, Delivered, DeliveryPlan, NewMessage

FACTS_COLUMNS = ("envelope", "bodystructure", "sort", "fields", "body", "parts", "preview")  # in the order of the row
# Where each is read, of ``message m`` and its reference ``r``. First words stand beside the row of the message, which they would
# make longer for all that is read of it; those of a version before stand in it, and those of facts before there were any are empty.
FACTS = {name: f"m.{name}" for name in FACTS_COLUMNS} | {
    "preview": "coalesce(r.preview, m.preview, substr(m.envelope, 1, 0))"
}
REFERENCE = (
    " LEFT JOIN blob_ref r ON r.blob_id = m.blob_id AND r.account_id = m.account_id AND r.message_id = m.message_id"
)
MAX_REFS = 16  # Message-IDs that decide about a message's thread: its own, the first and the last it refers to
NO_FACTS = (None,) * len(FACTS_COLUMNS)

_MESSAGE = (
    "message (account_id, message_id, thread_id, received_at, internaldate, internaldate_offset,"
    " header_size, blob_id, blob_size, blob_place, blob_encoding, blob_digest, facts_version, facts_blob, prefix,"
    " envelope, bodystructure, sort, fields, body, parts)"
)
PLACEMENT = "placement (account_id, mailbox_id, uid, message_id, flags, modseq, created_modseq, size, savedate, uidl)"
REFS_AT_ONCE = 128


class Arriving(NamedTuple):
    """A message on its way into a mailbox: what is its own, beside its content."""

    message: NewMessage
    prepared: Prepared
    prefix: bytes
    flags: int
    now: int  # UTC microseconds

    @property
    def size(self) -> int:
        """Octets, the prefix included."""
        return len(self.prefix) + self.message.blob.ref.size


class Prepared(NamedTuple):
    """A message's content as rows: the same for every copy."""

    blob: StagedBlob
    columns: tuple[object, ...]  # of ``message``: header_size to facts_blob
    facts: tuple[bytes | None, ...]  # FACTS_COLUMNS; all None when they are in a blob
    facts_blob: StagedBlob | None
    refs: tuple[int, ...]


def facts_row(facts: EncodedFacts) -> tuple[bytes, ...]:
    """Return the values of FACTS_COLUMNS."""
    return facts[3:10]


def prepare(
    blob: StagedBlob, facts: EncodedFacts, row: Sequence[bytes | None], facts_blob: StagedBlob | None
) -> Prepared:
    """Make rows of a message's content. :param row: :func:`facts_row`, or NO_FACTS. :param facts_blob: where they are then."""
    ref = blob.ref
    return Prepared(
        blob,
        (
            facts.header_size,
            ref.blob_id,
            ref.size,
            ref.place,
            ref.encoding,
            ref.digest,
            facts.version,
            encode_ref(facts_blob.ref) if facts_blob is not None else None,
        ),
        tuple(row),
        facts_blob,
        _ref_hashes(facts),
    )


def encode_ref(ref: BlobRef) -> str:
    """Return a BlobRef as text for one column."""
    return json.dumps([ref.blob_id, ref.size, ref.place, ref.encoding, ref.digest.hex()])


def decode_ref(text: str) -> BlobRef:
    """Undo :func:`encode_ref`."""
    blob_id, size, place, encoding, digest = json.loads(text)
    return BlobRef(blob_id, size, place, encoding, bytes.fromhex(digest))


def _ref_hashes(facts: EncodedFacts) -> tuple[int, ...]:
    references = facts.references
    names = [facts.message_id, *references[:1], *references[1:][2 - MAX_REFS :]]
    return tuple(dict.fromkeys([_ref_hash(name) for name in names if name]))


def _ref_hash(message_id: str) -> int:
    digest = hashlib.sha256(message_id.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


# units


@growing
@of_account
def append(
    tx: Transaction,
    account_id: str,
    mailbox_id: int,
    messages: Sequence[tuple[NewMessage, Prepared]],
    now: int,
) -> Appended:
    """Place new messages, all or none. :param now: UTC microseconds.

    :raises NoSuchAccount, NoSuchMailbox, OverQuota, KeywordLimit:
    """
    sizes = [len(message.prefix) + message.blob.ref.size for message, _ in messages]
    modseq, message_id, table = touch(tx, account_id, len(messages), sum(sizes), check=True)
    grown = with_keywords(table, [name for message, _ in messages for name in message.keywords])
    if grown is not table:
        save_keywords(tx, account_id, grown)
    flags = [message.flags & SYSTEM_MASK | keyword_bits(grown, message.keywords) for message, _ in messages]
    uid, uidvalidity = _take_uids(tx, account_id, mailbox_id, modseq, flags, sum(sizes))
    placed = [
        Arriving(message, prepared, message.prefix, flags[number], now)
        for number, (message, prepared) in enumerate(messages)
    ]
    _insert(tx, account_id, mailbox_id, modseq, message_id, uid, placed)
    return Appended(uidvalidity, tuple(range(uid, uid + len(messages))), modseq)


@growing
def deliver(
    tx: Transaction,
    envelope_id: str,
    plans: Sequence[DeliveryPlan],
    message: NewMessage,
    prepared: Prepared,
    applied_once: bool,
    now: int,
) -> list[Delivered]:
    """Carry out plans for accounts of this partition, all or none; results in the order of the plans.

    An account that has room for one octet takes one message, of any size: how large one is shows only when it has come.

    :param now: UTC microseconds. :raises NoSuchAccount: :raises OverQuota: an account has no room at all.
    """
    results: dict[int, Delivered] = {}
    stored = False
    for number in sorted(range(len(plans)), key=lambda number: plans[number].account_id):
        plan = plans[number]
        done = _applied(tx, envelope_id, plan) if applied_once else None
        if done is None:
            done = _apply(tx, plan, message, prepared, now, stored)
            stored = True
            if applied_once:
                tx.execute(
                    "INSERT INTO applied (account_id, envelope_id, recipient, mailbox_id, uid, modseq, applied_at)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (plan.account_id, envelope_id, plan.recipient, done.mailbox_id, done.uid, done.modseq, now),
                )
        results[number] = done
    return [results[number] for number in range(len(plans))]


of_accounts(deliver, lambda args: [plan.account_id for plan in args[1]])

Delivery = tuple[str, Sequence[DeliveryPlan], NewMessage, Prepared, bool, int]  # the arguments of deliver()


def deliver_together(tx: Transaction, deliveries: Sequence[Delivery]) -> list[list[Delivered]]:
    """Do what :func:`deliver` does for each of several, in fewer statements; all or none.

    Those of one account share a modseq, as messages that are appended together do. :raises NoSuchAccount, OverQuota:
    """
    results: list[list[Delivered]] = [[] for _ in deliveries]
    simple: dict[str, list[int]] = {}
    for number, (_, plans, _, _, applied_once, _) in enumerate(deliveries):
        if len(plans) == 1 and not applied_once and not _is_special(plans[0]):
            simple.setdefault(plans[0].account_id, []).append(number)
        else:
            results[number] = deliver(tx, *deliveries[number])
    for account_id in sorted(simple):
        _deliver_simple(tx, account_id, deliveries, simple[account_id], results)
    return results


def _is_special(plan: DeliveryPlan) -> bool:
    return bool(plan.keywords or plan.special_use or plan.places)


def _deliver_simple(
    tx: Transaction,
    account_id: str,
    deliveries: Sequence[Delivery],
    numbers: Sequence[int],
    results: list[list[Delivered]],
) -> None:
    """Deliver those of ``deliveries`` that have one plan each, all for one account, without keywords and special use."""
    by_name: dict[str, list[int]] = {}
    placed: dict[int, Arriving] = {}
    for number in numbers:
        _, (plan,), message, prepared, _, now = deliveries[number]
        by_name.setdefault(plan.mailbox, []).append(number)
        placed[number] = Arriving(message, prepared, plan.prefix or message.prefix, plan.flags & SYSTEM_MASK, now)
    octets, last = sum([one.size for one in placed.values()]), placed[numbers[-1]].size
    modseq, message_id, _ = touch(tx, account_id, len(numbers), octets, check=True, beyond=last - 1)
    for name, members in by_name.items():
        mailbox_id = mailbox_tree.find(tx, account_id, name) or INBOX_ID
        group = [placed[number] for number in members]
        flags, size = [one.flags for one in group], sum([one.size for one in group])
        uid, _ = _take_uids(tx, account_id, mailbox_id, modseq, flags, size)
        _insert(tx, account_id, mailbox_id, modseq, message_id, uid, group)
        message_id += len(group)
        for offset, number in enumerate(members):
            recipient = deliveries[number][1][0].recipient
            results[number].append(Delivered(account_id, recipient, mailbox_id, uid + offset, modseq))


run_together(deliver, deliver_together)


def _applied(tx: Transaction, envelope_id: str, plan: DeliveryPlan) -> Delivered | None:
    rows = tx.execute(
        "SELECT mailbox_id, uid, modseq FROM applied WHERE account_id = ? AND envelope_id = ? AND recipient = ?",
        (plan.account_id, envelope_id, plan.recipient),
    )
    return Delivered(plan.account_id, plan.recipient, *rows[0]) if rows else None


def _apply(
    tx: Transaction, plan: DeliveryPlan, message: NewMessage, prepared: Prepared, now: int, stored: bool
) -> Delivered:
    account_id = plan.account_id
    prefix = plan.prefix or message.prefix
    size = len(prefix) + message.blob.ref.size
    modseq, message_id, table = touch(tx, account_id, 1, size, check=True, beyond=size - 1)
    (mailbox_id, flags), *further = _flags_by_mailbox(tx, plan, modseq, table).items()
    uid, _ = _take_uids(tx, account_id, mailbox_id, modseq, (flags,), size)
    placed = [Arriving(message, prepared, prefix, flags, now)]
    _insert(tx, account_id, mailbox_id, modseq, message_id, uid, placed, stored)
    if further:  # as copies: one message that stands in several mailboxes
        charge(tx, account_id, size * len(further), len(further))
    for other, flags in further:
        copy_uid, _ = _take_uids(tx, account_id, other, modseq, (flags,), size)
        copy = Arriving(message, prepared, prefix, flags, now)
        insert_rows(tx, PLACEMENT, [_placement_row(account_id, other, modseq, message_id, copy_uid, copy)])
    return Delivered(account_id, plan.recipient, mailbox_id, uid, modseq)


def _flags_by_mailbox(tx: Transaction, plan: DeliveryPlan, modseq: int, table: KeywordTable) -> dict[int, int]:
    """Return the mailboxes a plan means, at least one, with the flags of the copy in each: places that are one mailbox make one
    copy."""
    found: dict[int, int] = {}
    for place in plan.wanted:
        flags = place.flags & SYSTEM_MASK
        if place.keywords:
            table = _grow_if_possible(tx, plan.account_id, table, place.keywords)
            flags |= keyword_bits(table, place.keywords)
        mailbox_id = _where(tx, plan.account_id, place, modseq)
        found[mailbox_id] = found.get(mailbox_id, 0) | flags
    return found


def _where(tx: Transaction, account_id: str, place: CopyPlace, modseq: int) -> int:
    """Return the mailbox that is meant; what cannot be found or made must not keep mail out."""
    if place.mailbox_id and mailbox_tree.is_selectable(tx, account_id, place.mailbox_id):
        return place.mailbox_id
    try:
        if place.special_use:
            return mailbox_tree.of_use(tx, account_id, place.special_use, modseq)
        there = mailbox_tree.with_use(tx, account_id, place.use, place.mailbox) if place.use else None
        if there is None and place.create:
            return mailbox_tree.found_or_made(tx, account_id, place.mailbox, place.use, modseq)
    except (LimitReached, OverQuota):
        return INBOX_ID
    return there or mailbox_tree.find(tx, account_id, place.mailbox) or INBOX_ID


def _grow_if_possible(tx: Transaction, account_id: str, table: KeywordTable, keywords: Sequence[str]) -> KeywordTable:
    """Add keywords; a full table must not keep mail out, so then the message goes without the new ones."""
    try:
        grown = with_keywords(table, keywords)
    except KeywordLimit:
        return table
    if grown is not table:
        save_keywords(tx, account_id, grown)
    return grown


def _take_uids(
    tx: Transaction, account_id: str, mailbox_id: int, modseq: int, flags: Sequence[int], size: int
) -> tuple[int, int]:
    """Count new messages into a mailbox; return the first of their UIDs, and UIDVALIDITY. :raises NoSuchMailbox:"""
    return grow(
        tx,
        account_id,
        mailbox_id,
        modseq,
        len(flags),
        len([flag for flag in flags if not flag & SEEN]),
        len([flag for flag in flags if flag & DELETED]),
        size,
    )


def grow(
    tx: Transaction, account_id: str, mailbox_id: int, modseq: int, count: int, unseen: int, deleted: int, size: int
) -> tuple[int, int]:
    """Count ``count`` new messages into a mailbox; return the first of their UIDs, and UIDVALIDITY.

    :raises NoSuchMailbox: :raises Busy: the UIDs in front of copies on their way are used up.
    """
    rows = tx.execute(
        "UPDATE mailbox SET highest_modseq = ?, uidnext = uidnext + ?, messages = messages + ?, unseen = unseen + ?,"
        " deleted = deleted + ?, size = size + ?"
        " WHERE account_id = ? AND mailbox_id = ? AND selectable = 1 AND deleted_at IS NULL"
        " AND (staged_uid IS NULL OR uidnext + ? <= staged_uid) RETURNING uidnext, uidvalidity",
        (modseq, count, count, unseen, deleted, size, account_id, mailbox_id, count),
    )
    if not rows:
        if tx.execute(
            "SELECT 1 FROM mailbox WHERE account_id = ? AND mailbox_id = ? AND selectable = 1 AND deleted_at IS NULL",
            (account_id, mailbox_id),
        ):
            raise Busy("mailbox")
        raise NoSuchMailbox(str(mailbox_id))
    uidnext, uidvalidity = rows[0]
    return uidnext - count, uidvalidity


def _insert(
    tx: Transaction,
    account_id: str,
    mailbox_id: int,
    modseq: int,
    message_id: int,
    uid: int,
    placed: Sequence[Arriving],
    stored: bool = False,
) -> None:
    """Insert the rows of messages whose ids and UIDs begin with these. :param stored: their content was, in this unit."""
    threads = _threads(tx, account_id, message_id, [one.prepared.refs for one in placed])
    messages, placements = [], []
    inline: dict[str, Sequence[object]] = {}
    references: list[Sequence[object]] = []
    for number, one in enumerate(placed):
        messages.append(_message_row(account_id, message_id + number, threads[number], one))
        placements.append(_placement_row(account_id, mailbox_id, modseq, message_id + number, uid + number, one))
        for blob, preview in ((one.prepared.blob, one.prepared.facts[-1]), (one.prepared.facts_blob, None)):
            if blob is not None:
                references.append((blob.ref.blob_id, account_id, message_id + number, preview))
                if blob.ref.place == "inline" and not stored:
                    inline[blob.ref.blob_id] = blob.ref.blob_id, blob.ref.encoding, blob.data
    insert_rows(tx, _MESSAGE, messages)
    # One that is there is written to all the same: so whoever removes the last other reference to it at this moment waits, or
    # is waited for.
    insert_rows(
        tx,
        "blob (blob_id, encoding, data)",
        list(inline.values()),
        " ON CONFLICT (blob_id) DO UPDATE SET encoding = excluded.encoding",
    )
    insert_rows(tx, "blob_ref (blob_id, account_id, message_id, preview)", references)
    insert_rows(tx, PLACEMENT, placements)


def _message_row(account_id: str, message_id: int, thread_id: int, one: Arriving) -> Sequence[object]:
    message, prepared = one.message, one.prepared
    dates = one.now, message.internaldate, message.internaldate_offset
    return account_id, message_id, thread_id, *dates, *prepared.columns, one.prefix, *prepared.facts[:-1]


def _placement_row(
    account_id: str, mailbox_id: int, modseq: int, message_id: int, uid: int, one: Arriving
) -> Sequence[object]:
    uidl = one.message.uidl
    return account_id, mailbox_id, uid, message_id, one.flags, modseq, modseq, one.size, one.now, uidl


def _threads(tx: Transaction, account_id: str, message_id: int, refs: Sequence[Sequence[int]]) -> list[int]:
    """Return the threads of new messages, by their references: the oldest that knows one of them, or a new one, named
    after the message. Threads are never joined later: clients have been told (RFC 8474 5.2)."""
    known = _known_threads(tx, account_id, list(dict.fromkeys(chain.from_iterable(refs))))
    new: list[Sequence[object]] = []
    threads = []
    for number, one in enumerate(refs):
        thread_id = min([known[ref] for ref in one if ref in known], default=message_id + number)
        threads.append(thread_id)
        for ref in one:
            if ref not in known:
                known[ref] = thread_id
                new.append((account_id, ref, thread_id))
    insert_rows(tx, "thread_ref (account_id, ref_hash, thread_id)", new)
    return threads


def _known_threads(tx: Transaction, account_id: str, refs: Sequence[int]) -> dict[int, int]:
    """Return the threads of those of the references that have one."""
    known: dict[int, int] = {}
    for start in range(0, len(refs), REFS_AT_ONCE):
        some = refs[start : start + REFS_AT_ONCE]
        width = 1 << (len(some) - 1).bit_length()
        padded = (*some, *[some[0]] * (width - len(some)))
        known.update(
            tx.execute(
                "SELECT ref_hash, thread_id FROM thread_ref"
                f" WHERE account_id = ? AND ref_hash IN ({', '.join('?' * width)})",
                (account_id, *padded),
            )
        )
    return known
