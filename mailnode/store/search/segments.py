"""Segments of the index: the terms of a run of messages, by zone, in a form that is looked through without being taken apart.

The terms of a zone stand in one text, each between two line ends: first those that several messages share, then, message by
message, those that stand in one alone, as most do. By itself, since only a text that is found needs it, stands in which messages
shared terms are, and where those of each message begin. Either is packed by zstd, with a checksum: what a disk changed is
noticed, and counts as not indexed.

Some of a segment's messages are a number: the bit of a message's place is set.
"""

from __future__ import annotations

import struct
import threading
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, compress, pairwise

import zstandard

from mailnode.errors import StoreDamaged
from mailnode.store.search.terms import Pattern, terms_of
from mailnode.values.search import ZONES, IndexedText, PackedZone, Segment

MAX_MESSAGES = 1024  # of a segment that is made of others; a place takes 16 bits
MAX_OCTETS = 1024 * 1024  # of the terms of such a one, unpacked: while one is looked through nothing else runs
MAX_UNPACKED = 16 * 1024 * 1024  # of one zone's terms, or of their places: more is not read
_HEAD = struct.Struct("<I")  # terms; before the text and before the places, which so are known to belong together
_COUNTS = struct.Struct("<II")  # terms that several share, and ends of texts; behind it
_FURTHER = 255  # in a list of distances: so much more to the next
# Octets looked through by one call: in more CPython prepares for needles that are longer than these, which takes a third more time.
_WINDOW = 16 * 1024


class _Zstd(threading.local):
    """A thread's own, since they may not be shared."""

    def __init__(self) -> None:
        # Words have few repetitions that a higher level would find: it takes twice the time and saves nothing.
        self.compressor = zstandard.ZstdCompressor(level=1, write_checksum=True, write_content_size=True)
        self.decompressor = zstandard.ZstdDecompressor()


_thread = _Zstd()
_BITS = bytes.maketrans(b"01", b"\0\1")
# In which messages each term stands: the place of the only one, inverted and so below zero, or several.
_Terms = dict[bytes, int]


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
    packed = tuple(_pack(terms, len(ids)) for terms in zones)
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
        postings, alone, bit = zones[zone], ~place, 1 << place
        for term in terms:
            stands = postings.setdefault(term, alone)
            if stands != alone:
                postings[term] = bit | (stands if stands >= 0 else 1 << ~stands)


def _several(stands: int) -> int:
    return stands if stands >= 0 else 1 << ~stands


def _add_segment(
    segment: Segment, ids: list[int], unknown: list[int], zones: Sequence[_Terms], gone: frozenset[int]
) -> None:
    there = ids_of(segment)
    places: list[int | None] = []  # the new ones, by the old
    offset = len(ids)
    for message_id in there:
        places.append(None if message_id in gone else len(ids))
        if message_id not in gone:
            ids.append(message_id)
    unknown += [place for old in array("H", segment.unknown) if (place := places[old]) is not None]
    whole = None not in places
    for packed, postings in zip(segment.zones, zones, strict=True):
        for term, olds in Zone.whole(packed).terms():
            if whole:
                news = olds << offset if olds >= 0 else olds - offset
            else:
                news = sum([1 << new for old in places_of(_several(olds)) if (new := places[old]) is not None])
            known = postings.get(term)
            if known is not None:
                postings[term] = _several(known) | _several(news)
            elif news:
                postings[term] = news


def _pack(terms: _Terms, messages: int) -> PackedZone:
    shared: list[bytes] = []
    lists: list[bytes] = []
    alone: list[list[bytes]] = [[] for _ in range(messages)]
    for term, stands in terms.items():
        if stands < 0:
            alone[~stands].append(term)
        elif stands & (stands - 1):
            shared.append(term)
            lists.append(_list(stands))
        else:
            alone[stands.bit_length() - 1].append(term)
    head = _HEAD.pack(len(terms))
    texts = [b"\n".join([*some, b""]) for some in (shared, *alone)]
    texts[0] = head + b"\n" + texts[0]
    bounds = array("I", accumulate(map(len, texts)))
    ends = array("I", accumulate(map(len, lists)))
    places = b"".join([head, _COUNTS.pack(len(shared), len(bounds)), bounds.tobytes(), ends.tobytes(), *lists])
    return PackedZone(_thread.compressor.compress(b"".join(texts)), _thread.compressor.compress(places))


def _list(messages: int) -> bytes:
    """Return some messages as octets: the bits, or where that is shorter a zero and the distances from one to the next."""
    octets = (messages.bit_length() + 7) // 8
    if messages.bit_count() + 1 >= octets:
        return b"\1" + messages.to_bytes(octets, "little")
    distances, before = bytearray(1), 0
    while messages:
        lowest = messages & -messages
        messages ^= lowest
        place = lowest.bit_length() - 1
        distance, before = place - before, place
        while distance >= _FURTHER:
            distances.append(_FURTHER)
            distance -= _FURTHER
        distances.append(distance)
    return bytes(distances)


def _of_list(octets: memoryview) -> int:
    """Return the messages of a list."""
    if octets[0]:
        return int.from_bytes(octets[1:], "little")
    distances = bytes(octets[1:])
    places = compress(accumulate(distances), map(_FURTHER.__ne__, distances))
    return sum(map((1).__lshift__, places))


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
        # Where the terms of each message begin, and all end; once it is read.
        self._bounds: memoryview[int] | None = None

    @classmethod
    def whole(cls, packed: PackedZone) -> Zone:
        """Return one whose places are at hand."""
        return cls(packed.terms, lambda: packed.places)

    def _read(self) -> memoryview[int]:
        raw = memoryview(_unpacked(self._read_places()))
        at = _HEAD.size + _COUNTS.size
        if raw[: _HEAD.size] != self._text[: _HEAD.size] or len(raw) < at:
            raise StoreDamaged("a segment of the search index is damaged")
        shared, bounds = _COUNTS.unpack_from(raw, _HEAD.size)
        lists = at + 4 * (bounds + shared)
        if not bounds or len(raw) < lists:
            raise StoreDamaged("a segment of the search index is damaged")
        self._ends = raw[at + 4 * bounds : lists].cast("I")
        self._lists = raw[lists:]
        self._bounds = raw[at : at + 4 * bounds].cast("I")
        return self._bounds

    def terms(self) -> Iterator[tuple[bytes, int]]:
        """Yield each term and its messages, or the place of the only one, inverted."""
        bounds = self._bounds or self._read()
        shared = self._text[_HEAD.size + 1 : bounds[0]].split(b"\n")
        yield from zip(shared[:-1], map(self._shared_by, range(len(self._ends))), strict=True)
        for place, (begin, end) in enumerate(pairwise(bounds)):
            for term in self._text[begin:end].split(b"\n")[:-1]:
                yield term, ~place

    def _shared_by(self, number: int) -> int:
        begin = self._ends[number - 1] if number else 0
        return _of_list(self._lists[begin : self._ends[number]])

    def holding(self, pattern: Pattern) -> int:
        """Return the messages that have a term in which the pattern stands."""
        text, octets = self._text, pattern.octets
        counted = _HEAD.size + 1  # up to here line ends are counted
        term = 0  # that stands there
        found = 0
        at = self._find(octets, _HEAD.size)
        while at >= 0:
            bounds = self._bounds or self._read()
            begin = at + pattern.begins
            if begin < bounds[0]:
                term += text.count(b"\n", counted, begin)
                counted = begin
                found |= self._shared_by(term)
                behind = text.find(b"\n", begin)
            else:
                place = bisect_right(bounds, begin) - 1
                found |= 1 << place
                behind = bounds[place + 1] - 1
            # A line end ends this term and begins the next.
            at = self._find(octets, behind)
        return found

    def _find(self, octets: bytes, start: int) -> int:
        text = self._text
        while start < len(text):
            at = text.find(octets, start, start + _WINDOW)
            if at >= 0:
                return at
            start += _WINDOW - len(octets) + 1
        return -1


def holding(zones: Sequence[Zone], patterns: Sequence[Pattern], messages: int) -> int:
    """Return those of the first so many messages of a segment that may hold a text. :param zones: all that it may stand in."""
    left = (1 << messages) - 1
    for pattern in patterns:
        found = 0
        for zone in zones:
            found |= zone.holding(pattern)
        left &= found
        if not left:
            break
    return left


def places_of(messages: int) -> list[int]:
    """Return the places of some messages, ascending."""
    bits = bin(messages)[:1:-1].encode().translate(_BITS)
    return list(compress(range(len(bits)), bits))


def ids_at(ids: array[int], messages: int) -> array[int]:
    """Return the ids of some messages."""
    return array("Q", compress(ids, bin(messages)[:1:-1].encode().translate(_BITS)))
