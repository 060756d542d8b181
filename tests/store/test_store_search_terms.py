"""Terms of texts, segments of them, and what may hold a text: never less than what does."""

from __future__ import annotations

import itertools
import random
import struct

import pytest
import zstandard

from mailnode.errors import StoreDamaged
from mailnode.message.search_text import fold
from mailnode.store.search import segments, tiers
from mailnode.store.search.segments import Zone, build, holding, ids_at, ids_of
from mailnode.store.search.terms import OVERLAP, PIECE, Pattern, patterns_of, terms_of
from mailnode.values.search import BODY, HEADER, SHOWN, IndexedText, PackedZone, SegmentPlace

ALPHABETS = [
    "abc",
    "ab cd-ef.\n\t",
    "aAbB12_ @<>",
    "\u00e4\u00f6\u00fc\u00df \u0130\u0131\u017f",
    "\u6f22\u5b57\u3001\u3002\u4eee\u540d",
    "e\u0301a\u0308 \u200d\ufeff\xa0\u2028",
    "\U0001f600\U0001f468\u200d\U0001f469 x",
    "0123456789abcdef",
    "\ud800\udfff\0\x7f a",
]


def _random_text(chance: random.Random) -> str:
    pieces = []
    for _ in range(chance.randint(1, 6)):
        alphabet = chance.choice(ALPHABETS)
        pieces.append("".join(chance.choices(alphabet, k=chance.choice((1, 3, 10, 40, 200)))))
    return chance.choice(("", " ", "\n")).join(pieces)


def _candidates(segment, text, zones):
    ids = ids_of(segment)
    there = [Zone.whole(segment.zones[zone]) for zone in sorted(zones)]
    return set(ids_at(ids, holding(there, patterns_of(text), len(ids))))


@pytest.mark.parametrize("seed", range(40))
def test_whatever_holds_a_text_is_a_candidate(seed):
    chance = random.Random(seed)
    texts = {number: [[fold(_random_text(chance))] for _ in range(3)] for number in range(1, 31)}
    indexed = [IndexedText(number, zones) for number, zones in texts.items()]
    parts = build(indexed[:10]), build(indexed[10:17])
    segment = build(indexed[17:], parts)
    for _ in range(150):
        zone = chance.choice((SHOWN, HEADER, BODY))
        source = chance.choice(list(texts.values()))[zone][0]
        begin = chance.randrange(len(source) or 1)
        needle = source[begin : begin + chance.choice((1, 2, 3, 5, 8, 30, 33, 64, 65, 90))]
        # A client's text is folded too: what does not stay as it was is another text.
        if not needle or fold(needle) != needle:
            continue
        zones = {BODY} if zone == BODY else {SHOWN} if zone == SHOWN else {SHOWN, HEADER, BODY}
        holds = {number for number, there in texts.items() if any(needle in there[one][0] for one in zones)}
        assert holds <= _candidates(segment, needle, zones), needle


def test_a_word_finds_those_that_have_it_and_few_others():
    texts = [
        IndexedText(number, [["subject"], [f"x-number: {number}"], [f"word{number} in a text"]])
        for number in range(100)
    ]
    segment = build(texts)
    assert _candidates(segment, "word42", {BODY}) == {42}
    assert _candidates(segment, "ord42", {BODY}) == {42}
    assert _candidates(segment, "word42 in a", {BODY}) == {42}
    assert _candidates(segment, "word4", {BODY}) == {4, *range(40, 50)}
    assert _candidates(segment, "word4 in", {BODY}) == {4}, "where the text goes on the word ends"
    assert _candidates(segment, " ord42", {BODY}) == set(), "behind a space a word begins"
    assert _candidates(segment, "number: 42", {SHOWN, HEADER}) == {42}
    assert _candidates(segment, "number: 42", {BODY}) == set()


def test_the_words_of_a_text_may_stand_in_several_zones_of_a_message():
    # "a: one two": what the shown field says stands there alone, though the whole line is text of the header.
    segment = build([IndexedText(1, [["one two"], ["subject: one two three"], ["nothing"]])])
    assert _candidates(segment, "subject: one two three", {SHOWN, HEADER}) == {1}


@pytest.mark.parametrize("text", ["", "a", "ab", " ", "--", "?!", "\u00e4", ". ."])
def test_too_little_says_nothing(text):
    assert patterns_of(text) == []


def test_two_letters_say_something_where_they_are_a_word():
    assert patterns_of(" to ") and patterns_of("\u6f22")
    segment = build([IndexedText(1, [[], [], ["to be"]]), IndexedText(2, [[], [], ["toe be"]])])
    assert _candidates(segment, " to ", {BODY}) == {1}


@pytest.mark.parametrize("length", [1, PIECE - 1, PIECE, PIECE + 1, 95, 96, 97, 1000])
def test_long_runs_are_cut_so_that_short_ones_stand_in_a_piece(length):
    run = "".join(random.Random(length).choices("abcdefghij", k=length))
    terms = terms_of(f"x {run} y")
    assert max(map(len, terms)) <= PIECE
    assert len(terms) <= 3 + length // OVERLAP
    for at in range(length):
        piece = run[at : at + OVERLAP].encode()
        assert any(piece in term for term in terms)


def test_work_and_room_grow_with_the_text_alone():
    assert sum(map(len, terms_of("a1" * 500_000))) <= 2 * PIECE
    text = "".join(random.Random(1).choices("abcdefghij", k=100_000))
    assert sum(map(len, terms_of(text))) <= 2 * len(text)


def test_messages_that_are_gone_are_left_out():
    before = build([IndexedText(number, [[], [], [f"word{number} all"]]) for number in range(1, 9)])
    segment = build((), (before,), frozenset({1, 4, 8}))
    assert list(ids_of(segment)) == [2, 3, 5, 6, 7]
    assert (segment.first, segment.last) == (1, 8)
    assert _candidates(segment, "all", {BODY}) == {2, 3, 5, 6, 7}
    assert b"word4" not in zstandard.ZstdDecompressor().decompress(segment.zones[BODY].terms)
    assert _candidates(segment, "word5", {BODY}) == {5}


def test_messages_that_are_not_indexed_keep_their_place():
    before = build([IndexedText(1, None), IndexedText(2, [[], [], ["two"]])])
    segment = build([IndexedText(3, None)], (before,))
    assert list(segments.numbers_of(segment.unknown, "H")) == [0, 2]
    assert list(segments.numbers_of(build((), (segment,), frozenset({2})).unknown, "H")) == [0, 1]


def test_one_message_and_nothing():
    segment = build([IndexedText(7, [[], [], []])])
    assert (segment.first, segment.last) == (7, 7)
    assert _candidates(segment, "anything", {BODY}) == set()


@pytest.mark.parametrize("part", [0, 1])
@pytest.mark.parametrize("position", [0, 5, 12, -5])
def test_a_changed_octet_is_noticed(position, part):
    zone = build([IndexedText(1, [[], [], ["some text of words"] * 3])]).zones[BODY]
    packed = bytearray(zone[part])
    packed[position] ^= 0x55
    parts = list(zone)
    parts[part] = bytes(packed)
    with pytest.raises(StoreDamaged):
        list(Zone.whole(PackedZone(*parts)).terms())


def _packed(raw):
    return zstandard.ZstdCompressor().compress(raw)


@pytest.mark.parametrize("raw", [b"", b"x"])
def test_terms_that_are_none_are_noticed(raw):
    with pytest.raises(StoreDamaged):
        Zone.whole(PackedZone(_packed(raw), b""))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"x",
        struct.pack("<I", 1),
        struct.pack("<III", 1, 1, 1) + b"x",
        struct.pack("<III", 1, 0, 1 << 31),
        struct.pack("<IIII", 2, 0, 1, 5),
    ],
)
def test_places_of_other_terms_are_noticed(raw):
    with pytest.raises(StoreDamaged):
        Zone.whole(PackedZone(_packed(struct.pack("<I", 1) + b"\nword\n"), _packed(raw))).holding(
            Pattern(b"word", False)
        )


def test_places_are_read_for_what_is_found_alone():
    def places():
        asked.append(None)
        return zone.places

    asked = []
    zone = build([IndexedText(1, [[], [], ["some words"]])]).zones[BODY]
    looked = Zone(zone.terms, places)
    assert looked.holding(Pattern(b"absent", False)) == 0 and asked == []
    assert looked.holding(Pattern(b"word", False)) == looked.holding(Pattern(b"some", False)) == 1
    assert asked == [None]


@pytest.mark.parametrize("distance", [1, 254, 255, 256, 510, 511, 999])
def test_two_messages_may_stand_far_apart(distance):
    texts = [
        IndexedText(number, [[], [], ["both" if number in (1, 1 + distance) else "none"]]) for number in range(1, 1001)
    ]
    assert _candidates(build(texts), "both", {BODY}) == {1, 1 + distance}


def test_the_first_term_of_the_next_message_is_looked_at_too():
    segment = build([IndexedText(number, [[], [], [f"word{number}"]]) for number in (1, 2, 3)])
    assert _candidates(segment, " word", {BODY}) == {1, 2, 3}


@pytest.mark.parametrize("seed", range(20))
def test_terms_stand_in_the_messages_that_have_them_however_segments_are_joined(seed):
    chance = random.Random(seed)
    count = chance.choice((1, 40, 300, 1000))
    words = {f"word{number}": chance.choice((1, 2, 3, count // 50, count // 3, count)) for number in range(30)}
    holders = {word: set(chance.sample(range(1, count + 1), k=min(many, count))) for word, many in words.items()}
    texts = [
        IndexedText(number, [[], [], [" ".join(word for word, some in holders.items() if number in some)]])
        for number in range(1, count + 1)
    ]
    cuts = sorted(chance.choices(range(count), k=4))
    pieces = [texts[begin:end] for begin, end in itertools.pairwise((0, *cuts, count)) if end > begin]
    segment = build((), [build(piece) for piece in pieces])
    gone = frozenset(chance.sample(range(1, count + 1), k=count // 3))
    for one, left_out in ((segment, frozenset()), (build((), (segment,), gone), gone)):
        for word, some in holders.items():
            assert _candidates(one, f" {word} ", {BODY}) == some - left_out


def test_what_stands_across_two_windows_is_found(monkeypatch):
    monkeypatch.setattr(segments, "_WINDOW", 97)  # no multiple of what a term takes
    words = [f"word{number:05}" for number in range(200)]
    segment = build([IndexedText(number, [[], [], [word]]) for number, word in enumerate(words, 1)])
    for number, word in enumerate(words, 1):
        assert _candidates(segment, word, {BODY}) == {number}


def test_segments_are_few_and_each_message_is_written_a_few_times():
    places: list[SegmentPlace] = []
    written = 0
    for number in range(1, 5001):
        count = tiers.merged(places, 1)
        messages = 1 + sum(place.messages for place in places[len(places) - count :])
        del places[len(places) - count :]
        places.append(SegmentPlace(number - messages + 1, number, messages, messages * 500))
        written += messages
        assert len(places) <= 3 * 6 + 5
    assert written <= 7 * 5000
    assert max(place.messages for place in places) == segments.MAX_MESSAGES


def test_large_segments_are_left_alone():
    large = [SegmentPlace(number, number, 1, segments.MAX_OCTETS) for number in range(10)]
    assert tiers.merged(large, 1) == 0
    assert tiers.merged([SegmentPlace(1, 1024, 1024, 1)] * 9, 1024) == 0
