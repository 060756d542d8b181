"""What other domains publish about mail: SPF, DMARC, MTA-STS, TLS-RPT; and domains, addresses and networks themselves."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from dns_zone import Zone
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailnode.delivery.srs import DAY, VALID_DAYS, NotOurs, is_rewritten, restore, rewrite
from mailnode.errors import BadAddress
from mailnode.message.dmarc import author_domains, read_record, steps
from mailnode.message.headers import header_end, repair
from mailnode.net.no_reactor import CallingThread
from mailnode.policy.spf_check import SpfCheck
from mailnode.policy.spf_query import SpfIdentity, SpfOutcome, evaluate
from mailnode.values.address import domain_key, local_key, parse_address
from mailnode.values.networks import client_key, ip_address, is_public_literal, neighbours_key
from mailnode.values.sts_policy import MAX_AGE, read_id, read_policy
from mailnode.values.tls_report import MAX_PLACES, places
from tests.fuzz.target import Target, each, variant

NOW = 1_700_000_000
RESULTS = {"none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"}
SENDER = SpfIdentity("192.0.2.7", "a", "x.test", "mail.x.test")
SENDER6 = SpfIdentity("2001:db8::7", "a", "x.test", "mail.x.test")


def spf(data: bytes) -> None:
    """Evaluate policies: of x.test, the domain it includes, and what explains."""
    bits, text = variant(data)
    first, _, rest = text.decode("latin-1").partition("\n")
    other, _, explanation = rest.partition("\n")
    zone = Zone(
        {"x.test": first, "y.test": other, "e.test": explanation, "z.test": [first, other]},
        {"x.test": ["192.0.2.7", "2001:db8::7"], "mx.x.test": ["192.0.2.8"], "host.x.test": ["192.0.2.7"]},
        {"x.test": ["mx.x.test"]},
        {"192.0.2.7": ["host.x.test", "other.test"]},
    )
    zone.txt = partial(_octets, zone, zone.txt)  # type: ignore[method-assign]
    check = SpfCheck(zone, CallingThread(), Clock(), "mx.us.test")
    outcome: list[SpfOutcome] = []
    Deferred.fromCoroutine(check.find(SENDER6 if bits & 1 else SENDER)).addCallback(outcome.append)
    assert outcome[0].result in RESULTS
    assert len(zone.asked) <= 151
    assert evaluate(SENDER, {("x.test", "TXT"): (text,)}, "mx.us.test", 0).result in RESULTS | {""}


async def _octets(zone: Zone, look: object, name: str) -> object:
    records = await zone._look("TXT", name)
    return type(await Zone().mx("x"))(one.encode("latin-1") for one in records) if records else ()


def dmarc(data: bytes) -> None:
    """Read a record: what it names is within bounds, what is wrong with it is said in ASCII."""
    record = read_record(data)
    if record is not None:
        assert len(record.rua) <= 10 and all(uri.isascii() and uri.isprintable() for uri in record.rua)
        assert all(fault.isascii() and fault.isprintable() for fault in record.faults), record.faults
        assert record.below(True) in ("none", "quarantine", "reject")
    domain = data.decode("latin-1")
    assert 1 <= len(steps(domain)) <= 8


def from_domains(data: bytes) -> None:
    """Say whose mail a message says it is."""
    block = repair(b"From: " + data)
    domains, fault = author_domains(block[: header_end(block)])
    assert len(domains) <= 4 and (domains or fault)
    assert all(domain_key(domain) == domain for domain in domains)


def sts(data: bytes) -> None:
    """Read an MTA-STS policy and its record."""
    assert len(read_id([data])) <= 32
    policy = read_policy(data)
    assert policy.max_age <= MAX_AGE
    assert all(line.isascii() and line.isprintable() for line in policy.lines)
    policy.allows("mx.x.test")


def tls_rpt(data: bytes) -> None:
    """Read the record that says where reports of TLS go."""
    found = places(data.split(b"\n")[:5])
    assert len(found) <= MAX_PLACES
    assert all(uri.isascii() and uri.isprintable() for uri in found)


def address(data: bytes) -> None:
    """Read an address; its key has a key, the same; so has what is written of it."""
    found = parse_address(data.decode("utf-8", "surrogateescape"))
    key = found.key
    again = parse_address(str(found))
    assert (again, again.key) == (found, key)
    assert local_key(local_key(found.local)) == local_key(found.local)
    assert domain_key(found.domain_key) == found.domain_key
    found.base().detail()
    if found.domain_key.startswith("["):
        is_public_literal(found.domain_key)


def srs_address(data: bytes) -> None:
    """Rewrite a sender, and find again whom it stands for; what was not made here stands for nobody."""
    text = data.decode("utf-8", "surrogateescape")
    sender = parse_address(text)
    rewritten = rewrite(sender, "us.test", b"key", NOW)
    assert is_rewritten(rewritten.local)
    with suppress(NotOurs):  # what others rewrote may stand for no address
        found = restore(rewritten.local, [b"old", b"key"], NOW + DAY)
        assert found == sender or sender.local[:3].upper() == "SRS"
    for local in (sender.local, rewritten.local):
        with suppress(NotOurs):
            restore(local, [b"another"], NOW)
            raise AssertionError(local)
    with suppress(NotOurs):
        restore(rewritten.local, [b"key"], NOW + (VALID_DAYS + 2) * DAY)
        assert rewritten.local.startswith("SRS1")


def peer(data: bytes) -> None:
    """Read a peer's address."""
    text = data.decode("latin-1")
    found = ip_address(text)
    assert (found is None) == (not client_key(text)) == (not neighbours_key(text))


SPF_WORDS = each(
    b"""
v=spf1\x20
 a
 mx
 ptr
 all
 -all
 ~all
 ?a:y.test
 include:y.test
 redirect=z.test
 exp=e.test
 exists:%{ir}.%{v}._spf.%{d2}
 ip4:192.0.2.0/24
 ip6:2001:db8::/32
 a/24//64
 a:%{l1r-}.x.test
%{h}
%{s}
%%
%_
%{c}
%{t}
%{p}
"""
)

TARGETS = (
    Target(
        "spf",
        spf,
        (
            b"\0v=spf1 a mx ip4:192.0.2.0/24 include:y.test -all exp=e.test\nv=spf1 -all\n%{i} is not for %{d}",
            b"\1v=spf1 ptr exists:%{ir}.%{v}.x.test redirect=y.test\nv=spf1 ip6:2001:db8::/32 ~all\n",
            b"\0v=spf1 include:y.test include:z.test\nv=spf1 redirect=x.test\n",
        ),
        words=(*SPF_WORDS, b"\n", b"/", b":", b".", b"\xff", b"a." * 60),
    ),
    Target(
        "dmarc",
        dmarc,
        (
            b"v=DMARC1; p=reject; sp=none; np=quarantine; rua=mailto:a@x.test!10m,https://y; t=y; psd=n; fo=1:d; adkim=s",
            b"v=DMARC1;p=",
            b"V = DMARC1",
        ),
        words=(
            b";",
            b"=",
            b",",
            b"rua=mailto:x@y",
            b"p=none",
            b"sp=",
            b"!9g",
            b" ",
            b"\t",
            b".",
            b"\xff",
            b"psd=y",
            b"x.test",
        ),
    ),
    Target(
        "from_domains",
        from_domains,
        (
            b"a@x.test\r\n\r\n",
            b"a@x.test, b@y.test\r\n",
            b'"a@x.test" <b@y.test>\r\n\r\n',
            b"a@(c)x . test\r\nFrom: b@z\r\n\r\n",
            b"\xe4@b\xc3\xbccher.test\r\n\r\n",
        ),
        words=(
            b"@",
            b"<",
            b">",
            b",",
            b"(",
            b")",
            b'"',
            b"\r\n ",
            b"\r\nFrom: ",
            b"x.test",
            b"xn--a",
            b"\0",
            b" . ",
            b"=?utf-8?q?@?=",
            b"\xc3\xbc",
        ),
    ),
    Target(
        "sts",
        sts,
        (
            b"version: STSv1\nmode: enforce\nmx: mx.x.test\r\nmx: *.y.test\nmax_age: 86400\n",
            b"v=STSv1; id=20240101;",
            b"version: STSv1\nmode: none\nmax_age: 1",
        ),
        errors=(ValueError,),
        words=(
            b"\n",
            b": ",
            b"mx: ",
            b"mode: testing\n",
            b"max_age: 9999999999\n",
            b"*.",
            b"v=STSv1; id=a",
            b"\xff",
            b".",
        ),
    ),
    Target(
        "tls_rpt",
        tls_rpt,
        (b"v=TLSRPTv1; rua=mailto:a@x.test,https://y/z", b"v=TLSRPTv1;rua=\nv=TLSRPTv1;"),
        words=(b";", b",", b"rua=", b"mailto:", b"https:", b"\n", b" ", b"%2c", b"\xff"),
    ),
    Target(
        "address",
        address,
        (
            b"a@x.test",
            b'"a b\\""@[IPv6:::1]',
            b"\xc3\xbc+d@b\xc3\xbccher.test",
            b".a..b.@xn--bcher-kva.test",
            b"a@[192.0.2.1]",
            b"a@\xef\xbd\x98.test",
        ),
        errors=(BadAddress,),
        words=(
            b"@",
            b'"',
            b"\\",
            b"[IPv6:",
            b"]",
            b".",
            b"xn--",
            b"\xc3\x9f",
            b"\xcc\x88",
            b"\xe2\x80\x8d",
            b"+",
            b"::ffff:1.2.3.4",
            b"\xd6\x90",
            b"\xef\xbc\x8e",
        ),
    ),
    Target(
        "srs",
        srs_address,
        (
            b"a@x.test",
            b"SRS0=HHHHHHHHHH=TT=x.test=a@y.test",
            b"SRS0+HHH+TT+x.test+a@y.test",
            b"SRS1=HHHHHHHHHH=x.test==HHH=TT=z.test=a@y.test",
            b'"SRS0=b = c"@x.test',
            b"\xc3\xbc@b\xc3\xbccher.test",
        ),
        errors=(BadAddress,),
        words=(b"SRS0=", b"SRS1=", b"=", b"+", b"-", b"@", b'"', b"\\", b"AA", b"x.test", b"\xc3\xbc"),
    ),
    Target(
        "peer",
        peer,
        (b"192.0.2.1", b"2001:db8::1%eth0", b"::ffff:192.0.2.1", b"/run/x"),
        words=(b":", b".", b"::", b"%", b"ffff", b"256", b"0"),
    ),
)
