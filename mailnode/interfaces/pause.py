"""Waiting by a clock, which whoever is given one can do."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from mailnode.interfaces.runtime import IClock


async def pause(clock: IClock, seconds: float) -> None:
    """Return after so many seconds; 0 lets others have their turn of the reactor."""
    passed: Deferred[None] = Deferred()
    clock.callLater(seconds, passed.callback, None)
    await passed
