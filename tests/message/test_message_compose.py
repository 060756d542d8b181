"""What the server writes itself: trace fields and DSNs, with hostile text in every place that takes foreign text."""

import email
import email.policy
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.message.compose import (
    date_field,
    delivered_to,
    delivery_prefix,
    message_id,
    message_id_field,
    received,
    return_path,
)
from mailnode.message.dsn import KINDS, DsnRecipient, dsn
from mailnode.message.headers import fields, header_end
from mailnode.message.scanner import scan
from mailnode.values.address import Address
from mailnode.values.envelope import CLIENT_NAME, Envelope, Origin, Recipient

SECONDS = 1795399200.0  # Mon, 23 Nov 2026 02:00:00 +0000
EVIL = "x\r\nX-Evil: 1\r\n\r\nbody\0\x7f\u2028"


def envelope(recipients=("bob@x.test",), **origin):
    origin = {"session": "s1", "protocol": "ESMTPS", "peer": "192.0.2.1", "helo": "mail.example", **origin}
    return Envelope(
        id="abc123",
        reverse_path=None,
        recipients=tuple(Recipient(Address(*address.rsplit("@", 1))) for address in recipients),
        origin=Origin(**origin),
        received_at=SECONDS,
    )


def test_received():
    line = received(envelope(tls="TLSv1.3 TLS_AES_256_GCM_SHA384"), "mx.x.test")
    assert line == (
        b"Received: from mail.example ([192.0.2.1])\r\n\tby mx.x.test with ESMTPS (TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n"
        b"\tid abc123 for <bob@x.test>;\r\n\tMon, 23 Nov 2026 02:00:00 +0000\r\n"
    )


def test_received_names_nobody_when_there_are_several():
    assert b"for" not in received(envelope(("bob@x.test", "carol@x.test")), "mx")


def test_received_peers():
    assert b"([192.0.2.1])" in received(envelope(peer="::ffff:192.0.2.1"), "mx")
    assert b"([IPv6:2001:db8::1])" in received(envelope(peer="2001:db8::1"), "mx")
    assert b"([IPv6:fe80::1])" in received(envelope(peer="fe80::1%eth0"), "mx")
    assert b"from mail.example\r\n\tby" in received(envelope(peer=""), "mx")
    assert b"from mail.example\r\n\tby" in received(envelope(peer="junk) x"), "mx")
    assert b"from unknown (" in received(envelope(helo=""), "mx")


def test_received_names_a_client_whose_name_is_verified():
    known = replace(envelope(), tags={CLIENT_NAME: "host.example.net"})
    assert b"from mail.example (host.example.net [192.0.2.1])" in received(known, "mx")
    assert b"x??X-Evil:?1" in received(replace(known, tags={CLIENT_NAME: EVIL}), "mx")
    assert b"from mail.example\r\n\tby" in received(replace(envelope(peer=""), tags=known.tags), "mx")
    assert b"from [192.0.2.9] (" in received(envelope(helo="[192.0.2.9]"), "mx")


def test_received_of_a_quoted_and_of_an_international_recipient():
    assert b'for <"a b>"@x.test>;' in received(envelope(("a b>@x.test",)), "mx")
    assert b"for <?@x.test>;" in received(envelope(("é@x.test",)), "mx")


# SMTP trap 37: in Received
@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_received_is_one_field_whatever_it_is_given(helo, protocol, tls, by, local):
    made = Envelope("i\r\nd", None, (Recipient(Address(local, "d")),), Origin("s", protocol, EVIL, helo, tls), SECONDS)
    line = received(made, by)
    found = list(fields(line))
    assert [field.name for field in found] == [b"Received"]
    assert found[0].raw == line
    assert line.isascii()
    assert line.count(b"\r\n") == 4 == line.count(b"\n") == line.count(b"\r")
    assert all(octet >= 32 or octet in b"\r\n\t" for octet in line)


def test_prefix():
    assert return_path(None) == b"Return-Path: <>\r\n"
    assert return_path(Address("a b", "c")) == b'Return-Path: <"a b"@c>\r\n'
    assert return_path(Address("é", "c")) == "Return-Path: <é@c>\r\n".encode()
    assert delivered_to("bob@x") == b"Delivered-To: bob@x\r\n"
    assert delivery_prefix(Address("a", "b"), "c@d") == b"Return-Path: <a@b>\r\nDelivered-To: c@d\r\n"


@given(st.text(max_size=60))
def test_prefix_is_two_fields_whatever_it_is_given(text):
    made = delivery_prefix(Address(text, text), text)
    assert [field.name for field in fields(made)] == [b"Return-Path", b"Delivered-To"]
    assert made.count(b"\n") == made.count(b"\r") == 2


# SMTP trap 38: one pair of brackets
def test_date_and_message_id():
    assert date_field(SECONDS) == b"Date: Mon, 23 Nov 2026 02:00:00 +0000\r\n"
    assert message_id("abc123", "mx.x.test") == "<abc123@mx.x.test>"
    assert message_id("a\r\nb>", EVIL).count("\n") == 0
    for written in ("a@b", "<a@b>", "<<a@b>>"):
        assert message_id_field(written) == b"Message-ID: <a@b>\r\n"
    assert message_id_field("a\r\nX: y") == b"Message-ID: <a  X: y>\r\n"


# DSNs

ORIGINAL = b"From: a@b.test\r\nSubject: hello\r\nMessage-ID: <orig@b.test>\r\n\r\nthe text\r\n"
HEADER = ORIGINAL[: header_end(ORIGINAL)]


def made(**changes):
    arguments = {
        "reporting_mta": "mx.x.test",
        "kind": "failed",
        "to": "a@b.test",
        "sender": "MAILER-DAEMON@mx.x.test",
        "message_id": "<dsn1@mx.x.test>",
        "date_seconds": SECONDS,
        "arrival_seconds": SECONDS - 60,
        "recipients": [
            DsnRecipient("bob@far.test", "5.1.1", remote_mta="mx.far.test", diagnostic="550 5.1.1 no such user")
        ],
        "original_header": HEADER,
        "original": ORIGINAL,
        "envid": "",
        "smtputf8": False,
    } | changes
    octets = dsn(**arguments)
    assert octets.count(b"\r\n") == octets.count(b"\n") == octets.count(b"\r")
    assert octets.endswith(b"--\r\n")
    facts = scan(octets)
    assert facts.parts[0].content_type == "multipart/report"
    assert [part.section for part in facts.parts[:4]][0:2] == ["", "1"]
    return octets


def read(octets):
    """(message, human text, groups of status fields, returned part) as the standard library sees it."""
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    text, status, returned = message.get_payload()
    return message, text.get_content(), status, returned


def status_fields(octets):
    """The delivery-status part as groups of (name, value), read by hand."""
    facts = scan(octets)
    part = next(part for part in facts.parts if part.content_type.endswith("delivery-status"))
    body = octets[part.body_start : part.end].decode().removesuffix("\r\n")
    return [[tuple(line.split(": ", 1)) for line in group.split("\r\n")] for group in body.split("\r\n\r\n")]


# SMTP trap 38: every field, and who it is from
def test_failed_dsn():
    octets = made(envid="QQ314159")
    message, text, _, returned = read(octets)
    assert message["From"] == "Mail Delivery System <MAILER-DAEMON@mx.x.test>"
    assert message["To"] == "a@b.test"
    assert message["Date"] == "Mon, 23 Nov 2026 02:00:00 +0000"
    assert message["Message-ID"] == "<dsn1@mx.x.test>"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["In-Reply-To"] == message["References"] == "<orig@b.test>"
    assert message["Subject"] == "Your message could not be delivered"
    assert "<bob@far.test>" in text and "mx.far.test said: 550 5.1.1 no such user" in text
    assert status_fields(octets) == [
        [
            ("Original-Envelope-Id", "QQ314159"),
            ("Reporting-MTA", "dns; mx.x.test"),
            ("Arrival-Date", "Mon, 23 Nov 2026 01:59:00 +0000"),
        ],
        [
            ("Final-Recipient", "rfc822; bob@far.test"),
            ("Action", "failed"),
            ("Status", "5.1.1"),
            ("Remote-MTA", "dns; mx.far.test"),
            ("Diagnostic-Code", "smtp; 550 5.1.1 no such user"),
        ],
    ]
    assert returned.get_content_type() == "message/rfc822"
    assert octets.count(ORIGINAL) == 1
    assert octets.isascii()


def test_all_recipient_fields_in_the_order_of_the_grammar():
    recipient = DsnRecipient(
        "bob@far.test",
        "4.4.1",
        original="rfc822;Robert@old.test",
        diagnostic="connection timed out",
        last_attempt=SECONDS - 1,
        retry_until=SECONDS + 1,
        log_id="abc",
    )
    octets = made(kind="delayed", recipients=[recipient, DsnRecipient("x@y", "4.0.0")])
    assert status_fields(octets)[1:] == [
        [
            ("Original-Recipient", "rfc822; Robert@old.test"),
            ("Final-Recipient", "rfc822; bob@far.test"),
            ("Action", "delayed"),
            ("Status", "4.4.1"),
            ("Diagnostic-Code", "x-mailnode; connection timed out"),
            ("Last-Attempt-Date", "Mon, 23 Nov 2026 01:59:59 +0000"),
            ("Final-Log-ID", "abc"),
            ("Will-Retry-Until", "Mon, 23 Nov 2026 02:00:01 +0000"),
        ],
        [("Final-Recipient", "rfc822; x@y"), ("Action", "delayed"), ("Status", "4.0.0")],
    ]
    assert "Will-Retry-Until" not in str(status_fields(made(recipients=[recipient])))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind(kind):
    octets = made(kind=kind, recipients=[DsnRecipient("bob@far.test", "2.0.0")])
    message, text, _, _ = read(octets)
    assert ("Action", kind) in status_fields(octets)[1]
    assert len(text.split("\n")) > 4
    assert message["Subject"].isascii()


def test_header_only():
    octets = made(original=None)
    _, _, _, returned = read(octets)
    assert returned.get_content_type() == "text/rfc822-headers"
    assert returned.get_content().encode().startswith(HEADER)
    assert b"the text" not in octets


@pytest.mark.parametrize("status", ["", "5", "5.1", "5.1.1.1", "9.1.1", "5.01.1", "5.1.1\r\nX: y", "5.1.1000"])
def test_broken_status_is_replaced(status):
    assert ("Status", "5.0.0") in status_fields(made(recipients=[DsnRecipient("x@y", status)]))[1]


def test_eight_bit_original():
    original = b"Subject: x\r\n\r\n\xe9\xff\r\n"
    octets = made(original=original, original_header=original[:14])
    assert octets.count(original) == 1
    assert not octets.isascii()  # what tells the queue to ask for 8BITMIME
    head = octets[: header_end(octets)]
    assert b"\r\nContent-Transfer-Encoding: 8bit\r\n" in head
    assert scan(octets).parts[3].encoding == "8bit"


def test_raw_eight_bit_header_returned_alone_is_seven_bit():
    header = b"Subject: \xe9\r\nX: " + b"y" * 300 + b"\r\n\r\n"
    octets = made(original=None, original_header=header)
    assert octets.isascii()
    _, _, _, returned = read(octets)
    assert returned.get_payload(decode=True).replace(b"\r\n", b"\n").startswith(header.replace(b"\r\n", b"\n"))


# SMTP trap 38: RFC 6533
def test_smtputf8_dsn():
    header = "Subject: Grüße\r\nMessage-ID: <ö@b>\r\n\r\n".encode()
    recipient = DsnRecipient("jörg@exämple.test", "5.1.1", original="utf-8;j\\x{F6}rg@x", diagnostic="550 ungültig")
    octets = made(
        smtputf8=True, to="ü@b.test", recipients=[recipient], original_header=header, original=header + b"x\r\n"
    )
    kinds = [part.content_type for part in scan(octets).parts]
    assert kinds[:4] == ["multipart/report", "text/plain", "message/global-delivery-status", "message/global"]
    assert "To: <ü@b.test>".encode() in octets
    assert status_fields(octets)[1][:2] == [
        ("Original-Recipient", "utf-8; jörg@x"),
        ("Final-Recipient", "utf-8; jörg@exämple.test"),
    ]
    assert ("Diagnostic-Code", "smtp; 550 ungültig") in status_fields(octets)[1]
    assert "In-Reply-To" not in octets.decode().split("\r\n\r\n")[0]
    alone = made(smtputf8=True, original_header=header, original=None)
    assert scan(alone).parts[3].content_type == "message/global-headers"
    assert header in alone


def test_international_dsn_over_a_seven_bit_way():
    header = "Subject: Grüße\r\n\r\n".encode()
    recipient = DsnRecipient("jörg@exämple.test", "5.1.1", original="utf-8;j\\x{F6}rg@x", diagnostic="550 ungültig")
    octets = made(recipients=[recipient], original_header=header, original=header + "tschüß\r\n".encode())
    assert octets.isascii()
    assert status_fields(octets)[1][:2] == [
        ("Original-Recipient", "utf-8; j\\x{F6}rg@x"),
        ("Final-Recipient", "utf-8; j\\x{F6}rg@ex\\x{E4}mple.test"),
    ]
    assert ("Diagnostic-Code", "smtp; 550 ung?ltig") in status_fields(octets)[1]
    part = next(part for part in scan(octets).parts if part.content_type == "message/global")
    assert part.encoding == "base64"
    import base64

    assert base64.b64decode(octets[part.body_start : part.end]) == header + "tschüß\r\n".encode()


def test_boundary_stands_nowhere_in_the_original():
    first = made()
    boundary = first.split(b'boundary="')[1].split(b'"')[0]
    body = ORIGINAL + b"--" + boundary + b"--\r\n"
    second = made(original=body)
    assert second.split(b'boundary="')[1].split(b'"')[0] != boundary
    assert len(scan(second).parts) == len(scan(first).parts)


EVERYWHERE = ["reporting_mta", "sender", "to", "message_id", "envid"]
RECIPIENT = ["final", "status", "original", "remote_mta", "diagnostic", "log_id"]


# SMTP trap 37: in notices
@pytest.mark.parametrize("utf8", [False, True])
@pytest.mark.parametrize("place", EVERYWHERE + RECIPIENT)
def test_no_foreign_text_begins_a_new_field(place, utf8):
    evil = ("rfc822;" if place == "original" else "") + EVIL
    if place in RECIPIENT:
        values = {"final": "a@b", "status": "5.0.0", place: evil}
        octets = made(smtputf8=utf8, recipients=[DsnRecipient(**values)])
    else:
        octets = made(smtputf8=utf8, **{place: evil})
    facts = scan(octets)
    assert [part.section for part in facts.parts] == ["", "1", "2", "3", "3.1"]
    assert b"\0" not in octets and b"\x7f" not in octets
    for line in octets.split(b"\r\n"):
        assert not line.startswith(b"X-Evil")
    assert {field.name for field in fields(octets)} <= {
        b"From", b"To", b"Subject", b"Date", b"Message-ID", b"Auto-Submitted", b"In-Reply-To", b"References",
        b"MIME-Version", b"Content-Type", b"Content-Transfer-Encoding",
    }  # fmt: skip
    assert len(status_fields(octets)) == 2


@pytest.mark.parametrize("header", [b"Message-ID: <a\rb@c>\r\n\r\n", b"Message-ID: <\xff@c>\r\n\r\n", b"Message-ID: x\r\n\r\n",
                                    b"\r\n", b""])  # fmt: skip
def test_no_answer_fields_for_a_strange_id(header):
    octets = made(original_header=header, original=None)
    if b"a\rb" in header:
        assert b"References: <ab@c>\r\n" in octets
    else:
        assert b"References" not in octets.split(b"\r\n\r\n")[0]


def test_long_replies_are_cut():
    octets = made(recipients=[DsnRecipient("a@b", "5.0.0", diagnostic="550 " + "x" * 100_000)])
    assert max(len(line) for line in octets.split(b"\r\n")) < 998


@pytest.mark.parametrize("changes", [{"kind": "expanded"}, {"recipients": []}, {"to": ""}])
def test_refused(changes):
    with pytest.raises(ValueError, match="DSN"):
        made(**changes)


@given(st.binary(max_size=200), st.booleans(), st.booleans())
def test_any_original_is_returned_whole(original, utf8, only_header):
    arguments = {"smtputf8": utf8, "original_header": original, "original": None if only_header else original}
    octets = dsn(
        reporting_mta="mx", kind="failed", to="a@b", sender="m@mx", message_id="<1@mx>", date_seconds=0,
        arrival_seconds=None, recipients=[DsnRecipient("c@d", "5.0.0")], envid="", **arguments,
    )  # fmt: skip
    assert scan(octets).parts[0].content_type == "multipart/report"
    assert octets.count(b"\r\n") == octets.count(b"\n") == octets.count(b"\r")
