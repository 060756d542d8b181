"""Units on the search index of an account: what is to be indexed, what was, and what may hold a text."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple, TypeAlias

from mailnode.errors import StoreDamaged
from mailnode.store.engines.engine import Transaction, growing, of_account, patient
from mailnode.store.search import segments
from mailnode.store.search.terms import Pattern
from mailnode.store.units.statements import insert_rows, listed, pieces
from mailnode.values.search import MAX_INDEXED, ZONES, PackedZone, Segment, SegmentPlace, ToIndex, Unindexed

ACCOUNTS = 100  # that one unit names
MESSAGES = 256  # that are indexed together
OCTETS = 2 * 1024 * 1024  # of these messages
FORGOTTEN = 50  # segments that one unit forgets
DENSE = 3  # ids for one that is wanted, up to which all between are read: to look one up takes two to three times that

# Of one segment: the messages that hold each text, and those that may. None: it is not there as it was; "damaged": it cannot
# be read.
Held: TypeAlias = "list[tuple[array[int], array[int]]] | str | None"
DAMAGED = "damaged"


class LookedFor(NamedTuple):
    """What is looked for: patterns all of which stand in some of the zones, or one that in a ``deciding`` zone is enough."""

    patterns: tuple[Pattern, ...]
    zones: tuple[int, ...]
    deciding: tuple[int, ...]


# indexing


def behind(tx: Transaction, after: str, version: int) -> list[tuple[str, int]]:
    """Some accounts by id that have something to be indexed, made anew or forgotten, and how many messages."""
    rows = tx.execute(
        "SELECT a.account_id, a.next_message - 1 - a.indexed_message FROM account a WHERE a.account_id > ?"
        " AND a.removed_at IS NULL AND (a.next_message - 1 > a.indexed_message OR EXISTS (SELECT 1 FROM search_segment s"
        " WHERE s.account_id = a.account_id AND s.removed > 0) OR EXISTS (SELECT 1 FROM search_segment s"
        " WHERE s.account_id = a.account_id AND s.version <> ?)) ORDER BY a.account_id LIMIT ?",
        (after, version, ACCOUNTS),
    )
    return [(account_id, count) for account_id, count in rows]


def indexed(tx: Transaction, after: str) -> list[str]:
    """Some accounts by id of which something is in the index."""
    rows = tx.execute(
        "SELECT account_id FROM account WHERE account_id > ? AND indexed_message > 0 ORDER BY account_id LIMIT ?",
        (after, ACCOUNTS),
    )
    return [account_id for (account_id,) in rows]


def to_index(tx: Transaction, account_id: str, version: int) -> ToIndex:
    """The next messages of an account that are to be indexed; none of an account that is gone."""
    rows = tx.execute(
        "SELECT indexed_message, next_message - 1 FROM account WHERE account_id = ? AND removed_at IS NULL",
        (account_id,),
    )
    if not rows:
        return ToIndex(0, 0, (), 0, None)
    first = tx.execute(
        "SELECT version FROM search_segment WHERE account_id = ? ORDER BY first_message LIMIT 1", (account_id,)
    )
    if first and first[0][0] != version:  # as are all others
        return ToIndex(0, 0, (), 0, None, stale=True)
    if rows[0][0] >= rows[0][1]:
        return ToIndex(0, 0, (), 0, None)
    since, last = rows[0]
    found = tx.execute(
        "SELECT message_id, blob_size, received_at FROM message WHERE account_id = ? AND message_id > ?"
        " ORDER BY message_id LIMIT ?",
        (account_id, since, MESSAGES),
    )
    octets = 0
    chosen: list[int] = []
    for message_id, size, _ in found:
        octets += min(size, MAX_INDEXED)
        if chosen and octets > OCTETS:
            break
        chosen.append(message_id)
    until = last if len(chosen) == len(found) < MESSAGES else chosen[-1]
    where = _placed(tx, account_id, chosen)
    some = tuple(Unindexed(message_id, *where.get(message_id, (0, 0))) for message_id in chosen)
    return ToIndex(since, until, some, last - since, found[0][2] / 1_000_000 if found else None)


def _placed(tx: Transaction, account_id: str, message_ids: Sequence[int]) -> dict[int, tuple[int, int]]:
    """A mailbox and UID of each message that stands in one, live or expunged."""
    found = {}
    for some in pieces(message_ids):
        marks, values = listed(some)
        for message_id, mailbox_id, uid in tx.execute(
            "SELECT p.message_id, p.mailbox_id, p.uid FROM placement p JOIN mailbox b ON b.account_id = p.account_id"
            " AND b.mailbox_id = p.mailbox_id AND b.deleted_at IS NULL AND b.selectable = 1"
            f" WHERE p.account_id = ? AND p.message_id IN {marks}",
            (account_id, *values),
        ):
            found[message_id] = mailbox_id, uid
    return found


def places(tx: Transaction, account_id: str) -> list[SegmentPlace]:
    """The segments of an account, in order."""
    rows = tx.execute(
        "SELECT first_message, last_message, count, octets FROM search_segment WHERE account_id = ?"
        " ORDER BY first_message",
        (account_id,),
    )
    return [SegmentPlace(*row) for row in rows]


def read(tx: Transaction, account_id: str, wanted: Sequence[SegmentPlace]) -> list[Segment]:
    """Those of these segments that are there as they were, whole."""
    found = []
    for place in wanted:
        rows = tx.execute(
            "SELECT messages, unknown FROM search_segment WHERE account_id = ? AND first_message = ? AND last_message = ?",
            (account_id, place.first, place.last),
        )
        zones = tx.execute(
            "SELECT data, places FROM search_terms WHERE account_id = ? AND first_message = ? ORDER BY zone",
            (account_id, place.first),
        )
        if rows and len(zones) == len(ZONES):
            messages, unknown = rows[0]
            packed = tuple(PackedZone(*zone) for zone in zones)
            found.append(Segment(place.first, place.last, messages, unknown, packed))
    return found


# A sweep is no unit of the account: what it removes meanwhile may stay in the segment, where nobody finds it.
@patient
@growing
@of_account
def add(
    tx: Transaction,
    account_id: str,
    since: int,
    until: int,
    segment: Segment | None,
    before: Sequence[SegmentPlace],
    version: int,
) -> bool:
    """Add messages in a segment that takes the place of some before it. False: the account, or what is indexed of it, is not as
    it was.

    :param since: up to where it was indexed; :param until: up to where it is now. :param segment: None: there are none.
    """
    rows = tx.execute(
        "UPDATE account SET indexed_message = ? WHERE account_id = ? AND indexed_message = ? AND removed_at IS NULL"
        " RETURNING account_id",
        (until, account_id, since),
    )
    if not rows:
        return False
    for place in before:
        _delete(tx, account_id, place.first)
    if segment is not None:
        _insert(tx, account_id, segment, version)
    return True


@patient
@growing
def replace(tx: Transaction, account_id: str, place: SegmentPlace, segment: Segment | None, version: int) -> None:
    """Put a segment in the place of one, if that still is as it was; None: nothing."""
    if tx.execute(
        "SELECT 1 FROM search_segment WHERE account_id = ? AND first_message = ? AND last_message = ? AND version = ?",
        (account_id, place.first, place.last, version),
    ):
        _delete(tx, account_id, place.first)
        if segment is not None:
            _insert(tx, account_id, segment, version)


def _delete(tx: Transaction, account_id: str, first: int) -> None:
    for table in ("search_terms", "search_segment"):
        tx.execute(f"DELETE FROM {table} WHERE account_id = ? AND first_message = ?", (account_id, first))


def _insert(tx: Transaction, account_id: str, segment: Segment, version: int) -> None:
    count = len(segment.messages) // 8
    sizes = [segments.unpacked_size(zone) for zone in segment.zones]
    # What was swept since it was read: nobody else would tell.
    [(there,)] = tx.execute(
        "SELECT count(*) FROM message WHERE account_id = ? AND message_id BETWEEN ? AND ?",
        (account_id, segment.first, segment.last),
    )
    insert_rows(
        tx,
        "search_segment (account_id, first_message, last_message, version, count, removed, octets, messages, unknown)",
        [
            (
                *(account_id, segment.first, segment.last, version, count, max(0, count - there), sum(sizes)),
                *(segment.messages, segment.unknown),
            )
        ],
    )
    for number, zone in enumerate(segment.zones):
        insert_rows(
            tx,
            "search_terms (account_id, first_message, zone, octets, data, places)",
            [(account_id, segment.first, number, sizes[number], zone.terms, zone.places)],
        )


def note_removed(tx: Transaction, account_id: str, message_id: int) -> None:
    """Note that a message is gone for good: the segment it is in is to be made without it."""
    tx.execute(
        "UPDATE search_segment SET removed = removed + 1 WHERE account_id = ? AND last_message >= ? AND first_message ="
        " (SELECT max(s.first_message) FROM search_segment s WHERE s.account_id = ? AND s.first_message <= ?)",
        (account_id, message_id, account_id, message_id),
    )


@patient
def note_damaged(tx: Transaction, account_id: str, places: Sequence[SegmentPlace]) -> None:
    """Note that segments cannot be read, so that whoever indexes looks at them."""
    tx.many(
        "UPDATE search_segment SET removed = removed + 1 WHERE account_id = ? AND first_message = ? AND last_message = ?",
        [(account_id, place.first, place.last) for place in places],
    )


def with_removed(tx: Transaction, account_id: str) -> SegmentPlace | None:
    """A segment with messages that are gone, or None."""
    rows = tx.execute(
        "SELECT first_message, last_message, count, octets FROM search_segment WHERE account_id = ? AND removed > 0"
        " ORDER BY first_message LIMIT 1",
        (account_id,),
    )
    return SegmentPlace(*rows[0]) if rows else None


def existing(tx: Transaction, account_id: str, first: int, last: int) -> list[int]:
    """The ids of an account's messages from one to another."""
    rows = tx.execute(
        "SELECT message_id FROM message WHERE account_id = ? AND message_id BETWEEN ? AND ?", (account_id, first, last)
    )
    return [message_id for (message_id,) in rows]


@patient
def forget(tx: Transaction, account_id: str) -> int:
    """Forget some of what is indexed of an account, the last first; return how many segments, 0 when nothing is left. What is not
    forgotten counts as before."""
    rows = tx.execute(
        "SELECT first_message FROM search_segment WHERE account_id = ? ORDER BY first_message DESC LIMIT ?",
        (account_id, FORGOTTEN),
    )
    for (first,) in rows:
        _delete(tx, account_id, first)
    indexed_message = rows[-1][0] - 1 if len(rows) == FORGOTTEN else 0
    if not indexed_message:  # of a damaged index there may be terms that belong to no segment
        tx.execute("DELETE FROM search_terms WHERE account_id = ?", (account_id,))
    tx.execute("UPDATE account SET indexed_message = ? WHERE account_id = ?", (indexed_message, account_id))
    return len(rows)


# searching


def overlapping(
    tx: Transaction, account_id: str, mailbox_id: int, uids: tuple[int, int], version: int, zones: Sequence[int]
) -> tuple[tuple[int, int], list[SegmentPlace]]:
    """The ids of the messages from one UID to another, lowest and highest, and segments that may have some of them; octets are
    those of the zones alone."""
    [(low, high)] = tx.execute(
        "SELECT min(message_id), max(message_id) FROM placement WHERE account_id = ? AND mailbox_id = ?"
        " AND uid BETWEEN ? AND ?",
        (account_id, mailbox_id, *uids),
    )
    if low is None:
        return (0, 0), []
    marks, values = listed(zones)
    rows = tx.execute(
        "SELECT s.first_message, s.last_message, s.count, sum(t.octets) FROM search_segment s JOIN search_terms t"
        " ON t.account_id = s.account_id AND t.first_message = s.first_message"
        f" WHERE s.account_id = ? AND s.first_message <= ? AND s.last_message >= ? AND s.version = ? AND t.zone IN {marks}"
        " GROUP BY s.first_message, s.last_message, s.count ORDER BY s.first_message",
        (account_id, high, low, version, *values),
    )
    return (low, high), [SegmentPlace(first, last, count, int(octets)) for first, last, count, octets in rows]


def zones_of(needles: Sequence[LookedFor]) -> list[int]:
    """All zones that are looked through."""
    return sorted({zone for one in needles for zone in (*one.zones, *one.deciding)})


def look(tx: Transaction, account_id: str, wanted: Sequence[SegmentPlace], needles: Sequence[LookedFor]) -> list[Held]:
    """Look for texts in segments that stand behind one another: what is read of them, is by two statements for all."""
    zones = zones_of(needles)
    span = account_id, wanted[0].first, wanted[-1].first
    heads = tx.execute(
        "SELECT first_message, last_message, messages, unknown FROM search_segment"
        " WHERE account_id = ? AND first_message BETWEEN ? AND ?",
        span,
    )
    marks, values = listed(zones)
    terms: dict[int, dict[int, bytes]] = {}
    for first, zone, data in tx.execute(
        "SELECT first_message, zone, data FROM search_terms WHERE account_id = ? AND first_message BETWEEN ? AND ?"
        f" AND zone IN {marks}",
        (*span, *values),
    ):
        terms.setdefault(first, {})[zone] = data
    there = {(first, last): (messages, unknown) for first, last, messages, unknown in heads}
    found: list[Held] = []
    for place in wanted:
        head, data = there.get((place.first, place.last)), terms.get(place.first, {})
        if head is None or len(data) != len(zones):
            found.append(None)
            continue
        read = partial(_places_of, tx, account_id, place.first)
        try:
            found.append(
                _look(*head, {zone: segments.Zone(data[zone], partial(read, zone)) for zone in zones}, needles)
            )
        except StoreDamaged:
            found.append(DAMAGED)
    return found


def _look(
    messages: bytes, unknown: bytes, zones: Mapping[int, segments.Zone], needles: Sequence[LookedFor]
) -> list[tuple[array[int], array[int]]]:
    ids, places = segments.numbers_of(messages), segments.numbers_of(unknown, "H")
    always = sum([1 << place for place in places])
    held = []
    for patterns, some, deciding in needles:
        surely = segments.holding([zones[zone] for zone in deciding], patterns, len(ids)) if deciding else 0
        maybe = segments.holding([zones[zone] for zone in some], patterns, len(ids)) | always
        held.append((segments.ids_at(ids, surely), segments.ids_at(ids, maybe)))
    return held


def _places_of(tx: Transaction, account_id: str, first: int, zone: int) -> bytes:
    [(places,)] = tx.execute(
        "SELECT places FROM search_terms WHERE account_id = ? AND first_message = ? AND zone = ?",
        (account_id, first, zone),
    )
    return bytes(places)


def uids_of(tx: Transaction, account_id: str, mailbox_id: int, message_ids: array[int]) -> array[int]:
    """The UIDs that messages, by ascending ids, have in a mailbox."""
    if message_ids and message_ids[-1] - message_ids[0] < DENSE * len(message_ids):
        low, high = message_ids[0], message_ids[-1]
        ids, uids = tx.integers(
            "QI",
            "SELECT message_id, uid FROM placement WHERE account_id = ? AND mailbox_id = ? AND message_id BETWEEN ? AND ?",
            (account_id, mailbox_id, low, high),
        )
        wanted = set(message_ids)
        return array("I", [uid for message_id, uid in zip(ids, uids, strict=True) if message_id in wanted])
    found = array("I")
    for some in pieces(message_ids):
        marks, values = listed(some)
        # The plus keeps SQLite from looking through the whole mailbox instead.
        found.extend(
            row[0]
            for row in tx.execute(
                f"SELECT uid FROM placement WHERE account_id = ? AND message_id IN {marks} AND +mailbox_id = ?",
                (account_id, *values, mailbox_id),
            )
        )
    return found


def uids_between(tx: Transaction, account_id: str, mailbox_id: int, spans: Sequence[tuple[int, int]]) -> array[int]:
    """The UIDs that messages have in a mailbox whose ids are in spans, first and last of each."""
    found = array("I")
    for first, last in spans:
        [uids] = tx.integers(
            "I",
            "SELECT uid FROM placement WHERE account_id = ? AND message_id BETWEEN ? AND ? AND +mailbox_id = ?",
            (account_id, first, last, mailbox_id),
        )
        found.extend(uids)
    return found
