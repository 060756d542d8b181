"""DNS that is silent: all look-ups at the end of a message have one time together, and what has no answer then is a temperror."""

import pytest
from dns_zone import Zone
from policy_support import request
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailnode.errors import NoSuchName, ResolverFailure
from mailnode.net.no_reactor import CallingThread
from mailnode.policy import arc, dkim, dmarc, dnsbl
from mailnode.policy.chain import DNS_SECONDS, ChainedPolicy, PolicyChain
from mailnode.policy.list_lookups import ListLookups
from mailnode.policy.options import read
from mailnode.policy.signature_check import SignatureCheck
from mailnode.policy.timely import TimelyResolver
from mailnode.values.authentication import AuthenticationResult
from mailnode.values.policy import NOTHING_FOUND, Findings

FROM = "From: a@sub.far.test\r\n"
HASH = "h=from; bh=frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=; b=AAAA"  # of no body
SIGNED = f"DKIM-Signature: v=1; a=rsa-sha256; d=far.test; s=s1; {HASH}\r\n{FROM}"
SEALED = (
    "ARC-Seal: i=1; a=rsa-sha256; d=list.test; s=s1; cv=none; b=AAAA\r\n"
    f"ARC-Message-Signature: i=1; a=rsa-sha256; d=list.test; s=s1; {HASH}\r\n"
    f"ARC-Authentication-Results: i=1; list.test; dkim=pass\r\n{SIGNED}"
)


class Silent(Zone):
    """No server answers."""

    async def _look(self, kind, name):
        self.asked.append((kind, name))
        await Deferred()


async def nothing(offset, length):
    return b""


class Nothing:
    def note(self, seen):
        pass


class World:
    def __init__(self, zone):
        self.clock, self.zone, thread = Clock(), zone, CallingThread()
        check = SignatureCheck(zone, thread, self.clock)
        lists = read(dnsbl.OPTIONS, {"lists": [{"zone": "dbl.test", "of": ["from"]}], "timeout": 20})
        policies = [
            dkim.DkimPolicy(read(dkim.OPTIONS, {}), check),
            arc.ArcPolicy(read(arc.OPTIONS, {}), check),
            dmarc.DmarcPolicy(read(dmarc.OPTIONS, {}), zone, thread, Nothing(), self.clock),
            dnsbl.DnsblPolicy(lists, ListLookups(zone, self.clock, "dnsbl"), self.clock, thread),
        ]
        self.chain = PolicyChain([ChainedPolicy(one) for one in policies], self.clock)
        self.verdicts = []

    def end(self, header, found=NOTHING_FOUND):
        asked = request("end", header=header, read=nothing).with_found(found)
        asking = Deferred.fromCoroutine(self.chain.ask(asked))
        asking.addCallback(self.verdicts.append)


@pytest.mark.parametrize("header", [FROM, SIGNED, SEALED])
def test_silent_dns_costs_a_message_ten_seconds_at_most_whatever_has_to_be_looked_up(header):
    world = World(Silent())
    world.end(header)
    world.clock.advance(DNS_SECONDS / 2 - 0.1)
    assert not world.verdicts
    for _ in range(101):
        world.clock.advance(DNS_SECONDS / 200)
    [verdict] = world.verdicts
    assert verdict.action == "pass" and verdict.score == 0.0
    results = {one.method: one.result for one in verdict.results}
    assert results["dmarc"] == "temperror"
    assert results["dkim"] == ("none" if header is FROM else "temperror")
    assert ("arc" in results) == (header is SEALED)
    assert world.clock.getDelayedCalls() == []
    assert not [one for one in verdict.answers if one.answer == "failed"]


def test_each_message_has_its_own_time():
    world = World(Silent())
    world.end(SIGNED)
    world.clock.advance(DNS_SECONDS / 2)
    world.end(SIGNED)
    for _ in range(49):
        world.clock.advance(0.1)
    assert len(world.verdicts) == 1
    for _ in range(51):
        world.clock.advance(0.1)
    assert len(world.verdicts) == 2


@pytest.mark.parametrize(
    "header",
    [
        # keys of a signature and of a seal that nobody tells
        SEALED.replace(FROM, "From: a@victim.test\r\n"),
        # another author, whose domain says nothing about itself
        "From: a@slow.test, b@victim.test\r\n",
        "From: b@victim.test, a@slow.test\r\n",
    ],
)
def test_slow_servers_of_the_sender_take_no_time_from_the_policy_of_another_domain(header):
    waits = ["s1._domainkey.far.test", "s1._domainkey.list.test", "_dmarc.slow.test"]
    world = World(Zone({"_dmarc.victim.test": "v=DMARC1; p=reject"}, waits=waits))
    world.end(header, Findings((AuthenticationResult("spf", "none", (("smtp.mailfrom", "a@far.test"),)),)))
    for _ in range(100):
        world.clock.advance(DNS_SECONDS / 100)
    [verdict] = world.verdicts
    assert (verdict.action, verdict.by) == ("refuse", "dmarc")


def test_what_is_answered_is_told_and_needs_no_timer():
    clock = Clock()
    timely = TimelyResolver(Zone({"a.test": "text"}, mx={"m.test": "mx.m.test"}), clock, lambda: 0.0)
    found = []
    for kind, name in (("txt", "a.test"), ("mx", "m.test"), ("txt", "none.test")):
        Deferred.fromCoroutine(getattr(timely, kind)(name)).addBoth(found.append)
    assert list(found[0]) == [b"text"] and found[1][0].host == "mx.m.test"
    assert found[2].check(NoSuchName)
    assert clock.getDelayedCalls() == []


def test_without_time_it_fails_as_dns_does():
    clock = Clock()
    found = []
    timely = TimelyResolver(Silent(), clock, lambda: 2.0)
    Deferred.fromCoroutine(timely.txt("a.test")).addBoth(found.append)
    clock.advance(1.9)
    assert not found
    clock.advance(0.1)
    assert found[0].check(ResolverFailure)
