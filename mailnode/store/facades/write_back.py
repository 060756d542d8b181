"""Writing what has been counted now and then, instead of at each count."""

from __future__ import annotations

from collections.abc import Callable, Coroutine

from twisted.internet.defer import Deferred

from mailnode.interfaces.runtime import IClock, IDelayed


class WriteBack:
    """Calls a function so many seconds after it was done the last time, and once at the end."""

    def __init__(
        self, clock: IClock, interval: float, write: Callable[[], Coroutine[Deferred[object], object, None]]
    ) -> None:
        """:param interval: seconds. :param write: raises nothing: what cannot be written is lost, as it may be."""
        self._clock = clock
        self._interval = interval
        self._write = write
        self._timer: IDelayed | None = None
        self._writing: Deferred[None] | None = None
        self._running = False

    @property
    def writing(self) -> bool:
        """Whether the function is under way."""
        return self._writing is not None

    def start(self) -> None:
        """Begin to write now and then."""
        self._running = True
        self._timer = self._clock.callLater(self._interval, self._tick)

    async def stop(self) -> None:
        """Write what is new and end."""
        self._running = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._writing is not None:
            await self._writing
        await self._write()

    def _tick(self) -> None:
        self._timer = None
        self._writing = Deferred.fromCoroutine(self._write())
        self._writing.addBoth(self._written)

    def _written(self, _: object) -> None:
        self._writing = None
        if self._running:
            self._timer = self._clock.callLater(self._interval, self._tick)
