"""What a text search looks into: every place of a message where somebody may remember words to stand."""

import base64
import time

import pytest

from mailnode.message.pieces import searchable, searched_pieces
from mailnode.message.scanner import scan
from mailnode.message.transfer import decode_transfer

HEAD = b"Subject: s\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n"


def texts(data: bytes, body: bool = True) -> str:
    """All that TEXT, or BODY, looks into besides the message's own header."""
    pieces = searched_pieces(scan(data).parts)
    return "\n".join(searchable(p.part, data[p.start : p.end]) for p in pieces if p.in_body or not body)


def mixed(*parts: bytes, preamble: bytes = b"", epilogue: bytes = b"") -> bytes:
    return HEAD + preamble + b"".join(b"--B\r\n" + part + b"\r\n" for part in parts) + b"--B--\r\n" + epilogue


def leaf(kind: bytes, body: bytes, encoding: bytes = b"7bit") -> bytes:
    return b"Content-Type: " + kind + b"\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        (b'Content-Type: application/pdf; name="needle.pdf"\r\n', "needle.pdf"),
        (b"Content-Disposition: attachment;\r\n filename=needle.zip\r\n", "needle.zip"),
        (b"Content-Disposition: attachment; filename*=utf-8''pr%C3%BCfung.pdf\r\n", "prüfung.pdf"),
        (b"Content-Disposition: attachment; filename*0=nee; filename*1=dle\r\n", "needle"),
        (b'Content-Type: a/b; name="=?utf-8?q?=C3=BCbung.pdf?="\r\n', "übung.pdf"),
        (b"Content-Description: =?utf-8?q?n=C3=A4h?=\r\n", "näh"),
    ],
)
def test_headers_of_parts_are_searched_by_text_and_not_by_body(fields, name):
    data = mixed(b"\r\none", b"Content-Transfer-Encoding: base64\r\n" + fields + b"\r\nAAAA")
    assert name in texts(data, body=False)
    assert name not in texts(data)
    if b"*" in fields:  # of the message itself: in its own header it stands as it was sent
        assert name in texts(fields + b"\r\nAAAA\r\n", body=False)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (mixed(b"\r\none", preamble=b"before\r\n"), "before"),
        (mixed(b"\r\none", epilogue=b"behind\r\n"), "behind"),
        (
            mixed(leaf(b"text/html", b'<p>see <a href="https://x.test/inv-4711?a=1&amp;b=2">here</a>')),
            "inv-4711?a=1&b=2",
        ),
        (mixed(leaf(b"text/html", b"<img src=cid:logo-5 alt='Our logo'>")), "cid:logo-5\nOur logo"),
        (mixed(leaf(b"message/partial; id=a; number=1", b"Subject: inside\r\n\r\nfragment")), "fragment"),
        (mixed(leaf(b"message/delivery-status", b"Status: 5.1.1")), "Status: 5.1.1"),
        (mixed(leaf(b"message/global", "Subject: für dich\r\n\r\ntief".encode())), "Subject: für dich\ntief"),
        (mixed(leaf(b"message/rfc822", b"Subject: =?utf-8?q?d=C3=BCnn?=\r\n\r\ntext")), "dünn"),
        (mixed(leaf(b"message/rfc822", b"Subject: in\r\n\r\nfirst")), "first"),
    ],
)
def test_everything_in_a_body_is_found(data, found):
    assert found in texts(data)


def test_delimiters_are_no_text():
    assert "--B" not in texts(mixed(b"\r\none", preamble=b"before\r\n", epilogue=b"behind\r\n"))
    assert texts(mixed(b"\r\none")).strip() == "one"


@pytest.mark.parametrize("encoding", [b"base64", b"quoted-printable"])
def test_a_message_in_an_encoding_is_searched_as_what_it_contains(encoding):
    inner = mixed(leaf(b"text/plain; charset=utf-8", "größer".encode()), b"Content-Type: a/b; name=file.pdf\r\n\r\n.")
    body = (
        base64.encodebytes(inner).replace(b"\n", b"\r\n")
        if encoding == b"base64"
        else inner.replace(b"=", b"=3D").replace(b"-", b"=2D")
    )
    found = texts(mixed(leaf(b"message/rfc822", body, encoding)))
    assert "größer" in found and "file.pdf" in found and "Subject: s" in found


# SMTP trap 32: base64 of base64
def test_messages_in_encodings_within_each_other_are_bounded():
    data = b"Subject: depth0\r\n\r\nx\r\n"
    for level in range(1, 8):
        data = b"Subject: depth%d\r\n" % level + leaf(b"message/rfc822", base64.encodebytes(data), b"base64") + b"\r\n"
    assert "depth4" in texts(data)
    assert "depth0" not in texts(data)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        *(("8-bit", b"=41"), ("7 bit", b"=41"), ("=?utf-8?q?8bit?=", b"=41"), ("utf-8", b"=41"), ('8bit"', b"=41")),
        *(("base-64", b"\x02"), ("quoted printable", b"A"), ("quoted_printable", b"A"), ("x-unknown", None)),
    ],
)
def test_a_misspelt_encoding_is_read_for_what_it_means(written, meant):
    assert decode_transfer(b"=41" if meant != b"\x02" else b"Ag==", written) == meant


@pytest.mark.parametrize("written", [b"8-bit", b"7 bit", b"=?utf-8?Q?8bit?=", b"utf-8", b'8bit"'])
def test_a_misspelt_encoding_hides_no_text(written):
    data = leaf(b"text/plain", b"needle\r\n", written)
    assert "needle" in texts(data)
    assert b'"8bit"' in scan(data).body or b'"7bit"' in scan(data).body


@pytest.mark.parametrize(
    "piece", [b'<a href="', b"<a href='", b"<a href=\"'", b" href=", b"<a href = ", b"<p title=x>"]
)
def test_what_html_leads_to_is_read_in_linear_time(piece):
    def seconds(count):
        part = scan(leaf(b"text/html", b"x")).parts[0]
        start = time.thread_time()
        searchable(part, b"<a " + piece * count)
        return time.thread_time() - start

    small = min(seconds(3_000) for _ in range(3))
    assert min(seconds(48_000) for _ in range(2)) < 16 * 5 * max(small, 0.0005)
