"""The time of day beside timers that do not follow it.

An administrator or a time server may set the clock of a machine at any moment. Timers and durations must not notice: a
server process makes its reactor count from a clock that never steps, and :class:`WallClock` tells the time of day to
those who write it down (Date, INTERNALDATE, the queue's next try).
"""

from __future__ import annotations

from collections.abc import Callable

from zope.interface import implementer

from mailnode.interfaces.runtime import IClock, IDelayed


@implementer(IClock)
class WallClock:
    """UTC that may step, and the timers of a clock that does not."""

    def __init__(self, wall: Callable[[], float], timers: IClock) -> None:
        """:param wall: returns UTC seconds. :param timers: the reactor."""
        self._wall = wall
        self._timers = timers

    def seconds(self) -> float:
        """UTC seconds; may be less than a moment ago."""
        return self._wall()

    def callLater(self, delay: float, callable: Callable[..., object], *args: object, **kwargs: object) -> IDelayed:
        """Call back after ``delay`` seconds, whatever becomes of the time of day."""
        return self._timers.callLater(delay, callable, *args, **kwargs)
