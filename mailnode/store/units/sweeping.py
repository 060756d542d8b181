"""Units that remove for good what was given up long enough ago. Each takes a bounded number of rows and says how many;
called again until it says 0. None changes what a client can see, so no modseq is raised."""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.errors import NoSuchAccount
from mailnode.store.engines.engine import Transaction, of_account
from mailnode.store.units.arrivals import decode_ref
from mailnode.store.units.search_index import forget, note_removed
from mailnode.values.rows import StoredRow

RETENTION = 7 * 86_400  # seconds an expunged message or deleted mailbox is kept
APPLIED_RETENTION = 30 * 86_400  # seconds a carried out plan is remembered: longer than any queue keeps an envelope
GRACE = 2 * 86_400  # seconds a blob file stands without reference before it goes; far longer than any unit
ROWS = 300  # placements one unit removes, with their messages
_OF_ACCOUNT = (
    *("mailbox", "retired_name", "subscription", "thread_ref", "applied", "lease", "stage", "annotation"),
    *("mailbox_right", "own_flag", "set_aside", "script", "active_script"),
    *("filter", "filter_word", "filter_message", "reputation", "search_terms", "search_segment"),
)


def expired(tx: Transaction, before: int) -> int:
    """Remove placements expunged before this time (UTC microseconds)."""
    rows = tx.execute(
        "SELECT account_id, mailbox_id, uid, message_id, expunged_modseq FROM placement"
        " WHERE expunged_at < ? ORDER BY expunged_at LIMIT ?",
        (before, ROWS),
    )
    forgotten: dict[tuple[str, int], int] = {}
    for account_id, mailbox_id, _, _, modseq in rows:
        forgotten[account_id, mailbox_id] = max(modseq, forgotten.get((account_id, mailbox_id), 0))
    tx.many(
        "UPDATE mailbox SET forgotten_modseq = ? WHERE account_id = ? AND mailbox_id = ? AND forgotten_modseq < ?",
        [(modseq, *key, modseq) for key, modseq in sorted(forgotten.items())],
    )
    _remove(tx, [row[:4] for row in rows])
    return len(rows)


def in_deleted_mailboxes(tx: Transaction, before: int) -> int:
    """Remove placements of a mailbox deleted before this time (UTC microseconds), and then the mailbox."""
    found = tx.execute(
        "SELECT account_id, mailbox_id, deleted_modseq FROM mailbox WHERE deleted_at < ? ORDER BY deleted_at LIMIT 1",
        (before,),
    )
    if not found:
        return 0
    *key, modseq = found[0]
    # Of a mailbox that was deleted before schema 3 nobody knows when: then nothing up to now can be told any more.
    tx.execute(
        "UPDATE account SET forgotten_modseq = coalesce(?, modseq)"
        " WHERE account_id = ? AND forgotten_modseq < coalesce(?, modseq)",
        (modseq, key[0], modseq),
    )
    removed = remove_placements(tx, "account_id = ? AND mailbox_id = ?", key)
    if not removed:
        tx.execute("DELETE FROM mailbox WHERE account_id = ? AND mailbox_id = ?", key)
    return removed or 1


def old_notes(tx: Transaction, applied_before: int, now: float) -> int:
    """Forget carried out plans and leases that ran out. :param applied_before: UTC microseconds. :param now: seconds."""
    rows = tx.execute(
        "SELECT account_id, envelope_id, recipient FROM applied WHERE applied_at < ? LIMIT ?", (applied_before, ROWS)
    )
    tx.many("DELETE FROM applied WHERE account_id = ? AND envelope_id = ? AND recipient = ?", rows)
    tx.execute("DELETE FROM lease WHERE expires < ?", (now,))
    return len(rows)


# removal of an account


@of_account
def begin_removal(tx: Transaction, account_id: str, now: int) -> None:
    """Close an account: from now on it does not exist to any other unit. :raises NoSuchAccount:"""
    rows = tx.execute(
        "UPDATE account SET removed_at = ? WHERE account_id = ? AND removed_at IS NULL RETURNING account_id",
        (now, account_id),
    )
    if not rows:
        raise NoSuchAccount(account_id)
    tx.execute("UPDATE mailbox SET deleted_at = ? WHERE account_id = ? AND deleted_at IS NULL", (now, account_id))


def unfinished_removals(tx: Transaction) -> list[str]:
    """Accounts whose removal was begun."""
    return [row[0] for row in tx.execute("SELECT account_id FROM account WHERE removed_at IS NOT NULL")]


def remove_some(tx: Transaction, account_id: str) -> int:
    """Remove some rows of a closed account, at last its own; 0: nothing is left."""
    removed = remove_placements(tx, "account_id = ?", (account_id,)) or forget(tx, account_id)
    if removed:
        return removed
    for table in _OF_ACCOUNT:
        tx.execute(f"DELETE FROM {table} WHERE account_id = ?", (account_id,))
    tx.execute("DELETE FROM account WHERE account_id = ? AND removed_at IS NOT NULL", (account_id,))
    return 0


def remove_placements(tx: Transaction, where: str, key: Sequence[object]) -> int:
    """Remove some placements, and the messages that stand nowhere any more; return how many placements."""
    rows = tx.execute(
        f"SELECT account_id, mailbox_id, uid, message_id FROM placement WHERE {where} LIMIT ?", (*key, ROWS)
    )
    _remove(tx, rows)
    return len(rows)


def _remove(tx: Transaction, rows: Sequence[StoredRow]) -> None:
    """Remove placements (account, mailbox, uid, message), and the messages that stand nowhere any more."""
    for table in ("placement", "own_flag"):
        tx.many(f"DELETE FROM {table} WHERE account_id = ? AND mailbox_id = ? AND uid = ?", [row[:3] for row in rows])
    for account_id, message_id in sorted({(row[0], row[3]) for row in rows}):
        if not tx.execute(
            "SELECT 1 FROM placement WHERE account_id = ? AND message_id = ? LIMIT 1", (account_id, message_id)
        ):
            _remove_message(tx, account_id, message_id)


def _remove_message(tx: Transaction, account_id: str, message_id: int) -> None:
    rows = tx.execute(
        "DELETE FROM message WHERE account_id = ? AND message_id = ? RETURNING blob_id, facts_blob",
        (account_id, message_id),
    )
    for blob_id in _blob_ids(rows):
        release_blob(tx, account_id, message_id, blob_id)
    tx.execute("DELETE FROM set_aside WHERE account_id = ? AND message_id = ?", (account_id, message_id))
    note_removed(tx, account_id, message_id)


def release_blob(tx: Transaction, account_id: str, message_id: int, blob_id: str) -> None:
    """End a message's need of a blob. An inline one goes with its last reference; a file is the sweep's."""
    tx.execute(
        "DELETE FROM blob_ref WHERE blob_id = ? AND account_id = ? AND message_id = ?",
        (blob_id, account_id, message_id),
    )
    tx.execute(
        "DELETE FROM blob WHERE blob_id = ? AND NOT EXISTS (SELECT 1 FROM blob_ref WHERE blob_ref.blob_id = ?)",
        (blob_id, blob_id),
    )


def _blob_ids(rows: Sequence[StoredRow]) -> list[str]:
    ids = []
    for blob_id, facts_blob in rows:
        ids.append(blob_id)
        if facts_blob is not None:
            ids.append(decode_ref(facts_blob).blob_id)
    return ids


# blob files


def has_files(tx: Transaction) -> bool:
    """Whether some message is in a file."""
    return bool(tx.execute("SELECT 1 FROM message WHERE blob_place = ? LIMIT 1", ("file",)))


def referenced(tx: Transaction, blob_ids: Sequence[str]) -> list[str]:
    """Return those blobs that some message of this partition needs."""
    return [
        blob_id for blob_id in blob_ids if tx.execute("SELECT 1 FROM blob_ref WHERE blob_id = ? LIMIT 1", (blob_id,))
    ]


def noted(tx: Transaction, blob_ids: Sequence[str]) -> list[str]:
    """Return those blob files that stand in the book of loose ones."""
    return [blob_id for blob_id in blob_ids if tx.execute("SELECT 1 FROM loose_blob WHERE blob_id = ?", (blob_id,))]


def note_loose(tx: Transaction, loose: Sequence[str], now: int, grace_until: int) -> list[str]:
    """Keep book of blob files without a reference; return those that have been so since before ``grace_until``.

    Times are UTC microseconds.
    """
    ripe = []
    for blob_id in loose:
        tx.execute(
            "INSERT INTO loose_blob (blob_id, since) VALUES (?, ?) ON CONFLICT (blob_id) DO NOTHING", (blob_id, now)
        )
        if tx.execute("SELECT 1 FROM loose_blob WHERE blob_id = ? AND since < ?", (blob_id, grace_until)):
            ripe.append(blob_id)
    return ripe


def forget_loose(tx: Transaction, blob_ids: Sequence[str]) -> None:
    """Strike out blob files that were removed, or are referred to after all."""
    tx.many("DELETE FROM loose_blob WHERE blob_id = ?", [(blob_id,) for blob_id in blob_ids])
