"""Units on the rows of accounts, and what every unit that changes one begins with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from mailnode.errors import Busy, KeywordLimit, NoSuchAccount, NoSuchMailbox, OverQuota
from mailnode.store.engines.engine import Transaction, of_account
from mailnode.values.flags import KEYWORD_SHIFT, MAX_KEYWORD_OCTETS, MAX_KEYWORDS, KeywordTable
from mailnode.values.mailbox import SPECIAL_USE, Usage
from mailnode.values.mailbox_name import INBOX

INBOX_ID = 1  # of every account, for ever
MODSEQS = 100  # accounts whose modseqs are asked for by one statement


def touch(
    tx: Transaction,
    account_id: str,
    messages: int = 0,
    octets: int = 0,
    check: bool = False,
    changes: int = 1,
    beyond: int = 0,
) -> tuple[int, int, KeywordTable]:
    """Begin a change: raise the modseq and hold the account's row to the end of the unit, so that modseq order is
    commit order. Charge for new messages. Return the change's modseq (with several ``changes`` the last one's), the
    first new message id, and the keywords.

    :param beyond: octets by which the quota may be passed.
    :raises NoSuchAccount: :raises OverQuota: ``check`` is set and a limit is passed.
    """
    rows = tx.execute(
        "UPDATE account SET modseq = modseq + ?, next_message = next_message + ?, count_used = count_used + ?,"
        " bytes_used = bytes_used + ? WHERE account_id = ? AND removed_at IS NULL"
        " RETURNING modseq, next_message, keywords, bytes_used, quota_bytes, count_used, quota_count",
        (changes, messages, messages, octets, account_id),
    )
    if not rows:
        raise NoSuchAccount(account_id)
    modseq, next_message, keywords, bytes_used, *rest = rows[0]
    if check:
        _check_quota(account_id, bytes_used - beyond, *rest)
    return modseq, next_message - messages, keyword_table(keywords)


def untouch(tx: Transaction, account_id: str, changes: int = 1) -> None:
    """End changes that turned out to be none: nobody has seen their modseqs, the row is still held."""
    tx.execute("UPDATE account SET modseq = modseq - ? WHERE account_id = ?", (changes, account_id))


def charge(tx: Transaction, account_id: str, octets: int, count: int, check: bool = False) -> None:
    """Add to the usage; negative numbers give back. :raises OverQuota: ``check`` is set and a limit is passed."""
    rows = tx.execute(
        "UPDATE account SET bytes_used = bytes_used + ?, count_used = count_used + ? WHERE account_id = ?"
        " RETURNING bytes_used, quota_bytes, count_used, quota_count",
        (octets, count, account_id),
    )
    if check:
        _check_quota(account_id, *rows[0])


def _check_quota(account_id: str, bytes_used: int, quota_bytes: int, count_used: int, quota_count: int) -> None:
    if (quota_bytes and bytes_used > quota_bytes) or (quota_count and count_used > quota_count):
        raise OverQuota(account_id)


# keywords


def keyword_table(stored: str) -> KeywordTable:
    """Read the column of keywords."""
    return KeywordTable(tuple(json.loads(stored))) if stored != "[]" else KeywordTable()


def with_keywords(table: KeywordTable, names: Sequence[str]) -> KeywordTable:
    """Return the table with these names in it. :raises KeywordLimit: no room, or a name over 100 octets."""
    if not names:
        return table
    known = {name.lower() for name in table.names}
    added = []
    for name in names:
        if name.lower() not in known:
            known.add(name.lower())
            added.append(name)
    if len(known) > MAX_KEYWORDS or any(len(name.encode("utf-8")) > MAX_KEYWORD_OCTETS for name in added):
        raise KeywordLimit("keywords")
    return KeywordTable(table.names + tuple(added)) if added else table


def keyword_bits(table: KeywordTable, names: Sequence[str]) -> int:
    """Return the bits of those names that are in the table."""
    if not names:
        return 0
    numbers = {name.lower(): number for number, name in enumerate(table.names)}
    bits = 0
    for name in names:
        number = numbers.get(name.lower())
        if number is not None:
            bits |= 1 << (KEYWORD_SHIFT + number)
    return bits


def save_keywords(tx: Transaction, account_id: str, table: KeywordTable) -> None:
    """Write a grown table."""
    tx.execute("UPDATE account SET keywords = ? WHERE account_id = ?", (json.dumps(table.names), account_id))


# life


def provision(tx: Transaction, account_id: str, quota_bytes: int, quota_count: int) -> None:
    """Make the account's row, INBOX and the special-use mailboxes, subscribed; nothing if it is there.

    :raises Busy: an account of that id is being removed.
    """
    names = [INBOX, *SPECIAL_USE]
    # A new account of an old address must not look to mail programs like the old one: its counter begins elsewhere.
    # Derived from the id, which is random; 31 bits are left to count.
    first = 1 + int.from_bytes(hashlib.sha256(account_id.encode()).digest()[:4], "big") // 2
    made = tx.execute(
        "INSERT INTO account (account_id, modseq, next_mailbox, next_message, next_uidvalidity, quota_bytes,"
        " quota_count, bytes_used, count_used, keywords, indexed_modseq) VALUES (?, 1, ?, 1, ?, ?, ?, 0, 0, '[]', 0)"
        " ON CONFLICT (account_id) DO NOTHING RETURNING account_id",
        (account_id, INBOX_ID + len(names), first + len(names), quota_bytes, quota_count),
    )
    if not made:
        if tx.execute("SELECT 1 FROM account WHERE account_id = ? AND removed_at IS NOT NULL", (account_id,)):
            raise Busy(account_id)
        return
    for number, name in enumerate(names):
        add_mailbox(tx, account_id, INBOX_ID + number, 0, name, first + number, 1, SPECIAL_USE.get(name, ""))
        tx.execute("INSERT INTO subscription (account_id, name) VALUES (?, ?)", (account_id, name))


def add_mailbox(
    tx: Transaction,
    account_id: str,
    mailbox_id: int,
    parent_id: int,
    name: str,
    uidvalidity: int,
    modseq: int,
    special_use: str = "",
    selectable: int = 1,
) -> None:
    """Insert one empty mailbox."""
    tx.execute(
        "INSERT INTO mailbox (account_id, mailbox_id, parent_id, name, uidvalidity, uidnext, highest_modseq,"
        " forgotten_modseq, recent_uid, recent_before, special_use, selectable, messages, unseen, deleted, size)"
        " VALUES (?, ?, ?, ?, ?, 1, ?, 0, 1, 1, ?, ?, 0, 0, 0, 0)",
        (account_id, mailbox_id, parent_id, name, uidvalidity, modseq, special_use, selectable),
    )


def require_mailbox(tx: Transaction, account_id: str, mailbox_id: int) -> None:
    """:raises NoSuchMailbox: the account has none with this id, or none any more; one that is but a name is there."""
    if not tx.execute(
        "SELECT 1 FROM mailbox WHERE account_id = ? AND mailbox_id = ? AND deleted_at IS NULL", (account_id, mailbox_id)
    ):
        raise NoSuchMailbox(str(mailbox_id))


@of_account
def set_quota(tx: Transaction, account_id: str, quota_bytes: int, quota_count: int, quota_mailboxes: int) -> None:
    """Set limits; 0 is none. :raises NoSuchAccount:"""
    rows = tx.execute(
        "UPDATE account SET quota_bytes = ?, quota_count = ?, quota_mailboxes = ?"
        " WHERE account_id = ? AND removed_at IS NULL RETURNING account_id",
        (quota_bytes, quota_count, quota_mailboxes, account_id),
    )
    if not rows:
        raise NoSuchAccount(account_id)


def usage(tx: Transaction, account_ids: Sequence[str]) -> dict[str, Usage]:
    """Return usage and limits of those accounts that exist."""
    found = {}
    for account_id in account_ids:
        for row in tx.execute(
            "SELECT bytes_used, quota_bytes, count_used, quota_count, quota_mailboxes, CASE WHEN quota_mailboxes > 0 THEN"
            " (SELECT count(*) FROM mailbox WHERE mailbox.account_id = account.account_id AND deleted_at IS NULL) ELSE 0 END"
            " FROM account WHERE account_id = ? AND removed_at IS NULL",
            (account_id,),
        ):
            found[account_id] = Usage(*row)
    return found


def modseqs(tx: Transaction, account_ids: Sequence[str]) -> dict[str, int]:
    """Return the modseqs of those accounts that exist."""
    found: dict[str, int] = {}
    marks = ", ".join("?" * MODSEQS)
    statement = f"SELECT account_id, modseq FROM account WHERE account_id IN ({marks}) AND removed_at IS NULL"
    for start in range(0, len(account_ids), MODSEQS):
        some = list(account_ids[start : start + MODSEQS])
        some += some[-1:] * (MODSEQS - len(some))  # always the same statement
        found.update(tx.execute(statement, some))
    return found
