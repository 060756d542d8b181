"""Reading units that say what is wrong with an account's rows: nothing, as long as units are units."""

from __future__ import annotations

from mailnode.store.engines.engine import Transaction
from mailnode.store.units.arrivals import decode_ref
from mailnode.values.flags import DELETED, SEEN

ROWS = 1_000  # messages whose files one unit tells

# What must select nothing. Each takes the account id once for every question mark.
_RULES = {
    "a placement without message": (
        "SELECT p.mailbox_id, p.uid FROM placement p LEFT JOIN message m"
        " ON m.account_id = p.account_id AND m.message_id = p.message_id"
        " WHERE p.account_id = ? AND m.message_id IS NULL"
    ),
    "a placement without mailbox": (
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
    "a reference without message": (
        "SELECT blob_id, message_id FROM blob_ref r WHERE account_id = ? AND NOT EXISTS (SELECT 1 FROM message m"
        " WHERE m.account_id = r.account_id AND m.message_id = r.message_id)"
    ),
    "an inline blob that is missing": (
        "SELECT message_id FROM message m WHERE account_id = ? AND blob_place = 'inline'"
        " AND NOT EXISTS (SELECT 1 FROM blob b WHERE b.blob_id = m.blob_id)"
    ),
}


def account(tx: Transaction, account_id: str) -> list[str]:
    """Return one line for each thing that is wrong; at most 10 of a kind."""
    faults = []
    for what, sql in _RULES.items():
        faults += [f"{what}: {row}" for row in tx.execute(f"{sql} LIMIT 10", (account_id,))]
    return faults + _counts(tx, account_id)


def _counts(tx: Transaction, account_id: str) -> list[str]:
    """Compare the counters with what they count."""
    faults = []
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
        counted = [int(number or 0) for number in live]
        if deleted_at is None:
            if counted != counters:
                faults.append(f"mailbox {mailbox_id} counts {counters}, has {counted}")
            total_count += counted[0]
            total_size += counted[3]
    for used in tx.execute(
        "SELECT count_used, bytes_used FROM account WHERE account_id = ? AND removed_at IS NULL", (account_id,)
    ):
        if used != (total_count, total_size):
            faults.append(f"usage {used}, has {(total_count, total_size)}")
    return faults


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
    """Inline blobs that no message needs."""
    return [
        row[0]
        for row in tx.execute(
            "SELECT blob_id FROM blob b WHERE NOT EXISTS (SELECT 1 FROM blob_ref r WHERE r.blob_id = b.blob_id)"
        )
    ]
