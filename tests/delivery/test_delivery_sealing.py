"""Seals on what is sent on, and mail that goes without one."""

import re
from dataclasses import replace

import dkim
import pytest
from delivery_fakes import Threads
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from mailnode.delivery import sealing
from mailnode.delivery.plans import copies
from mailnode.delivery.sealing import ArcSealer
from mailnode.errors import Busy, NoSuchName, ResolverFailure
from mailnode.interfaces.delivery import ISealer
from mailnode.interfaces.outbound import Records
from mailnode.message.arc import MAX_SETS
from mailnode.message.authres import payload
from mailnode.message.dkim import BodyHash, load, signatures
from mailnode.message.dkim_keys import make_pair
from mailnode.net.no_reactor import run_now
from mailnode.policy.signature_check import LOOKUP_SECONDS, LOOKUPS_AT_ONCE, PIECE, SignatureCheck
from mailnode.values.address import Address, parse_address
from mailnode.values.authentication import AuthenticationResult, BodyDigest
from mailnode.values.directory import Resolved
from mailnode.values.envelope import Envelope, Origin, Recipient
from mailnode.values.plan import Judgement, RecipientPlan

NOW = 1_700_000_000.0
DOMAINS = ("author.example", "here.example", "other.example")
PAIRS = {domain: make_pair(domain, "active", NOW) for domain in DOMAINS}
RECORDS = {name: text.encode() for pair in PAIRS.values() for name, text in (key.record for key in pair)}
BODY = b"Hello \r\n\r\n" + b"a line\r\n" * (2 * PIECE // 8)
SALES, INFO, OTHER, ANNA, AWAY = (
    parse_address(f"{text}.example") for text in ("sales@here", "info@here", "box@other", "anna@here", "c@there")
)
BARE = Address("postmaster", "")
LEADS = {
    SALES: Resolved(True, (("id-anna", "anna@here.example"),), ("sales@there.example",)),
    INFO: Resolved(True, remote=("info@there.example",)),
    OTHER: Resolved(True, remote=("other@there.example",)),
    ANNA: Resolved(True, (("id-anna", "anna@here.example"),)),
    AWAY: Resolved(True, remote=("c@there.example",)),
    BARE: Resolved(True, remote=("p@there.example",)),
}


def digest(body):
    made = BodyHash()
    made.update(body)
    return made.digest()


HEAD = b"From: x@author.example\r\nTo: sales@here.example\r\nSubject: hi\r\n\r\n"
HEAD = signatures(HEAD, digest(BODY), load(PAIRS["author.example"]), NOW) + HEAD


class Zone:
    """TXT records; what stands for an exception is raised, a Deferred is waited for."""

    def __init__(self):
        self.records = {name: [text] for name, text in RECORDS.items()}
        self.asked = []

    async def txt(self, name):
        self.asked.append(name)
        answer = self.records.get(name, NoSuchName("no such name"))
        if isinstance(answer, Exception):
            raise answer
        return Records(await answer if isinstance(answer, Deferred) else answer)


_FOR_WHOM = re.compile(rb"\ADelivered-To: [a-z]+@here.example\r\n")


class Town:
    """A sealer, and a message with its recipients."""

    def __init__(self):
        self.zone, self.threads, self.clock, self.enabled = Zone(), Threads(), Clock(), True
        self.clock.advance(NOW)
        self.keys = {domain: load(pair) for domain, pair in PAIRS.items()}
        self.sealer = ArcSealer(
            self.of,
            SignatureCheck(self.zone, self.threads, self.clock),
            self.threads,
            self.clock,
            "mx.here.example",
            lambda: self.enabled,
        )
        self.body = BODY
        self.reads = []
        self.digests = {}

    async def of(self, domain):
        found = self.keys.get(domain, ())
        if isinstance(found, Exception):
            raise found
        return found

    def envelope(self, *recipients, **fields):
        recipients = tuple(map(Recipient, recipients))
        return Envelope("E1", parse_address("x@author.example"), recipients, Origin("s", "ESMTP"), NOW, **fields)

    def sealing(self, *recipients, header=HEAD, plans=None, **fields):
        envelope = self.envelope(*recipients, **fields)
        judgement = Judgement(recipients, LEADS, plans or {})
        message = header + self.body

        async def read(offset, length):
            self.reads.append((offset, length))
            return message[offset : offset + length]

        return envelope, judgement, self.sealer.sealed(envelope, judgement, header, len(message), read, self.digests)

    def copies(self, *recipients, **options):
        """Return what goes on top of the copies for other servers, behind the field that says for whom, and all local ones."""
        envelope, _, sealed = self.sealing(*recipients, **options)
        made = copies(envelope, run_now(sealed))
        return {copy.address: _FOR_WHOM.sub(b"", copy.prefix) for copy in made.remote}, made.local


def verify(message):
    return dkim.arc_verify(message, dnsfunc=lambda name, timeout=5: RECORDS.get(name.decode().rstrip("."), b""))


@pytest.fixture
def town():
    return Town()


def reasons(events):
    assert {name for name, _ in events} <= {"message.unsealed"}
    return [(fields["domain"], fields["reason"]) for _, fields in events]


def test_the_interface(town):
    assert verifyObject(ISealer, town.sealer)


def test_what_is_sent_on_is_sealed_and_nothing_else(town, events):
    remote, local = town.copies(SALES, INFO, ANNA, AWAY)
    assert remote["sales@there.example"] == remote["info@there.example"]
    assert remote["c@there.example"] == b"" and b"ARC-" not in local[0].plan.prefix
    status, sets, _ = verify(remote["info@there.example"] + HEAD + BODY)
    assert (status, [one["as-domain"] for one in sets]) == (b"pass", [b"here.example"])
    selector = PAIRS["here.example"][0].selector
    fields = {"envelope": "E1", "domain": "here.example", "selector": selector, "chain": "none", "dkim": "pass,pass"}
    assert events == [("message.sealed", fields)]


def test_it_is_gone_through_once_and_in_threads(town):
    town.copies(SALES, INFO, OTHER)
    assert [name for _, name in town.threads.calls] == ["_look", *["update"] * 3, "seal", "seal"]
    assert {pool for pool, _ in town.threads.calls} == {"cpu"}
    ends = [offset + length for offset, length in town.reads]
    assert ends == [PIECE, 2 * PIECE, len(HEAD) + len(BODY)]  # the store decompresses none of it twice
    assert [offset for offset, _ in town.reads] == [len(HEAD), *ends[:-1]]
    assert len(town.zone.asked) == 2


def test_each_domain_seals_what_its_addresses_lead_on(town, events):
    remote, _ = town.copies(SALES, OTHER)
    for address, domain in (("sales@there.example", b"here.example"), ("other@there.example", b"other.example")):
        status, (one,), _ = verify(remote[address] + HEAD + BODY)
        assert (status, one["as-domain"]) == (b"pass", domain)
    assert [fields["domain"] for _, fields in events] == ["here.example", "other.example"]


def test_what_policies_put_on_top_is_sealed_too(town):
    plans = {INFO: RecipientPlan(prefix=b"Subject: another\r\n")}
    remote, _ = town.copies(SALES, INFO, plans=plans, trace=b"List-Id: <x.example>\r\n")
    assert remote["info@there.example"].endswith(b"\r\nList-Id: <x.example>\r\nSubject: another\r\n")
    assert remote["sales@there.example"].endswith(b"\r\nList-Id: <x.example>\r\n")
    for prefix in remote.values():
        assert verify(prefix + HEAD + BODY)[0] == b"pass"
        assert verify(prefix.replace(b"<x", b"<y") + HEAD + BODY)[0] == b"fail"


def test_a_redirect_of_a_policy_is_sealed_by_who_redirects(town):
    remote, local = town.copies(ANNA, plans={ANNA: RecipientPlan(redirects=(AWAY,))})
    status, (one,), _ = verify(remote["c@there.example"] + HEAD + BODY)
    assert (status, one["as-domain"]) == (b"pass", b"here.example") and b"ARC-" not in local[0].plan.prefix


def test_what_the_door_knows_stands_there_too(town):
    spf = AuthenticationResult("spf", "softfail", (("smtp.mailfrom", "x@author.example"),))
    origin = town.envelope().origin._replace(peer="2001:db8::1")
    envelope, judgement, sealed = town.sealing(INFO, authentication=(spf,))
    sealed.close()
    seal = run_now(town.sealer.sealed(replace(envelope, origin=origin), judgement, HEAD, len(HEAD), nothing, {})).seals[
        INFO
    ]
    assert b"i=1; mx.here.example;\r\n spf=softfail smtp.mailfrom=x@author.example;\r\n dkim=" in seal
    assert seal.endswith(b'\r\n arc=none smtp.remote-ip="2001:db8::1"\r\n')


def test_what_was_found_at_the_door_is_not_looked_for_again(town, events):
    found = (
        AuthenticationResult("spf", "pass"),
        AuthenticationResult("dkim", "neutral", (("header.d", "author.example"),)),
        AuthenticationResult("dkim", "fail"),
    )
    trace = f"Authentication-Results: {payload('mx.here.example', found)}\r\nX-Mailnode-Reason: x\r\n".encode()
    town.digests = {b"relaxed": BodyDigest(digest(BODY), len(BODY))}
    remote, _ = town.copies(INFO, trace=trace, authentication=found)
    on_top = remote["info@there.example"]
    said = (
        b"i=1; mx.here.example;\r\n spf=pass;\r\n dkim=neutral header.d=author.example;\r\n dkim=fail;\r\n arc=none\r\n"
    )
    assert said in on_top and not town.reads and not town.zone.asked
    assert verify(on_top + HEAD + BODY)[0] == b"pass"
    assert events[0][1]["dkim"] == "neutral,fail"


def test_what_policies_found_out_stands_there_too(town):
    ours, theirs = (
        b"Authentication-Results: %s; spf=%s\r\n" % pair for pair in ((b"mx.here.example", b"pass"), (b"x", b"none"))
    )
    remote, _ = town.copies(INFO, trace=ours, header=theirs + ours.replace(b"spf", b"iprev") + HEAD)
    assert b"i=1; mx.here.example;\r\n spf=pass;\r\n iprev=pass;\r\n dkim=" in remote["info@there.example"]


async def nothing(offset, length):
    raise AssertionError("there is no body")


@pytest.mark.parametrize(
    "keys, reason",
    [
        ((), "no RSA key signs for the domain"),
        (load(PAIRS["here.example"])[1:], "no RSA key signs for the domain"),
        (ValueError("m1: damaged"), "ValueError: m1: damaged"),
        (Busy("too much"), "Busy: too much"),
    ],
)
def test_without_a_key_it_goes_without_a_seal(town, events, keys, reason):
    town.keys["here.example"] = keys
    remote, _ = town.copies(INFO, OTHER)
    assert remote["info@there.example"] == b"" and remote["other@there.example"]
    assert reasons(events[:1]) == [("here.example", reason)]


def test_a_recipient_without_domain_is_of_the_host_name(town, events):
    assert town.copies(BARE)[0] == {"p@there.example": b""}
    assert reasons(events) == [("mx.here.example", "no RSA key signs for the domain")]


def test_nothing_is_done_where_seals_are_not_wanted(town, events):
    town.enabled = False
    assert town.copies(INFO)[0] == {"info@there.example": b""}
    town.enabled = True
    assert town.copies(ANNA, AWAY)[0] == {"c@there.example": b""}
    assert not events and not town.threads.calls and not town.reads


@pytest.mark.parametrize(
    "on_top, reason",
    [
        (b"ARC-Seal: i=2; cv=fail; b=\r\n", "the chain was found broken before"),
        (b"ARC-Seal: i=%d; cv=pass; b=\r\n" % MAX_SETS, "the chain is too long"),
        (b"X: y\r\n" * sealing.MAX_SEALED_FIELDS, "the header is too large"),
        (b"X: " + b"y" * sealing.MAX_SEALED_HEADER + b"\r\n", "the header is too large"),
    ],
)
def test_what_cannot_be_sealed_goes_without(town, events, on_top, reason):
    assert town.copies(INFO, header=on_top + HEAD)[0] == {"info@there.example": b""}
    assert reasons(events) == [("here.example", reason)]
    assert not town.reads and not town.zone.asked


def test_a_message_that_cannot_be_read_goes_without(town, events):
    async def broken(offset, length):
        raise OSError("no disk")

    envelope, judgement, sealed = town.sealing(INFO)
    sealed.close()
    assert run_now(town.sealer.sealed(envelope, judgement, HEAD, 10_000, broken, {})) == judgement
    assert reasons(events) == [("here.example", "OSError: no disk")]


def test_a_broken_chain_is_sealed_as_broken(town, events):
    remote, _ = town.copies(INFO)
    town.body = BODY + b"more\r\n"
    again, _ = town.copies(OTHER, header=remote["info@there.example"] + HEAD)
    assert b"ARC-Seal: i=2; a=rsa-sha256; cv=fail; d=other.example;" in again["other@there.example"]
    assert (events[-1][1]["chain"], events[-1][1]["dkim"]) == ("fail", "fail,fail")
    last = again["other@there.example"] + remote["info@there.example"] + HEAD
    assert town.copies(INFO, header=last)[0] == {"info@there.example": b""}, "nobody seals it any more"


@pytest.mark.parametrize(
    "answer, found",
    [
        (ResolverFailure("nobody"), "temperror,pass"),
        (NoSuchName("none"), "permerror,pass"),
        ([], "permerror,pass"),
        ([b"v=spf1 -all"], "permerror,pass"),
        ([b"something", RECORDS[PAIRS["author.example"][0].record[0]]], "pass,pass"),
    ],
)
def test_what_dns_says(town, events, answer, found):
    town.zone.records[PAIRS["author.example"][0].record[0]] = answer
    assert town.copies(INFO)[0]["info@there.example"]
    assert events[0][1]["dkim"] == found


def test_dns_has_its_time(town, events):
    names = [key.record[0] for key in PAIRS["author.example"]]
    town.zone.records[names[0]] = Deferred()
    _, _, sealed = town.sealing(INFO)
    done = []
    Deferred.fromCoroutine(sealed).addCallback(done.append)
    assert town.zone.asked == names, "all at once"
    town.clock.advance(LOOKUP_SECONDS - 0.1)
    assert not done
    town.clock.advance(0.2)
    assert done[0].seals[INFO] and events[0][1]["dkim"] == "temperror,pass"


def test_of_very_many_keys_a_few_are_asked_for_at_a_time(town, events):
    """A key that never comes keeps no other from being asked for in its place, nor the message for longer."""
    more = "a=rsa-sha256; b=AAAA"
    fields = (
        f"ARC-Seal: i={{0}}; cv=none; s=s; d=d{{0}}.example; {more}",
        f"ARC-Message-Signature: i={{0}}; s=t; d=d{{0}}.example; h=from; bh=AAAA; {more}",
    )
    chain = "".join(f"{field.format(i)}\r\n" for i in range(1, 41) for field in fields)
    chain = chain.replace("cv=none", "cv=pass").replace("i=1; cv=pass", "i=1; cv=none")
    chain += "".join(f"ARC-Authentication-Results: i={i}; x\r\n" for i in range(1, 41))
    answers = {f"{s}._domainkey.d{i}.example": Deferred() for i in range(1, 41) for s in "st"}
    town.zone.records |= answers
    done = []
    _, _, sealed = town.sealing(INFO, header=chain.encode() + HEAD)
    Deferred.fromCoroutine(sealed).addCallback(done.append)
    begun = len(PAIRS["author.example"]) + LOOKUPS_AT_ONCE  # of whom the first were answered
    assert len(town.zone.asked) == begun
    answers[next(name for name in town.zone.asked if name in answers)].callback([b"v=DKIM1; p="])
    assert len(town.zone.asked) == begun + 1
    town.clock.advance(LOOKUP_SECONDS + 0.1)
    assert done[0].seals[INFO] and events[0][1]["chain"] == "fail"
    assert len(town.zone.asked) == begun + 1
