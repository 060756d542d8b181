"""Counters that may be lost, on every engine."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from mailnode.errors import StoreUnavailable
from mailnode.store.engines.engine import EPHEMERAL
from mailnode.store.facades.ephemeral import Ephemeral

NOW = 1_800_000_000.0


@pytest.fixture
def clock():
    clock = Clock()
    clock.advance(NOW)
    return clock


def counters(engine, clock, loop, **settings):
    made = Ephemeral(engine, clock, **settings)
    loop.run(made.start())
    return made


def names(tx):
    return [row[0] for row in tx.execute("SELECT name FROM counter ORDER BY name")]


def test_a_counter_decays_by_half(engine, clock, loop):
    these = counters(engine, clock, loop)
    assert loop.run(these.add("k", 8, NOW, 60.0)) == 8.0
    assert loop.run(these.get("k", NOW + 60, 60.0)) == pytest.approx(4.0)
    assert loop.run(these.add("k", 1.0, NOW + 120, 60.0)) == pytest.approx(3.0)
    assert loop.run(these.get("other", NOW, 60.0)) == 0.0
    loop.run(these.clear("k"))
    assert loop.run(these.get("k", NOW, 60.0)) == 0.0


def test_a_clock_that_steps_back_raises_nothing(engine, clock, loop):
    these = counters(engine, clock, loop)
    loop.run(these.add("k", 8.0, NOW, 60.0))
    assert loop.run(these.get("k", NOW - 3600, 60.0)) == 8.0


def test_counters_are_there_after_a_stop(engine, clock, loop):
    these = counters(engine, clock, loop)
    for key in ("a", "b", "long" * 1000, "sur\udcffrogate\0"):
        loop.run(these.add(key, 4.0, NOW, 3600.0))
    loop.run(these.clear("b"))
    loop.run(these.stop())
    again = counters(engine, clock, loop)
    for key, amount in (("a", 4.0), ("b", 0.0), ("long" * 1000, 4.0), ("sur\udcffrogate\0", 4.0)):
        assert loop.run(again.get(key, NOW, 3600.0)) == amount
    loop.run(again.stop())
    assert not clock.getDelayedCalls()


def test_what_has_decayed_is_forgotten_at_start(engine, clock, loop):
    these = counters(engine, clock, loop)
    loop.run(these.add("old", 1.0, NOW, 10.0))
    loop.run(these.stop())
    assert loop.run(engine.read(EPHEMERAL, names)) == ["old"]
    clock.advance(1000)
    again = counters(engine, clock, loop)
    assert loop.run(engine.read(EPHEMERAL, names)) == []
    loop.run(again.stop())


def test_memory_is_bounded_and_the_oldest_goes(engine, clock, loop):
    these = counters(engine, clock, loop, limit=3)
    for key in "abcda":
        loop.run(these.add(key, 1.0, NOW, 60.0))
    assert [loop.run(these.get(key, NOW, 60.0)) for key in "abcd"] == [1.0, 0.0, 1.0, 1.0]
    loop.run(these.stop())
    assert loop.run(engine.read(EPHEMERAL, names)) == ["a", "c", "d"]


class Broken:
    """An engine that cannot do anything."""

    async def read(self, *args):
        raise StoreUnavailable("broken")

    write = read


def test_a_broken_store_changes_nothing(clock, loop):
    these = counters(Broken(), clock, loop, interval=5.0)
    loop.run(these.add("k", 2.0, NOW, 60.0))
    clock.advance(5.0)
    assert loop.run(these.get("k", NOW, 60.0)) == 2.0
    clock.advance(5.0)
    loop.run(these.stop())


def test_changes_are_written_at_the_interval(clock, loop):
    from mailnode.store.engines.sqlite import SqliteEngine

    engine = SqliteEngine(None, 1)
    loop.run(engine.start())
    these = counters(engine, clock, loop, interval=5.0)
    loop.run(these.add("k", 2.0, NOW, 60.0))
    assert loop.run(engine.read(EPHEMERAL, names)) == []
    clock.advance(5.0)
    assert loop.run(engine.read(EPHEMERAL, names)) == ["k"]
    loop.run(these.clear("k"))
    clock.advance(5.0)
    assert loop.run(engine.read(EPHEMERAL, names)) == []
    loop.run(these.stop())


def test_counts_are_taken_all_or_none_and_given_back(engine, clock, loop):
    these = counters(engine, clock, loop)
    counts = [("a:1", 2.0, 60.0), ("b:1", 10.0, 60.0)]
    assert [loop.run(these.take(counts, "", NOW)) for _ in range(3)] == ["counted", "counted", "refused"]
    assert [loop.run(these.get(key, NOW, 60.0)) for key in ("a:1", "b:1")] == [2.0, 2.0]
    loop.run(these.give_back(counts, "", NOW))
    assert loop.run(these.take(counts, "", NOW)) == "counted"
    assert loop.run(these.take(counts, "", NOW + 60)) == "counted"  # half of it is forgotten
    for _ in range(5):
        loop.run(these.give_back(counts, "", NOW + 60))
    assert loop.run(these.get("a:1", NOW + 60, 60.0)) == 0.0
    loop.run(these.stop())


def test_what_is_taken_once_is_known_for_a_day(engine, clock, loop):
    these = counters(engine, clock, loop)
    counts = [("a:1", 2.0, 60.0)]
    assert [loop.run(these.take(counts, "x", NOW)) for _ in range(3)] == ["counted", "known", "known"]
    assert loop.run(these.get("a:1", NOW, 60.0)) == 1.0
    assert loop.run(these.take(counts, "x", NOW + 86_401)) == "counted"
    loop.run(these.give_back(counts, "x", NOW))
    assert loop.run(these.take(counts, "x", NOW)) == "counted"
    loop.run(these.stop())


def test_a_flood_in_one_space_pushes_nothing_out_of_another(engine, clock, loop):
    these = counters(engine, clock, loop, limit=3)
    loop.run(these.add("good:1", 1.0, NOW, 86_400.0))
    for number in range(10):
        loop.run(these.add(f"bad:{number}" * 100, 1.0, NOW + number, 86_400.0))
    loop.run(these.stop())
    assert len(loop.run(engine.read(EPHEMERAL, names))) == 4
    again = counters(engine, clock, loop, limit=3)
    assert loop.run(again.get("good:1", NOW, 86_400.0)) == 1.0
    loop.run(again.stop())
