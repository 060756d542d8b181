"""Messages with binary parts said in lines: Python's own parser must find the same octets in both."""

from __future__ import annotations

import random
from email import policy
from email.message import Message
from email.parser import BytesParser

import pytest

from mailnode.message.binary_mime import LONGEST, are_lines, to_lines

OCTETS = bytes(range(256)) * 5 + b"\r\n\r\r\n\n\0"
MIXED = (
    b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: binary\r\n"
    b"\r\nbefore\r\n--b\r\n%s\r\n--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n%s\r\n"
    b"--b--\r\nbehind\r\n"
)


def part(kind: bytes, encoding: bytes, body: bytes) -> bytes:
    return b"Content-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n%s" % (kind, encoding, body)


def leaves(data: bytes) -> list[bytes]:
    message: Message = BytesParser(policy=policy.compat32).parsebytes(data)
    return [one.get_payload(decode=True) for one in message.walk() if not one.is_multipart()]  # type: ignore[misc]


# SMTP trap 22: it is kept and sent on in lines, so that no hop needs it
@pytest.mark.parametrize(
    ("data", "contents"),
    [
        (part(b"image/png", b"binary", OCTETS), [OCTETS]),
        (part(b"text/plain", b"binary", b"a\nb\rc\0\r\n"), [b"a\nb\rc\0\r\n"]),
        (part(b"text/plain", b"binary", b"x" * 2000 + b"\r\nend\r\n"), [b"x" * 2000 + b"\r\nend\r\n"]),
        (part(b"text/plain", b"8bit", "ä\nö\r\n".encode()), ["ä\r\nö\r\n".encode()]),
        (part(b"text/plain", b"8bit", b"\0\r\n"), [b"\0\r\n"]),
        (part(b"text/plain", b"base64", b"YWJj\nZGVm\n"), [b"abcdef"]),
        (part(b"image/png", b"binary", b""), [b""]),
        (MIXED % (part(b"text/plain; charset=utf-8", b"8bit", "ä".encode()), OCTETS), ["ä".encode(), OCTETS]),
        (MIXED % (part(b"text/plain", b"7bit", b"only"), OCTETS + b"\r"), [b"only", OCTETS + b"\r"]),
        (MIXED % (part(b"message/rfc822", b"binary", part(b"image/gif", b"binary", OCTETS)), b"\0"), [OCTETS, b"\0"]),
    ],
)
def test_the_same_octets_in_lines(data: bytes, contents: list[bytes]) -> None:
    said = to_lines(data)
    assert said is not None
    assert are_lines(said)
    assert said.endswith(b"\r\n")
    assert max(map(len, said.split(b"\r\n"))) <= LONGEST
    found = leaves(said)
    assert [one.removesuffix(b"\r\n") for one in found] == [one.removesuffix(b"\r\n") for one in contents]


def test_what_is_in_lines_stays() -> None:
    data = MIXED % (part(b"text/plain; charset=utf-8", b"8bit", "ä".encode()), b"\xff\xfe")
    assert to_lines(data) == data
    assert to_lines(data.removesuffix(b"\r\n")) == data


def test_encodings_are_told() -> None:
    said = to_lines(MIXED % (part(b"text/plain", b"8bit", "ä".encode()), OCTETS)) or b""
    assert b"binary" not in said
    assert said.count(b"Content-Transfer-Encoding: base64") == 1
    assert b"boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\nbefore" in said
    alone = to_lines(MIXED % (part(b"text/plain", b"7bit", b"x"), OCTETS)) or b""
    assert alone.isascii()
    assert b"boundary=b\r\nContent-Transfer-Encoding: 7bit\r\n\r\nbefore" in alone


@pytest.mark.parametrize(
    "data",
    [
        b"Subject: x\nTo: y\n\n\0",
        part(
            b"multipart/signed; boundary=b",
            b"binary",
            b"--b\r\n" + part(b"text/plain", b"binary", OCTETS) + b"\r\n--b--\r\n",
        ),
        part(b"message/partial; id=x", b"binary", OCTETS),
        part(b"text/plain", b"base64", b"YWJj\0\r\n"),
        part(b"text/plain", b"x-own", b"a\rb\r\n"),
        MIXED % (b"Content-Type: text/plain\rX: y\r\n\r\nx", b"\0"),
        MIXED.replace(b"before", b"be\rfore") % (part(b"text/plain", b"7bit", b""), b"x"),
    ],
)
def test_what_cannot_be_said_so(data: bytes) -> None:
    assert to_lines(data) is None


def test_no_line_broken_for_its_length_looks_like_a_delimiter() -> None:
    for length in range(60, 90):
        hidden = b"a" * length + b"--b\r\nX-Evil: y\r\n\r\nno part" + b"c" * 1000
        data = MIXED % (part(b"text/plain", b"binary", b"x" * 1000 + b"\r\n" + hidden), b"\xff")
        said = to_lines(data) or b""
        assert len(leaves(said)) == 2
        assert leaves(said)[0].endswith(b"c")


def test_random_octets(seed: int = 7) -> None:
    made = random.Random(seed)
    for _ in range(300):
        octets = bytes(made.choice(b"\r\n\0-b=. \tx\xff:") for _ in range(made.randrange(200)))
        said = to_lines(MIXED % (part(b"application/x", b"binary", octets), octets[::-1]))
        assert said is None or (are_lines(said) and said.endswith(b"\r\n"))
        assert to_lines(part(b"application/x", b"binary", octets)) is not None
        anything = to_lines(octets)
        assert anything is None or are_lines(anything)
