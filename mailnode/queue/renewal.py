"""Leases that last as long as what they are for."""

from __future__ import annotations

from collections.abc import Callable, Coroutine

from twisted.internet.defer import Deferred

from mailnode.interfaces.runtime import IClock
from mailnode.queue.trouble import telling


class Renewal:
    """Prolongs a lease at intervals (seconds) until :meth:`end`."""

    def __init__(
        self, renew: Callable[[], Coroutine[Deferred[object], object, None]], clock: IClock, interval: float
    ) -> None:
        self._renew = renew
        self._clock = clock
        self._interval = interval
        self._timer = clock.callLater(interval, self._fire)

    def end(self) -> None:
        """Prolong it no more."""
        if self._timer.active():
            self._timer.cancel()

    def _fire(self) -> None:
        self._timer = self._clock.callLater(self._interval, self._fire)
        renewed = Deferred.fromCoroutine(self._renew())
        renewed.addErrback(telling("renewing a lease failed"))
