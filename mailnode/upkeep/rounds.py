"""Work that comes again: a round, a pause, the next round, until it is stopped; hints tell of accounts in between."""

from __future__ import annotations

from collections.abc import Callable, Coroutine

from twisted.internet.defer import Deferred

from mailnode.interfaces.runtime import IClock, IDelayed


class Rounds:
    """Runs one round at a time. ``stopped``: what is under way should come to an end."""

    def __init__(
        self, clock: IClock, seconds: float, run: Callable[[], Coroutine[Deferred[object], object, None]]
    ) -> None:
        """:param seconds: before the first round and between two. :param run: a round; it raises nothing."""
        self.stopped = False
        self._clock = clock
        self._seconds = seconds
        self._run = run
        self._timer: IDelayed | None = None
        self._round: Deferred[None] | None = None
        self._pausing: Deferred[None] | None = None

    def start(self) -> None:
        """Begin; the first round leaves the start of the server alone."""
        self._timer = self._clock.callLater(self._seconds, self._begin)

    async def stop(self) -> None:
        """Begin no other round, and wait for the one under way; a pause in it ends at once."""
        self.stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._wake()
        if self._round is not None:
            waiting: Deferred[None] = Deferred()
            self._round.addBoth(lambda _: waiting.callback(None))
            await waiting

    async def pause(self, seconds: float) -> None:
        """Leave a round alone for some time."""
        if seconds > 0 and not self.stopped:
            self._pausing = Deferred()
            self._timer = self._clock.callLater(seconds, self._wake)
            await self._pausing

    def _wake(self) -> None:
        pausing, self._pausing = self._pausing, None
        if pausing is not None:
            pausing.callback(None)

    def _begin(self) -> None:
        self._round = Deferred.fromCoroutine(self._run())
        self._round.addBoth(lambda _: self._ended())

    def _ended(self) -> None:
        self._round = None
        if not self.stopped:
            self.start()
