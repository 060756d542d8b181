"""Text that others chose, in fields and bodies that this server writes."""

from email import message_from_bytes
from email.policy import SMTP, default

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailnode.errors import BadAddress
from mailnode.message.headers import fields, unfold
from mailnode.message.written_text import (
    MAX_LINE,
    MAX_TEXT,
    address_field,
    given_entity,
    longest_line,
    read_addresses,
    text_entity,
    text_field,
    thread_fields,
)
from mailnode.values.address import Address

EVIL = "x\r\nBcc: evil@x.test\r\n\r\nbody\0\x85\u2028\ud800"
ANN = Address("ann", "x.test")


def read(header):
    return message_from_bytes(header + b"\r\n", policy=default)


def test_a_text_in_ascii_stays_and_other_text_is_encoded():
    assert text_field("Subject", "=?utf-8?q?a?= b") == b"Subject: =?utf-8?q?a?= b\r\n"
    written = text_field("Subject", "Grüße " * 40)
    assert written.isascii() and longest_line(written) <= 78
    assert read(written)["Subject"] == ("Grüße " * 40).strip()
    assert read(text_field("Subject", "x" * 10_000))["Subject"].strip() == "x" * MAX_TEXT


@example("x\r\nBcc: evil@x.test\r\n\r\nbody")
@example(EVIL)
@given(st.text(max_size=300))
def test_a_text_is_one_field_in_ascii(text):
    for written in (text_field("Subject", text), address_field("To", [(text, ANN)])):
        assert [field.name for field in fields(written)] in ([b"Subject"], [b"To"])
        assert written.isascii() and written.endswith(b"\r\n") and longest_line(written) <= MAX_LINE
        assert not any(octet < 32 for octet in written.replace(b"\r\n", b"").replace(b"\t", b""))
    assert read(address_field("To", [(text, ANN)]))["To"].addresses[0].addr_spec == "ann@x.test"


@pytest.mark.parametrize("shown", ["Ann", "Ann B. (work)", 'a "b" \\c', "Jürgen Groß", "=?utf-8?q?x?=", "a, b"])
def test_names_come_out_as_they_went_in(shown):
    box = read(address_field("From", [(shown, ANN), ("", Address("b c", "y.test"))]))["From"].addresses
    assert [(one.display_name, one.addr_spec) for one in box] == [(shown, "ann@x.test"), ("", '"b c"@y.test')]


def test_a_long_name_is_folded_and_read_as_it_was():
    written = address_field("From", [("Ł" * 150, ANN)])
    assert longest_line(written) <= 78
    assert read_addresses(unfold(written).decode().removeprefix("From: ")) == (("Ł" * 150, ANN),)


def test_an_address_is_in_ascii_where_it_can_be():
    assert address_field("To", [("", Address("a", "bücher.test"))]) == b"To: <a@xn--bcher-kva.test>\r\n"
    assert address_field("To", [("", Address("ä", "x.test"))]) == "To: <ä@x.test>\r\n".encode()


def test_lists_of_addresses_are_read():
    assert read_addresses("A B <a@x.test>, =?utf-8?q?=C3=A4?= <ä@x.test>") == (
        ("A B", Address("a", "x.test")),
        ("ä", Address("ä", "x.test")),
    )
    for text in ("", "x", "a@x.test, b", "g: a@x.test;", ",".join(["a@x.test"] * 11), "a@", "<>", '"\r\n"@x.test'):
        with pytest.raises(BadAddress):
            read_addresses(text)


def test_an_answer_stands_in_its_thread():
    header = b"Message-ID: <3@x>\r\nReferences: <1@x>\r\n <2@x>\r\nIn-Reply-To: <9@x>\r\n\r\n"
    assert thread_fields(header) == b"In-Reply-To: <3@x>\r\nReferences: <1@x>\r\n\t<2@x>\r\n\t<3@x>\r\n"
    # RFC 5322 3.6.4: In-Reply-To stands for References where it has one id
    assert b"References: <1@x>\r\n\t<3@x>" in thread_fields(b"Message-ID: <3@x>\r\nIn-Reply-To: <1@x>\r\n\r\n")
    assert b"References: <3@x>\r\n" in thread_fields(b"Message-ID: <3@x>\r\nIn-Reply-To: <1@x> <2@x>\r\n\r\n")
    assert thread_fields(b"References: <1@x>\r\n\r\n") == b""
    long = b"References: " + b"".join(b"<%d@x> " % number for number in range(500)) + b"\r\nMessage-ID: <n@x>\r\n"
    assert (
        thread_fields(long).count(b"<") == 102 and b"<0@x>" in thread_fields(long) and b"<499@x>" in thread_fields(long)
    )


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("I am away.\n.\nBye", "7bit"),
        ("Viele Grüße, bis bald\r\n", "quoted-printable"),
        ("Ж" * 500, "base64"),
        ("x" * 2000, "quoted-printable"),
    ],
)
def test_a_text_is_seven_bits_and_comes_out_as_it_was(text, encoding):
    written = text_entity(text)
    assert written.isascii() and longest_line(written) <= MAX_LINE
    message = message_from_bytes(written, policy=SMTP)
    assert message["Content-Transfer-Encoding"] == encoding
    assert message.get_content().splitlines() == text.splitlines()


def test_an_entity_keeps_its_content_and_nothing_else():
    written = given_entity(
        "Content-Type: text/html;\n charset=utf-8\nBcc: a@x.test\ncontent-type: x/y\nMIME-Version: 1.0\n\n<p>Grüße"
    )
    assert written == "Content-Type: text/html; charset=utf-8\r\n\r\n<p>Grüße\r\n".encode()
    assert given_entity("no header at all") == b"\r\nno header at all\r\n"
    assert given_entity("Content-Type: text/plain") == b"Content-Type: text/plain\r\n\r\n"
    for bad in (
        "Content-Type: tëxt/plain\n\nx",
        "Content-Type: text/plain\n\n" + "x" * 999,
        f"Content-A: {'x' * 990}\n\nx",
    ):
        with pytest.raises(ValueError):
            given_entity(bad)
