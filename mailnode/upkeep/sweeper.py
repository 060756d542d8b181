"""The clock of what comes again and again, such as the sweep, which removes for good what was given up long enough ago."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mailnode.interfaces.runtime import IClock, IDelayed

FIRST, INTERVAL = 300.0, 3600.0  # seconds after start, and between the end of one sweep and the next

_log = Logger()


class Sweeper:
    """Calls a sweep with the present UTC seconds, never twice at once. What it raises is logged; the next still comes."""

    def __init__(
        self,
        sweep: Callable[[float], Awaitable[object]],
        clock: IClock,
        first: float = FIRST,
        interval: float = INTERVAL,
        name: str = "the sweep",
    ) -> None:
        """:param sweep: such as ``MailStore.sweep``. :param first: and ``interval``: seconds, see above.
        :param name: for the log."""
        self._sweep = sweep
        self._name = name
        self._clock = clock
        self._first = first
        self._interval = interval
        self._timer: IDelayed | None = None
        self._sweeping: Deferred[None] | None = None
        self._stopped = False

    def start(self) -> None:
        """Begin; the first sweep leaves the start of the server alone."""
        self._timer = self._clock.callLater(self._first, self._begin)

    async def stop(self) -> None:
        """Begin no further sweep and wait for one under way, which works in short units."""
        self._stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._sweeping is not None:
            waiting: Deferred[None] = Deferred()
            self._sweeping.addBoth(lambda _: waiting.callback(None))
            await waiting

    def _begin(self) -> None:
        self._sweeping = Deferred.fromCoroutine(self._run())
        self._sweeping.addBoth(lambda _: self._ended())

    async def _run(self) -> None:
        try:
            await self._sweep(self._clock.seconds())
        except Exception:
            _log.failure("{name} failed", name=self._name)

    def _ended(self) -> None:
        self._sweeping = None
        if not self._stopped:
            self._timer = self._clock.callLater(self._interval, self._begin)
