"""Reading units that say what is wrong with an account's rows: nothing, as long as units are units. What was set aside is known,
and not told again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mailnode.errors import StoreDamaged
from mailnode.store.engines.engine import Transaction
from mailnode.store.search.segments import Zone
from mailnode.store.units import script_rows, search_index
from mailnode.store.units.arrivals import FACTS, REFERENCE, decode_ref
from mailnode.values.blob import BlobRef
from mailnode.values.flags import DELETED, SEEN
from mailnode.values.rows import StoredRow
from mailnode.values.search import SegmentPlace

ROWS = 1_000  # messages whose files one unit tells

# What is mended by name (:mod:`mailnode.store.units.repair`).
LOST = "a placement without message"
LOST_CONTENT = "an inline blob that is missing"
MISPLACED = "a placement without mailbox"
STRAY = "a reference without message"

# What must select nothing. Each takes the account id once for every question mark.
_RULES = {
    LOST: (
        "SELECT p.mailbox_id, p.uid, p.message_id FROM placement p LEFT JOIN message m"
        " ON m.account_id = p.account_id AND m.message_id = p.message_id"
        " LEFT JOIN set_aside s ON s.account_id = p.account_id AND s.message_id = p.message_id"
        " WHERE p.account_id = ? AND m.message_id IS NULL AND s.message_id IS NULL"
    ),
    MISPLACED: (
        "SELECT p.mailbox_id, p.uid FROM placement p LEFT JOIN mailbox b"
        " ON b.account_id = p.account_id AND b.mailbox_id = p.mailbox_id"
        " WHERE p.account_id = ? AND b.mailbox_id IS NULL"
    ),
    "a UID that is not below UIDNEXT": (
        "SELECT p.mailbox_id, p.uid FROM placement p JOIN mailbox b"
        " ON b.account_id = p.account_id AND b.mailbox_id = p.mailbox_id WHERE p.account_id = ? AND p.uid >= b.uidnext"
        " AND (b.staged_uid IS NULL OR p.uid < b.staged_uid)"
    ),
    "a modseq above the mailbox's": (
        "SELECT p.mailbox_id, p.uid FROM placement p JOIN mailbox b"
        " ON b.account_id = p.account_id AND b.mailbox_id = p.mailbox_id"
        " WHERE p.account_id = ? AND p.modseq > b.highest_modseq AND p.uid < b.uidnext"
    ),
    "a mailbox's modseq above the account's": (
        "SELECT b.mailbox_id FROM mailbox b JOIN account a ON a.account_id = b.account_id"
        " WHERE b.account_id = ? AND b.highest_modseq > a.modseq"
    ),
    "a filter's counts of words and senders": (
        "SELECT f.words, f.senders FROM filter f WHERE f.account_id = ? AND (f.words <> (SELECT count(*) FROM filter_word w"
        " WHERE w.account_id = f.account_id) OR f.senders <> (SELECT count(*) FROM reputation r"
        " WHERE r.account_id = f.account_id))"
    ),
    "a message that stands nowhere": (
        "SELECT message_id FROM message m WHERE account_id = ? AND NOT EXISTS (SELECT 1 FROM placement p"
        " WHERE p.account_id = m.account_id AND p.message_id = m.message_id)"
    ),
    "a message whose blob has no reference": (
        "SELECT message_id FROM message m WHERE account_id = ? AND NOT EXISTS (SELECT 1 FROM blob_ref r"
        " WHERE r.blob_id = m.blob_id AND r.account_id = m.account_id AND r.message_id = m.message_id)"
    ),
    STRAY: (
        "SELECT blob_id, message_id FROM blob_ref r WHERE account_id = ? AND NOT EXISTS (SELECT 1 FROM message m"
        " WHERE m.account_id = r.account_id AND m.message_id = r.message_id)"
        " AND NOT EXISTS (SELECT 1 FROM set_aside s WHERE s.account_id = r.account_id AND s.message_id = r.message_id)"
    ),
    LOST_CONTENT: (
        "SELECT message_id FROM message m WHERE account_id = ? AND blob_place = 'inline'"
        " AND NOT EXISTS (SELECT 1 FROM blob b WHERE b.blob_id = m.blob_id)"
        " AND NOT EXISTS (SELECT 1 FROM set_aside s WHERE s.account_id = m.account_id AND s.message_id = m.message_id)"
    ),
    "an active script that is not there": (
        "SELECT name FROM active_script a WHERE account_id = ? AND NOT EXISTS (SELECT 1 FROM script s"
        " WHERE s.account_id = a.account_id AND s.name = a.name)"
    ),
    "an id of a message that is given out again": (
        "SELECT m.message_id FROM message m JOIN account a ON a.account_id = m.account_id"
        " WHERE m.account_id = ? AND m.message_id >= a.next_message"
    ),
    "an id or UIDVALIDITY of a mailbox that is given out again": (
        "SELECT b.mailbox_id FROM mailbox b JOIN account a ON a.account_id = b.account_id"
        " WHERE b.account_id = ? AND (b.mailbox_id >= a.next_mailbox OR b.uidvalidity >= a.next_uidvalidity)"
    ),
}


def account(tx: Transaction, account_id: str) -> list[str]:
    """Return one line for each thing that is wrong; at most 10 of a kind."""
    faults = []
    for what in _RULES:
        faults += [f"{what}: {row}" for row in select(tx, what, account_id, 10)]
    faults += [f"facts whose blob has no reference: {row}" for row in unreferenced_facts(tx, account_id)[:10]]
    faults += [f"a script that is damaged: {row}" for row in script_rows.damaged(tx, account_id)[:10]]
    wrong, usage = counted(tx, account_id)
    faults += [f"mailbox {mailbox_id} counts {counts}, has {found}" for mailbox_id, (counts, found) in wrong.items()]
    if usage is not None:
        faults.append(f"usage {usage[0]}, has {usage[1]}")
    return faults


def unreferenced_facts(tx: Transaction, account_id: str) -> list[tuple[str, str, int]]:
    """Return the references that blobs with facts lack: blob, account and message."""
    found = []
    for message_id, text in tx.execute(
        "SELECT message_id, facts_blob FROM message WHERE account_id = ? AND facts_blob IS NOT NULL", (account_id,)
    ):
        try:
            key = decode_ref(text).blob_id, account_id, message_id
        except (TypeError, ValueError):
            continue  # the row is damaged: whoever compares contents finds out
        if not tx.execute("SELECT 1 FROM blob_ref WHERE blob_id = ? AND account_id = ? AND message_id = ?", key):
            found.append(key)
    return found


def select(tx: Transaction, what: str, account_id: str, most: int) -> list[StoredRow]:
    """Return what a rule finds, at most so many rows."""
    return tx.execute(f"{_RULES[what]} LIMIT {most}", (account_id,))


def counted(
    tx: Transaction, account_id: str
) -> tuple[dict[int, tuple[list[int], list[int]]], tuple[tuple[int, int], tuple[int, int]] | None]:
    """Compare the counters with what they count. Return those of mailboxes that are wrong, by id, and the account's (messages,
    octets) if they are: each as it stands and as it should be."""
    wrong = {}
    total_count = total_size = 0
    boxes = tx.execute(
        "SELECT mailbox_id, uidnext, messages, unseen, deleted, size, deleted_at FROM mailbox WHERE account_id = ?",
        (account_id,),
    )
    for mailbox_id, uidnext, *counters, deleted_at in boxes:
        [live] = tx.execute(
            f"SELECT COUNT(*), SUM(CASE WHEN flags & {SEEN} = 0 THEN 1 ELSE 0 END),"
            f" SUM(CASE WHEN flags & {DELETED} = 0 THEN 0 ELSE 1 END), SUM(size) FROM placement"
            " WHERE account_id = ? AND mailbox_id = ? AND expunged_modseq IS NULL AND uid < ?",
            (account_id, mailbox_id, uidnext),
        )
        found = [int(number or 0) for number in live]
        if deleted_at is None:
            if found != counters:
                wrong[mailbox_id] = counters, found
            total_count += found[0]
            total_size += found[3]
    usage = None
    for used in tx.execute(
        "SELECT count_used, bytes_used FROM account WHERE account_id = ? AND removed_at IS NULL", (account_id,)
    ):
        if used != (total_count, total_size):
            usage = used, (total_count, total_size)
    return wrong, usage


def account_ids(tx: Transaction) -> list[str]:
    """All accounts of a partition."""
    return [row[0] for row in tx.execute("SELECT account_id FROM account ORDER BY account_id")]


def files(tx: Transaction, account_id: str, after: int) -> tuple[list[tuple[int, str]], int | None]:
    """Return the blobs in files that some messages of an account need, by message; and behind which message to go on, None
    at the end."""
    rows = tx.execute(
        "SELECT message_id, blob_id, blob_place, facts_blob FROM message WHERE account_id = ? AND message_id > ?"
        " ORDER BY message_id LIMIT ?",
        (account_id, after, ROWS),
    )
    found = [(message_id, blob_id) for message_id, blob_id, place, _ in rows if place == "file"]
    for message_id, *_, facts_blob in rows:
        if facts_blob is not None and (ref := decode_ref(facts_blob)).place == "file":
            found.append((message_id, ref.blob_id))
    return found, rows[-1][0] if len(rows) == ROWS else None


def unreferenced_inline(tx: Transaction) -> list[str]:
    """Inline blobs that no message needs, at most 100."""
    return [
        row[0]
        for row in tx.execute(
            "SELECT blob_id FROM blob b WHERE NOT EXISTS (SELECT 1 FROM blob_ref r WHERE r.blob_id = b.blob_id) LIMIT 100"
        )
    ]


# content


class StoredMessage(NamedTuple):
    """What a message's row says of its content."""

    message_id: int
    blob: BlobRef
    facts_blob: BlobRef | None
    header_size: int
    facts_version: int
    facts: tuple[bytes | None, ...]  # FACTS_COLUMNS; all None when they are in a blob


def message_ids(tx: Transaction, account_id: str, after: int, most: int) -> list[int]:
    """The ids of the messages of an account behind one, at most so many: by the index, whatever the rows hold."""
    rows = tx.execute(
        "SELECT message_id FROM message WHERE account_id = ? AND message_id > ? ORDER BY message_id LIMIT ?",
        (account_id, after, most),
    )
    return [message_id for (message_id,) in rows]


def stored(tx: Transaction, account_id: str, ids: Sequence[int]) -> list[StoredMessage]:
    """Those of these messages that are there. :raises StoreDamaged: a row cannot be what was written."""
    found = []
    for message_id in ids:
        for row in tx.execute(
            "SELECT m.blob_id, m.blob_size, m.blob_place, m.blob_encoding, m.blob_digest, m.facts_blob, m.header_size,"
            f" m.facts_version, {', '.join(FACTS.values())} FROM message m{REFERENCE}"
            " WHERE m.account_id = ? AND m.message_id = ?",
            (account_id, message_id),
        ):
            if tuple(map(type, row[:5])) != (str, int, str, str, bytes) or row[2] not in ("inline", "file"):
                raise StoreDamaged(f"the row of message {message_id} is damaged")
            facts_blob = decode_ref(row[5]) if row[5] is not None else None
            found.append(StoredMessage(message_id, BlobRef(*row[:5]), facts_blob, row[6], row[7], tuple(row[8:])))
    return found


def set_aside(tx: Transaction, account_id: str) -> list[tuple[int, str, list[StoredRow]]]:
    """The messages of an account that were set aside: id, what is wrong, and where they stand (mailbox, UID)."""
    return [
        (
            message_id,
            what,
            tx.execute(
                "SELECT mailbox_id, uid FROM placement WHERE account_id = ? AND message_id = ? AND expunged_modseq IS NULL"
                " ORDER BY mailbox_id, uid",
                (account_id, message_id),
            ),
        )
        for message_id, what in tx.execute(
            "SELECT message_id, what FROM set_aside WHERE account_id = ? ORDER BY message_id", (account_id,)
        )
    ]


def index_is_sound(tx: Transaction, account_id: str, place: SegmentPlace) -> bool:
    """Whether a segment of the search index is what was written, if it is there."""
    try:
        for segment in search_index.read(tx, account_id, [place]):
            for packed in segment.zones:
                for _ in Zone.whole(packed).terms():
                    pass
    except StoreDamaged:
        return False
    return True
