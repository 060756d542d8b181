"""How well the servers of domains were encrypted, and what is worse than before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from mailnode.store.facades.tls_results import TlsResults
from mailnode.store.units import tls_memory
from mailnode.values.tls_report import AUTHENTIC, DAY, ENCRYPTED, PLAIN, Remembered, ReportedPolicy, TlsSession

NOW = float(20_000 * DAY + 3600)
MX = TlsSession("d.example", ReportedPolicy("d.example"), "mx.d.example", "192.0.2.1")


class World:
    def __init__(self, engine: Any, loop: Any) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.results = TlsResults(engine, self.clock, reports=False)
        self.loop = loop
        self.told: list[dict[str, Any]] = []

    def observe(self, event: Any) -> None:
        if event.get("event") == "queue.tls_downgrade":
            self.told.append(event["fields"])

    def meet(self, *levels: str, **more: Any) -> list[tuple[str, str, str]]:
        """Connections, of which is written once; return what is told of it."""
        for level in levels:
            self.results.note(replace(MX, level=level, **more))
        self.loop.run(self.results.write())
        told, self.told = self.told, []
        return [(one["host"], one["was"], one["now"]) for one in told]


@pytest.fixture
def world(engine, loop):
    world = World(engine, loop)
    globalLogPublisher.addObserver(world.observe)
    yield world
    globalLogPublisher.removeObserver(world.observe)


@pytest.mark.parametrize(("was", "now"), [(AUTHENTIC, ENCRYPTED), (AUTHENTIC, PLAIN), (ENCRYPTED, PLAIN)], ids=" ".join)
def test_worse_than_before(world, was, now):
    assert world.meet(was) == []
    world.clock.advance(5 * DAY)
    assert world.meet(now, result="starttls-not-supported", reason="why") == [("mx.d.example", was, now)]
    [made] = world.loop.run(world.results.downgrades())
    assert (made.since, made.at, made.result, made.reason) == (NOW, NOW + 5 * DAY, "starttls-not-supported", "why")
    assert (made.domain, made.host, made.address, made.was, made.now) == ("d.example", MX.host, MX.address, was, now)


def test_as_good_or_better_is_no_news(world):
    for level in (PLAIN, PLAIN, ENCRYPTED, ENCRYPTED, AUTHENTIC, AUTHENTIC):
        assert world.meet(level) == []


def test_once_a_day_of_a_domain_as_long_as_it_lasts(world):
    world.meet(AUTHENTIC)
    world.meet(AUTHENTIC, host="b.d.example")
    told = []
    for _ in range(4):
        told.append(len(world.meet(PLAIN) + world.meet(PLAIN, host="b.d.example")))
        world.clock.advance(DAY / 2)
    assert told == [1, 0, 1, 0]


def test_it_is_forgotten_after_90_days(world):
    world.meet(AUTHENTIC)
    for _ in range(3):
        world.clock.advance(31 * DAY)
        world.meet(ENCRYPTED)
    assert world.loop.run(world.results.remembered()) == [
        Remembered("d.example", MX.host, NOW + 93 * DAY, NOW)
    ]  # the sweep has not come yet
    world.clock.advance(DAY)
    assert world.meet(ENCRYPTED) == []
    world.clock.advance(90 * DAY)
    assert world.loop.run(world.results.sweep(world.clock.seconds())) == 2  # and what was told of it
    assert world.meet(PLAIN) == []


def test_within_one_write(world):
    """The worst counts against what was before, and the best is remembered."""
    assert world.meet(PLAIN, AUTHENTIC, ENCRYPTED) == []
    assert world.meet(AUTHENTIC, ENCRYPTED) == [(MX.host, AUTHENTIC, ENCRYPTED)]
    [one] = world.loop.run(world.results.remembered("d.example"))
    assert one.level == AUTHENTIC
    assert world.loop.run(world.results.remembered("e.example")) == []


def test_a_server_nobody_knows_is_held_against_its_domain_once(world):
    """Who forges MX records brings another server; a domain whose servers differ is told of no more than once."""
    world.meet(AUTHENTIC)
    assert world.meet(PLAIN, host="forged.example") == [("forged.example", AUTHENTIC, PLAIN)]
    world.clock.advance(DAY)
    assert world.meet(PLAIN, host="forged.example") == []
    assert world.meet(PLAIN, domain="other.example") == []


def test_a_failure_before_any_connection_says_nothing_of_it(world):
    world.meet(AUTHENTIC)
    assert world.meet("", result="sts-policy-fetch-error", host="") == []
    assert len(world.loop.run(world.results.remembered())) == 1


# bounds


def test_servers_of_one_domain(world, monkeypatch):
    monkeypatch.setattr(tls_memory, "MOST_SERVERS", 3)
    for number in range(5):
        world.meet(AUTHENTIC, host=f"{number}.d.example")
    assert [one.host[0] for one in world.loop.run(world.results.remembered())] == ["0", "1", "2"]
    assert world.meet(PLAIN, host="2.d.example") == [("2.d.example", AUTHENTIC, PLAIN)]


def test_all_servers(world, monkeypatch):
    """Those that were not seen for longest go first."""
    monkeypatch.setattr(tls_memory, "MOST", 2)
    for name in "abab":
        world.meet(AUTHENTIC, domain=f"{name}.example")
        world.clock.advance(1)
    world.meet(AUTHENTIC, domain="c.example")
    assert [one.domain for one in world.loop.run(world.results.remembered())] == ["b.example", "c.example"]


def test_domains_told_of(world, monkeypatch):
    monkeypatch.setattr(tls_memory, "MOST_DOWNGRADES", 2)
    for name in "abc":
        world.meet(AUTHENTIC, domain=f"{name}.example")
        assert len(world.meet(PLAIN, domain=f"{name}.example")) == 1
        world.clock.advance(1)
    assert [one.domain for one in world.loop.run(world.results.downgrades())] == ["c.example", "b.example"]
