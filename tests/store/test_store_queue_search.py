"""The queue is looked through by what people ask for, a stretch of envelopes at a time."""

from __future__ import annotations

import pytest
from queue_support import NOW, claimed, settle

from mailnode.store.engines.engine import QUEUE
from mailnode.store.units import queue_search
from mailnode.values.queue import DEFERRED, HELD, LEASED, WAITING, QueuedRecipient, QueueFilter


@pytest.fixture
def filled(queue, post, loop):
    """e1 waits, e2 is deferred for one recipient of two, e3 is being tried, e4 is held."""
    post("e1", ["new.example"], reverse_path="Ann@Here.example", created=NOW - 50)
    post("e2", ["a.example", "b.example"], reverse_path="bob@here.example")
    post("e3", ["c.example"], reverse_path="")
    post("e4", [QueuedRecipient(0, "u%x@D.example", "relay.example:25", next_try=NOW)], reverse_path="x@there.example")
    reply = {"status": "4.2.2", "reply": "452 Mailbox FULL, 100%", "reason": "full"}
    assert settle(queue, loop, claimed(queue, loop), WAITING, next_try=NOW + 300, **reply)
    claimed(queue, loop, "c.example")
    loop.run(queue.hold("e4", True))
    return queue


@pytest.mark.parametrize(
    ("which", "found"),
    [
        ({}, "e1/0 e2/0 e2/1 e3/0 e4/0"),
        ({"domain": "b.example"}, "e2/1"),
        ({"domain": "d.example"}, "e4/0"),
        ({"domain": "relay.example:25"}, "e4/0"),
        ({"domain": "example"}, ""),
        ({"sender": "ann@here.example"}, "e1/0"),
        ({"sender": "here.example"}, "e1/0 e2/0 e2/1"),
        ({"sender": "@here.example"}, "e1/0 e2/0 e2/1"),
        ({"sender": "%@here.example"}, ""),
        ({"sender": ""}, "e3/0"),
        ({"created_before": NOW}, "e1/0"),
        ({"state": WAITING}, "e1/0 e2/0 e2/1"),
        ({"state": DEFERRED}, "e2/0"),
        ({"state": LEASED}, "e3/0"),
        ({"state": HELD}, "e4/0"),
        ({"reason": "full"}, "e2/0"),
        ({"reason": "held"}, "e4/0"),
        ({"reason": "new"}, "e1/0 e2/1 e3/0"),
        ({"reason": "dns"}, ""),
        ({"reply": "mailbox full"}, "e2/0"),
        ({"reply": "4.2.2"}, "e2/0"),
        ({"reply": "100%"}, "e2/0"),
        ({"reply": "4_2"}, ""),
        ({"state": DEFERRED, "domain": "b.example"}, ""),
    ],
)
def test_all_that_is_given_holds_for_what_is_found(filled, loop, which, found):
    page = loop.run(filled.envelopes(which=QueueFilter(**which)))
    assert " ".join(f"{one.id}/{r.index}" for one in page for r in one.recipients) == found


@pytest.mark.parametrize("stretch", [1, 2, 3, 1000])
def test_pages_hold_all_wherever_a_stretch_ends(filled, loop, monkeypatch, stretch):
    monkeypatch.setattr(queue_search, "STRETCH", stretch)
    for limit in (1, 2, 3, 4, 5):
        found, page = [], None
        while page is None or len(page) == limit:
            page = loop.run(filled.envelopes(found[-1] if found else "", limit))
            found += [one.id for one in page]
        assert found == ["e1", "e2", "e3", "e4"]
    seldom = loop.run(filled.envelopes("", 1, QueueFilter(state=HELD)))
    assert [one.id for one in seldom] == ["e4"]


@pytest.mark.parametrize("engine", ["sqlite-memory"], indirect=True)
def test_one_look_costs_a_stretch_however_many_envelopes_wait(queue, post, engine, loop):
    for number in range(100):
        post(f"e{number:03d}", ["a.example"])
    asked = []

    def look(tx):
        class Asked:
            def execute(self, sql, parameters=()):
                asked.append([row[3] for row in tx.execute("EXPLAIN QUERY PLAN " + sql, parameters)])
                return tx.execute(sql, parameters)

        return queue_search.envelopes(Asked(), 0, "e005", 10, QueueFilter(reply="x"))

    loop.run(engine.read(QUEUE, look))
    assert not [step for plan in asked for step in plan if step.startswith("SCAN") or "TEMP B-TREE" in step]


def test_what_is_paused_waits_for_that(filled, loop):
    loop.run(filled.pause("new.example", NOW))
    assert {reason: sum(ages) for reason, ages in loop.run(filled.tally(NOW)).by_reason.items()}["paused"] == 1
    loop.run(filled.pause("", NOW))
    assert {reason: sum(ages) for reason, ages in loop.run(filled.tally(NOW + 1)).by_reason.items()} == {
        "paused": 4,
        "held": 1,
    }
    assert len(loop.run(filled.envelopes("", 10, QueueFilter(reason="paused")))) == 3


# how much waits


@pytest.mark.parametrize("piece", [1, 2, 5, 6, 1000])
def test_what_waits_is_counted_by_destination_and_reason(filled, loop, monkeypatch, piece):
    monkeypatch.setattr(queue_search, "TALLIED", piece)
    tally = loop.run(filled.tally(NOW + 299))
    assert (tally.recipients, tally.envelopes, tally.oldest) == (5, 4, NOW - 50)
    assert tally.by_state == {WAITING: 4, LEASED: 1}
    assert tally.by_destination == {
        "new.example": [0, 1, 0, 0, 0, 0],
        **{name: [1, 0, 0, 0, 0, 0] for name in ("a.example", "b.example", "c.example", "relay.example:25")},
    }
    assert {reason: sum(ages) for reason, ages in tally.by_reason.items()} == {"new": 3, "full": 1, "held": 1}
    late = loop.run(filled.tally(NOW + 76_790))
    assert late.by_destination["new.example"] == [0, 0, 0, 0, 0, 1] and late.by_reason["held"] == [0, 0, 0, 0, 1, 0]


def test_what_was_counted_is_told_again_for_a_while(filled, post, loop, monkeypatch):
    monkeypatch.setattr("mailnode.store.facades.queue.GOOD_FOR", 100.0)
    first = loop.run(filled.tally(NOW + 10))
    post("e9", ["z.example"])
    assert loop.run(filled.tally(NOW + 70, 60)) is first
    assert loop.run(filled.tally(NOW + 71, 60)).recipients == 6
    post("e10", ["z.example"])
    assert loop.run(filled.tally(NOW - 100, 60)).recipients == 7  # the clock was set back


def test_few_are_counted_anew_each_time(filled, post, loop):
    assert loop.run(filled.tally(NOW)).recipients == 5
    post("e9", ["z.example"])
    assert loop.run(filled.tally(NOW + 1, 60)).recipients == 6


def test_many_names_are_counted_together(filled, loop, monkeypatch):
    monkeypatch.setattr("mailnode.store.facades.queue.MAX_NAMES", 2)
    assert sum(loop.run(filled.tally(NOW)).by_destination["other"]) == 3
