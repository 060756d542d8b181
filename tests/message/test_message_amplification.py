"""No field and no parameter makes few octets into many facts, and none costs more than linear time."""

import json
import time

import pytest

from mailnode.message.addresses import Group, Mailbox, parse_addresses
from mailnode.message.headers import MAX_HEADER
from mailnode.message.parameters import MAX_PARAMETERS
from mailnode.message.render import MAX_SHOWN
from mailnode.message.scanner import MAX_PARTS, read_facts, scan

PIECES = [
    *(
        b":;",
        b"a:;",
        b",",
        b"@,",
        b"<>,",
        b"a ",
        b"a@b,",
        b"a@b c@d ",
        b"@a,",
        b"<@a,",
        b"(",
        b"(a)",
        b'"',
        b'"\\',
        b'""',
    ),
    *(
        b"\\",
        b"[",
        b"]",
        b"=?a?q?,?= ",
        b"=?a?q?",
        b"<a>",
        b"a@",
        b".",
        b" .",
        b";",
        b";a=",
        b';a="',
        b";a*0*=%",
        b";a*0=,",
    ),
    *(b"\xff", b"\0", b"a,b,", b"\r\n ", b"\r"),
]
NAMES = b"From Sender Reply-To To Cc Bcc Subject Date Message-ID In-Reply-To References".split()
PART_NAMES = b"""Content-Type Content-Disposition Content-Transfer-Encoding Content-ID Content-Description Content-MD5
Content-Language Content-Location""".split()
START = {b"Content-Type": b"text/plain;", b"Content-Disposition": b"attachment;"}


def fill(piece: bytes, octets: int) -> bytes:
    return (piece * (octets // len(piece) + 1))[:octets]


def size(facts) -> int:
    assert len(facts.envelope) <= MAX_SHOWN + 1000
    assert len(facts.bodystructure) <= MAX_SHOWN + 1000 * facts.parts.count(b"],[") + 1000
    return len(facts.envelope) + len(facts.bodystructure) + len(facts.body) + len(facts.sort) + len(facts.parts)


def hostile(name: bytes, piece: bytes, octets: int) -> bytes:
    return name + b": " + START.get(name, b"") + fill(piece, octets) + b"\r\n\r\nx\r\n"


@pytest.mark.parametrize("name", NAMES + PART_NAMES)
def test_a_field_of_a_megabyte_costs_bounded_facts_and_linear_time(name):
    alike = (b"Sender", b"Reply-To", b"Cc", b"Bcc")  # read as From and To are
    for piece in PIECES[:4] if name in alike else PIECES:

        def cost(octets, piece=piece):
            message = hostile(name, piece, octets)
            start = time.thread_time()
            facts = read_facts(message)
            return time.thread_time() - start, size(facts)

        small, _ = min(cost(60_000) for _ in range(2))
        large, octets = cost(960_000)
        if large >= 16 * 5 * max(small, 0.0005):
            large = min(large, cost(960_000)[0])
        assert large < 16 * 5 * max(small, 0.0005), (name, piece)
        assert octets < 4.1 * 1024 * 1024, (name, piece)


@pytest.mark.parametrize("piece", [b":;", b"@,", b"<>,"])
def test_many_fields_of_addresses_are_bounded_together(piece):
    share = MAX_HEADER // 120
    header = b"".join(name + b": " + fill(piece, share) + b"\r\n" for name in NAMES[:6] * 16)
    assert size(read_facts(header + b"\r\nx\r\n")) < 4.1 * 1024 * 1024


def test_messages_inside_share_one_bound():
    inner = b"From: " + fill(b"@,", 100_000) + b"\r\nSubject: " + fill(b"x", 100_000) + b"\r\n\r\nx\r\n"
    part = b"--B\r\nContent-Type: message/rfc822\r\n\r\n" + inner
    facts = read_facts(b"Content-Type: multipart/mixed; boundary=B\r\n\r\n" + part * 40 + b"--B--\r\n")
    assert len(facts.bodystructure) < MAX_SHOWN + 40 * 1000


def test_parts_of_many_names_are_bounded_together():
    face = "\N{GRINNING FACE}".encode() * 255
    kinds = b"Content-Type: " + b"t" * 120 + b"/" + b"s" * 120 + b"; charset=" + b"\xff" * 200 + b"\r\n"
    part = b"--B\r\n" + kinds + b'Content-Disposition: a; filename="' + face + b'"\r\n\r\n'
    facts = read_facts(b"Content-Type: multipart/mixed; boundary=B\r\n\r\n" + part * (MAX_PARTS + 5) + b"--B--\r\n")
    assert len(facts.parts) < 5 * 1024 * 1024
    assert len(json.loads(facts.parts)) <= MAX_PARTS + 2


def test_what_people_send_is_shown_whole():
    field = b",\r\n ".join(b"Name %d <name%d@example.org>" % (number, number) for number in range(9_000))
    facts = scan(b"From: a@b\r\nTo: " + field + b"\r\nSubject: " + b"s" * 100_000 + b"\r\n\r\nx\r\n")
    assert facts.envelope.count(b'"example.org"') == 9_000
    assert b"s" * 100_000 in facts.envelope


def test_an_address_that_is_not_at_its_end_is_left_out():
    assert parse_addresses(b"a@b, c" + b" x" * 150_000 + b"@d") == [Mailbox(None, None, b"a", b"b")]


def test_groups_are_counted():
    assert parse_addresses(b"a:;" * 20_000, 10_000) == [Group(b"a", ())] * 10_001


def test_parameters_are_counted():
    facts = scan(b"Content-Type: text/plain" + b"".join(b";a%d=1" % at for at in range(5_000)) + b"\r\n\r\n")
    assert facts.body.count(b'"1"') == MAX_PARAMETERS
