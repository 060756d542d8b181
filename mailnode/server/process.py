"""What every process of a server is made of, the first one and the further ones: its parts, and the services that start and
stop them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twisted.logger import globalLogPublisher

from mailnode.net.listeners import wait_for_connections
from mailnode.server.runtime import Runtime
from mailnode.server.services import ProcessService, Startable, nothing
from mailnode.server.serving import Serving
from mailnode.server.stores import Stores
from mailnode.web.metrics import EventMetrics


@dataclass(frozen=True, slots=True)
class Closing:
    """Seconds the end of a process may take, beyond the grace time: ``store`` and ``threads`` for theirs, ``step`` for each
    other one."""

    step: float
    store: float
    threads: float


class MailProcess:
    """The parts of one process, and its services, from which each kind of process puts its own list together."""

    def __init__(
        self, runtime: Runtime, stores: Stores, serving: Serving, closing: Closing, grace: Callable[[], float]
    ) -> None:
        """:param grace: returns the seconds sessions may take to come to their ends."""
        self.runtime = runtime
        self.stores = stores
        self.serving = serving
        self.closing = closing
        self.grace = grace
        self.metrics = runtime.metrics
        self.threads_ended = False  # once the service has stopped; False: some work for nobody, and hold the process
        self._counting = EventMetrics(self.metrics)

    def service(
        self,
        name: str,
        start: Callable[[], object] = nothing,
        stop: Callable[[], object] = nothing,
        *,
        within: Callable[[], float] | None = None,
    ) -> ProcessService:
        """Return one that has a step's time to stop, or ``within``."""
        step = within if within is not None else lambda: self.closing.step
        return ProcessService(name, self.runtime.reactor, start=start, stop=stop, within=step)

    def foundation(self) -> list[Startable]:
        """What all else stands on."""
        runtime, closing = self.runtime, self.closing
        return [
            self.service(
                "event counts",
                lambda: globalLogPublisher.addObserver(self._counting),
                lambda: globalLogPublisher.removeObserver(self._counting),
            ),
            self.service(
                "threads", runtime.threads.start, self._end_threads, within=lambda: closing.threads + closing.step
            ),
            self.service("store", self.stores.start, self.stores.stop, within=lambda: closing.store),
            self.service("helper processes", stop=runtime.stop_helpers),
        ]

    def ports(self) -> Startable:
        """The sockets of the listeners, taken, without accepting yet."""
        return self.service("ports", self.serving.bind, self.serving.close_listeners)

    def rooms(self) -> Startable:
        """The rooms behind the listeners."""
        return self.service("rooms", self.serving.build)

    def sessions(self) -> Startable:
        """Whoever is connected: told of the end, and waited for."""
        return self.service("sessions", stop=self._drain, within=lambda: self.grace() + self.closing.step)

    def listeners(self, *, announced: bool) -> Startable:
        """New connections. :param announced: whether the log says that they are taken."""
        return self.service("listeners", lambda: self.serving.accept(announced=announced), self.serving.close_listeners)

    async def _drain(self) -> None:
        self.serving.drain()
        await wait_for_connections(self.serving.listeners, self.runtime.reactor, self.grace())

    async def _end_threads(self) -> None:
        self.threads_ended = await self.runtime.threads.end(self.runtime.reactor, self.closing.threads)
