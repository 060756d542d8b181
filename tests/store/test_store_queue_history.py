"""What tries came to is remembered of each recipient, and that a try began is written before it begins."""

from __future__ import annotations

import pytest
from queue_support import NOW, claimed, outcomes, settle

from mailnode.store.engines.engine import QUEUE
from mailnode.store.units import queue_history
from mailnode.values.queue import DELIVERED, FAILED, WAITING, PastAttempt, Settlement

TRY = {"status": "4.2.1", "reply": "451 later", "host": "mx.a.example", "address": "2001:db8::1", "tls": "TLSv1.3"}
WAITS = (300.0, 600.0)


def attempts_kept(tx):
    return tx.execute("SELECT COUNT(*) FROM attempt")[0][0]


def defer(queue, loop, now=NOW, **more):
    claim = claimed(queue, loop, now=now)
    assert settle(queue, loop, claim, WAITING, **{**TRY, "next_try": now + 300, "tried_at": now + 1, **more})


def test_every_recipient_has_its_own_history(queue, post, loop):
    post("e1", ["a.example", "b.example", "a.example"])
    defer(queue, loop)
    claim = claimed(queue, loop, "b.example", NOW + 5)
    assert settle(
        queue,
        loop,
        claim,
        FAILED,
        status="5.1.1",
        reply="550 who?",
        host="mx.b.example",
        tried_at=NOW + 9,
        reason="refused",
    )
    defer(queue, loop, NOW + 300, reply="452 full")
    first = PastAttempt(0, NOW + 1, WAITING, "4.2.1", "451 later", "mx.a.example", "2001:db8::1", "TLSv1.3")
    second = PastAttempt(0, NOW + 301, WAITING, "4.2.1", "452 full", "mx.a.example", "2001:db8::1", "TLSv1.3")
    history = loop.run(queue.history("e1", 100))
    assert history[:2] == [first, second]
    assert history[2] == PastAttempt(1, NOW + 9, FAILED, "5.1.1", "550 who?", "mx.b.example", "", "", "refused")
    assert [one.reason for one in loop.run(queue.envelope("e1")).recipients] == ["", "refused", ""]
    assert [(one.index, one.reply) for one in history[3:]] == [(2, "451 later"), (2, "452 full")]
    assert loop.run(queue.history("e1", 3)) == history[:3]
    assert loop.run(queue.history("e2", 100)) == []


def test_the_last_tries_are_remembered(queue, post, loop):
    post("e1", ["a.example"])
    count = queue_history.KEPT + 3
    for number in range(count):
        defer(queue, loop, NOW + 300 * number, reply=str(number))
    replies = [one.reply for one in loop.run(queue.history("e1", 100))]
    assert replies == [str(number) for number in range(3, count)]


def test_a_try_that_was_cut_off_hides_none_that_ended(queue, post, loop):
    post("e1", ["a.example"])
    defer(queue, loop)
    defer(queue, loop, NOW + 300, reply="shut down", counts_as_attempt=False)
    assert [one.reply for one in loop.run(queue.history("e1", 100))] == ["451 later", "shut down"]
    defer(queue, loop, NOW + 600, reply="452 full")
    assert [one.reply for one in loop.run(queue.history("e1", 100))] == ["451 later", "452 full"]


@pytest.mark.parametrize("end", ["delivered", "dropped"])
def test_history_goes_with_its_envelope(queue, post, engine, loop, monkeypatch, end):
    monkeypatch.setattr("mailnode.store.units.queue_rows.UNIT_ROWS", 2)
    post("e1", ["a.example"] * 2)
    for number in range(3):
        defer(queue, loop, NOW + 300 * number)
    assert loop.run(engine.read(QUEUE, attempts_kept)) == 6
    if end == "delivered":
        claim = claimed(queue, loop, now=NOW + 900)
        assert loop.run(queue.settle(Settlement(claim.token, outcomes(claim, DELIVERED))))
    else:
        assert loop.run(queue.drop("e1"))
    assert loop.run(engine.read(QUEUE, attempts_kept)) == 0
    assert loop.run(queue.tally(NOW)).envelopes == 0


def test_what_is_delivered_at_once_leaves_nothing_to_delete(queue, post, engine, loop):
    post("e1", ["a.example"] * 2)
    assert settle(queue, loop, claimed(queue, loop), DELIVERED, tried_at=NOW)
    assert loop.run(engine.read(QUEUE, attempts_kept)) == 0


# a try begins


def take(queue, loop, now):
    [claim] = loop.run(queue.claim("a.example", now, 60.0, 10, 1, WAITS))
    return claim.envelope.recipients[0]


def test_that_a_try_begins_is_written_with_the_lease(queue, post, loop):
    post("e1", ["a.example"])
    taken = take(queue, loop, NOW + 7)
    assert (taken.began, taken.unsettled) == (NOW + 7, 1)
    assert loop.run(queue.envelope("e1")).recipients == (taken,)


def test_after_one_crash_a_recipient_is_due_at_once_and_after_more_it_waits(queue, post, loop):
    post("e1", ["a.example"])
    now = NOW
    for wait in (0, 300, 600, 600):
        take(queue, loop, now)
        loop.run(queue.end_leases())  # the server died and starts again
        if wait:
            assert loop.run(queue.due(now + wait - 1, 10)) == []
            assert loop.run(queue.next_due(now)) == now + wait
        now += wait
        assert [one.destination for one in loop.run(queue.due(now, 10))] == ["a.example"]
    assert loop.run(queue.envelope("e1")).recipients[0].unsettled == 4


def test_a_lease_that_ran_out_again_and_again_is_followed_by_the_same_waits(queue, post, loop):
    post("e1", ["a.example"])
    take(queue, loop, NOW)
    take(queue, loop, NOW + 60)
    assert loop.run(queue.next_due(NOW + 60)) == NOW + 60 + 300
    take(queue, loop, NOW + 360)
    assert loop.run(queue.next_due(NOW + 360)) == NOW + 360 + 600


def test_a_renewal_does_not_shorten_the_wait(queue, post, loop):
    post("e1", ["a.example"])
    take(queue, loop, NOW)
    [claim] = loop.run(queue.claim("a.example", NOW + 60, 60.0, 10, 1, WAITS))
    assert loop.run(queue.renew(claim.token, NOW + 150))
    assert loop.run(queue.next_due(NOW + 60)) == NOW + 360
    assert loop.run(queue.renew(claim.token, NOW + 400))
    assert loop.run(queue.next_due(NOW + 60)) == NOW + 400


def test_a_settled_try_ends_the_count(queue, post, loop):
    post("e1", ["a.example"])
    take(queue, loop, NOW)
    loop.run(queue.end_leases())
    defer(queue, loop, NOW)
    recipient = loop.run(queue.envelope("e1")).recipients[0]
    assert (recipient.unsettled, recipient.next_try) == (0, NOW + 300)


def test_an_operator_ends_the_wait(queue, post, loop):
    post("e1", ["a.example"])
    for _ in range(2):
        take(queue, loop, NOW)
        loop.run(queue.end_leases())
    assert loop.run(queue.due(NOW, 10)) == []
    assert loop.run(queue.retry(None, NOW)) == 1
    assert [one.destination for one in loop.run(queue.due(NOW, 10))] == ["a.example"]
