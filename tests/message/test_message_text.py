"""Text for SEARCH, and line ends of imported mail."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.message.lineends import LineEnds, to_crlf
from mailnode.message.scanner import scan
from mailnode.message.text import header_text, html_text, part_text


def text_of(header, body, limit=None):
    data = header.encode() + b"\r\n\r\n" + body
    part = scan(data).parts[0]
    raw = data[part.body_start : part.end]
    return part_text(part, raw) if limit is None else part_text(part, raw, limit)


@pytest.mark.parametrize(
    ("header", "body", "expected"),
    [
        ("X: y", b"plain", "plain"),
        ("Content-Type: text/plain; charset=iso-8859-1", b"\xe9", "é"),
        ("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64", b"w6k=", "é"),
        ("Content-Transfer-Encoding: quoted-printable", b"a=C3=A9=\r\nb", "aéb"),
        ("Content-Transfer-Encoding: x-unknown", b"abc", ""),
        ("Content-Type: text/html", b"<p>a<b>b</b></p>", "ab"),
        ("Content-Type: text/plain; charset=idna", b"abc", "abc"),
        ("Content-Type: application/pdf", b"abc", ""),
        ("Content-Type: message/rfc822", b"Subject: x\r\n\r\ny", ""),
        ("X: y", b"a\0b", "a\ufffdb"),
    ],
)
def test_part_text(header, body, expected):
    assert text_of(header, body) == expected


def test_part_text_is_bounded():
    assert text_of("X: y", b"x" * 1000, limit=10) == "x" * 10


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("", ""),
        ("plain", "plain"),
        ("a <b>bold</b> word", "a bold word"),
        ("<p>one</p><p>two</p>", "one two"),
        ("line<br>break", "line break"),
        ("in<i>side</i>out", "insideout"),
        ("<script>var a = '<p>no</p>';</script>yes", "yes"),
        ("<STYLE>p {}</sTyLe>yes", "yes"),
        ("<script>never closed", ""),
        ("a<!-- no <b> -->b", "ab"),
        ("a<!-- never closed", "a"),
        ("&lt;tag&gt; &amp; &eacute; &#233; &#xE9; &nbsp;x", "<tag> & é é é x"),
        ("&nosuch; &#0; &#x110000; &#99999999;", "&nosuch; \ufffd \ufffd &#99999999;"),
        ("&#xD800;", "\ufffd"),
        ("&amp", "&"),
        ("a < b and c > d", "a < b and c > d"),
        ("<a href='x'", ""),
        ("<p <b>x", "x"),
        ("<!DOCTYPE html><?xml?>x", "x"),
        ("a\r\n\t b", "a b"),
        ("<İ><script>x</script>y", "<İ> y"),
    ],
)
def test_html(markup, text):
    assert html_text(markup) == text


@given(
    st.lists(
        st.sampled_from(["<", ">", "!--", "-->", "script", "/script", "p", "&", "#", "x", "9", ";", " ", "İ", "\0"])
    )
)
def test_any_html(pieces):
    text = html_text("".join(pieces))
    text.encode("utf-8")
    assert "\0" not in text


@pytest.mark.parametrize(
    "piece", ["<", "<a", "<!--", "<script>", "</script>", "&", "&#", "&#9", "<a ", ">", "<script></script>", " "]
)
def test_html_is_linear(piece):
    def seconds(count):
        markup = piece * count
        best = 1e9
        for _ in range(3):
            start = time.thread_time()
            html_text(markup)
            best = min(best, time.thread_time() - start)
        return best

    assert seconds(64_000) < 16 * 5 * max(seconds(4_000), 0.0005)


def test_header_text():
    block = b"Subject: =?utf-8?q?Gr=C3=BC?=\r\n =?utf-8?q?=C3=9Fe?=\r\njunk\r\nX-Y:\tz\0\r\n\r\nbody"
    assert header_text(block) == "Subject: Grüße\njunk\nX-Y: z"


def test_header_text_has_the_lines_that_are_no_field():
    block = b" first\r\nA: b\r\n c\r\nBad name: x\r\n y\r\n=?utf-8?q?=C3=A9?= z\r\nD: e\r\nlast\r\n\r\n"
    assert header_text(block).split("\n") == ["first", "A: b c", "Bad name: x", "y", "\u00e9 z", "D: e", "last"]
    assert header_text(b"no field") == "no field" and header_text(b"\r\n") == header_text(b"") == ""


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", b""),
        (b"a\r\nb\r\n", b"a\r\nb\r\n"),
        (b"a\nb\n", b"a\r\nb\r\n"),
        (b"a\rb", b"a\rb"),
        (b"a\r", b"a\r"),
        (b"\n\r\n\r", b"\r\n\r\n\r"),
        (b"\r\r\n", b"\r\r\n"),
        (b"X-A: one\rtwo: no field\r\n", b"X-A: one\rtwo: no field\r\n"),
        (b"\n\n", b"\r\n\r\n"),
        (b"no line end", b"no line end"),
        (b"a\r\nb", b"a\r\nb"),
    ],
)
def test_line_ends(data, expected):
    assert to_crlf(data) == expected
    for size in (1, 2, 3, 100):
        ends = LineEnds()
        got = b"".join(ends.convert(data[at : at + size]) for at in range(0, len(data), size)) + ends.finish()
        assert got == closed(expected)


def closed(data):
    """What a message of these lines is: its last line ends too."""
    return data if data.endswith(b"\n") or not data else data.removesuffix(b"\r") + b"\r\n"


@given(st.lists(st.sampled_from([b"\r", b"\n", b"a", b"", b"\r\n"]), max_size=30))
def test_line_ends_do_not_depend_on_the_pieces(pieces):
    data = b"".join(pieces)
    ends = LineEnds()
    got = b"".join(ends.convert(piece) for piece in pieces) + ends.finish()
    assert got == closed(to_crlf(data))
    assert got.count(b"\r\n") == got.count(b"\n")
    assert to_crlf(got) is got or not got
    assert ends.finish() == b""
