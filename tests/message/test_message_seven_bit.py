"""Messages in 8-bit octets made ones in ASCII: Python's own parser must find the same in both."""

from __future__ import annotations

from email import policy
from email.message import Message
from email.parser import BytesParser

import pytest

from mailnode.message.seven_bit import to_seven_bit

MIXED = (
    b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n"
    b"\r\nbefore\r\n--b\r\n\r\n%s\r\n--b\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: 8bit\r\n\r\n%s\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: in\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n%s\r\n--b\r\n"
    b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nYWJj\r\n--b--\r\nbehind\r\n"
)


def leaves(message: Message) -> list[tuple[str, bytes]]:
    """Every part that has no parts, decoded."""
    return [
        (part.get_content_type(), part.get_payload(decode=True)) for part in message.walk() if not part.is_multipart()
    ]


def parsed(data: bytes) -> Message:
    """As another program reads it."""
    return BytesParser(policy=policy.compat32).parsebytes(data)


@pytest.mark.parametrize(
    "data",
    [
        b"Subject: x\r\n\r\n\xe4\xf6 = a \r\n.\r\n\tx\t\r\n" + b"y" * 2000 + b"\r\n",
        b"Subject: x\r\n\r\n" + b"\xe4" * 500 + b"\r\n",
        b"Subject: x\r\n\r\n\xe4",
        b"\r\n\xe4\r\n",
        b"Subject: x\r\nContent-Type: application/octet-stream\r\n\r\n" + bytes(range(128, 256)) * 3 + b"\r\n",
        b"Subject: x\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\n\xe4\r\n",
        MIXED % (b"\xe4 first", b"\xff\xfe" * 200, "ä and a long line ".encode() * 80),
        MIXED % (b"only ASCII", b"nothing", "ä".encode()),
    ],
)
def test_it_says_the_same_in_ascii(data: bytes) -> None:
    said = to_seven_bit(data)
    assert said is not None and said.isascii()
    assert max(map(len, said.split(b"\r\n"))) <= max(
        [78, *(len(line) for line in data.split(b"\r\n") if line.isascii())]
    )
    assert said.count(b"\n") == said.count(b"\r") == said.count(b"\r\n")
    found, before = leaves(parsed(said)), leaves(parsed(data))
    assert found == before
    assert parsed(said)["Subject"] == parsed(data)["Subject"]


def test_what_stands_between_parts_and_ascii_parts_stay_octet_by_octet() -> None:
    said = to_seven_bit(MIXED % (b"ascii", b"x", "ä".encode()))
    assert said is not None
    assert (
        b"\r\n\r\nbefore\r\n--b\r\n\r\nascii\r\n--b\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: 8bit\r\n"
        in said
    )
    assert said.endswith(b"\r\nContent-Transfer-Encoding: base64\r\n\r\nYWJj\r\n--b--\r\nbehind\r\n")


def test_ascii_is_returned_as_it_is() -> None:
    data = b"Subject: x\r\n\r\nabc\r\n"
    assert to_seven_bit(data) is data


def test_it_says_how_the_text_is_encoded_once() -> None:
    said = to_seven_bit(
        b"Content-Transfer-Encoding: 8bit\r\nContent-Type: text/plain; charset=utf-8\r\nMIME-Version: 1.0\r\n\r\n\xc3\xa4\r\n"
    )
    assert said == (
        b"Content-Type: text/plain; charset=utf-8\r\nMIME-Version: 1.0\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A4\r\n"
    )


def test_a_message_of_a_digest_stays_a_message() -> None:
    digest = b"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: x\r\n\r\n\xc3\xa9\r\n--b--\r\n"
    said = to_seven_bit(digest)
    assert said is not None
    types = [part.get_content_type() for part in parsed(said).walk()]
    assert types == ["multipart/digest", "message/rfc822", "text/plain"]


@pytest.mark.parametrize(
    "data",
    [
        b"Subject: \xe4\r\n\r\nx\r\n",
        b"\xe4\r\n",
        b"Subject: x\r\nContent-Transfer-Encoding: base64\r\n\r\n\xe4\r\n",
        b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\xe4\r\n",
        b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\xe4\r\n--b\r\n\r\nx\r\n--b--\r\n",
        b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n\xe4\r\n",
        b"Subject: x\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n\xe4\r\n--b--\r\n",
        b"Subject: x\r\nContent-Type: message/partial; id=a; number=1\r\n\r\n\xe4\r\n",
        b"".join(b"Content-Type: message/rfc822\r\n\r\n" for _ in range(150)) + b"Subject: x\r\n\r\n\xe4\r\n",
    ],
)
def test_what_cannot_be_said_in_ascii_is_left_alone(data: bytes) -> None:
    assert to_seven_bit(data) is None
