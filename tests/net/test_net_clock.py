"""The time of day steps; timers and durations do not notice."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from mailnode.interfaces.pause import pause
from mailnode.interfaces.runtime import IClock
from mailnode.net.clock import WallClock


def test_timers_do_not_follow_the_time_of_day() -> None:
    timers, wall = Clock(), [1_800_000_000.0]
    clock: Any = WallClock(lambda: wall[0], timers)
    verifyObject(IClock, clock)
    fired: list[str] = []
    clock.callLater(10, fired.append, "first")
    wall[0] -= 3600
    assert clock.seconds() == 1_799_996_400.0
    timers.advance(10)
    assert fired == ["first"]
    taken_back = clock.callLater(10, fired.append, "never")
    wall[0] += 7200
    timers.advance(9)
    assert fired == ["first"] and taken_back.active()
    taken_back.cancel()
    timers.advance(2)
    assert fired == ["first"]


def test_a_pause_lasts_so_many_seconds() -> None:
    clock: Any = Clock()
    done: list[None] = []
    Deferred.fromCoroutine(pause(clock, 1.5)).addCallback(done.append)
    clock.advance(1)
    assert not done
    clock.advance(0.5)
    assert done == [None]
