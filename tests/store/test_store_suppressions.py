"""Recipients that bounced for an account: when they are refused, for how long, and when they are forgotten."""

from __future__ import annotations

import pytest

from mailnode.store.engines.engine import QUEUE
from mailnode.store.facades.suppressions import Suppressions
from mailnode.store.units import suppression_rows
from mailnode.values.sending import DAY, Suppression

NOW = 1_800_000_000.0
BOB = "bob@b.example"


@pytest.fixture
def suppressions(engine):
    return Suppressions(engine)


@pytest.fixture
def bounce(suppressions, loop):
    def bounce(now=NOW, account="ann", recipient=BOB, after=2, seconds=7 * DAY):
        args = (account, recipient, "5.1.1", "550 5.1.1 no bob", now, after, seconds)
        return loop.run(suppressions.bounced(*args))

    return bounce


def test_the_second_bounce_suppresses_and_time_lifts_it(suppressions, bounce, loop):
    bounce()
    assert loop.run(suppressions.suppressed("ann", BOB, NOW + 1)) is None
    bounce(NOW + DAY)
    found = loop.run(suppressions.suppressed("ann", BOB, NOW + 2 * DAY))
    assert found == Suppression(BOB, 2, NOW + DAY, NOW + 8 * DAY, "5.1.1", "550 5.1.1 no bob")
    assert loop.run(suppressions.suppressed("ann", "other@b.example", NOW + 2 * DAY)) is None
    assert loop.run(suppressions.suppressed("eve", BOB, NOW + 2 * DAY)) is None
    assert loop.run(suppressions.suppressed("ann", BOB, NOW + 8 * DAY)) is None


def test_bounces_that_are_written_side_by_side_are_all_counted(suppressions, loop):
    """Each below the number that suppresses: none of them hides another."""
    bounced = [suppressions.bounced("ann", BOB, "5.1.1", "550 no bob", NOW, 100, DAY) for _ in range(20)]
    assert sorted(one.bounces for one in loop.together(*bounced)) == list(range(1, 21))


def test_each_further_one_doubles_it_up_to_a_bound(bounce):
    now, lasted = NOW, []
    for _ in range(7):
        until = bounce(now, after=1).refused_until
        lasted.append((until - now) / DAY)
        now = until
    assert lasted == [7, 14, 28, 56, 90, 90, 90]


def test_what_was_on_its_way_already_counts_once(bounce):
    assert bounce(after=1).bounces == bounce(NOW + 60, after=1).bounces == 1
    assert bounce(NOW + 60, after=1).refused_until == NOW + 7 * DAY


def test_a_bounce_long_ago_does_not_count(bounce):
    bounce()
    assert bounce(NOW + 31 * DAY).bounces == 1
    assert bounce(NOW + 60 * DAY).bounces == 2


def test_an_operator_adds_and_removes(suppressions, bounce, loop):
    assert loop.run(suppressions.suppressed("ann", BOB, NOW)) is None
    loop.run(suppressions.suppress("ann", BOB, NOW, NOW + DAY))
    assert loop.run(suppressions.suppressed("ann", BOB, NOW)).bounces == 0
    assert [one.recipient for one in loop.run(suppressions.listed("ann"))] == [BOB]
    assert loop.run(suppressions.remove("ann", BOB))
    assert not loop.run(suppressions.remove("ann", BOB))
    assert loop.run(suppressions.suppressed("ann", BOB, NOW)) is None
    bounce(after=1)
    assert loop.run(suppressions.suppressed("ann", BOB, NOW)) is not None


def test_they_outlive_the_server_and_are_swept(suppressions, bounce, engine, loop):
    bounce(after=1)
    loop.run(suppressions.suppress("ann", "by-hand@b.example", NOW, NOW + DAY))
    assert loop.run(Suppressions(engine).suppressed("ann", BOB, NOW)) is not None
    assert loop.run(suppressions.sweep(NOW + DAY)) == 1
    assert [one.recipient for one in loop.run(suppressions.listed("ann"))] == [BOB]
    assert loop.run(suppressions.sweep(NOW + 37 * DAY)) == 1
    assert loop.run(suppressions.listed("ann")) == []


def test_an_account_keeps_a_bounded_number(suppressions, bounce, loop, monkeypatch):
    monkeypatch.setattr(suppression_rows, "MOST", 3)
    for number in range(5):
        bounce(NOW + number, recipient=f"u{number}@b.example", after=1)
    bounce(account="eve", after=1)
    assert [one.recipient for one in loop.run(suppressions.listed("ann"))] == [f"u{n}@b.example" for n in (2, 3, 4)]


def test_an_account_without_any_costs_no_look(suppressions, bounce, engine, loop, monkeypatch):
    assert loop.run(suppressions.suppressed("ann", BOB, NOW)) is None
    reads = []
    read = engine.read

    async def counted(tenancy, *args):
        reads.append(tenancy)
        return await read(tenancy, *args)

    monkeypatch.setattr(engine, "read", counted)
    assert loop.run(suppressions.suppressed("ann", BOB, NOW)) is None
    assert reads == []
    bounce(after=1)
    assert loop.run(suppressions.suppressed("ann", BOB, NOW)) is not None
    assert reads == [QUEUE]
