"""Looks now and then whether another process changed the directory, should this one not have been told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred

from mailnode.interfaces.runtime import IClock, IDelayed

INTERVAL = 5.0  # seconds between looks


class DirectoryPoll:
    """The clock of ``Directory.poll``."""

    def __init__(self, clock: IClock, poll: Callable[[], Awaitable[None]]) -> None:
        self._clock = clock
        self._poll = poll
        self._timer: IDelayed | None = None
        self._running = False

    def start(self) -> None:
        """Look every few seconds from now on."""
        self._running = True
        self._later()

    def stop(self) -> None:
        """Look no more."""
        self._running = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _later(self) -> None:
        if self._running:
            self._timer = self._clock.callLater(INTERVAL, self._look)

    def _look(self) -> None:
        self._timer = None
        looking = Deferred.fromCoroutine(self._once())
        looking.addErrback(lambda failure: None)  # the store has said so; it is tried again
        looking.addBoth(lambda _: self._later())

    async def _once(self) -> None:
        await self._poll()
