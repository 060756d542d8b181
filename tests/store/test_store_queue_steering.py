"""An operator steers recipients while a runner works: what it has in hand stays there, and what follows is changed."""

from __future__ import annotations

import pytest
from queue_support import NOW, claimed, outcomes, settle

from mailnode.store.units.statements import KEYS_AT_ONCE
from mailnode.values.queue import (
    BOUNCED,
    DELIVERED,
    DROPPED,
    FAILED,
    GIVEN_UP_DESTINATION,
    LAST_TRY,
    WAITING,
    QueuedRecipient,
    Settlement,
    Steered,
    Steering,
)

LATER = {"next_try": NOW + 300, "status": "4.2.1", "reply": "451 later"}


def steer(queue, loop, indexes=(0,), *, now=NOW, **how):
    return loop.run(queue.steer("e1", indexes, Steering(now, **how)))


def recipients(queue, loop):
    return loop.run(queue.envelope("e1")).recipients


@pytest.fixture
def deferred(queue, post, loop):
    post("e1", ["a.example", "a.example"])
    assert settle(queue, loop, claimed(queue, loop), WAITING, **LATER)
    return queue


def test_what_is_to_be_tried_is_due_and_keeps_its_history(deferred, loop):
    assert steer(deferred, loop, [1], now=NOW + 10) == Steered(1)
    claim = claimed(deferred, loop, now=NOW + 10)
    assert [(one.index, one.attempts) for one in claim.envelope.recipients] == [(1, 1)]
    assert len(loop.run(deferred.history("e1", 10))) == 2


def test_the_last_try_is_told_to_who_makes_it(deferred, loop):
    assert steer(deferred, loop, [0, 1], given_up=LAST_TRY) == Steered(2)
    assert [one.given_up for one in claimed(deferred, loop).envelope.recipients] == [LAST_TRY] * 2


def test_what_is_bounced_has_a_destination_of_its_own(deferred, loop):
    assert steer(deferred, loop, [1], given_up=BOUNCED) == Steered(1)
    assert claimed(deferred, loop) is None
    claim = claimed(deferred, loop, GIVEN_UP_DESTINATION)
    assert [(one.index, one.given_up, one.last_reply) for one in claim.envelope.recipients] == [
        (1, BOUNCED, "451 later")
    ]


def test_what_goes_another_way_keeps_it_and_what_is_delivered_here_does_not_go(queue, post, loop):
    post("e1", ["a.example", QueuedRecipient(1, "x@here.example", ".", next_try=NOW)])
    assert steer(queue, loop, [0, 1], destination="[relay.example]:25") == Steered(1)
    assert [one.destination for one in recipients(queue, loop)] == ["[relay.example]:25", "."]
    assert claimed(queue, loop) is None
    assert claimed(queue, loop, "[relay.example]:25").envelope.recipients[0].index == 0


@pytest.mark.parametrize("how", [{"given_up": LAST_TRY}, {"given_up": BOUNCED}, {"given_up": DROPPED}])
def test_what_is_given_up_during_a_try_is_due_after_it(queue, post, loop, how):
    post("e1", ["a.example"])
    claim = claimed(queue, loop)
    assert steer(queue, loop, **how) == Steered(1, leased=1)
    assert settle(queue, loop, claim, WAITING, **LATER)
    [again] = recipients(queue, loop)
    where = "a.example" if how["given_up"] == LAST_TRY else GIVEN_UP_DESTINATION
    assert (again.state, again.destination, again.next_try) == (WAITING, where, NOW)
    claim = claimed(queue, loop, where)
    assert claim.envelope.recipients[0].given_up == how["given_up"]
    # This runner knows of it, and decides when it is due again.
    assert settle(queue, loop, claim, WAITING, **LATER, given_up=how["given_up"])
    assert recipients(queue, loop)[0].next_try == NOW + 300


def test_what_is_delivered_meanwhile_is_delivered(queue, post, loop):
    post("e1", ["a.example"])
    claim = claimed(queue, loop)
    assert steer(queue, loop, given_up=DROPPED) == Steered(1, leased=1)
    assert settle(queue, loop, claim, DELIVERED)
    assert loop.run(queue.envelope("e1")) is None


@pytest.mark.parametrize("held", [False, True])
def test_what_is_dropped_ends_at_once_and_the_last_takes_its_envelope(deferred, loop, held):
    loop.run(deferred.hold("e1", held))
    assert steer(deferred, loop, [0], given_up=DROPPED) == Steered(1)
    assert [one.state for one in recipients(deferred, loop)] == [FAILED, WAITING]
    assert steer(deferred, loop, [0], given_up=DROPPED) == Steered()
    assert steer(deferred, loop, [0, 1], given_up=DROPPED) == Steered(1)
    assert loop.run(deferred.envelope("e1")) is None
    assert steer(deferred, loop, [0, 1], given_up=DROPPED) == Steered()


def test_a_drop_of_one_leaves_the_try_of_another_alone(queue, post, loop):
    post("e1", ["a.example", "b.example"])
    claim = claimed(queue, loop)
    assert steer(queue, loop, [1], given_up=DROPPED) == Steered(1)
    assert loop.run(queue.settle(Settlement(claim.token, outcomes(claim, DELIVERED))))
    assert loop.run(queue.envelope("e1")) is None


@pytest.mark.parametrize("how", [{}, {"given_up": LAST_TRY}, {"given_up": BOUNCED}, {"destination": "b.example"}])
def test_what_is_held_waits_for_its_release(deferred, loop, how):
    loop.run(deferred.hold("e1", True))
    assert steer(deferred, loop, [0, 1], now=NOW + 1, **how) == Steered(2, held=2)
    [destination] = {one.destination for one in recipients(deferred, loop)}
    assert claimed(deferred, loop, destination, NOW + 1) is None
    loop.run(deferred.hold("e1", False))
    assert len(claimed(deferred, loop, destination, NOW + 1).envelope.recipients) == 2


def test_what_was_held_during_its_try_stays_held_after_it(queue, post, loop):
    post("e1", ["a.example"])
    claim = claimed(queue, loop)
    loop.run(queue.hold("e1", True))
    assert settle(queue, loop, claim, WAITING, **LATER)
    assert claimed(queue, loop, now=NOW + 400) is None


def test_a_crowd_is_steered_in_pieces(queue, post, loop):
    count = KEYS_AT_ONCE + 2
    post("e1", ["a.example"] * count)
    assert steer(queue, loop, range(count), destination="b.example") == Steered(count)
    assert loop.run(queue.steer_several([("e1", range(count), Steering(NOW, given_up=DROPPED))])) == [Steered(count)]
    assert loop.run(queue.envelope("e1")) is None


def test_who_knows_no_such_envelope_steers_nothing(queue, loop):
    assert steer(queue, loop) == Steered()
