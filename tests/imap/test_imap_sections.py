"""Sections as octets: numbering, partials, header fields (RFC 3501 6.4.5)."""

import time

import pytest

from mailnode.imap.messages.fetch_items import Section
from mailnode.imap.messages.sections import FieldIndex, Slice, field_selector, from_kept_fields, locate
from mailnode.message.scanner import scan
from mailnode.values.facts import Part

PREFIX = b"Return-Path: <a@b>\r\n"


def part(section: str, kind: str, start: int, body: int, end: int) -> Part:
    return Part(section, kind, start, body, end, 0, "text/plain", "", "7bit")


class Built:
    """A message put together from pieces, so that each offset is known."""

    def __init__(self) -> None:
        self.text = b""
        self.parts: list[Part] = []

    def add(self, data: bytes) -> int:
        self.text += data
        return len(self.text)


def nested() -> Built:
    """multipart: 1 text; 2 rfc822 holding a multipart (2.1 text, 2.2 rfc822 holding a leaf); 3 rfc822 with a leaf."""
    b = Built()
    b.parts.append(part("", "multipart", 0, b.add(b"Subject: outer\r\n\r\n"), 0))
    b.add(b"--A\r\n")
    s, h = len(b.text), b.add(b"Content-Type: text/plain\r\n\r\n")
    b.parts.append(part("1", "leaf", s, h, b.add(b"one")))
    b.add(b"\r\n--A\r\n")
    s, h = len(b.text), b.add(b"Content-Type: message/rfc822\r\n\r\n")
    outer2, at2 = (s, h), len(b.parts)
    ih = b.add(b"Subject: inner\r\nX: y\r\n\r\n")
    b.add(b"--B\r\n")
    s, lh = len(b.text), b.add(b"X-Part: 2.1\r\n\r\n")
    inner = [part("2.1", "leaf", s, lh, b.add(b"two one"))]
    b.add(b"\r\n--B\r\n")
    s, h2 = len(b.text), b.add(b"X-Part: 2.2\r\n\r\n")
    dh = b.add(b"Subject: deep\r\n\r\n")
    end = b.add(b"deep body")
    inner += [part("2.2", "message", s, h2, end), part("2.2.1", "leaf", h2, dh, end)]
    end = b.add(b"\r\n--B--\r\n")
    b.parts[at2:] = [part("2", "message", *outer2, end), part("2.TEXT", "multipart", outer2[1], ih, end), *inner]
    b.add(b"\r\n--A\r\n")
    s, h = len(b.text), b.add(b"X-Part: 3\r\n\r\n")
    ih = b.add(b"Subject: leaf\r\n\r\n")
    end = b.add(b"leaf body")
    b.parts += [part("3", "message", s, h, end), part("3.1", "leaf", h, ih, end)]
    end = b.add(b"\r\n--A--\r\n")
    b.parts[0] = part("", "multipart", 0, b.parts[0].body_start, end)
    return b


def octets(built: Built, section: Section) -> bytes | None:
    found = locate(built.parts, PREFIX, section)
    if found is None:
        return None
    data = found.head + built.text[found.start : found.end]
    assert len(data) == found.size
    return data


CASES = [
    ((), "", None),
    ((), "HEADER", PREFIX + b"Subject: outer\r\n\r\n"),
    ((1,), "", b"one"),
    ((1,), "MIME", b"Content-Type: text/plain\r\n\r\n"),
    ((1,), "TEXT", "nil"),
    ((2,), "MIME", b"Content-Type: message/rfc822\r\n\r\n"),
    ((2,), "HEADER", b"Subject: inner\r\nX: y\r\n\r\n"),
    ((2, 1), "", b"two one"),
    ((2, 1), "MIME", b"X-Part: 2.1\r\n\r\n"),
    ((2, 2), "", b"Subject: deep\r\n\r\ndeep body"),
    ((2, 2), "HEADER", b"Subject: deep\r\n\r\n"),
    ((2, 2), "TEXT", b"deep body"),
    ((2, 2, 1), "", b"deep body"),
    ((2, 2, 2), "", "nil"),
    ((3,), "HEADER", b"Subject: leaf\r\n\r\n"),
    ((3,), "TEXT", b"leaf body"),
    ((3, 1), "", b"leaf body"),
    ((3, 1), "MIME", b"Subject: leaf\r\n\r\n"),
    ((3, 1), "HEADER", "nil"),
    ((4,), "", "nil"),
    ((4,), "MIME", "nil"),
]


# IMAP trap 32: parts within parts
@pytest.mark.parametrize(("numbers", "text", "expected"), CASES)
def test_numbering(numbers: tuple[int, ...], text: str, expected: bytes | str | None) -> None:
    built = nested()
    if expected is None:
        expected = PREFIX + built.text
    assert octets(built, Section(numbers, text)) == (None if expected == "nil" else expected)


# IMAP trap 32: messages that hold multiparts
def test_text_of_messages_that_hold_multiparts() -> None:
    built = nested()
    assert octets(built, Section((), "TEXT")) == built.text[len(b"Subject: outer\r\n\r\n") :]
    inner = octets(built, Section((2,), ""))
    header, text = octets(built, Section((2,), "HEADER")), octets(built, Section((2,), "TEXT"))
    assert header is not None and text is not None and inner == header + text
    assert text.startswith(b"--B\r\n") and text.endswith(b"--B--\r\n")


# IMAP trap 32: of one part
def test_one_part_message_is_its_own_part_one() -> None:
    built = Built()
    body = built.add(b"Subject: s\r\n\r\n")
    built.parts = [part("", "leaf", 0, body, built.add(b"body"))]
    assert octets(built, Section((1,), "")) == b"body"
    assert octets(built, Section((1,), "MIME")) == PREFIX + b"Subject: s\r\n\r\n"
    assert octets(built, Section((1,), "HEADER")) is None
    assert octets(built, Section((2,), "")) is None
    assert octets(built, Section((1, 1), "")) is None


def test_whole_message_of_type_rfc822() -> None:
    built = Built()
    body = built.add(b"Content-Type: message/rfc822\r\n\r\n")
    inner = built.add(b"Subject: in\r\n\r\n")
    end = built.add(b"text")
    built.parts = [part("", "message", 0, body, end), part("1.1", "leaf", body, inner, end)]
    assert octets(built, Section((1,), "HEADER")) == b"Subject: in\r\n\r\n"
    assert octets(built, Section((1,), "TEXT")) == b"text"
    assert octets(built, Section((1, 1), "")) == b"text"
    assert octets(built, Section((1,), "")) == b"Subject: in\r\n\r\ntext"


@pytest.mark.parametrize("step", [1, 2, 3, 7, 100])
def test_a_walk_of_partials_is_the_whole(step: int) -> None:
    whole = Slice(b"head", 10, 23)
    blob = bytes(range(50))
    data = b"head" + blob[10:23]
    walked = b""
    for origin in range(0, len(data), step):
        piece = whole.cut(origin, step)
        octets = piece.head + blob[piece.start : piece.end]
        assert len(octets) == piece.size <= step
        walked += octets
    assert walked == data
    assert whole.cut(len(data), 5).size == 0
    assert whole.cut(len(data) + 2**32, 5).size == 0
    assert whole.cut(2, 2**40).size == len(data) - 2


HEADER = (
    b"Received: one\r\n\ttwo\r\nSubject: a\r\n folded\r\n\tagain\r\nSUBJECT : second\r\nX-Subject: no\r\n"
    b"not a field\r\nTo: b\r\n\r\n"
)


# IMAP trap 31: order, folding, duplicates
@pytest.mark.parametrize(
    ("text", "names", "expected"),
    [
        ("HEADER.FIELDS", (b"subject",), b"Subject: a\r\n folded\r\n\tagain\r\nSUBJECT : second\r\n\r\n"),
        ("HEADER.FIELDS", (b"TO", b"Received"), b"Received: one\r\n\ttwo\r\nTo: b\r\n\r\n"),
        ("HEADER.FIELDS", (b"X-Sub", b"X.Subject", b"folded"), b"\r\n"),
        (
            "HEADER.FIELDS.NOT",
            (b"Received", b"SUBJECT"),
            b"X-Subject: no\r\nnot a field\r\nTo: b\r\n\r\n",
        ),
        ("HEADER.FIELDS.NOT", (b"x-nothing",), HEADER),
        ("HEADER.FIELDS.NOT", (b"received", b"subject", b"x-subject", b"to"), b"not a field\r\n\r\n"),
    ],
)
def test_fields(text: str, names: tuple[bytes, ...], expected: bytes) -> None:
    assert field_selector(Section((), text, names))(HEADER) == expected
    assert chosen(HEADER, text, names) == expected


def chosen(header: bytes, text: str, names: tuple[bytes, ...], step: int = 2) -> bytes:
    index = FieldIndex(header)
    while index.scan(step):
        pass
    return index.choose(Section((), text, names))


def test_only_crlf_ends_a_field() -> None:
    header = b"Subject: a\nTo: inside\rCc: inside\r\nTo: b\r\n\r\n"
    assert field_selector(Section((), "HEADER.FIELDS", (b"to", b"cc")))(header) == b"To: b\r\n\r\n"
    assert field_selector(Section((), "HEADER.FIELDS.NOT", (b"subject",)))(header) == b"To: b\r\n\r\n"


def test_fields_of_a_header_without_end() -> None:
    for header in (b"To: x", b"To: x\r\n", b"Cc: y\r\nTo: x\r\n", b"To: x\r\nCc: y"):
        assert field_selector(Section((), "HEADER.FIELDS", (b"to",)))(header) == b"To: x\r\n"
        assert field_selector(Section((), "HEADER.FIELDS.NOT", (b"cc",)))(header) == b"To: x\r\n"
        assert field_selector(Section((), "HEADER.FIELDS", (b"to",)))(header.rstrip() + b"\r\n\r\n") == b"To: x\r\n\r\n"
    assert field_selector(Section((), "HEADER.FIELDS", (b"bcc",)))(b"To: x\r\n") == b"\r\n"
    assert field_selector(Section((), "HEADER.FIELDS", (b"to",)))(b"") == b"\r\n"


def test_fields_of_an_index_are_those_of_a_look_at_the_header() -> None:
    for header in (
        HEADER,
        b"",
        b"\r\n",
        b"To: x",
        b"Cc: y\r\nTo: x\r\n",
        b"To: x\r\nno field\r\nto: z\r\nCc: y",
        b"x\r\n\r\n",
    ):
        for text in ("HEADER.FIELDS", "HEADER.FIELDS.NOT"):
            for names in (
                (b"to",),
                (b"Cc", b"TO", b"cc"),
                (b"subject", b"x-nothing"),
                (b"received", b"to", b"subject"),
            ):
                for step in (1, 2, 1000):
                    assert chosen(header, text, names, step) == field_selector(Section((), text, names))(header)


def test_hundreds_of_choices_from_one_header_look_through_it_once() -> None:
    header = b"".join(b"X-Field-%d: %d\r\n" % (number, number) for number in range(20_000)) + b"\r\n"
    index = FieldIndex(header)
    while index.scan(1000):
        pass
    begin = time.process_time()
    for number in range(900):
        assert index.choose(Section((), "HEADER.FIELDS", (b"x-field-%d" % number,))) == b"X-Field-%d: %d\r\n\r\n" % (
            number,
            number,
        )
    assert time.process_time() - begin < 1


def test_fields_are_chosen_in_linear_time() -> None:
    header = b"Subject: x\r\n" + b" \r\n" * 200_000 + b"A" * 500_000 + b"\r\n\r\n"
    for text in ("HEADER.FIELDS", "HEADER.FIELDS.NOT"):
        select = field_selector(Section((), text, (b"subject", b"aaaa")))
        assert len(select(header)) > 500_000


def test_kept_fields_have_a_blank_line_when_the_message_has() -> None:
    for blob, expected in [(b"To: x\r\nX: y\r\n\r\n", b"To: x\r\n\r\n"), (b"To: x\r\nX: y\r\n", b"To: x\r\n")]:
        section = Section((), "HEADER.FIELDS", (b"to",))
        assert field_selector(section, kept=True)(scan(blob).fields) == field_selector(section)(blob) == expected


def test_kept_fields() -> None:
    assert from_kept_fields(Section((), "HEADER.FIELDS", (b"From", b"SUBJECT")))
    assert not from_kept_fields(Section((), "HEADER.FIELDS", (b"From", b"X-Other")))
    assert not from_kept_fields(Section((), "HEADER.FIELDS.NOT", (b"From",)))
    assert not from_kept_fields(Section((1,), "HEADER.FIELDS", (b"From",)))
