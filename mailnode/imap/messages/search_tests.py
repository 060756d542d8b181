"""SEARCH keys as tests, cheapest first (RFC 3501 6.4.4, RFC 4731, RFC 7162 3.1.5).

A key costs what it must look at: the view's arrays, a few columns, or the message itself. Whole subtrees that need no
message compile into one test of a row, so that a search runs through the mailbox at most twice and opens only the
messages that everything cheaper has left.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from datetime import date
from functools import cached_property, lru_cache
from itertools import compress

from mailnode.imap.messages import search_keys as c
from mailnode.imap.view.bitmaps import carriers
from mailnode.imap.view.view import RECENT, View
from mailnode.message.headers import scan_fields
from mailnode.message.search_text import FIELDS_OF_ADDRESSES, ODD_ADDRESS, field_texts, fold
from mailnode.values.facts import KEPT_FIELDS, decode_sort_keys
from mailnode.values.object_ids import EMAIL, THREAD, number_of
from mailnode.values.rows import StoredRow

RowTest = Callable[[StoredRow, int], bool]  # (row, index in the view)

VIEW, ROWS, WORDS, HEADERS, BODIES = range(5)  # what a key looks at, cheapest first; WORDS: into rows, elsewhere
_EPOCH = date(1970, 1, 1)


def cost(key: c.SearchKey) -> int:
    """Return what the dearest part of a key looks at."""
    if isinstance(key, c.And):
        return max(cost(inner) for inner in key.keys)
    if isinstance(key, c.Or):
        return max(cost(key.left), cost(key.right))
    if isinstance(key, c.Not):
        return cost(key.key)
    if isinstance(key, c.InBody | c.InText | c.NearlyInText):
        return BODIES
    if isinstance(key, c.NearlyInHeader):
        return WORDS if is_kept(key.field) else HEADERS
    if isinstance(key, c.InHeader):
        return ROWS if is_kept(key.field) else HEADERS
    if isinstance(key, c.InternalDay | c.Within | c.SentDay | c.SavedDay | c.HasObjectId | c.Larger | c.Smaller):
        return ROWS
    return VIEW


def is_kept(field: str) -> bool:
    """Whether a header field stands in the ``fields`` column."""
    return field.encode("utf-8", "replace") in KEPT_FIELDS


def flagged(key: c.SearchKey, view: View, candidates: range) -> list[int] | None:
    """Return the candidates that carry, or lack, one flag; None for keys of other kinds. No call for each message."""
    bit_and_sense = flag_of(key, view)
    if bit_and_sense is None:
        return None
    bit, on = bit_and_sense
    if not bit:
        return [] if on else list(candidates)
    carried = carriers(view.flags[candidates.start : candidates.stop], bit, on)
    if carried.count(1) * 16 > len(carried):
        return list(compress(candidates, carried))
    found = []
    at = carried.find(1)
    while at >= 0:
        found.append(candidates.start + at)
        at = carried.find(1, at + 1)
    return found


def flag_of(key: c.SearchKey, view: View) -> tuple[int, bool] | None:
    """Return the bit a key looks for (0: nobody has it), and whether it is to be there; None for keys of other kinds."""
    if isinstance(key, c.HasFlag):
        return key.bit, key.on
    if isinstance(key, c.IsRecent):
        return RECENT, key.on
    if isinstance(key, c.HasKeyword):
        return view.keywords.bit(key.keyword) or 0, key.on
    return None


def row_test(key: c.SearchKey, view: View, columns: list[str], owner: str = "", now: float = 0.0) -> RowTest:
    """Compile a key that costs at most ``ROWS`` into one test; what it reads is added to ``columns``.

    :param owner: the account whose messages they are, for their identifiers. :param now: UTC seconds, for ages.
    """
    if isinstance(key, c.And):
        tests = [row_test(inner, view, columns, owner, now) for inner in sorted(key.keys, key=cost)]
        return lambda row, index: all([test(row, index) for test in tests])  # noqa: C419 (a list is quicker here)
    if isinstance(key, c.Or):
        left, right = (row_test(inner, view, columns, owner, now) for inner in (key.left, key.right))
        return lambda row, index: left(row, index) or right(row, index)
    if isinstance(key, c.Not):
        test = row_test(key.key, view, columns, owner, now)
        return lambda row, index: not test(row, index)
    return _view_test(key, view) or _column_test(key, columns, owner, now)


def _view_test(key: c.SearchKey, view: View) -> RowTest | None:
    flags, modseqs, flag = view.flags, view.modseqs, flag_of(key, view)
    if isinstance(key, c.All):
        return lambda row, index: True
    if isinstance(key, c.InSet):
        return _set_test(key, view)
    if isinstance(key, c.ModSeq):
        least = key.value
        return lambda row, index: modseqs[index] >= least
    if flag is None:
        return None
    bit, on = flag
    if on:
        return lambda row, index: bool(flags[index] & bit)
    return lambda row, index: not flags[index] & bit


def _set_test(key: c.InSet, view: View) -> RowTest:
    messages = key.messages
    if messages.saved and not messages.ranges:  # as it stands: a search may name it a thousand times
        holds = view.saved.holds()
        return lambda row, index: holds(index)
    spans = view.pick_existing(messages)
    starts = [span.start for span in spans]

    def inside(row: StoredRow, index: int) -> bool:
        place = bisect_right(starts, index) - 1
        return place >= 0 and index < spans[place].stop

    return inside


_KINDS = {"message_id": EMAIL, "thread_id": THREAD}


def _column_test(key: c.SearchKey, columns: list[str], owner: str, now: float) -> RowTest:
    def place(name: str) -> int:
        if name not in columns:
            columns.append(name)
        return columns.index(name) + 1  # row[0] is the UID

    if isinstance(key, c.Larger | c.Smaller):
        size, octets = place("size"), key.octets
        if isinstance(key, c.Larger):
            return lambda row, index: bool(row[size] > octets)
        return lambda row, index: bool(row[size] < octets)
    if isinstance(key, c.InternalDay):
        at, offset, compare = place("internaldate"), place("internaldate_offset"), _day_test(key.relation, key.day)
        return lambda row, index: compare(day_of(row[at], row[offset]))
    if isinstance(key, c.Within):
        at, moment = place("internaldate"), int(now) - key.seconds
        if key.older:
            return lambda row, index: bool(row[at] // 1_000_000 <= moment)
        return lambda row, index: bool(row[at] // 1_000_000 >= moment)
    if isinstance(key, c.SavedDay):
        saved, compare = place("savedate"), _day_test(key.relation, key.day)
        return lambda row, index: compare(day_of(row[saved], 0))
    if isinstance(key, c.HasObjectId):
        number, wanted = place(key.column), number_of(_KINDS[key.column], owner, key.text)
        return lambda row, index: bool(row[number] == wanted)
    if isinstance(key, c.SentDay):
        sort, compare = place("sort"), _day_test(key.relation, key.day)

        def sent(row: StoredRow, index: int) -> bool:
            keys = decode_sort_keys(row[sort])
            return keys.date is not None and compare(day_of(keys.date, keys.date_offset))

        return sent
    if isinstance(key, c.InHeader):
        prefix, fields = place("prefix"), place("fields")
        name, needle = key.field, fold(key.text)
        return lambda row, index: _LAST_ROW.fields_of(row[prefix], row[fields]).hold(name, needle)
    raise TypeError(key)


def day_of(microseconds: int, offset: int) -> int:
    """Return the day since 1970-01-01 on which a moment falls where it was written (RFC 3501 6.4.4: zone disregarded)."""
    return (microseconds // 1_000_000 + offset * 60) // 86400


def _day_test(relation: str, day: date) -> Callable[[int], bool]:
    wanted = (day - _EPOCH).days
    if relation == "before":
        return lambda found: found < wanted
    if relation == "on":
        return lambda found: found == wanted
    return lambda found: found >= wanted


def header_test(key: c.InHeader) -> Callable[[bytes], bool]:
    """Return the test of a header block: some field of that name holds the text, encoded words decoded."""
    field, needle = key.field, fold(key.text)
    return lambda block: _fields_of(block).hold(field, needle)


class HeaderFields:
    """A header block that keys look into: each field is decoded once, and only when a key needs it."""

    def __init__(self, block: bytes) -> None:
        self._block = block
        # Most blocks can be seen not to hold a text without looking at their fields: in plain ASCII nothing but folding,
        # which white space marks, keeps it from standing as it is.
        self._as_it_stands = block.lower() if block.isascii() and b"=?" not in block else None
        self._raw: dict[bytes, list[bytes]] | None = None  # by name in lower case
        self._decoded: dict[bytes, list[str]] = {}

    def hold(self, field: str, needle: str) -> bool:
        """Whether some field of that name holds the folded text."""
        as_it_stands = field.lower() not in FIELDS_OF_ADDRESSES or not self._odd_addresses
        if (
            as_it_stands
            and self._as_it_stands is not None
            and _is_one_word(needle)
            and needle.encode() not in self._as_it_stands
        ):
            return False
        return any(needle in text for text in self.texts(field))

    def texts(self, field: str) -> list[str]:
        """Return the folded texts of all fields of that name."""
        name = field.encode("utf-8", "replace").lower()
        decoded = self._decoded.get(name)
        if decoded is None:
            if self._raw is None:
                self._raw = {}
                for _, found, start, end in scan_fields(self._block):
                    self._raw.setdefault(found.lower(), []).append(self._block[start:end])
            decoded = self._decoded[name] = field_texts(field.lower(), self._raw.get(name, ()))
        return decoded

    @cached_property
    def _odd_addresses(self) -> bool:
        """Whether an address may be written otherwise than it is shown."""
        return ODD_ADDRESS.search(self._block) is not None


class _LastRow:
    """The header fields of the row that was looked into last: the keys of a search come one after the other, and to know a
    long block by its octets costs each of them more than to look for its word."""

    def __init__(self) -> None:
        self._octets: tuple[bytes, bytes] = (b"", b"")
        self._fields = HeaderFields(b"")

    def fields_of(self, prefix: bytes, kept: bytes) -> HeaderFields:
        """Return those of a row's two columns."""
        if self._octets[0] is not prefix or self._octets[1] is not kept:
            self._octets = prefix, kept
            self._fields = HeaderFields(prefix + kept)
        return self._fields


_LAST_ROW = _LastRow()  # rows are tested in the reactor's thread

_fields_of = lru_cache(maxsize=2)(HeaderFields)  # the keys of a search look into the same block one after the other


def _is_one_word(needle: str) -> bool:
    return needle != "" and needle.isascii() and needle.isprintable() and " " not in needle
