"""What policies remember: known at once, written now and then, read by others, bounded and forgotten."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from mailnode.errors import StoreUnavailable
from mailnode.interfaces.policy import IPolicyMemory
from mailnode.server.plugins import UnchangedMemory
from mailnode.store.engines.engine import EPHEMERAL
from mailnode.store.facades import policy_memory as facade
from mailnode.store.facades.ephemeral import Ephemeral
from mailnode.store.facades.policy_memory import PolicyMemory
from mailnode.store.units import policy_memory

DAY = 86_400.0


@pytest.fixture
def clock():
    clock = Clock()
    clock.advance(1_800_000_000)
    return clock


@pytest.fixture
def make(engine, clock):
    counters = Ephemeral(engine, clock)
    return lambda: PolicyMemory(engine, counters, clock)


def rows(tx):
    return tx.execute("SELECT space, digest, said FROM policy_memory ORDER BY expires")


def test_what_one_process_remembers_others_know_once_it_is_written(make, engine, loop):
    one, other = make(), make()
    one.remember("greylist", "a key", "since 5", DAY)
    assert loop.run(one.recall("greylist", "a key")) == "since 5"
    assert loop.run(other.recall("greylist", "a key")) is None
    loop.run(one.write())
    assert loop.run(other.recall("greylist", "a key")) == "since 5"
    assert loop.run(other.recall("other", "a key")) is None
    [(space, digest, said)] = loop.run(engine.read(EPHEMERAL, rows))
    assert (space, said) == ("greylist", "since 5")
    assert b"a key" not in bytes(digest)


def test_what_has_expired_is_not_known_and_is_swept(make, engine, clock, loop):
    memory = make()
    for number in range(3):
        memory.remember("greylist", f"{number}", "x", DAY * (1 + number))
    loop.run(memory.write())
    clock.advance(DAY)
    assert loop.run(memory.recall("greylist", "0")) is None
    assert loop.run(make().recall("greylist", "0")) is None
    assert loop.run(memory.recall("greylist", "1")) == "x"
    assert loop.run(memory.sweep(clock.seconds())) == 1
    assert len(loop.run(engine.read(EPHEMERAL, rows))) == 2


def test_what_another_process_changed_is_seen_in_time(make, clock, loop):
    one, other = make(), make()
    one.remember("s", "k", "old", DAY)
    loop.run(one.write())
    other.remember("s", "k", "new", DAY)
    loop.run(other.write())
    assert loop.run(one.recall("s", "k")) == "old"
    clock.advance(facade.FRESH)
    assert loop.run(one.recall("s", "k")) == "new"
    other.forget("s", "k")
    assert loop.run(other.recall("s", "k")) is None
    loop.run(other.write())
    clock.advance(facade.FRESH)
    assert loop.run(one.recall("s", "k")) is None


def test_of_a_full_space_what_would_expire_first_goes(make, loop, monkeypatch):
    monkeypatch.setattr(policy_memory, "MOST", 3)
    memory = make()
    memory.remember("another", "k", "x", 1.0)
    for number in range(5):
        memory.remember("s", f"{number}", "x", DAY * (number + 1))
    loop.run(memory.write())
    fresh = make()
    assert [loop.run(fresh.recall("s", f"{number}")) for number in range(5)] == [None, None, "x", "x", "x"]
    assert loop.run(fresh.recall("another", "k")) == "x"


def test_memory_is_bounded(make, loop, monkeypatch):
    monkeypatch.setattr(facade, "KNOWN", 3)
    monkeypatch.setattr(facade, "WAITING", 2)
    memory = make()
    for number in range(5):
        memory.remember("s", f"{number}", "x" * 1000, DAY)
    assert (len(memory._known), len(memory._new)) == (3, 2)
    assert loop.run(memory.recall("s", "4")) == "x" * facade.MAX_SAID


def test_it_is_written_by_the_clock_and_at_the_end(make, engine, clock, loop):
    memory = make()
    memory.start()
    memory.remember("s", "1", "x", DAY)
    clock.advance(5)
    loop.run(engine.read(EPHEMERAL, rows))
    memory.remember("s", "2", "x", DAY)
    loop.run(memory.stop())
    assert len(loop.run(engine.read(EPHEMERAL, rows))) == 2
    assert clock.getDelayedCalls() == []


def test_so_many_may_come_at_once_and_as_many_in_each_such_time(make, clock, loop):
    one, other = make(), make()  # of two processes: one counts for both
    counts = [("network", 10, 3600.0), ("everybody", 100, 3600.0)]
    taken = [loop.run((one, other)[number % 2].take("rates", counts)) for number in range(12)]
    assert taken == [True] * 10 + [False] * 2
    assert loop.run(one.take("rates", [("another", 10, 3600.0)]))
    clock.advance(3600)
    taken = [loop.run(one.take("rates", counts)) for number in range(12)]
    assert 6 <= sum(taken) <= 10


class NoEngine:
    async def read(self, *what):
        raise StoreUnavailable

    write = read


class NoCounters:
    async def take(self, *what):
        raise StoreUnavailable


def test_a_store_that_is_not_available_holds_nobody_up(clock, loop):
    memory = PolicyMemory(NoEngine(), NoCounters(), clock)
    verifyObject(IPolicyMemory, memory)
    assert loop.run(memory.recall("s", "k")) is None
    memory.remember("s", "k", "x", DAY)
    loop.run(memory.write())
    assert loop.run(memory.recall("s", "k")) == "x"  # by memory alone
    assert loop.run(memory.take("s", [("k", 1, 60.0)]))


def test_who_only_asks_changes_nothing(make, loop):
    memory = make()
    memory.remember("s", "k", "x", DAY)
    asking = UnchangedMemory(memory)
    verifyObject(IPolicyMemory, asking)
    asking.forget("s", "k")
    asking.remember("s", "other", "x", DAY)
    assert loop.run(asking.recall("s", "k")) == "x"
    assert loop.run(memory.recall("s", "other")) is None
    assert loop.run(UnchangedMemory().recall("s", "k")) is None
    for _ in range(2):
        assert loop.run(asking.take("s", [("k", 1, 60.0)]))
