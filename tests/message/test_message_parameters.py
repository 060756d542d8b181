"""Content-Type and Content-Disposition: RFC 2045 5.1, RFC 2231, and what programs write instead."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.message.parameters import (
    decode_parameter,
    parse_disposition,
    parse_media_type,
    parse_parameters,
    strip_comments,
)


def media(value):
    found = parse_media_type(value)
    return (found.type, found.subtype, dict(found.parameters)) if found else None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"text/plain", (b"text", b"plain", {})),
        (b"Text/PLAIN; Charset=US-ASCII", (b"text", b"plain", {b"charset": b"US-ASCII"})),
        (b'text/plain; charset="us-ascii"', (b"text", b"plain", {b"charset": b"us-ascii"})),
        (b"text/plain; charset=us-ascii (Plain text)", (b"text", b"plain", {b"charset": b"us-ascii"})),
        (b"(first) text / plain (then); charset = x", (b"text", b"plain", {b"charset": b"x"})),
        (b"text/plain charset=x", (b"text", b"plain", {b"charset": b"x"})),
        (b"text/plain;charset=x;", (b"text", b"plain", {b"charset": b"x"})),
        (b"text/plain;;;charset=x", (b"text", b"plain", {b"charset": b"x"})),
        (b'text/plain; a="x;y=z"; b=1', (b"text", b"plain", {b"a": b"x;y=z", b"b": b"1"})),
        (b'text/plain; a="q\\"q\\\\"', (b"text", b"plain", {b"a": b'q"q\\'})),
        (b'text/plain; a="open', (b"text", b"plain", {b"a": b"open"})),
        (b'text/plain; a="open\\', (b"text", b"plain", {b"a": b"open"})),
        (b'text/plain; a="x"junk; b=1', (b"text", b"plain", {b"a": b"x", b"b": b"1"})),
        (b"text/plain; flag; b=1", (b"text", b"plain", {b"b": b"1"})),
        (b"text/plain; =x; b=1", (b"text", b"plain", {b"b": b"1"})),
        (b"text/plain; a=", (b"text", b"plain", {b"a": b""})),
        (b"application/x; name=my file (1).pdf; x=y", (b"application", b"x", {b"name": b"my file  .pdf", b"x": b"y"})),
        (b"application/x; name=file(1).pdf", (b"application", b"x", {b"name": b"file(1).pdf"})),
        (b"application/vnd.a+xml", (b"application", b"vnd.a+xml", {})),
        (b"text", None),
        (b"text/", None),
        (b"/plain", None),
        (b"", None),
        (b'"text"/plain', None),
        (b"text/plain" + b"x" * 200, None),
    ],
)
def test_media_types(value, expected):
    assert media(value) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # RFC 2231 3, 4, 4.1
        (b'; URL*0="ftp://"; URL*1="cs.utk.edu/pub"', ((b"url", b"ftp://cs.utk.edu/pub"),)),
        (b"; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
         ((b"title*", b"us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A"),)),
        (b"; title*0*=us-ascii'en'This%20is%20even%20more%20; title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2=\"isn't it!\"",
         ((b"title*", b"us-ascii'en'This%20is%20even%20more%20%2A%2A%2Afun%2A%2A%2A%20isn%27t it!"),)),
        (b"; a*1=y; a*0=x", ((b"a", b"xy"),)),
        (b"; a*0=x; a*2=z", ((b"a", b"x"),)),
        (b"; a*1=y; a*2=z", ((b"a", b"yz"),)),
        (b"; a*0=x; a*0=y", ((b"a", b"x"),)),
        (b"; a=plain; a*0=x", ((b"a", b"plain"),)),
        (b"; a=1; A=2", ((b"a", b"1"),)),
        (b"; a*99999=x", ((b"a*99999", b"x"),)),
        (b"; *=x", ((b"*", b"x"),)),
        (b"; *0=x", ((b"*0", b"x"),)),
    ],
)  # fmt: skip
def test_sections(text, expected):
    assert parse_parameters(text) == expected


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (b"; filename=plain.txt", "plain.txt"),
        (b"; filename*=utf-8''%e2%82%ac.txt", "€.txt"),
        (b"; filename*=UTF-8'en'%e2%82%ac.txt", "€.txt"),
        (b"; filename*0*=iso-8859-1''%e9; filename*1=.txt", "é.txt"),
        (b"; filename*=%e2%82%ac", "€"),
        (b"; filename*=idna''xn--a", "xn--a"),
        (b'; filename="=?utf-8?b?4oKs?=.txt"', "€.txt"),
        ("; filename=é".encode("latin-1"), "é"),
        (b"; filename*=utf-8''%zz%", "%zz%"),
        (b"; filename*=utf-8''%00", "\ufffd"),
        (b"; other=x", ""),
    ],
)
def test_decoded(text, name):
    assert decode_parameter(parse_parameters(text), b"filename") == name


def test_disposition():
    assert parse_disposition(b"Attachment; filename=x") == (b"attachment", ((b"filename", b"x"),))
    assert parse_disposition(b"inline") == (b"inline", ())
    assert parse_disposition(b"") is None
    assert parse_disposition(b"; filename=x") is None


@pytest.mark.parametrize(
    ("value", "rest"),
    [
        (b"a (b) c", b"a   c"),
        (b"(a (nested \\) one) b) c", b"c"),
        (b'"(quoted)" (x)', b'"(quoted)"'),
        (b'"\\"(" y', b'"\\"(" y'),
        (b"a (open", b"a"),
        (b"a) b", b"a) b"),
    ],
)
def test_comments(value, rest):
    assert strip_comments(value) == rest


PIECES = [b";", b"=", b'"', b"\\", b"*", b"0", b"'", b"%", b"(", b")", b" ", b"a", b"/", b"\xff", b"\0"]


@given(st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join))
def test_any_value(value):
    parse_media_type(value)
    parse_media_type(b"a/b" + value)
    found = parse_disposition(b"a;" + value)
    assert found is not None
    for name, _ in found[1]:
        decode_parameter(found[1], name)
    assert len({name for name, _ in found[1]}) == len(found[1])


def test_the_number_of_parameters_is_bounded():
    text = b"".join(b";a%d=x" % number for number in range(10_000))
    assert len(parse_parameters(text)) == 200


@pytest.mark.parametrize(
    "piece", [b";", b"; ", b"; a", b"; a=", b'; a="', b"; a*0=x", b"(", b"(a)", b" (a)", b"\\", b'"']
)
def test_linear(piece):
    def seconds(count):
        value = b"a/b" + piece * count
        best = 1e9
        for _ in range(3):
            start = time.thread_time()
            parse_media_type(value)
            best = min(best, time.thread_time() - start)
        return best

    assert seconds(64_000) < 16 * 5 * max(seconds(4_000), 0.0005)
