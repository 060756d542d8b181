"""What became of mail stays findable for a while after its envelope is gone, and costs who waits nothing."""

from __future__ import annotations

import pytest
from queue_support import NOW, Post, claimed, outcomes, settle

from mailnode.store.engines.engine import QUEUE
from mailnode.store.facades.queue import Queue
from mailnode.store.facades.suppressions import Suppressions
from mailnode.store.units import queue_past
from mailnode.values.queue import (
    DELIVERED,
    FAILED,
    SENT,
    WAITING,
    PastAttempt,
    QueuedRecipient,
    QueueFilter,
    Settlement,
)

DAY = 86_400.0
TAKEN = {"status": "2.0.0", "reply": "250 taken", "host": "mx.a.example", "address": "192.0.2.1", "tls": "TLSv1.3"}
LATER = {"status": "4.2.1", "reply": "451 später", "host": "mx.a.example", "next_try": NOW + 300}


@pytest.fixture
def queue(engine, blobs):
    return Queue(engine, blobs, sent_history=3 * DAY)


def past(queue, loop, state=SENT, before="", limit=100, **which):
    found = loop.run(queue.past(before, limit, QueueFilter(state=state, **which)))
    return [(one.envelope_id, one.index) for one in found]


def sent(queue, post, loop, name, *, at=NOW, destination="a.example", **fields):
    post(name, [destination], **fields)
    assert settle(queue, loop, claimed(queue, loop, destination), DELIVERED, **{**TAKEN, "tried_at": at})


def test_what_was_sent_at_once_is_found(queue, post, loop):
    submission = post("e1", ["a.example"])
    assert settle(queue, loop, claimed(queue, loop), DELIVERED, **TAKEN, tried_at=NOW + 1)
    [found] = loop.run(queue.past_of("e1", 10))
    assert (found.address, found.destination, found.reverse_path) == ("u0@a.example", "a.example", "me@example.org")
    assert (found.created, found.size) == (NOW, submission.blob.ref.size)
    assert found.attempts == (PastAttempt(0, NOW + 1, DELIVERED, *TAKEN.values()),)
    assert past(queue, loop) == [("e1", 0)] and past(queue, loop, FAILED) == []


def test_each_recipient_is_found_from_its_end_on_with_its_tries(queue, post, loop):
    post("e1", ["a.example", "b.example", "a.example"])
    claim = claimed(queue, loop)
    some = (outcomes(claim, WAITING, **LATER, tried_at=NOW)[0], outcomes(claim, DELIVERED, **TAKEN, tried_at=NOW)[1])
    assert loop.run(queue.settle(Settlement(claim.token, some)))
    assert past(queue, loop) == [("e1", 2)]
    assert settle(
        queue,
        loop,
        claimed(queue, loop, "b.example"),
        FAILED,
        status="5.1.1",
        reply="550",
        tried_at=NOW + 1,
        reason="refused",
    )
    assert past(queue, loop, FAILED) == [("e1", 1)]
    assert settle(queue, loop, claimed(queue, loop, now=NOW + 300), DELIVERED, **TAKEN, tried_at=NOW + 300)
    assert loop.run(queue.envelope("e1")) is None
    found = loop.run(queue.past_of("e1", 10))
    assert [[one.state for one in recipient.attempts] for recipient in found] == [
        [WAITING, DELIVERED],
        [FAILED],
        [DELIVERED],
    ]
    assert found[0].attempts[0] == PastAttempt(0, NOW, WAITING, "4.2.1", "451 später", "mx.a.example", "", "")
    assert [one.reason for one in found[1].attempts] == ["refused"]
    assert past(queue, loop, FAILED, reason="refused") == [("e1", 1)] and past(queue, loop, FAILED, reason="dns") == []


def test_what_is_placed_here_is_not_but_what_could_not_be(queue, post, loop):
    here = [QueuedRecipient(number, "x@here.example", ".", next_try=NOW) for number in range(2)]
    post("e1", here)
    claim = claimed(queue, loop, ".")
    ends = outcomes(claim, DELIVERED, tried_at=NOW)[0], outcomes(claim, FAILED, tried_at=NOW)[1]
    assert loop.run(queue.settle(Settlement(claim.token, ends)))
    assert past(queue, loop) == [] and past(queue, loop, FAILED) == [("e1", 1)]


def test_a_settlement_that_is_lost_leaves_nothing(queue, post, loop):
    post("e1", ["a.example", "b.example"])
    claim, other = claimed(queue, loop), claimed(queue, loop, "b.example")
    wrong = (*outcomes(claim, DELIVERED), *outcomes(other, DELIVERED))
    assert not loop.run(queue.settle(Settlement(claim.token, wrong)))
    assert past(queue, loop) == []


def test_nothing_is_kept_where_nothing_is_asked_for(engine, blobs, loop):
    queue = Queue(engine, blobs)
    sent(queue, Post(queue, blobs, loop), loop, "e1")
    assert past(queue, loop) == []


@pytest.mark.parametrize(
    ("which", "found"),
    [
        ({}, ["e3", "e2", "e1"]),
        ({"domain": "b.example"}, ["e2"]),
        ({"sender": "example.org"}, ["e2", "e1"]),
        ({"sender": ""}, ["e3"]),
        ({"created_before": NOW}, ["e2"]),
        ({"reply": "TAKEN"}, ["e3", "e2", "e1"]),
        ({"reply": "550"}, []),
    ],
)
@pytest.mark.parametrize("rows", [1, 2, 3, 1000])
def test_it_is_looked_through_from_the_latest_on(queue, post, loop, monkeypatch, which, found, rows):
    sent(queue, post, loop, "e1")
    sent(queue, post, loop, "e2", destination="b.example", created=NOW - 5)
    sent(queue, post, loop, "e3", reverse_path="")
    monkeypatch.setattr(queue_past, "ROWS", rows)
    assert [name for name, _ in past(queue, loop, **which)] == found
    assert [name for name, _ in past(queue, loop, before="e3", **which)] == [name for name in found if name != "e3"]
    assert [name for name, _ in past(queue, loop, limit=1, **which)][:1] == found[:1]


@pytest.mark.parametrize("rows", [1, 2, 1000])
def test_it_is_forgotten_in_time(queue, post, loop, monkeypatch, rows):
    monkeypatch.setattr(queue_past, "ROWS", rows)
    for number in range(4):
        sent(queue, post, loop, f"e{number}", at=NOW + number * DAY)
    assert loop.run(queue.forget_past(NOW + 4 * DAY)) == 2
    assert past(queue, loop) == [("e3", 0), ("e2", 0)]


def test_there_is_never_more_of_it_than_is_good(queue, post, loop, monkeypatch):
    monkeypatch.setattr("mailnode.store.facades.queue.MAX_PAST", 2)
    for number in range(5):
        sent(queue, post, loop, f"e{number}", at=NOW + number)
    assert loop.run(queue.forget_past(NOW)) == 3
    assert past(queue, loop) == [("e4", 0), ("e3", 0)]


@pytest.mark.parametrize("engine", ["sqlite-memory"], indirect=True)
def test_no_question_reads_all_of_it(queue, post, engine, loop):
    for number in range(50):
        sent(queue, post, loop, f"e{number:02d}")
    asked = []

    def look(tx):
        class Asked:
            def execute(self, sql, parameters=()):
                asked.append([row[3] for row in tx.execute("EXPLAIN QUERY PLAN " + sql, parameters)])
                return tx.execute(sql, parameters)

        queue_past.recipients(Asked(), 0, "e40", QueueFilter(state=SENT, reply="x"))
        queue_past.of_envelope(Asked(), 0, "e40", 10)
        queue_past.forget_some(Asked(), 0, NOW - 1)

    loop.run(engine.write(QUEUE, look))
    steps = [step for plan in asked for step in plan]
    assert not [step for step in steps if step.startswith("SCAN") or "TEMP B-TREE FOR ORDER" in step]


def test_mail_that_came_back_is_noted_once_for_who_sent_it(queue, engine, post, loop):
    suppressions = Suppressions(engine)
    sent(queue, post, loop, "e1", account_id="ann")
    sent(queue, post, loop, "e2", account_id="bob")
    sent(queue, post, loop, "e3")

    def returned(accounts, envelopes, recipient="u0@a.example"):
        return loop.run(suppressions.returned(accounts, envelopes, recipient, NOW))

    assert returned(["ann"], ["e2", "e3", "e4"]) == returned(["ann"], ["e1"], "u1@a.example") == []
    assert returned(["ann", "bob"], ["e0", "e1", "e2"]) == [
        ("e1", "ann", "u0@a.example"),
        ("e2", "bob", "u0@a.example"),
    ]
    assert returned(["ann", "bob"], ["e1", "e2"]) == []


def test_mail_that_came_back_is_found_among_that_to_very_many(queue, engine, post, loop, monkeypatch):
    monkeypatch.setattr(queue_past, "ROWS", 3)
    post("e1", ["a.example"] * 9, account_id="ann")
    assert settle(queue, loop, claimed(queue, loop), DELIVERED, **TAKEN, tried_at=NOW)
    noted = loop.run(Suppressions(engine).returned(["ann"], ["e1"], "u8@a.example", NOW))
    assert noted == [("e1", "ann", "u8@a.example")]


def test_what_failed_at_once_does_not_come_back(queue, engine, post, loop):
    post("e1", ["a.example"], account_id="ann")
    assert settle(queue, loop, claimed(queue, loop), FAILED, status="5.1.1", reply="550", tried_at=NOW)
    assert loop.run(Suppressions(engine).returned(["ann"], ["e1"], "u0@a.example", NOW)) == []
