"""Units on the messages of one mailbox: look, copy, move, expunge.

A placement is a message's place in a mailbox. Expunging sets ``expunged_modseq``; the row stays until the sweep.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from operator import itemgetter

from mailnode.errors import BlobDamaged, NoSuchMailbox
from mailnode.store.blobs import codec
from mailnode.store.engines.engine import Transaction, of_account
from mailnode.store.units.accounts import (
    charge,
    keyword_table,
    touch,
    untouch,
)
from mailnode.store.units.arrivals import FACTS, FACTS_COLUMNS, PLACEMENT, REFERENCE, grow
from mailnode.store.units.moved_flags import carry_seen
from mailnode.store.units.soundness import NOTHING, Types, require_ascending, require_types, types_of
from mailnode.store.units.statements import insert_rows, listed, pieces
from mailnode.values.blob import BlobRef
from mailnode.values.flags import DELETED, SEEN, KeywordTable
from mailnode.values.mailbox import Copied, MailboxChanges, MailboxSnapshot
from mailnode.values.rows import StoredRow

BLOBS_AT_ONCE = 64
READ_WHOLE = 256 * 1024  # octets of inline content that are read together with the row they belong to
READ_TOGETHER = 512 * 1024  # octets of all contents that one unit reads with their rows
NOT_RECENT = 0xFFFFFFFF
_CHUNK = 256  # UIDs in one statement

# What a session may ask for, as SQL. ``blob`` is five columns; the facade makes them one value.
_PLACEMENT_COLUMNS = {
    "message_id": "p.message_id",
    "savedate": "p.savedate",
    "size": "p.size",
    "flags": "p.flags",
    "modseq": "p.modseq",
}
_BLOB_COLUMNS = "m.blob_id, m.blob_size, m.blob_place, m.blob_encoding, m.blob_digest"
_MESSAGE_COLUMNS = {
    "thread_id": "m.thread_id",
    "internaldate": "m.internaldate",
    "internaldate_offset": "m.internaldate_offset",
    "header_size": "m.header_size",
    "prefix": "m.prefix",
    "blob": _BLOB_COLUMNS,
    **FACTS,
    "facts_version": "m.facts_version",
}
SCANNED = frozenset((*FACTS_COLUMNS, "header_size"))  # columns that are found by scanning
MANY_CHANGES = 5_000  # of messages: up to here they are read by their index, and all messages beyond it
_JOIN = " JOIN message m ON m.account_id = p.account_id AND m.message_id = p.message_id"
LIVE = " AND expunged_modseq IS NULL"


_CHANGE: frozenset[Types] = frozenset(((int, int, int, int), (int, int, int, NOTHING)))


# choosing placements by UID


def by_uids(
    tx: Transaction, select: str, account_id: str, mailbox_id: int, uids: Sequence[int], more: str
) -> list[StoredRow]:
    """Run ``select`` for those of the ascending UIDs that exist: a range when they are dense, else in chunks.

    The UID is the first column selected. :param more: further conditions.
    """
    where = f"{select} WHERE p.account_id = ? AND p.mailbox_id = ?"
    if not uids:
        return []
    first, last = uids[0], uids[-1]
    if last - first < 4 * len(uids):
        rows = tx.execute(
            f"{where} AND p.uid BETWEEN ? AND ?{more} ORDER BY p.uid", (account_id, mailbox_id, first, last)
        )
        if last - first + 1 == len(uids):
            return rows
        wanted = set(uids)
        return [row for row in rows if row[0] in wanted]
    found: list[StoredRow] = []
    for chunk in _chunks(uids):
        width = 1 << (len(chunk) - 1).bit_length()  # few different statements: their plans are cached
        padded = (*chunk, *[chunk[0]] * (width - len(chunk)))
        marks = ", ".join("?" * width)
        found += tx.execute(f"{where} AND p.uid IN ({marks}){more} ORDER BY p.uid", (account_id, mailbox_id, *padded))
    return found


def _chunks(uids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(uids), _CHUNK):
        yield uids[start : start + _CHUNK]


def require(tx: Transaction, account_id: str, mailbox_id: int) -> StoredRow:
    """Return a mailbox's (uidvalidity, uidnext, highest_modseq, recent_uid). :raises NoSuchMailbox:"""
    rows = tx.execute(
        "SELECT uidvalidity, uidnext, highest_modseq, recent_uid FROM mailbox"
        " WHERE account_id = ? AND mailbox_id = ? AND selectable = 1 AND deleted_at IS NULL",
        (account_id, mailbox_id),
    )
    if not rows:
        raise NoSuchMailbox(str(mailbox_id))
    return rows[0]


def _keywords(tx: Transaction, account_id: str) -> KeywordTable:
    rows = tx.execute("SELECT keywords FROM account WHERE account_id = ? AND removed_at IS NULL", (account_id,))
    if not rows:
        raise NoSuchMailbox(account_id)
    return keyword_table(rows[0][0])


# reading


ALL_PLACEMENTS = "SELECT p.uid, p.flags, p.modseq FROM placement p"


def snapshot(
    tx: Transaction, account_id: str, mailbox_id: int, select: str = ALL_PLACEMENTS, values: tuple[str, ...] = ()
) -> MailboxSnapshot:
    """All live messages; ``recent_from`` as if nobody claimed.

    :param select: UID, flags and modseq as they are to be told, of the table ``placement p``, with these ``values``.
    :raises NoSuchMailbox:
    """
    keywords = _keywords(tx, account_id)
    uidvalidity, uidnext, highest_modseq, recent_uid = require(tx, account_id, mailbox_id)
    uids, flags, modseqs = tx.integers(
        "IQQ",
        f"{select} WHERE p.account_id = ? AND p.mailbox_id = ?{LIVE} AND p.uid < ? ORDER BY p.uid",
        (*values, account_id, mailbox_id, uidnext),
    )
    require_ascending(uids)
    return MailboxSnapshot(
        mailbox_id,
        uidvalidity,
        uidnext,
        highest_modseq,
        uids,
        flags,
        modseqs,
        keywords,
        recent_uid if recent_uid < uidnext else NOT_RECENT,
    )


def changes(tx: Transaction, account_id: str, mailbox_id: int, since: int) -> MailboxChanges:
    """What happened after a modseq; ``recent_from`` as if nobody claimed. :raises NoSuchMailbox:"""
    keywords = _keywords(tx, account_id)
    _, uidnext, highest_modseq, recent_uid = require(tx, account_id, mailbox_id)
    rows = []
    if highest_modseq > since:
        rows = tx.execute(
            "SELECT uid, flags, modseq, expunged_modseq FROM placement"
            " WHERE account_id = ? AND mailbox_id = ? AND modseq > ? AND modseq <= ? ORDER BY uid",
            (account_id, mailbox_id, since, highest_modseq),
        )
        require_types(rows, _CHANGE)
    return MailboxChanges(
        highest_modseq,
        uidnext,
        tuple(row[:3] for row in rows if row[3] is None),
        tuple(row[0] for row in rows if row[3] is not None),
        keywords,
        recent_uid if recent_uid < uidnext else NOT_RECENT,
    )


def changes_since(
    tx: Transaction, account_id: str, mailbox_id: int, uidvalidity: int, since: int
) -> MailboxChanges | None:
    """What :func:`changes` returns; None: it is another mailbox than at that modseq, what was expunged since is not kept any more,
    or what happened is much. :raises NoSuchMailbox:"""
    valid, _, highest_modseq, _ = require(tx, account_id, mailbox_id)
    [(forgotten,)] = tx.execute(
        "SELECT forgotten_modseq FROM mailbox WHERE account_id = ? AND mailbox_id = ?", (account_id, mailbox_id)
    )
    if valid != uidvalidity or not forgotten <= since <= highest_modseq:
        return None
    [(much,)] = tx.execute(
        "SELECT count(*) FROM (SELECT 1 FROM placement WHERE account_id = ? AND mailbox_id = ? AND modseq > ? LIMIT ?) s",
        (account_id, mailbox_id, since, MANY_CHANGES),
    )
    return None if much == MANY_CHANGES else changes(tx, account_id, mailbox_id, since)


def expunged(tx: Transaction, account_id: str, mailbox_id: int, since: int) -> array[int] | None:
    """UIDs of what was expunged after a modseq, ascending; None where some of it has been swept. :raises NoSuchMailbox:"""
    require(tx, account_id, mailbox_id)
    [[forgotten]] = tx.execute(
        "SELECT forgotten_modseq FROM mailbox WHERE account_id = ? AND mailbox_id = ?", (account_id, mailbox_id)
    )
    if since < forgotten:
        return None
    [uids] = tx.integers(
        "I",
        "SELECT uid FROM placement WHERE account_id = ? AND mailbox_id = ? AND modseq > ? AND expunged_modseq IS NOT NULL"
        " ORDER BY uid",
        (account_id, mailbox_id, since),
    )
    require_ascending(uids)
    return uids


@of_account
def claim_recent(tx: Transaction, account_id: str, mailbox_id: int, uidnext: int) -> int:
    """Make the messages below ``uidnext`` that nobody was told of the caller's alone; return the first such UID."""
    rows = tx.execute(
        "UPDATE mailbox SET recent_before = recent_uid, recent_uid = ?"
        " WHERE account_id = ? AND mailbox_id = ? AND recent_uid < ? AND deleted_at IS NULL RETURNING recent_before",
        (uidnext, account_id, mailbox_id, uidnext),
    )
    return int(rows[0][0]) if rows else NOT_RECENT


def rows(
    tx: Transaction, account_id: str, mailbox_id: int, uids: Sequence[int], columns: Sequence[str], version: int = 0
) -> list[StoredRow]:
    """Rows of :data:`mailnode.values.mailbox.COLUMNS`; of messages whose facts are of that version at least, where columns that
    are found by scanning are among them. :raises NoSuchMailbox:"""
    return _rows(tx, account_id, mailbox_id, uids, columns, f" AND m.facts_version >= {version}" if version else "")


def without_message(tx: Transaction, account_id: str, mailbox_id: int, uids: Sequence[int]) -> list[int]:
    """Those of some UIDs that have a place, and whose message has no row: it is lost."""
    select = (
        "SELECT p.uid FROM placement p"
        " LEFT JOIN message m ON m.account_id = p.account_id AND m.message_id = p.message_id"
    )
    return [uid for (uid,) in by_uids(tx, select, account_id, mailbox_id, uids, " AND m.message_id IS NULL")]


def rendered(
    tx: Transaction,
    account_id: str,
    mailbox_id: int,
    first: int,
    last: int,
    count: int,
    number: int,
    pieces: Sequence[bytes | str],
    version: int,
) -> bytes | None:
    """What ``IMailbox.rendered`` returns; None where facts are older than ``version``. :raises NoSuchMailbox:"""
    require(tx, account_id, mailbox_id)
    # Without gaps a message's number follows from its UID: counting takes a third of the time.
    counted = ("p.uid + ?", number - first) if last - first + 1 == count else (_COUNTED, number - 1)
    selected: list[str] = []
    parameters: list[object] = []
    for piece in pieces:
        if isinstance(piece, bytes):
            selected.append("?")
            parameters.append(piece)
        elif piece == "number":
            selected.append(f"({counted[0]})")
            parameters.append(counted[1])
        else:
            selected.append("p.uid" if piece == "uid" else _PLACEMENT_COLUMNS.get(piece) or _MESSAGE_COLUMNS[piece])
    of_version = "" if SCANNED.isdisjoint(pieces) else " AND m.facts_version >= ?"
    join = _join(pieces)
    found, octets = tx.octets(
        selected,
        f"FROM placement p{join} WHERE p.account_id = ? AND p.mailbox_id = ? AND p.uid BETWEEN ? AND ?{LIVE}{of_version}"
        " ORDER BY p.uid",
        (*parameters, account_id, mailbox_id, first, last, *[version] * bool(of_version)),
    )
    return octets if found == count else None


_COUNTED = "row_number() OVER (ORDER BY p.uid) + ?"


def live_contents(
    tx: Transaction, account_id: str, mailbox_id: int, uids: Sequence[int]
) -> dict[int, tuple[bytes, BlobRef, bytes | BlobDamaged | None]]:
    """Prefix, blob and content (None: not inline, or too much to be held) of those messages that are live, by UID.

    :raises NoSuchMailbox:
    """
    found = _rows(tx, account_id, mailbox_id, uids, ("prefix", "blob", "content"), LIVE)
    return {uid: (prefix, ref, content) for uid, prefix, ref, content in found}


def _rows(
    tx: Transaction, account_id: str, mailbox_id: int, uids: Sequence[int], columns: Sequence[str], more: str
) -> list[StoredRow]:
    require(tx, account_id, mailbox_id)
    if len(uids) == 1 and "content" in columns:
        return _one_with_content(tx, account_id, mailbox_id, uids[0], tuple(columns), more)
    found = by_uids(tx, _select(tuple(columns)), account_id, mailbox_id, uids, more)
    require_types(found, types_of(tuple(columns)))
    if "blob" not in columns:
        return found
    at, arrange = _with_blobs(tuple(columns))
    refs = [BlobRef(*row[at : at + 5]) for row in found]
    if "content" not in columns:
        return [arrange((*row, ref)) for row, ref in zip(found, refs, strict=True)]
    contents = _contents_together(tx, refs)
    return [arrange((*row, ref, contents.get(ref.blob_id))) for row, ref in zip(found, refs, strict=True)]


@lru_cache(maxsize=64)
def _with_blobs(columns: tuple[str, ...]) -> tuple[int, Callable[[StoredRow], StoredRow]]:
    """Where a blob's five columns begin in a row that was read, and what makes a row of one with the blob as one value, and the
    content, behind it."""
    read = [name for name in columns if name != "content"]
    at = read.index("blob") + 1
    width = len(read) + 5  # of what was read, the UID included
    places = {name: number + 4 * (number > at) for number, name in enumerate(read, 1)}
    places |= {"blob": width, "content": width + 1}
    return at, itemgetter(0, *[places[name] for name in columns])


def _one_with_content(
    tx: Transaction, account_id: str, mailbox_id: int, uid: int, columns: tuple[str, ...], more: str
) -> list[StoredRow]:
    """What :func:`_rows` returns for one UID, by one statement: programs that show a message ask for it alone."""
    select, at, place = _select_with_content(columns)
    found: list[StoredRow] = []
    for row in tx.execute(f"{select}{more}", (account_id, mailbox_id, uid)):
        require_types((row[:-1],), types_of(columns))
        ref = BlobRef(*row[at : at + 5])
        held = ref.place == "inline" and ref.size <= READ_WHOLE
        values = [*row[:at], ref, *row[at + 5 : -1]]
        values.insert(place, _content(ref, row[-1]) if held else None)
        found.append(tuple(values))
    return found


@lru_cache(maxsize=64)
def _select_with_content(columns: tuple[str, ...]) -> tuple[str, int, int]:
    """The statement for one UID, whose last column is the stored form of an inline blob; where the blob's five columns
    begin; and where the content belongs once they are one."""
    head, _, source = _select(columns).partition(" FROM ")
    where = "WHERE p.account_id = ? AND p.mailbox_id = ? AND p.uid = ?"
    at = [name for name in columns if name != "content"].index("blob") + 1
    return (
        f"{head}, b.data FROM {source} LEFT JOIN blob b ON b.blob_id = m.blob_id {where}",
        at,
        columns.index("content") + 1,
    )


@lru_cache(maxsize=256)
def _select(columns: tuple[str, ...]) -> str:
    names = [_PLACEMENT_COLUMNS.get(name) or _MESSAGE_COLUMNS[name] for name in columns if name != "content"]
    join = _join(columns)
    return f"SELECT {', '.join(['p.uid', *names])} FROM placement p{join}"


def _join(columns: Sequence[object]) -> str:
    """Return the joins that these columns need."""
    if _MESSAGE_COLUMNS.keys().isdisjoint(columns):
        return ""
    return _JOIN + REFERENCE if "preview" in columns else _JOIN


def _contents_together(tx: Transaction, refs: Sequence[BlobRef]) -> dict[str, bytes | BlobDamaged]:
    """The contents of those blobs that are inline, as many as may be held at once."""
    chosen: dict[str, BlobRef] = {}
    octets = 0
    for ref in refs:
        blob_id, size, place, _, _ = ref
        if place == "inline" and size <= READ_WHOLE and octets + size <= READ_TOGETHER:
            chosen[blob_id] = ref
            octets += size
    return inline_contents(tx, list(chosen.values()))


def facts_blobs(tx: Transaction, account_id: str, mailbox_id: int, uids: Sequence[int]) -> dict[int, str]:
    """Where the facts of those messages lie that have them in a blob, by UID."""
    select = f"SELECT p.uid, m.facts_blob FROM placement p{_JOIN}"
    return dict(by_uids(tx, select, account_id, mailbox_id, uids, " AND m.facts_blob IS NOT NULL"))


def inline_blob(tx: Transaction, blob_id: str) -> bytes | None:
    """The stored form of an inline blob, None when there is none."""
    found = tx.execute("SELECT data FROM blob WHERE blob_id = ?", (blob_id,))
    return found[0][0] if found else None


def inline_contents(tx: Transaction, blobs: Sequence[BlobRef]) -> dict[str, bytes | BlobDamaged]:
    """The contents of inline blobs by id, the error in place of a damaged one. Decoded here, off the reactor thread."""
    stored: dict[str, bytes] = {}
    ids = [blob.blob_id for blob in blobs]
    for start in range(0, len(ids), BLOBS_AT_ONCE):
        names = ids[start : start + BLOBS_AT_ONCE]
        width = 1 << (len(names) - 1).bit_length()  # few different statements: their plans are cached
        names += names[:1] * (width - len(names))
        marks = ", ".join("?" * width)
        stored.update(tx.execute(f"SELECT blob_id, data FROM blob WHERE blob_id IN ({marks})", names))
    return {blob_id: _content(blob, stored.get(blob_id)) for blob_id, blob in zip(ids, blobs, strict=True)}


def _content(blob: BlobRef, stored: bytes | None) -> bytes | BlobDamaged:
    try:
        return BlobDamaged(blob.blob_id) if stored is None else codec.decode_small(blob, stored)
    except BlobDamaged as error:
        return error


def modseq_of(tx: Transaction, account_id: str) -> int:
    """The account's modseq. :raises NoSuchMailbox: the account is gone."""
    found = tx.execute("SELECT modseq FROM account WHERE account_id = ? AND removed_at IS NULL", (account_id,))
    if not found:
        raise NoSuchMailbox(account_id)
    return int(found[0][0])


# changing


@of_account
def copy(
    tx: Transaction,
    account_id: str,
    mailbox_id: int,
    uids: Sequence[int],
    target: int,
    move: bool,
    now: int,
) -> Copied:
    """Place live messages in another mailbox, all or none; ``move``: expunge them here in the same step.

    :param now: UTC microseconds. :raises NoSuchAccount, NoSuchMailbox, OverQuota:
    """
    modseq, _, _ = touch(tx, account_id)
    require(tx, account_id, mailbox_id)
    uidvalidity = require(tx, account_id, target)[0]
    found = live_rows(tx, account_id, mailbox_id, uids)
    if not found:
        untouch(tx, account_id)
        return Copied(uidvalidity, (), (), modseq - 1)
    unseen, deleted, size = totals(found)
    first, _ = grow(tx, account_id, target, modseq, len(found), unseen, deleted, size)
    place_copies(tx, account_id, target, first, modseq, found, now)
    charge(tx, account_id, size, len(found), check=not move)
    if move:
        carry_seen(tx, account_id, mailbox_id, [row[0] for row in found], target, first, modseq)
        expunge_rows(tx, account_id, mailbox_id, modseq, found, now)
    return Copied(uidvalidity, tuple(row[0] for row in found), tuple(range(first, first + len(found))), modseq)


def live_rows(tx: Transaction, account_id: str, mailbox_id: int, uids: Sequence[int]) -> list[StoredRow]:
    """Uid, flags, size and message of those of the ascending UIDs that are live, in their order."""
    select = "SELECT p.uid, p.flags, p.size, p.message_id FROM placement p"
    return by_uids(tx, select, account_id, mailbox_id, uids, LIVE)


def place_copies(
    tx: Transaction,
    account_id: str,
    target: int,
    first: int,
    modseq: int,
    found: Sequence[StoredRow],
    now: int,
) -> None:
    """Insert copies of :func:`live_rows` under UIDs from ``first`` on."""
    insert_rows(
        tx,
        PLACEMENT,
        [
            (account_id, target, first + number, message_id, flags, modseq, modseq, octets, now, None)
            for number, (_, flags, octets, message_id) in enumerate(found)
        ],
    )


@of_account
def expunge(
    tx: Transaction, account_id: str, mailbox_id: int, uids: Sequence[int], only_deleted: bool, now: int
) -> tuple[tuple[int, ...], int]:
    """Expunge live messages; return which, and the modseq. :raises NoSuchAccount, NoSuchMailbox:"""
    modseq, _, _ = touch(tx, account_id)
    require(tx, account_id, mailbox_id)
    found = by_uids(tx, "SELECT p.uid, p.flags, p.size FROM placement p", account_id, mailbox_id, uids, LIVE)
    if only_deleted:
        found = [row for row in found if row[1] & DELETED]
    if not found:
        untouch(tx, account_id)
        return (), modseq - 1
    expunge_rows(tx, account_id, mailbox_id, modseq, found, now)
    return tuple(row[0] for row in found), modseq


def expunge_rows(
    tx: Transaction, account_id: str, mailbox_id: int, modseq: int, found: Sequence[StoredRow], now: int
) -> None:
    """Expunge live placements. :param found: rows that begin with uid, flags, size."""
    for some in pieces([row[0] for row in found]):
        marks, uids = listed(some)
        tx.execute(
            "UPDATE placement SET expunged_modseq = ?, modseq = ?, expunged_at = ?"
            f" WHERE account_id = ? AND mailbox_id = ? AND uid IN {marks}",
            (modseq, modseq, now, account_id, mailbox_id, *uids),
        )
    unseen, deleted, size = totals(found)
    tx.execute(
        "UPDATE mailbox SET highest_modseq = ?, messages = messages - ?, unseen = unseen - ?, deleted = deleted - ?,"
        " size = size - ? WHERE account_id = ? AND mailbox_id = ?",
        (modseq, len(found), unseen, deleted, size, account_id, mailbox_id),
    )
    charge(tx, account_id, -size, -len(found))


def totals(found: Sequence[StoredRow]) -> tuple[int, int, int]:
    """What rows that begin with uid, flags, size add to a mailbox: unseen, deleted, octets."""
    unseen = sum(not row[1] & SEEN for row in found)
    deleted = sum(bool(row[1] & DELETED) for row in found)
    return unseen, deleted, sum(row[2] for row in found)
