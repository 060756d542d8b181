"""Signatures: the examples of the RFCs, forms of header and body, and a verifier that is not ours."""

import hashlib
from base64 import b64decode, b64encode
from dataclasses import replace

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from mailnode.message.dkim import MAX_SAME, BodyHash, SigningKey, load, signatures, signed_data, signed_names
from mailnode.message.dkim_keys import make_pair
from mailnode.message.headers import header_end

NOW = 1_700_000_000.0
PAIR = make_pair("example.org", "active", NOW)
KEYS = load(reversed(PAIR))
RECORDS = {f"{name}.".encode(): text.encode() for name, text in (key.record for key in PAIR)}

# RFC 8463 A
MESSAGE = b"""From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.

""".replace(b"\n", b"\r\n")
FIELD = b"""DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=""".replace(b"\n", b"\r\n")
SIGNATURE = "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw=="


def body_hash(*pieces):
    found = BodyHash()
    for piece in pieces:
        found.update(piece)
    return found.digest()


def sha256(data):
    return hashlib.sha256(data).digest()


def split(message):
    end = header_end(message)
    return message[:end], message[end:]


def signed(message, keys=KEYS):
    header, body = split(message)
    return signatures(header, body_hash(body), keys, NOW) + message


def verdicts(message, records=RECORDS):
    """Whether dkimpy verifies each signature, from the top."""
    count = message.count(b"DKIM-Signature:")
    return [verifies(message, index, records) for index in range(count)]


def verifies(message, index, records):
    try:
        return dkim.DKIM(message).verify(idx=index, dnsfunc=lambda name, timeout=5: records.get(name))
    except dkim.ValidationError:  # the body is another
        return False


def test_the_example_of_rfc_8463():
    header, body = split(MESSAGE)
    assert b64encode(body_hash(body)) == b"2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8="
    secret = Ed25519PrivateKey.from_private_bytes(b64decode("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="))
    key = SigningKey("football.example.com", "brisbane", secret)
    names = ("from", "to", "subject", "date", "message-id", "from", "subject", "date")
    assert b64encode(key.sign(signed_data(header, names, FIELD))).decode() == SIGNATURE


def test_the_forms_of_rfc_6376():
    """Its 3.4.5: `` C <SP><CRLF>D <SP><TAB><SP> E<CRLF><CRLF><CRLF>`` below two fields."""
    header = b"A: X\r\nB : Y\t\r\n\tZ  \r\n\r\n"
    assert signed_data(header, ("a", "b"), b"S: b=") == b"a:X\r\nb:Y Z\r\ns:b="
    assert body_hash(b" C \r\nD \t E\r\n\r\n\r\n") == sha256(b" C\r\nD E\r\n")


@pytest.mark.parametrize(
    ("body", "form"),
    [
        (b"", b""),
        (b"\r\n\r\n", b""),
        (b" \t\r\n \r\n", b""),
        (b"  ", b""),
        (b"a", b"a\r\n"),
        (b"a  ", b"a\r\n"),
        (b"\r\n\r\na\t\t\r\n\r\n", b"\r\n\r\na\r\n"),
        (b"a\r\n\r\n\r\nb\r\n", b"a\r\n\r\n\r\nb\r\n"),
        (b"a" + b"\r\n" * 100_000 + b"b", b"a" + b"\r\n" * 100_000 + b"b\r\n"),
    ],
)
def test_forms_of_bodies(body, form):
    assert body_hash(body) == sha256(form)


@given(st.lists(st.sampled_from([b" ", b"\t", b"\r\n", b"x", b"  y"]), max_size=12), st.data())
def test_a_body_may_come_in_any_pieces(parts, data):
    body = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=4)))
    pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert body_hash(*pieces) == body_hash(body)


# SMTP trap 48: either of two
@pytest.mark.parametrize(
    "message",
    [
        MESSAGE,
        b"From: a@example.org\r\n\r\n",
        b"From: a@example.org\r\nSubject:\r\nX: y\r\n\r\n\r\n\r\n",
        b"From: a@example.org\r\nSubject: two\r\n\tlines \r\nCC: x@y\r\ncc:   z@y\r\nReceived: x\r\n\r\n a  b \r\n\t\r\n.\r\n\r\n",
        "From: Jürgen <jü@example.org>\r\nSubject: Grüße\r\n\r\nGrüße\r\n".encode(),
        b"From: a@example.org\r\n" + b"Content-Type: text/plain\r\n" * (MAX_SAME + 5) + b"\r\n" + b"x" * 2000 + b"\r\n",
        b"From: a@example.org\r\n\r\n" + b"QUJD  " * 100_000 + b"\r\n",
    ],
)
def test_both_signatures_are_verified_by_dkimpy(message):
    found = signed(message)
    assert verdicts(found) == [True, True]
    assert found.index(b"a=rsa-sha256") < found.index(b"a=ed25519-sha256")
    assert all(len(line) <= 78 for line in found[: -len(message)].split(b"\r\n"))


@pytest.mark.parametrize("field", [b"From: evil@example.org", b"Subject: x", b"Date: x", b"To: x@y"])
def test_nobody_adds_a_field_that_people_read(field):
    found = signed(b"From: a@example.org\r\n\r\nhello\r\n")
    top, _, rest = found.partition(b"From: a@")
    assert verdicts(found) == [True, True]
    assert verdicts(top + field + b"\r\nFrom: a@" + rest) == [False, False]
    assert verdicts(top + b"From: a@" + rest.replace(b"\r\n\r\n", b"\r\n" + field + b"\r\n\r\n")) == [False, False]


# SMTP trap 48: fields are signed once more than they are there
@pytest.mark.parametrize(
    "field",
    [b"Sender: x@y", b"Reply-To: x@y", b"Cc: x@y", b"Message-ID: <x@y>", b"MIME-Version: 1.0"]
    + [b"Content-Type: text/html", b"Content-Transfer-Encoding: base64"],
)
def test_nobody_adds_a_second_field_that_says_how_a_message_is_read_or_answered(field):
    found = signed(field + b"\r\nFrom: a@example.org\r\n\r\nhello\r\n")
    top, _, below = found.partition(field)
    assert verdicts(found) == [True, True]
    assert verdicts(top + field + b"\r\n" + field + below) == [False, False]
    assert verdicts(field + b"\r\n" + found) == [False, False]


def test_what_is_signed_may_not_change_and_trace_may_be_added():
    found = signed(MESSAGE)
    assert verdicts(found.replace(b"hungry", b"thirsty")) == [False, False]
    assert verdicts(found + b"more\r\n") == [False, False]
    assert verdicts(b"Received: from x\r\nReturn-Path: <x@y>\r\n" + found) == [True, True]


def test_the_lowest_of_many_are_named():
    assert signed_names(b"Cc: x\r\n" * (MAX_SAME + 1) + b"FROM: a\r\n\r\n").count("Cc") == MAX_SAME + 1
    assert signed_names(b"References: x\r\n" * (MAX_SAME + 1) + b"FROM: a\r\n\r\n").count("References") == MAX_SAME
    assert signed_names(b"FROM: a\r\n\r\n") == ["From", "From", "Subject", "Date", "To"]


def test_a_damaged_key_is_told():
    with pytest.raises(ValueError, match="PEM"):
        load([replace(PAIR[0], private="-----BEGIN PRIVATE KEY-----\n")])
