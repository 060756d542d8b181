"""Segments of the index: the terms of a run of messages, by zone, in a form that is looked through without being taken apart.

The terms of a zone stand in one text, each between two line ends, in order. By itself, since only a text that is found needs
it, stands a number for each term: the place of the only message it stands in, as with most, or where the list of its messages
begins. Either is packed by zstd, with a checksum: what a disk changed is noticed, and counts as not indexed.
"""

from __future__ import annotations

import struct
import threading
from array import array
from collections.abc import Callable, Iterable, Sequence
from itertools import compress

import zstandard

from mailnode.errors import StoreDamaged
from mailnode.store.search.terms import Pattern, terms_of
from mailnode.values.search import ZONES, IndexedText, PackedZone, Segment

MAX_MESSAGES = 1024  # of a segment that is made of others; a place takes 15 bits
MAX_OCTETS = 1024 * 1024  # of the terms of such a one, unpacked: while one is looked through nothing else runs
MAX_UNPACKED = 16 * 1024 * 1024  # of one zone's terms, or of their places: more is not read
_LIST = 1 << 31  # in place of a message: where a list begins
_HEAD = struct.Struct("<I")  # terms; before the text and before the places, which so are known to belong together
_LOOKED = 256  # terms found between two looks whether any message is left
# Octets looked through by one call: in more CPython prepares for needles that are longer than these, which takes a third more time.
_WINDOW = 16 * 1024


class _Zstd(threading.local):
    """A thread's own, since they may not be shared."""

    def __init__(self) -> None:
        # Words have few repetitions that a higher level would find: it takes twice the time and saves nothing.
        self.compressor = zstandard.ZstdCompressor(level=1, write_checksum=True, write_content_size=True)
        self.decompressor = zstandard.ZstdDecompressor()


_thread = _Zstd()
# Places of messages, ascending; of a term that stands in one alone, as most do, its place by itself: a list costs more.
_Terms = dict[bytes, int | list[int]]


def build(texts: Sequence[IndexedText], before: Sequence[Segment] = (), gone: frozenset[int] = frozenset()) -> Segment:
    """Make one segment of others and of messages behind them; for another process.

    :param texts: by id; with or without ``before`` there is something. :param gone: ids of messages that are left out.
    :raises StoreDamaged: one of ``before``.
    """
    ids: list[int] = []
    unknown: list[int] = []
    zones: list[_Terms] = [{} for _ in ZONES]
    for segment in before:
        _add_segment(segment, ids, unknown, zones, gone)
    for one in texts:
        place = len(ids)
        ids.append(one.message_id)
        if one.zones is None:
            unknown.append(place)
        else:
            _add_terms(one.zones, place, zones)
    first = before[0].first if before else texts[0].message_id
    last = texts[-1].message_id if texts else before[-1].last
    packed = tuple(_pack(terms) for terms in zones)
    return Segment(first, last, array("Q", ids).tobytes(), array("H", unknown).tobytes(), packed)


def _add_terms(texts: Sequence[Sequence[str]], place: int, zones: Sequence[_Terms]) -> None:
    """Add the terms of one message. What TEXT looks into are all zones together: none has terms of those before it but the
    last, which BODY looks into alone."""
    known: set[bytes] = set()
    for zone, some in enumerate(texts):
        terms = set().union(*map(terms_of, some))
        if zone < len(texts) - 1:
            terms -= known
            known |= terms
        postings = zones[zone]
        for term in terms:
            places = postings.get(term)
            if places is None:
                postings[term] = place
            elif isinstance(places, int):
                postings[term] = [places, place]
            else:
                places.append(place)


def _add_segment(
    segment: Segment, ids: list[int], unknown: list[int], zones: Sequence[_Terms], gone: frozenset[int]
) -> None:
    there = ids_of(segment)
    places: list[int | None] = []  # the new ones, by the old
    for message_id in there:
        places.append(None if message_id in gone else len(ids))
        if message_id not in gone:
            ids.append(message_id)
    unknown += [place for old in array("H", segment.unknown) if (place := places[old]) is not None]
    whole = None not in places
    offset = places[0] or 0 if whole and places else 0
    for packed, postings in zip(segment.zones, zones, strict=True):
        for term, olds in Zone.whole(packed).terms():
            if whole and isinstance(olds, int) and term not in postings:
                postings[term] = olds + offset
                continue
            news = [places[old] for old in ((olds,) if isinstance(olds, int) else olds)]
            some = [new for new in news if new is not None]
            if some:
                known = postings.get(term, [])
                postings[term] = [known, *some] if isinstance(known, int) else known + some


def _pack(terms: _Terms) -> PackedZone:
    ordered = sorted(terms)
    numbers, lists = array("I"), array("H")
    for term in ordered:
        stands = terms[term]
        if isinstance(stands, int):
            numbers.append(stands)
        elif len(stands) == 1:
            numbers.append(stands[0])
        else:
            numbers.append(_LIST | len(lists))
            lists.append(len(stands))
            lists.extend(stands)
    head = _HEAD.pack(len(ordered))
    text = b"%b\n%b\n" % (head, b"\n".join(ordered)) if ordered else head + b"\n"
    places = b"".join([head, numbers.tobytes(), lists.tobytes()])
    return PackedZone(_thread.compressor.compress(text), _thread.compressor.compress(places))


def ids_of(segment: Segment) -> array[int]:
    """Return the ids of a segment's messages. :raises StoreDamaged:"""
    return numbers_of(segment.messages)


def numbers_of(octets: bytes, typecode: str = "Q") -> array[int]:
    """Return packed numbers. :raises StoreDamaged:"""
    try:
        return array(typecode, octets)
    except (TypeError, ValueError) as error:
        raise StoreDamaged("a segment of the search index is damaged") from error


def unpacked_size(packed: PackedZone) -> int:
    """Return how many octets a zone has when it is unpacked."""
    return sum(map(zstandard.frame_content_size, packed))


def _unpacked(packed: bytes) -> bytes:
    try:
        if not _HEAD.size <= zstandard.frame_content_size(packed) <= MAX_UNPACKED:
            raise StoreDamaged("a segment of the search index is damaged")
        return _thread.decompressor.decompress(packed, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise StoreDamaged("a segment of the search index is damaged") from error


class Zone:
    """One zone of a segment, its terms unpacked. :raises StoreDamaged: at any time, when it is not what was written."""

    def __init__(self, terms: bytes, places: Callable[[], bytes]) -> None:
        """:param terms: packed. :param places: returns the same of where they stand, once somebody needs it."""
        self._read_places = places
        self._text = _unpacked(terms)
        self._numbers: memoryview[int] | None = None  # with lists, once they are read

    @classmethod
    def whole(cls, packed: PackedZone) -> Zone:
        """Return one whose places are at hand."""
        return cls(packed.terms, lambda: packed.places)

    def _read(self) -> memoryview[int]:
        raw = _unpacked(self._read_places())
        lists = _HEAD.size * (1 + _HEAD.unpack_from(raw)[0])
        if raw[: _HEAD.size] != self._text[: _HEAD.size] or lists > len(raw) or (len(raw) - lists) % 2:
            raise StoreDamaged("a segment of the search index is damaged")
        self._lists = memoryview(raw)[lists:].cast("H")
        self._numbers = memoryview(raw)[_HEAD.size : lists].cast("I")
        return self._numbers

    def terms(self) -> Iterable[tuple[bytes, int | Sequence[int]]]:
        """Yield each term and the places of its messages, or the only one, in order."""
        text = self._text[_HEAD.size :].split(b"\n")[1:-1]
        places = [number if number < _LIST else self._places(number) for number in self._read()]
        return zip(text, places, strict=True)

    def _places(self, number: int) -> Sequence[int]:
        at = number - _LIST
        return self._lists[at + 1 : at + 1 + self._lists[at]]

    def mark(self, pattern: Pattern, marked: bytearray) -> None:
        """Mark the messages that have a term in which the pattern stands, an octet for each."""
        text, octets = self._text, pattern.octets
        counted = _HEAD.size  # up to here line ends are counted
        term = -1  # that begins behind the last of them
        found = 0
        at = self._find(octets, counted)
        while at >= 0:
            numbers = self._numbers or self._read()
            begin = at + pattern.begins
            term += text.count(b"\n", counted, begin)
            counted = begin
            number = numbers[term]
            if number < _LIST:
                marked[number] = 1
            else:
                for place in self._places(number):
                    marked[place] = 1
            found += 1
            if found % _LOOKED == 0 and 0 not in marked:
                return
            # A line end ends this term and begins the next.
            at = self._find(octets, text.find(b"\n", begin))

    def _find(self, octets: bytes, start: int) -> int:
        text = self._text
        while start < len(text):
            at = text.find(octets, start, start + _WINDOW)
            if at >= 0:
                return at
            start += _WINDOW - len(octets) + 1
        return -1


def holding(zones: Sequence[Zone], patterns: Sequence[Pattern], messages: int) -> bytearray:
    """Return an octet for each message of a segment, 1 where it may hold a text. :param zones: all that it may stand in."""
    left = bytearray(b"\1") * messages
    for pattern in patterns:
        marked = bytearray(messages)
        for zone in zones:
            zone.mark(pattern, marked)
        left = bytearray(map(int.__and__, left, marked)) if 1 in marked else marked
        if 1 not in left:
            break
    return left


def marked_ids(ids: array[int], marked: bytes | bytearray) -> array[int]:
    """Return the ids whose octet is 1."""
    return array("Q", compress(ids, marked))
