"""Header blocks: fields, ends, edits, repairs."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.message import headers
from mailnode.message.headers import (
    field_names,
    fields,
    first,
    header_end,
    insert_on_top,
    remove,
    repair,
    unfold,
)


@pytest.mark.parametrize(
    ("data", "end"),
    [
        (b"", -1),
        (b"A: b\r\n", -1),
        (b"A: b\r\n\r", -1),
        (b"A: b\r\n\r\n", 8),
        (b"A: b\r\n\r\nbody\r\n\r\n", 8),
        (b"\r\nbody", 2),
        (b"A: b\n\nbody", -1),
        (b"A: b\r\rbody", -1),
        (b"A: b\r\n \r\nB: c\r\n\r\n", 17),
    ],
)
def test_header_end(data, end):
    assert header_end(data) == end
    # a growing buffer, asked again with what is known not to hold it
    for size in range(len(data) + 1):
        known = size if header_end(data[:size]) < 0 else 0
        assert header_end(data, known) == end


def test_fields_and_offsets():
    block = b"A: one\r\nB:two\r\n  more\r\nC : three\r\njunk\r\nd:\r\n\r\nE: body"
    found = list(fields(block))
    assert [field.name for field in found] == [b"A", b"B", b"C", b"d"]
    assert [field.value for field in found] == [b"one", b"two  more", b"three", b""]
    assert [block[field.start : field.end] for field in found] == [field.raw for field in found]
    assert found[1].raw == b"B:two\r\n  more\r\n"
    assert found[0].is_named(b"a")
    assert not found[0].is_named(b"b")


@pytest.mark.parametrize(
    ("block", "names"),
    [
        (b"From someone Mon Jan 1\r\nSubject: x\r\n\r\n", [b"Subject"]),
        (b">From someone Mon Jan 1 10:00:00\r\nSubject: x\r\n\r\n", [b"Subject"]),
        (b" leading space\r\nSubject: x\r\n\r\n", [b"Subject"]),
        (b"\tleading: tab\r\nSubject: x", [b"Subject"]),
        (b"no colon\r\n continued\r\nSubject: x\r\n", [b"Subject"]),
        (b": no name\r\nSubject: x\r\n", [b"Subject"]),
        (b"na me: x\r\nSubject: x\r\n", [b"Subject"]),
        (b"n\xe9: x\r\nSubject: x\r\n", [b"Subject"]),
        (b"Subject: x\nFrom: hidden\r\nTo: y\r\n", [b"Subject", b"To"]),
        (b"Subject: x\rFrom: hidden\r\nTo: y\r\n", [b"Subject", b"To"]),
        (b"", []),
        (b"\r\nSubject: x", []),
    ],
)
def test_broken_lines_are_passed_over_and_nothing_after_them_is_missed(block, names):
    assert [field.name for field in fields(block)] == names


def test_values():
    block = b"X: 1\r\nY: 2\r\nx : 3\r\n 4\r\n\r\n"
    assert first(block, b"x") == b"1"
    assert first(block.removeprefix(b"X: 1\r\n"), b"X") == b"3 4"
    assert first(block, b"z") is None


def test_unfold():
    assert unfold(b" a\r\n b\r\n\tc\td\r\n") == b"a b c d"
    assert unfold(b"a\0b\rc\nd") == b"a b c d"


@given(st.binary(max_size=300))
def test_any_block(block):
    end = 0
    for field in fields(block):
        assert field.start >= end
        assert field.end > field.start
        end = field.end
        assert b"\r\n" not in field.value


def test_remove():
    block = b"From x\r\nBcc: a\r\n b\r\nTo: c\r\nBCC : d\r\nX: e\r\n\r\n"
    assert remove(block, [b"bcc"]) == b"From x\r\nTo: c\r\nX: e\r\n\r\n"
    assert remove(block, [b"nope"]) == block
    assert (
        remove(block, [b"Bcc"], when=lambda field: b"d" in field.value)
        == b"From x\r\nBcc: a\r\n b\r\nTo: c\r\nX: e\r\n\r\n"
    )
    assert remove(b"Bcc: last", [b"Bcc"]) == b""


def test_insert_on_top():
    assert insert_on_top(b"B: 1\r\n\r\n", [b"A: x\r\n\ty\r\n", b"C: z\r\n"]) == b"A: x\r\n\ty\r\nC: z\r\nB: 1\r\n\r\n"


@pytest.mark.parametrize("line", [b"", b"A: x", b"A: x\r\nB: y\r\n", b"A: x\r\n\r\n", b"no field\r\n", b" A: x\r\n"])
def test_insert_refuses_what_is_not_one_field(line):
    with pytest.raises(ValueError, match="field"):
        insert_on_top(b"\r\n", [line])


@pytest.mark.parametrize(
    ("block", "repaired"),
    [
        (b"A: b\r\n\r\n", b"A: b\r\n\r\n"),
        (b"\r\n", b"\r\n"),
        (b"", b"\r\n"),
        (b"A: b\r\n", b"A: b\r\n\r\n"),
        (b"A: b", b"A: b\r\n\r\n"),
        (b"From me Mon Jan 1\r\nA: b\r\n\r\n", b"X-Mailbox-Line: From me Mon Jan 1\r\nA: b\r\n\r\n"),
        (b">From me\r\nA: b\r\n\r\n", b"X-Mailbox-Line: >From me\r\nA: b\r\n\r\n"),
        (b" indented\r\nA: b\r\n\r\n", b"\r\n indented\r\nA: b\r\n\r\n"),
        (b"A: b\r\nhello world\r\nB: c\r\n\r\n", b"A: b\r\n\r\nhello world\r\nB: c\r\n\r\n"),
        (b"hello\r\n", b"\r\nhello\r\n"),
        (b"From: x\r\n\r\n", b"From: x\r\n\r\n"),
    ],
)
def test_repair(block, repaired):
    assert repair(block) == repaired
    assert repair(repaired) == repaired
    whole = insert_on_top(repaired, [b"Received: us\r\n"])
    assert next(fields(whole)).value == b"us"


# SMTP trap 7: what follows a broken line is no field
@given(st.lists(st.sampled_from([b"A: b", b" ", b"\r\n", b"x", b"From ", b"\t", b":", b"\r", b"\n"]), max_size=12))
def test_a_field_put_on_a_repaired_block_stays_itself(tokens):
    block = b"".join(tokens)
    whole = insert_on_top(repair(block), [b"Received: us\r\n"])
    assert next(fields(whole)).raw == b"Received: us\r\n"
    assert header_end(whole) >= 0


TOKENS = [b"A: b", b"c\t:d", b"\r\n", b"\r\n ", b"\r\n\t", b"X", b"From ", b":", b"\r", b"\n"]


@given(st.lists(st.sampled_from(TOKENS), max_size=16))
def test_the_names_of_a_repaired_block(tokens):
    block = repair(b"".join(tokens))
    block = block[: header_end(block)]
    assert field_names(block) == [field.name.lower() for field in fields(block)]


@pytest.mark.parametrize("lines", [0, 1, *range(998, 1003), *range(1998, 2003), 50_000])
@pytest.mark.parametrize("line", [b"\r\n ", b"\r\n\tb", b"\r", b"\rb"])
def test_a_field_of_many_lines_is_one_field(line, lines):
    block = b"A: x" + line * lines + b"\r\nB: y\r\n\r\n"
    assert [(field.name, len(field.raw)) for field in fields(block)] == [(b"A", 6 + len(line) * lines), (b"B", 6)]
    assert [len(field.raw) for field in fields(block[:-10])] == [4 + len(line) * lines]
    assert repair(block) == block
    assert field_names(block) == [b"a", b"b"]


@pytest.mark.parametrize("line", [b" \r\n", b"a\r\n", b"a:\r\n", b"\r", b"a :"])
def test_linear(line):
    def seconds(block):
        start = time.thread_time()
        for _ in headers.scan_fields(block):
            pass
        remove(block, [b"a"])
        field_names(repair(block))
        return time.thread_time() - start

    small = min(seconds(b"A: b\r\n" + line * 5_000) for _ in range(3))
    assert min(seconds(b"A: b\r\n" + line * 80_000) for _ in range(3)) < 16 * 5 * max(small, 0.0005)
