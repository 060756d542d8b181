"""Policies "dkim" and "arc", on messages that are signed and sealed here, with a resolver of the test's."""

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from mailnode.errors import ConfigurationError, NoSuchName, ResolverFailure
from mailnode.interfaces.delivery import ISignatureCheck
from mailnode.interfaces.outbound import Records
from mailnode.interfaces.policy import IPolicy
from mailnode.message.arc import seal
from mailnode.message.authres import payload
from mailnode.message.digests import Digests
from mailnode.message.dkim import load, signatures
from mailnode.message.dkim_keys import make_pair
from mailnode.message.verifying import needed_keys, verified
from mailnode.message.vouching import trusted_sealer, vouched
from mailnode.net.no_reactor import run_now
from mailnode.policy import arc, dkim, signature_check
from mailnode.policy.options import read
from mailnode.policy.signature_check import SMALL_HEADER, SignatureCheck
from mailnode.server.reading import read as read_message
from mailnode.values.authentication import AuthenticationResult
from mailnode.values.envelope import Origin
from mailnode.values.policy import PASS, PolicyRequest

NOW = 1_700_000_000.0
PAIRS = {domain: make_pair(domain, "active", NOW) for domain in ("a.example", "list.example", "far.example")}
KEYS = {domain: load(pair) for domain, pair in PAIRS.items()}
HEAD = b"From: Alice <alice@a.example>\r\nTo: bob@b.example\r\nSubject: hello\r\n\r\n"
BODY = b"A line\r\n" * 100


def digests(body=BODY):
    made = Digests()
    made.update(body)
    return made.finish()


SIGNED = signatures(HEAD, digests()[b"relaxed"].digest, KEYS["a.example"][:1], NOW) + HEAD


def sealed(header, domain, results, status="none"):
    digest = digests()[b"relaxed"].digest
    return seal(header, digest, KEYS[domain][0], payload(f"mx.{domain}", results), status, NOW) + header


class World:
    """What the policies may use of a server."""

    hostname = "mx.here.example"

    def __init__(self):
        self.clock, self.resolver, self.threads = Clock(), self, self
        self.clock.advance(NOW)
        self.records = {name: [text.encode()] for pair in PAIRS.values() for name, text in (key.record for key in pair)}
        self.asked, self.ran, self.ttl = [], [], 0.0

    async def txt(self, name):
        self.asked.append(name)
        answer = self.records.get(name, NoSuchName("no such name"))
        if isinstance(answer, Exception):
            raise answer
        return Records(await answer if isinstance(answer, Deferred) else answer, ttl=self.ttl)

    async def run(self, pool, function, *arguments):
        self.ran.append(function.__name__)
        return function(*arguments)

    def policy(self, module, **options):
        made = module.make(read(module.OPTIONS, options), self)
        verifyObject(IPolicy, made)
        return made

    def request(self, header, body=BODY, hashed=True):
        message = header + body

        async def octets(offset, length):
            return message[offset : offset + length]

        known = digests(body) if hashed else {}
        return PolicyRequest("end", Origin("s", "ESMTP"), header=header, size=len(message), read=octets, digests=known)

    def judge(self, module, header, body=BODY, hashed=True, **options):
        return run_now(self.policy(module, **options).judge(self.request(header, body, hashed)))


@pytest.fixture
def world():
    return World()


def test_a_good_signature(world):
    verdict = world.judge(dkim, SIGNED)
    (result,) = verdict.results
    assert (verdict.action, verdict.score, verdict.reason) == ("pass", -0.1, "signed by a.example")
    assert (result.method, result.result) == ("dkim", "pass")
    assert [name for name, _ in result.properties] == ["header.d", "header.s", "header.a", "header.b"]
    assert not world.ran, "it is small"


@pytest.mark.parametrize(
    "header, body, options, score, reason",
    [
        (SIGNED, b"other\r\n", {}, 0.1, "the signature of a.example does not hold: body has changed"),
        (SIGNED, b"other\r\n", {"failed": 2}, 2, "the signature of a.example does not hold: body has changed"),
        (b"DKIM-Signature: x\r\n" + HEAD, BODY, {}, 0.1, "the signature of nobody does not hold: cannot be read"),
        (b"DKIM-Signature: x\r\n" + SIGNED, BODY, {"passed": -3}, -3, "signed by a.example"),
        (HEAD, BODY, {}, 0, ""),
        (HEAD, BODY, {"unsigned": 1}, 1, "not signed"),
    ],
)
def test_what_it_adds_to_the_score(world, header, body, options, score, reason):
    verdict = world.judge(dkim, header, body, **options)
    assert (verdict.action, verdict.score, verdict.reason) == ("pass", score, reason)
    assert len(verdict.results) == max(1, header.count(b"DKIM-Signature"))


@pytest.mark.parametrize("answer", [ResolverFailure("no answer"), Deferred()])
def test_while_dns_does_not_answer_nothing_follows(world, answer):
    for name, _ in (key.record for key in PAIRS["a.example"]):
        world.records[name] = answer
    said = []
    Deferred.fromCoroutine(world.policy(dkim).judge(world.request(SIGNED))).addCallback(said.append)
    world.clock.advance(signature_check.LOOKUP_SECONDS)
    assert [(one.result, said[0].score) for one in said[0].results] == [("temperror", 0.0)]
    assert not world.clock.getDelayedCalls()


def test_a_policy_that_is_cut_off_asks_no_more(world):
    waits = Deferred()
    world.records[PAIRS["a.example"][0].record[0]] = waits
    asking = Deferred.fromCoroutine(world.policy(dkim).judge(world.request(SIGNED)))
    asking.addErrback(lambda failure: None)
    asking.cancel()
    assert waits.called and not world.clock.getDelayedCalls()


def test_a_body_that_was_not_hashed_is_read_in_pieces_and_in_threads(world):
    body = b"x" * 70 + b"\r\n"
    large = body * (3 * signature_check.PIECE // len(body))
    header = signatures(HEAD, digests(large)[b"relaxed"].digest, KEYS["a.example"], NOW) + HEAD
    verdict = world.judge(dkim, header, large, hashed=False)
    assert [one.result for one in verdict.results] == ["pass", "pass"]
    assert world.ran == ["update"] * 4 or world.ran == ["update"] * 3


def test_a_large_header_is_gone_through_in_threads(world):
    header = b"X: y\r\n" * (SMALL_HEADER // 6) + sealed(SIGNED, "list.example", [])
    assert world.judge(dkim, header).results[0].result == "pass"
    assert world.judge(arc, header).results[0].result == "pass"
    assert world.ran == ["DkimSignatures", "verify", "SealedChain", "verify"]


WHAT_IT_SAW = (AuthenticationResult("dkim", "pass", (("header.d", "a.example"),)),)
BY_ONE = sealed(SIGNED, "list.example", WHAT_IT_SAW)
BY_TWO = sealed(BY_ONE, "far.example", [AuthenticationResult("dkim", "fail")], "pass")


@pytest.mark.parametrize(
    "header, trusted, sealer",
    [
        (BY_ONE, [], ""),
        (BY_ONE, ["list.example"], "list.example"),
        (BY_ONE, ["EXAMPLE"], "list.example"),
        (BY_ONE, ["xlist.example", "ist.example", "a.list.example"], ""),
        (BY_TWO, ["list.example"], ""),
        (BY_TWO, ["far.example"], ""),
        (BY_TWO, ["far.example", "list.example"], "far.example"),
    ],
)
def test_who_is_believed(world, header, trusted, sealer):
    verdict = world.judge(arc, header, trusted_sealers=trusted)
    assert (verdict.results[0].method, verdict.results[0].result, verdict.score) == ("arc", "pass", 0)
    assert trusted_sealer(verdict.results) == sealer
    assert vouched(header, verdict.results)[:1] == (WHAT_IT_SAW if sealer else ())
    assert verdict.reason == (f"sent on by {sealer}, which is trusted" if sealer else "")


def test_nobody_is_believed_where_the_chain_does_not_hold(world):
    for header, body in ((BY_ONE, b"other\r\n"), (BY_ONE.replace(b"dkim=pass", b"dkim=fail"), BODY)):
        verdict = world.judge(arc, header, body, trusted_sealers=["list.example"])
        assert verdict.results[0].result == "fail" and not vouched(header, verdict.results)
    assert world.judge(arc, SIGNED, trusted_sealers=["list.example"]) is PASS


def test_domains_that_are_none():
    with pytest.raises(ConfigurationError, match="trusted_sealers"):
        read(arc.OPTIONS, {"trusted_sealers": ["a b"]})


def test_it_provides_what_the_sealer_asks_for(world):
    verifyObject(ISignatureCheck, SignatureCheck(world, world, world.clock))


# read in another process


def reads(world, request, asked):
    """Have another process read the message of a request, with what it is given."""

    async def ahead(keys):
        asked.append(dict(keys))
        message = request.header + BODY
        return read_message(message, len(request.header), keys, world.clock.seconds())

    return request._replace(ahead=ahead)


RECORDS = {name: text for pair in PAIRS.values() for name, text in (key.record for key in pair)}
BOTH = signatures(HEAD, digests()[b"relaxed"].digest, KEYS["a.example"], NOW) + HEAD


@pytest.mark.parametrize(
    "header",
    [
        SIGNED,
        BOTH,
        SIGNED.replace(b"hello", b"Hello"),
        SIGNED.replace(b"bh=", b"bh=x"),
        b"DKIM-Signature: x\r\n" + SIGNED,
    ],
)
def test_another_process_says_the_same(world, header):
    here, asked = world.judge(dkim, header), []
    policy = world.policy(dkim)
    assert run_now(policy.judge(reads(world, world.request(header, hashed=False), asked))) == here
    assert len(asked) == 1 and set(asked[0]) <= set(RECORDS)
    assert not world.ran


def test_while_dns_does_not_answer_another_process_says_so_too(world):
    world.records = dict.fromkeys(world.records, ResolverFailure("no answer"))
    asked = []
    verdict = run_now(world.policy(dkim).judge(reads(world, world.request(SIGNED), asked)))
    assert verdict.results[0].result == "temperror" and list(asked[0].values()) == [None]


def test_one_that_names_its_key_in_an_unusual_way_is_verified_here(world):
    """A selector in UTF-8, or two signatures of which one names none at all: at a glance that is not seen."""
    for odd in (SIGNED.replace(b" d=", b" d=\r\n\t", 1), SIGNED.replace(b"d=a.example", b"d=\xc3\xa4.example")):
        known = needed_keys(odd)
        here = world.judge(dkim, odd)
        asked = []
        there = run_now(world.policy(dkim).judge(reads(world, world.request(odd), asked)))
        assert there == here
        assert len(asked) == (1 if known else 0)
    other = signatures(HEAD, digests()[b"relaxed"].digest, KEYS["far.example"][:1], NOW)
    hidden = other.replace(b"d=far.example", b"d=f\xc3\xa4r.example") + SIGNED
    assert verified(hidden, BODY, {name: (RECORDS[name].encode(),) for name in needed_keys(SIGNED)}, NOW) is None
    asked = []
    there = run_now(world.policy(dkim).judge(reads(world, world.request(hidden), asked)))
    assert there == world.judge(dkim, hidden) and len(asked) == 1


def test_where_the_other_process_died_it_is_looked_at_here(world):
    async def died(keys):
        return None

    assert run_now(world.policy(dkim).judge(world.request(SIGNED)._replace(ahead=died))) == world.judge(dkim, SIGNED)


def test_the_records_of_keys_are_as_they_were_for_a_second_at_most(world):
    policy = world.policy(dkim)
    for ttl, pause, asks in ((60.0, 0.9, 1), (60.0, 1.1, 2), (0.5, 0.6, 2), (0.0, 0.0, 2), (60.0, -5.0, 2)):
        world.asked.clear()
        world.ttl = ttl
        for _ in range(2):
            assert run_now(policy.judge(world.request(SIGNED))).results[0].result == "pass"
            world.clock.rightNow += pause
        assert len(world.asked) == asks, (ttl, pause)
        world.clock.advance(10.0)
