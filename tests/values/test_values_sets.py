"""Number sets, flags, ids, mailbox names."""

import os
import re
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.errors import BadMailboxName
from mailnode.values import flags
from mailnode.values.flags import KeywordTable, system_flag
from mailnode.values.ids import new_id, session_id
from mailnode.values.mailbox_name import mailbox_name, split
from mailnode.values.sets import STAR, SeqSet, UidSet, compress, compressed, merge, select

# Sets


@pytest.mark.parametrize(
    ("ranges", "largest", "spans"),
    [
        (((1, 1),), 5, ((1, 1),)),
        (((4, 2),), 5, ((2, 4),)),
        (((1, 2), (3, 4)), 9, ((1, 4),)),
        (((5, 6), (1, 2), (2, 3)), 9, ((1, 3), (5, 6))),
        (((2, STAR),), 5, ((2, 5),)),
        (((STAR, 2),), 5, ((2, 5),)),
        (((9, STAR),), 5, ((5, 9),)),  # n:* beyond the end holds the last message
        (((STAR, STAR),), 5, ((5, 5),)),
        (((STAR, STAR),), 0, ()),
        (((1, STAR),), 0, ()),
        (((1, 4294967295),) * 10_000, 3, ((1, 4294967295),)),
        ((), 3, ()),
    ],
)
def test_concrete(ranges, largest, spans):
    assert SeqSet(ranges).concrete(largest) == spans
    assert UidSet(ranges).concrete(largest) == spans


def test_the_two_kinds_are_not_equal():
    assert SeqSet(((1, 2),)) != UidSet(((1, 2),))


SPANS = st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)).map(lambda pair: (min(pair), max(pair))))


@given(SPANS, st.sets(st.integers(1, 30)))
def test_merge_and_select(spans, numbers):
    merged = merge(spans)
    covered = {number for low, high in spans for number in range(low, high + 1)}
    assert {number for low, high in merged for number in range(low, high + 1)} == covered
    assert all(b[0] > a[1] + 1 for a, b in pairwise(merged))
    assert select(sorted(numbers), merged) == sorted(numbers & covered)


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([], ""),
        ([1], "1"),
        ([1, 2, 3], "1:3"),
        ([1, 3, 4], "1,3:4"),
        ([3, 2, 1], "3,2,1"),
        ([5, 6, 1, 2], "5:6,1:2"),
        ([2, 2], "2,2"),
    ],
)
def test_compress(numbers, text):
    assert compress(numbers) == text


@given(st.lists(st.integers(1, 20)))
def test_compress_keeps_the_order(numbers):
    expanded = []
    for run in filter(None, compress(numbers).split(",")):
        low, _, high = run.partition(":")
        expanded += range(int(low), int(high or low) + 1)
    assert expanded == numbers


def test_what_is_compressed_in_parts_is_the_same():
    numbers = [1, 2, 3, 4, 9, 10, 3, 4]
    for at in range(len(numbers) + 1):
        assert "".join(compressed((numbers[:at], [], numbers[at:]))) == "1:4,9:10,3:4"


# Flags


def test_system_flags():
    assert system_flag("\\SEEN") == flags.SEEN
    assert system_flag("\\Recent") is None
    assert system_flag("Seen") is None
    assert sum(flags.SYSTEM_FLAGS.values()) == flags.SYSTEM_MASK


def test_flags_by_their_names():
    names = ["\\seen", "Work", "\\Flagged", "WORK", "\\Recent", "a b", "k" * 101, "play", "\\SEEN"]
    assert flags.split_flags(names) == (flags.SEEN | flags.FLAGGED, ("Work", "play"))
    assert flags.split_flags([]) == (0, ())


def test_keywords():
    table = KeywordTable(("$Forwarded", "Work"))
    assert table.bit("$forwarded") == 1 << 8
    assert table.bit("WORK") == 1 << 9
    assert table.bit("other") is None
    assert table.flag_names(flags.SEEN | flags.DRAFT | 1 << 9) == ("\\Seen", "\\Draft", "Work")
    assert table.flag_names(0) == ()
    assert not table.full


def test_the_last_keyword_fits_a_signed_64_bit_integer():
    table = KeywordTable(tuple(f"k{number}" for number in range(flags.MAX_KEYWORDS)))
    assert table.full
    bit = table.bit(f"k{flags.MAX_KEYWORDS - 1}")
    assert bit == 1 << 62
    assert bit | flags.SYSTEM_MASK < 1 << 63
    assert table.flag_names(bit) == (f"k{flags.MAX_KEYWORDS - 1}",)


# Ids


def test_ids_sort_by_time_and_differ():
    moments = [0.0, 1.0, 1.5, 1795399200.0, 1795399200.5, 4102444800.0]
    ids = [new_id(moment) for moment in moments]
    assert ids == sorted(ids)
    assert all(re.fullmatch("[0-9a-z]{20}", made) for made in ids)
    assert len({new_id(1.0) for _ in range(1000)}) == 1000
    assert len({new_id(1.0)[:10] for _ in range(10)}) == 1


def test_session_ids():
    made = {session_id() for _ in range(1000)}
    assert len(made) == 1000
    assert all(re.fullmatch("[0-9a-z]{12}", one) for one in made)


def test_a_forked_process_makes_other_ids():
    session_id()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, session_id().encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 100).decode() != session_id()
    os.close(reading)
    os.close(writing)


# Mailbox names


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("INBOX", "INBOX"),
        ("inbox", "INBOX"),
        ("InBoX/sub", "INBOX/sub"),
        ("sub/inbox", "sub/inbox"),
        ("inboxes", "inboxes"),
        ("ınbox", "ınbox"),  # a dotless i is another letter, though its capital is I
        ("a/", "a"),
        ("a/b/", "a/b"),
        ("e\u0301", "é"),
        (" a ", " a "),
        ('*%"\\]~', '*%"\\]~'),
        ("x" * 255, "x" * 255),
        ("a/" * 31 + "a", "a/" * 31 + "a"),
        ("日本", "日本"),
    ],
)
def test_mailbox_names(text, name):
    assert mailbox_name(text) == name
    assert mailbox_name(name) == name


@pytest.mark.parametrize(
    "text",
    ["", "/", "//", "a//b", "/a", "a//", "a\0", "a\n", "a\x7f", "a\x85", "\u2028", "\u2029", "\ud800", "x" * 256, "é" * 128,
     "a/" * 32 + "a"],
)  # fmt: skip
def test_refused_mailbox_names(text):
    with pytest.raises(BadMailboxName):
        mailbox_name(text)


@given(st.text(max_size=100))
def test_any_name_is_canonical_or_refused(text):
    try:
        name = mailbox_name(text)
    except BadMailboxName:
        return
    assert mailbox_name(name) == name
    assert unicodedata.is_normalized("NFC", name)
    assert all(split(name))
    name.encode("utf-8")
