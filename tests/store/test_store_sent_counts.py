"""What accounts sent: counted in memory, written now and then, read back, and forgotten."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from mailnode.errors import StoreUnavailable
from mailnode.store.engines.engine import EPHEMERAL
from mailnode.store.facades import sent_counts
from mailnode.store.facades.sent_counts import SentCounts
from mailnode.values.sending import DAY, HOUR, NOTHING, Counted

NOW = 500_000 * HOUR  # an hour begins
ONE = Counted(1, 3, 2)


@pytest.fixture
def counts(engine):
    return SentCounts(engine, Clock())


@pytest.fixture
def send(counts, loop):
    def send(now, counted=ONE, account="ann"):
        loop.run(counts.standing(account, now))
        counts.count(account, counted, now)

    return send


def test_hours_days_and_the_busiest_of_fourteen_days(counts, send, loop):
    for hours in (400, 30, 23, 1):
        send(NOW - hours * HOUR, Counted(1, hours, 1))
    send(NOW)
    for _ in range(2):  # as counted, and as read back
        standing = loop.run(counts.standing("ann", NOW + 60))
        assert (standing.hour, standing.before) == (ONE, Counted(1, 1, 1))
        assert standing.day == Counted(3, 3 + 23 + 1, 4)
        loop.run(counts.write())
        counts._ledgers.clear()
    assert loop.run(counts.standing("ann", NOW)).busiest == 30
    assert loop.run(counts.standing("eve", NOW)).day == NOTHING


def test_of_the_hour_before_the_share_counts_that_is_not_past(counts, send, loop):
    send(NOW - HOUR, Counted(10, 100, 0))
    for minutes, recipients in ((0, 100), (15, 75), (30, 50), (59, 2)):
        now = NOW + minutes * 60
        assert loop.run(counts.standing("ann", now)).within_hour(now).recipients == recipients


def test_what_is_new_is_added_to_what_stands_there(counts, send, engine, loop):
    other = SentCounts(engine, Clock())  # of another server
    send(NOW)
    loop.run(counts.write())
    loop.run(other.standing("ann", NOW))
    other.count("ann", ONE, NOW)
    loop.run(other.write())
    send(NOW, Counted(1, 1, 1))
    loop.run(counts.write())
    assert loop.run(SentCounts(engine, Clock()).standing("ann", NOW)).hour == Counted(3, 7, 5)


def test_it_is_written_every_few_seconds_and_at_the_end(engine, loop):
    clock = Clock()
    clock.advance(NOW)
    counts = SentCounts(engine, clock)
    counts.start()
    counts.count("ann", ONE, NOW)
    clock.advance(10)
    while counts._write_back.writing:
        loop.run(engine.read(EPHEMERAL, lambda tx: None))
    assert loop.run(SentCounts(engine, Clock()).standing("ann", NOW)).hour == ONE
    counts.count("ann", ONE, NOW)
    loop.run(counts.stop())
    assert loop.run(SentCounts(engine, Clock()).standing("ann", NOW)).hour == ONE.plus(ONE)
    assert clock.getDelayedCalls() == []


def test_recipients_are_known_once_they_were_written_to(counts, engine, loop):
    assert not loop.run(counts.knows("ann", "bob@b.example"))
    counts.met("ann", ["bob@b.example"], NOW)
    assert loop.run(counts.knows("ann", "bob@b.example"))
    assert not loop.run(counts.knows("eve", "bob@b.example"))
    loop.run(counts.write())
    again = SentCounts(engine, Clock())
    assert loop.run(again.knows("ann", "bob@b.example"))
    again.met("ann", ["bob@b.example"], NOW + DAY)
    assert not again._met  # it was noted lately
    again.met("ann", ["bob@b.example"], NOW + 8 * DAY)
    assert len(again._met) == 1


def test_who_writes_to_whom_cannot_be_read_there(counts, engine, loop):
    counts.met("ann", ["bob@b.example"], NOW)
    loop.run(counts.write())
    [row] = loop.run(engine.read(EPHEMERAL, lambda tx: tx.execute("SELECT * FROM correspondent")))
    assert b"bob" not in bytes(row[1]) and len(bytes(row[1])) == 16


def test_what_is_old_is_forgotten(counts, send, loop):
    send(NOW)
    counts.met("ann", ["bob@b.example"], NOW)
    loop.run(counts.set_loud("ann", NOW, False))
    loop.run(counts.write())
    assert loop.run(counts.sweep(NOW + 14 * DAY)) == 0
    assert loop.run(counts.sweep(NOW + 15 * DAY)) == 1
    assert loop.run(counts.sweep(NOW + 402 * DAY)) == 1


def test_the_loud_are_remembered(counts, engine, loop):
    loop.run(counts.standing("ann", NOW))
    loop.run(counts.set_loud("ann", NOW, True))
    for one in (counts, SentCounts(engine, Clock())):
        standing = loop.run(one.standing("ann", NOW))
        assert (standing.loud_since, standing.held) == (NOW, True)
    loop.run(counts.set_loud("ann", NOW, False))
    assert not loop.run(counts.standing("ann", NOW)).held


def test_memory_is_bounded_and_nothing_of_late_is_lost_by_it(counts, send, loop, monkeypatch):
    monkeypatch.setattr(sent_counts, "ACCOUNTS", 2)
    for account in ("ann", "bob", "eve"):
        send(NOW, account=account)
    assert list(counts._ledgers) == ["bob", "eve"]
    assert loop.run(counts.standing("ann", NOW)).hour == ONE


def test_a_store_that_cannot_is_counted_without(counts, send, engine, loop, monkeypatch):
    async def fails(*args):
        raise StoreUnavailable

    monkeypatch.setattr(engine, "read", fails)
    monkeypatch.setattr(engine, "write", fails)
    send(NOW)
    counts.met("ann", ["bob@b.example"], NOW)
    loop.run(counts.write())
    assert loop.run(counts.standing("ann", NOW)).hour == ONE
    assert loop.run(counts.knows("ann", "stranger@b.example"))
