"""An ordered list of what a process runs: started one after the other, stopped in reverse, each within its time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import isawaitable
from typing import Protocol

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.logger import Logger

from mailnode.interfaces.runtime import IClock

_log = Logger()


def nothing() -> None:
    """What starts or stops where there is nothing to do."""


class Startable(Protocol):
    """What a list is made of: one service, or a list again."""

    @property
    def names(self) -> list[str]:
        """What it starts, in order."""

    async def start(self) -> None:
        """Start it. :raises Exception: what stands in the way; then nothing of it is left running."""

    async def stop(self) -> None:
        """Stop it. Never raises."""


class ProcessService:
    """One thing that is started and stopped by functions, which may return awaitables."""

    def __init__(
        self,
        name: str,
        clock: IClock,
        *,
        start: Callable[[], object] = nothing,
        stop: Callable[[], object] = nothing,
        within: Callable[[], float],
    ) -> None:
        """:param within: returns the seconds the stop may take; then it is left behind, and the log says so."""
        self._name = name
        self._clock = clock
        self._start = start
        self._stop = stop
        self._within = within

    @property
    def names(self) -> list[str]:
        """See :class:`Startable`."""
        return [self._name]

    async def start(self) -> None:
        """See :class:`Startable`."""
        await _done(self._start)

    async def stop(self) -> None:
        """See :class:`Startable`. What fails to stop, or takes too long, is logged."""
        seconds = self._within()
        try:
            await Deferred.fromCoroutine(_done(self._stop)).addTimeout(seconds, self._clock)  # type: ignore[arg-type]
        except DeferredTimeout:
            _log.warn("{name} did not stop within {seconds} s", name=self._name, seconds=seconds)
        except Exception:
            _log.failure("{name} could not be stopped", name=self._name)


class Services:
    """A list of services. :meth:`start` may be called for its beginning first; :meth:`stop` once."""

    def __init__(self, services: Sequence[Startable]) -> None:
        self._waiting = list(services)
        self._started: list[Startable] = []

    @property
    def names(self) -> list[str]:
        """What is started, in order; it is stopped in reverse."""
        return [name for service in (*self._started, *self._waiting) for name in service.names]

    async def start(self, through: str | None = None) -> None:
        """Start what has not been started, to the end of the list or with the service of this name as the last.

        :raises Exception: one cannot be started; those before it are stopped."""
        while self._waiting:
            service = self._waiting.pop(0)
            try:
                await service.start()
            except BaseException:
                await self.stop()
                raise
            self._started.append(service)
            if through in service.names:
                return

    async def stop(self) -> None:
        """Stop what has been started, the last one first, and start nothing more."""
        self._waiting.clear()
        while self._started:
            await self._started.pop().stop()


class EndedAtOnce(Services):
    """Services that come to their ends at the same time: each may take its whole time, and they take it once."""

    async def stop(self) -> None:
        """Stop all at once, and return when all have stopped."""
        self._waiting.clear()
        stopping = [Deferred.fromCoroutine(service.stop()) for service in reversed(self._started)]
        self._started.clear()
        await DeferredList(stopping)


async def _done(function: Callable[[], object]) -> None:
    result = function()
    if isawaitable(result):
        await result
