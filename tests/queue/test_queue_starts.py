"""Tries that begin by turns of the reactor."""

from __future__ import annotations

from memory_queue import TurningClock
from twisted.internet.defer import Deferred

from mailnode.queue.starts import Starts


def begun(starts: Starts, count: int) -> list[Deferred[None]]:
    """Return those that wait."""
    return [Deferred.fromCoroutine(starts.wait()) for _ in range(count)]


def test_one_goes_on_every_few_turns():
    clock = TurningClock()
    waiting = begun(Starts(clock, 3), 3)
    went = []
    for _ in range(7):
        went.append(sum(one.called for one in waiting))
        clock.turn()
    assert went == [1, 1, 1, 2, 2, 2, 3]


def test_who_comes_after_a_while_goes_on_at_once_and_no_timer_is_left():
    clock = TurningClock()
    starts = Starts(clock, 2)
    assert begun(starts, 1)[0].called
    clock.turn()
    clock.turn()
    assert clock.getDelayedCalls() == []
    assert begun(starts, 1)[0].called


def test_without_turns_nobody_waits():
    clock = TurningClock()
    assert all(one.called for one in begun(Starts(clock, 0), 5))
    assert clock.getDelayedCalls() == []
