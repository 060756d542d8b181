"""How often each policy answered what: counted in memory, added up by hours, and forgotten."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from mailnode.errors import StoreUnavailable
from mailnode.interfaces.policy import IPolicyTally
from mailnode.store.facades import policy_tally
from mailnode.store.facades.policy_tally import HOUR, KEPT_DAYS, PolicyTally
from mailnode.values.policy import PolicyAnswer, PolicyTotal

LISTED = PolicyAnswer("dnsbl", "rcpt", "suspect", 2.5, seconds=0.25)
REFUSED = PolicyAnswer("dnsbl", "rcpt", "refuse")


@pytest.fixture
def clock():
    clock = Clock()
    clock.advance(500_000 * HOUR)
    return clock


def test_processes_add_to_the_same_rows(engine, clock, loop):
    one, other = PolicyTally(engine, clock), PolicyTally(engine, clock)
    verifyObject(IPolicyTally, one)
    for tally in (one, other, one):
        tally.note(LISTED)
    other.note(REFUSED)
    loop.run(one.write())
    assert loop.run(other.totals(clock.seconds())) == [
        PolicyTotal("dnsbl", "rcpt", "refuse", 1, 0.0, 0.0),
        PolicyTotal("dnsbl", "rcpt", "suspect", 3, 7.5, 0.75),
    ]


def test_since_when_and_for_how_long(engine, clock, loop):
    tally = PolicyTally(engine, clock)
    began = clock.seconds()
    tally.note(LISTED)
    loop.run(tally.write())
    clock.advance(2 * HOUR)
    tally.note(LISTED)
    assert [one.times for one in loop.run(tally.totals(began))] == [2]
    assert [one.times for one in loop.run(tally.totals(began + HOUR))] == [1]
    assert loop.run(tally.sweep(began + KEPT_DAYS * 24 * HOUR)) == 0
    assert loop.run(tally.sweep(began + (KEPT_DAYS * 24 + 1) * HOUR)) == 1
    assert [one.times for one in loop.run(tally.totals(began))] == [1]


def test_what_waits_is_bounded_and_may_be_lost(clock, loop, monkeypatch):
    class NoEngine:
        async def write(self, *what):
            raise StoreUnavailable

    monkeypatch.setattr(policy_tally, "WAITING", 2)
    tally = PolicyTally(NoEngine(), clock)
    for number in range(4):
        tally.note(PolicyAnswer(f"p{number}", "end", "pass"))
    assert [len(of_hour) for of_hour in tally._new.values()] == [2]
    loop.run(tally.write())
    assert tally._new == {}


def test_it_is_written_by_the_clock_and_at_the_end(engine, clock, loop):
    tally = PolicyTally(engine, clock)
    tally.start()
    tally.note(LISTED)
    clock.advance(5)
    tally.note(LISTED)
    loop.run(tally.stop())
    assert [one.times for one in loop.run(PolicyTally(engine, clock).totals(0))] == [2]
