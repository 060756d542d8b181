"""iprev: an address whose name leads back to it."""

import pytest
from dns_zone import Zone
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from mailnode.interfaces.policy import IPolicy
from mailnode.policy.iprev import OPTIONS, SECONDS, IprevPolicy
from mailnode.policy.options import read
from mailnode.values.authentication import AuthenticationResult
from mailnode.values.envelope import CLIENT_NAME, Origin
from mailnode.values.policy import PASS, PolicyRequest

PEER, SIX = "192.0.2.7", "2001:db8::7"


def begin(zone, clock, peer=PEER, **options):
    policy = IprevPolicy(read(OPTIONS, options), zone, clock)
    verifyObject(IPolicy, policy)
    done = []
    Deferred.fromCoroutine(policy.judge(PolicyRequest("connect", Origin("s1", "ESMTP", peer)))).addBoth(done.append)
    return done


def judge(zone, peer=PEER, **options):
    [verdict] = begin(zone, Clock(), peer, **options)
    return verdict


@pytest.mark.parametrize("peer", [PEER, SIX])
def test_a_name_that_leads_back(peer):
    zone = Zone(
        addresses={"a.example": "198.51.100.1", "b.example": [PEER, SIX]},
        ptr={peer: ["gone.example", "a.example", "b.example"]},
    )
    verdict = judge(zone, peer)
    assert verdict.results == (AuthenticationResult("iprev", "pass", (("policy.iprev", peer),)),)
    assert (verdict.tags, verdict.score, verdict.reason) == ({CLIENT_NAME: "b.example"}, 0.0, "")


@pytest.mark.parametrize(
    ("addresses", "ptr", "result", "score"),
    [
        ({}, {}, "permerror", 1.0),
        ({}, {PEER: None}, "permerror", 1.0),
        ({}, {PEER: "fails"}, "temperror", 0.0),
        ({"a.example": "198.51.100.1"}, {PEER: "a.example"}, "fail", 1.0),
        ({}, {PEER: "a.example"}, "fail", 1.0),
        ({"a.example": "fails"}, {PEER: ["a.example", "b.example"]}, "temperror", 0.0),
        ({"n10.example": PEER}, {PEER: [f"n{number}.example" for number in range(11)]}, "fail", 1.0),
    ],
)
def test_others(addresses, ptr, result, score):
    verdict = judge(Zone(addresses=addresses, ptr=ptr))
    assert ([one.result for one in verdict.results], verdict.score) == ([result], score)
    assert verdict.tags == {}
    assert bool(verdict.reason) == bool(score)


def test_scores_are_options():
    assert judge(Zone(), none=3.5).score == 3.5


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", ""])
def test_a_client_on_this_machine_is_not_judged(peer):
    assert judge(Zone(), peer) is PASS


def test_a_client_does_not_wait_long_for_its_greeting():
    clock = Clock()
    done = begin(Zone(waits=[PEER]), clock)
    clock.advance(SECONDS)
    assert done[0].results[0].result == "temperror"
