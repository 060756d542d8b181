"""Reading units on the copies of databases that are in a backup."""

from __future__ import annotations

from mailnode.errors import StoreDamaged
from mailnode.store.engines.engine import Transaction
from mailnode.store.units import script_rows
from mailnode.values.rows import StoredRow
from mailnode.values.scripts import BackedUpScript


def files(tx: Transaction, after: str, limit: int) -> list[str]:
    """Return the ids of blobs in files that messages need, what is to be undeleted included, in order."""
    rows = tx.execute(
        "SELECT DISTINCT blob_id FROM blob_ref r WHERE blob_id > ?"
        " AND NOT EXISTS (SELECT 1 FROM blob b WHERE b.blob_id = r.blob_id) ORDER BY blob_id LIMIT ?",
        (after, limit),
    )
    return [row[0] for row in rows]


def account_at(tx: Transaction, address_key: str) -> str | None:
    """Return the id of the account that has this address, in the copy of the directory."""
    rows = tx.execute("SELECT account_id FROM address WHERE address_key = ? AND account_id <> ''", (address_key,))
    return rows[0][0] if rows else None


def messages(tx: Transaction, account_id: str, mailbox_id: int, after: int, limit: int) -> tuple[str, list[StoredRow]]:
    """Return the account's keywords, and of some live messages of a mailbox with a UID above ``after``, ascending: UID, flags,
    size, INTERNALDATE and its offset, prefix, the five columns of the blob, sort keys (NULL: in a blob), that blob, UIDVALIDITY and
    the POP3 unique-id (NULL: made of both numbers)."""
    rows = tx.execute(
        "SELECT p.uid, p.flags, p.size, m.internaldate, m.internaldate_offset, m.prefix, m.blob_id, m.blob_size,"
        " m.blob_place, m.blob_encoding, m.blob_digest, m.sort, m.facts_blob, b.uidvalidity, p.uidl"
        " FROM placement p JOIN mailbox b ON b.account_id = p.account_id AND b.mailbox_id = p.mailbox_id"
        " JOIN message m ON m.account_id = p.account_id AND m.message_id = p.message_id"
        " WHERE p.account_id = ? AND p.mailbox_id = ? AND p.uid > ? AND p.uid < b.uidnext AND p.expunged_modseq IS NULL"
        " ORDER BY p.uid LIMIT ?",
        (account_id, mailbox_id, after, limit),
    )
    keywords = tx.execute("SELECT keywords FROM account WHERE account_id = ?", (account_id,))
    return keywords[0][0] if keywords else "[]", rows


def scripts(tx: Transaction, account_id: str) -> list[BackedUpScript]:
    """Return the filter scripts of an account; none, where the version that made the backup knew none."""
    if not tx.execute("SELECT 1 FROM sqlite_master WHERE name = 'active_script'"):
        return []
    return [
        BackedUpScript(one.name, _source(tx, account_id, one.name), one.active)
        for one in script_rows.listing(tx, account_id)
    ]


def _source(tx: Transaction, account_id: str, name: str) -> bytes | None:
    try:
        return script_rows.read(tx, account_id, name, 0).source
    except StoreDamaged:
        return None
