"""Units that mend an account's rows: what follows from others is made anew, messages that are lost are set aside.

Nothing of a message is thrown away. One that stands in no mailbox gets a place in one of the name ``RECOVERED``, a mailbox whose
row is lost is made anew around its messages, and a message that cannot be read keeps its places, its content if that is there, and
a row that says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mailnode.store.engines.engine import Transaction, of_account
from mailnode.store.units import accounts, mailbox_tree, newer_facts, script_rows
from mailnode.store.units.accounts import INBOX_ID, add_mailbox, touch, untouch
from mailnode.store.units.arrivals import PLACEMENT
from mailnode.store.units.newer_facts import NewerFacts
from mailnode.store.units.statements import insert_rows
from mailnode.store.units.verify import LOST, LOST_CONTENT, MISPLACED, STRAY, counted, select, unreferenced_facts
from mailnode.values.flags import SYSTEM_MASK
from mailnode.values.mailbox_name import INBOX

ROWS = 300  # of each kind that one unit mends
RECOVERED = "Recovered"  # the mailbox of messages that stood nowhere

_FOUND = "account_id = ? AND mailbox_id = ?"


@of_account
def mend(tx: Transaction, account_id: str, now: int) -> list[str]:
    """Mend some of an account's rows; return a line for each thing, none once all is well. :param now: UTC microseconds.

    :raises NoSuchAccount:
    """
    touch(tx, account_id)  # for its lock
    untouch(tx, account_id)
    mended = _numbers(tx, account_id)
    modseq, _, _ = touch(tx, account_id)  # above all that there is
    made = _mailboxes(tx, account_id, modseq)
    mended += made
    for rule, what in ((LOST, "its row is lost"), (LOST_CONTENT, "its content is lost")):
        lost = {row[-1]: what for row in select(tx, rule, account_id, ROWS)}
        mended += _note(tx, account_id, lost, now)
    mended += references(tx, account_id) + _strays(tx, account_id)
    recovered = _recover(tx, account_id, modseq, now)
    mended += recovered + _counts(tx, account_id) + script_rows.mend(tx, account_id)
    if not made and not recovered:
        untouch(tx, account_id)  # nothing that a session was told of is another
    return mended


def account(tx: Transaction, account_id: str) -> None:
    """Give an account whose row is lost another one, without quota and names of keywords, where something else of it is there;
    where nothing is, its mailboxes too. Its numbers go on from far above."""
    if tx.execute("SELECT 1 FROM account WHERE account_id = ?", (account_id,)):
        return
    [(mailbox, uidvalidity, modseq)] = tx.execute(
        "SELECT max(mailbox_id), max(uidvalidity), max(highest_modseq) FROM mailbox WHERE account_id = ?", (account_id,)
    )
    [(message,)] = tx.execute("SELECT max(message_id) FROM message WHERE account_id = ?", (account_id,))
    if mailbox is None and message is None:
        accounts.provision(tx, account_id, 0, 0)
        return
    tx.execute(
        "INSERT INTO account (account_id, modseq, next_mailbox, next_message, next_uidvalidity, quota_bytes, quota_count,"
        " bytes_used, count_used, keywords, indexed_modseq) VALUES (?, ?, ?, ?, ?, 0, 0, 0, 0, '[]', 0)",
        (account_id, (modseq or 0) + 1, (mailbox or INBOX_ID) + 1, (message or 0) + 1, (uidvalidity or 0) + 1),
    )
    tx.execute(f"UPDATE placement SET flags = flags & {SYSTEM_MASK} WHERE account_id = ?", (account_id,))
    mailbox_tree.begin_again(tx, account_id)


def _mailboxes(tx: Transaction, account_id: str, modseq: int) -> list[str]:
    """Make mailboxes anew around messages whose mailbox has no row."""
    mended = []
    for mailbox_id in sorted({row[0] for row in select(tx, MISPLACED, account_id, ROWS)}):
        [(last, highest)] = tx.execute(
            f"SELECT max(uid), max(modseq) FROM placement WHERE {_FOUND}", (account_id, mailbox_id)
        )
        [(uidvalidity,)] = tx.execute(
            "UPDATE account SET next_uidvalidity = next_uidvalidity + 1 WHERE account_id = ? RETURNING next_uidvalidity - 1",
            (account_id,),
        )
        name = INBOX if mailbox_id == INBOX_ID else f"{RECOVERED} {mailbox_id}"
        while name != INBOX and mailbox_tree.find(tx, account_id, name) is not None:
            name += "'"
        add_mailbox(tx, account_id, mailbox_id, 0, name, uidvalidity, max(modseq, highest))
        tx.execute(f"UPDATE mailbox SET uidnext = ? WHERE {_FOUND}", (last + 1, account_id, mailbox_id))
        mended.append(f"mailbox {mailbox_id} has a row again, its name is {name!r}")
    return mended


def _numbers(tx: Transaction, account_id: str) -> list[str]:
    """Raise what gives out numbers above all that were given out."""
    mended = []
    for mailbox_id, uidnext, highest, last, modseq in tx.execute(
        "SELECT b.mailbox_id, b.uidnext, b.highest_modseq, max(p.uid), max(p.modseq) FROM mailbox b JOIN placement p"
        " ON p.account_id = b.account_id AND p.mailbox_id = b.mailbox_id WHERE b.account_id = ? AND b.staged_uid IS NULL"
        " GROUP BY b.mailbox_id, b.uidnext, b.highest_modseq HAVING max(p.uid) >= b.uidnext OR max(p.modseq) > b.highest_modseq",
        (account_id,),
    ):
        tx.execute(
            f"UPDATE mailbox SET uidnext = ?, highest_modseq = ? WHERE {_FOUND}",
            (max(uidnext, last + 1), max(highest, modseq), account_id, mailbox_id),
        )
        mended.append(f"mailbox {mailbox_id} gives out UIDs and modseqs above those of its messages")
    highest = {
        "modseq": "SELECT max(highest_modseq) FROM mailbox WHERE account_id = ?",
        "next_message": "SELECT max(message_id) + 1 FROM message WHERE account_id = ?",
        "next_mailbox": "SELECT max(mailbox_id) + 1 FROM mailbox WHERE account_id = ?",
        "next_uidvalidity": "SELECT max(uidvalidity) + 1 FROM mailbox WHERE account_id = ?",
    }
    for column, most in highest.items():
        raised = tx.execute(
            f"UPDATE account SET {column} = ({most}) WHERE account_id = ? AND {column} < ({most}) RETURNING {column}",
            (account_id,) * 3,
        )
        mended += [f"the account's {column} is {value}" for (value,) in raised]
    return mended


def references(tx: Transaction, account_id: str) -> list[str]:
    """Have some messages refer to their blobs again; return a line for each reference, none once all do."""
    missing = [
        (blob_id, account_id, message_id)
        for message_id, blob_id in tx.execute(
            "SELECT message_id, blob_id FROM message m WHERE account_id = ? AND NOT EXISTS (SELECT 1 FROM blob_ref r"
            " WHERE r.blob_id = m.blob_id AND r.account_id = m.account_id AND r.message_id = m.message_id) LIMIT ?",
            (account_id, ROWS),
        )
    ]
    missing += unreferenced_facts(tx, account_id)[:ROWS]
    insert_rows(tx, "blob_ref (blob_id, account_id, message_id)", missing, " ON CONFLICT DO NOTHING")
    return [f"message {row[2]} refers to its blob {row[0]}" for row in missing]


def _strays(tx: Transaction, account_id: str) -> list[str]:
    """Have nothing else refer to blobs."""
    stray = select(tx, STRAY, account_id, ROWS)
    tx.many(
        "DELETE FROM blob_ref WHERE blob_id = ? AND message_id = ? AND account_id = ?",
        [(*row, account_id) for row in stray],
    )
    return [f"nothing refers to blob {row[0]} for message {row[1]}, which is gone" for row in stray]


def _recover(tx: Transaction, account_id: str, modseq: int, now: int) -> list[str]:
    """Give messages that stand in no mailbox a place."""
    rows = tx.execute(
        "SELECT m.message_id, m.blob_size + length(m.prefix) FROM message m WHERE m.account_id = ? AND NOT EXISTS"
        " (SELECT 1 FROM placement p WHERE p.account_id = m.account_id AND p.message_id = m.message_id)"
        " ORDER BY m.message_id LIMIT ?",
        (account_id, ROWS),
    )
    if not rows:
        return []
    mailbox_id = mailbox_tree.find(tx, account_id, RECOVERED)
    if mailbox_id is None:
        mailbox_id = mailbox_tree.create(tx, account_id, RECOVERED, "")[0].id
    [(uid,)] = tx.execute(
        f"UPDATE mailbox SET uidnext = uidnext + ?, highest_modseq = ? WHERE {_FOUND} RETURNING uidnext",
        (len(rows), modseq, account_id, mailbox_id),
    )
    first = uid - len(rows)
    insert_rows(
        tx,
        PLACEMENT,
        [
            (account_id, mailbox_id, first + number, message_id, 0, modseq, modseq, size, now, None)
            for number, (message_id, size) in enumerate(rows)
        ],
    )
    return [f"message {message_id}, which stood nowhere, is in the mailbox {RECOVERED!r}" for message_id, _ in rows]


def _counts(tx: Transaction, account_id: str) -> list[str]:
    """Count what is counted anew."""
    mended = []
    wrong, usage = counted(tx, account_id)
    for mailbox_id, (_, found) in wrong.items():
        tx.execute(
            f"UPDATE mailbox SET messages = ?, unseen = ?, deleted = ?, size = ? WHERE {_FOUND}",
            (*found, account_id, mailbox_id),
        )
        mended.append(f"mailbox {mailbox_id} counts {found[0]} messages")
    if usage is not None:
        tx.execute("UPDATE account SET count_used = ?, bytes_used = ? WHERE account_id = ?", (*usage[1], account_id))
        mended.append(f"the account uses {usage[1][1]} octets in {usage[1][0]} messages")
    words = "(SELECT count(*) FROM filter_word w WHERE w.account_id = filter.account_id)"
    senders = "(SELECT count(*) FROM reputation r WHERE r.account_id = filter.account_id)"
    if tx.execute(
        f"UPDATE filter SET words = {words}, senders = {senders}"
        f" WHERE account_id = ? AND (words <> {words} OR senders <> {senders}) RETURNING words",
        (account_id,),
    ):
        mended.append("the filter counts its words and senders")
    return mended


@of_account
def set_aside(
    tx: Transaction, account_id: str, damaged: Mapping[int, str], sound: Sequence[int], now: int
) -> list[str]:
    """Note which messages cannot be read, and what is wrong with each; and those that can be read again. Return a line for
    what is new. At most some hundred of both. :raises NoSuchAccount:"""
    touch(tx, account_id)  # for its lock
    untouch(tx, account_id)
    again = []
    for message_id in sound:
        again += tx.execute(
            "DELETE FROM set_aside WHERE account_id = ? AND message_id = ? RETURNING message_id",
            (account_id, message_id),
        )
    return _note(tx, account_id, damaged, now) + [f"message {message_id} can be read again" for (message_id,) in again]


def _note(tx: Transaction, account_id: str, damaged: Mapping[int, str], now: int) -> list[str]:
    noted = []
    for message_id, what in sorted(damaged.items()):
        if tx.execute(
            "INSERT INTO set_aside (account_id, message_id, since, what) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (account_id, message_id) DO NOTHING RETURNING message_id",
            (account_id, message_id, now, what),
        ):
            noted.append(f"message {message_id} is set aside: {what}")
    return noted


def facts(tx: Transaction, account_id: str, found: Sequence[NewerFacts]) -> None:
    """Put what messages say in place of what was kept of them. :raises NoSuchAccount:"""
    tx.many(
        "UPDATE message SET facts_version = 0 WHERE account_id = ? AND message_id = ?",
        [(account_id, one.message_id) for one in found],
    )
    newer_facts.keep(tx, account_id, found)


def unneeded(tx: Transaction) -> int:
    """Remove some inline blobs that no message needs; return how many."""
    rows = tx.execute(
        "SELECT blob_id FROM blob b WHERE NOT EXISTS (SELECT 1 FROM blob_ref r WHERE r.blob_id = b.blob_id) LIMIT ?",
        (ROWS,),
    )
    tx.many("DELETE FROM blob WHERE blob_id = ?", rows)
    return len(rows)
