"""Records of DMARC, the walk that finds them, and whose mail a message says it is."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from mailnode.errors import NoSuchName, ResolverFailure
from mailnode.message.dmarc import QUERIES, author_domains, read_record, steps, walk
from mailnode.values.dmarc import DmarcRecord


def record(text):
    return read_record(text.encode())


def test_a_record_is_read():
    assert record("v=DMARC1; p=reject; aspf=r; rua=mailto:dmarc-feedback@example.com") == DmarcRecord(
        "reject", rua=("mailto:dmarc-feedback@example.com",)
    )
    assert record(
        "v = DMARC1;p=Quarantine ; sp=none;np=REJECT;psd=y;t=y;adkim=s;aspf=s;fo=1:d:s; ruf=mailto:x@y;pct=3;rf=afrf;"
    ) == DmarcRecord("quarantine", "none", "reject", "y", True, True, True, "1:d:s")


@pytest.mark.parametrize(
    "text",
    ["", "v=DMARC1x; p=none", "p=none; v=DMARC1", "v=dmarc1; p=none", "v=DMARC2; p=none", "v=spf1 -all", " p=none"],
)
def test_what_is_no_record_is_none(text):
    assert record(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v=DMARC1", DmarcRecord(applies=False)),
        ("v=DMARC1; psd=y", DmarcRecord(psd="y", applies=False)),
        ("v=DMARC1; rua=mailto:a@b.test", DmarcRecord(rua=("mailto:a@b.test",))),
        ("v=DMARC1; p=refuse; sp=reject", DmarcRecord(applies=False)),
        ("v=DMARC1; p=reject; sp=refuse; rua=mailto:a@b.test", DmarcRecord(rua=("mailto:a@b.test",))),
        ("v=DMARC1; p=reject; np=1", DmarcRecord(applies=False)),
        ("v=DMARC1; p=reject; t=maybe; psd=x; adkim=strict; fo=9; aspf=", DmarcRecord("reject")),
        ("v=DMARC1; p=reject; p=none", DmarcRecord("reject")),
        ("v=DMARC1; p=reject; ; =; x; a b=c; p\xfc=q; \x01=2;", DmarcRecord("reject")),
        (
            "v=DMARC1; p=none; rua=mailto:a@b.test!10m , nonsense, https://c.test/x, mailto:a@b.test",
            DmarcRecord(rua=("mailto:a@b.test", "https://c.test/x")),
        ),
    ],
)
def test_what_cannot_be_read_is_passed_over(text, expected):
    found = record(text)
    assert found == expected.__class__(
        **{name: getattr(expected, name) for name in expected.__slots__} | {"faults": found.faults}
    )
    assert all(fault.isascii() and fault.isprintable() for fault in found.faults)


@given(st.binary(max_size=300))
def test_no_record_breaks_anything(data):
    read_record(data)
    read_record(b"v=DMARC1;" + data)


def test_the_policy_below_and_while_testing():
    assert DmarcRecord("reject").below(True) == DmarcRecord("reject").below(False) == "reject"
    assert DmarcRecord("none", "quarantine").below(False) == "quarantine"
    assert DmarcRecord("none", "quarantine", "reject").below(False) == "reject"
    assert DmarcRecord("none", np="reject").below(True) == "none"
    testing = DmarcRecord("reject", testing=True)
    assert [testing.applied(one) for one in ("none", "quarantine", "reject")] == ["none", "none", "quarantine"]


def test_the_steps_are_those_of_the_standard():
    assert steps("a.b.c.d.e.f.g.h.i.j.mail.example.com") == [  # RFC 9989 4.10
        "a.b.c.d.e.f.g.h.i.j.mail.example.com",
        "g.h.i.j.mail.example.com",
        "h.i.j.mail.example.com",
        "i.j.mail.example.com",
        "j.mail.example.com",
        "mail.example.com",
        "example.com",
        "com",
    ]
    assert steps("mail.a.b.c.d.e.f.g.example.com")[1] == "c.d.e.f.g.example.com"  # RFC 9989 5.1.8
    assert steps("com") == ["com"]
    for labels in range(1, 30):
        found = steps(".".join(["x"] * labels))
        assert len(found) == min(labels, QUERIES)
        assert [name.count(".") for name in found[1:]] == list(range(len(found) - 2, -1, -1))


def walked(domain, records):
    asked = []

    async def look_up(name):
        asked.append(name)
        answer = records.get(name.removeprefix("_dmarc."))
        if answer is None:
            raise NoSuchName("no such name")
        if isinstance(answer, Exception):
            raise answer
        return [one.encode() for one in ([answer] if isinstance(answer, str) else answer)]

    found = []
    Deferred.fromCoroutine(walk(domain, look_up)).addBoth(found.append)
    return found[0], asked


PLAIN = "v=DMARC1; p=none"


@pytest.mark.parametrize(
    ("domain", "records", "organization", "policy"),
    [
        # RFC 9989 4.10.2
        ("a.mail.example.com", {"mail.example.com": PLAIN, "example.com": PLAIN}, "example.com", "example.com"),
        ("a.mail.example.com", {"mail.example.com": PLAIN + ";psd=n"}, "mail.example.com", "mail.example.com"),
        ("a.mail.example.com", {"com": PLAIN + ";psd=y"}, "example.com", "com"),
        # RFC 9989 B.4.1
        ("example.com", {"example.com": PLAIN, "signing.example.com": PLAIN}, "example.com", "example.com"),
        (
            "signing.example.com",
            {"example.com": PLAIN, "signing.example.com": PLAIN},
            "example.com",
            "signing.example.com",
        ),
        # RFC 9989 B.4.2
        ("a.b.c.d.e.f.g.h.i.j.k.example.com", {"example.com": PLAIN}, "example.com", "example.com"),
        # RFC 9989 B.4.3
        (
            "giant.bank.example",
            {"bank.example": PLAIN + ";psd=y", "giant.bank.example": PLAIN},
            "giant.bank.example",
            "giant.bank.example",
        ),
        (
            "mail.giant.bank.example",
            {"bank.example": PLAIN + ";psd=y", "giant.bank.example": PLAIN},
            "giant.bank.example",
            "giant.bank.example",
        ),
        ("mail.mega.bank.example", {"bank.example": PLAIN + ";psd=y"}, "mega.bank.example", "bank.example"),
        # what is registered under may send mail itself
        ("bank.example", {"bank.example": PLAIN + ";psd=y"}, "bank.example", "bank.example"),
        ("a.b.test", {}, "a.b.test", None),
        ("a.b.test", {"b.test": [PLAIN, PLAIN]}, "a.b.test", None),
        ("a.b.test", {"b.test": ["v=spf1 -all", PLAIN, "something else"]}, "b.test", "b.test"),
        # a name between the author's and the organization's has no say
        ("a.b.c.test", {"b.c.test": PLAIN + ";psd=u", "c.test": PLAIN}, "c.test", "c.test"),
    ],
)
def test_whose_a_domain_is(domain, records, organization, policy):
    found, asked = walked(domain, records)
    assert found.organization == organization
    assert (found.policy.domain if found.policy else None) == policy
    assert len(asked) <= QUERIES and len(set(asked)) == len(asked)


def test_a_walk_ends_where_a_record_says_so():
    assert walked("a.b.c.test", {"b.c.test": PLAIN + ";psd=n"})[1] == ["_dmarc.a.b.c.test", "_dmarc.b.c.test"]


def test_what_dns_does_not_say_is_not_taken_for_nothing():
    failure, _ = walked("a.b.test", {"a.b.test": PLAIN, "test": ResolverFailure("no answer")})
    assert failure.check(ResolverFailure)


@pytest.mark.parametrize(
    ("header", "domains", "fault"),
    [
        ("From: a@Example.COM\r\n", ("example.com",), ""),
        ("from: Joe (j@x.test) <a@b.test>\r\n", ("b.test",), ""),
        ("From: a@b\u00fccher.test\r\n", ("xn--bcher-kva.test",), ""),
        ("From: a@b.test, c@b.test\r\n", ("b.test",), ""),
        ("From: a@b.test, c@d.test\r\n", ("b.test", "d.test"), "several domains"),
        ("From: a@b.test\r\nFrom: c@d.test\r\n", ("b.test", "d.test"), "two From"),
        ("From: a@bank.test <c@d.test>\r\n", ("bank.test", "d.test"), "display name"),
        ("From : a@b.test\r\n", ("b.test",), "space before"),
        ("From: a@b.test.\r\n", ("b.test",), ""),
        # What many programs still read, though nobody may write it (RFC 5322 4.4).
        ("From: ceo @ bank . test\r\n", ("bank", "bank.test"), "not an address"),
        ("From: <ceo@bank\r\n .test>\r\n", ("bank", "bank.test"), "not an address"),
        ("From: ceo@bank(x).(y)test\r\n", ("bank", "bank.test"), "not an address"),
        ("From: ceo@ba\0nk.test\r\n", ("ba", "bank.test"), "control"),
        ("From: a@[127.0.0.1]\r\n", (), "no domain"),
        ("From: a@-x-\xff\r\n", (), "no domain"),
        ("From: undisclosed\r\n", (), "no address"),
        ("From:\r\n", (), "no address"),
        ("To: a@b.test\r\n", (), "no From"),
        ("From: " + ", ".join(f"a@d{n}.test" for n in range(5)) + "\r\n", (), "too many"),
        ("From: (" + "@x.test " * 5000 + "\r\n", (), "too long"),
    ],
)
def test_whose_mail_a_message_says_it_is(header, domains, fault):
    found, words = author_domains(header.encode("utf-8") + b"Subject: x\r\n\r\n")
    assert found == domains
    assert fault in words if fault else not words
    assert words.isascii()


@pytest.mark.parametrize("value", ["@" * 16_000, "@ " * 8_000, "<@" * 8_000, '"' * 16_000, "@a," * 5000, "(" * 16_000])
def test_no_from_takes_long(value):
    begun = time.perf_counter()
    author_domains(f"From: {value}\r\nFrom: {value}\r\n\r\n".encode())
    assert time.perf_counter() - begun < 0.5
