"""A small pool of processes for long Python work, such as reading the structure of very large messages.

Processes are started when first needed, by ``spawn``: forking a process with threads and a reactor would copy their
locks. One that dies takes only its own call with it, which is tried once more in a fresh pool. They load what they are asked
to run (:mod:`mailnode.net.helper_process`), and nothing of the server.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import TypeVar, TypeVarTuple

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from mailnode.errors import Busy
from mailnode.interfaces.reactor import IServerReactor
from mailnode.interfaces.runtime import IDelayed, IProcesses
from mailnode.net import helper_process
from mailnode.values.events import emit

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_log = Logger()


@implementer(IProcesses)
class Processes:
    """The pool of one server. Nothing runs before the first call; :meth:`stop` ends it."""

    def __init__(
        self, reactor: IServerReactor, workers: int = 1, waiting: int = 100, *, nice: int = 0, idle: float | None = None
    ) -> None:
        """:param waiting: calls that may be under way or wait; more are refused. :param nice: by how much other processes
        are preferred. :param idle: seconds without a call after which the processes are ended; None: they stay."""
        self._reactor = reactor
        self._workers = workers
        self._nice = nice
        self._idle = idle
        self._idle_timer: IDelayed | None = None
        self._room = workers + waiting
        self._under_way = 0
        self._pool: ProcessPoolExecutor | None = None
        self._stopped = False

    async def run(self, function: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run a module-level function in a process. :raises Busy: see :class:`IProcesses`."""
        if self._under_way >= self._room:
            raise Busy
        self._under_way += 1
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        try:
            for _ in range(2):
                if self._stopped:
                    break
                pool = self._ready()
                try:
                    return await self._submit(pool, function, args)
                except BrokenProcessPool:
                    if self._pool is pool:  # it was not we who ended it
                        emit(_log, "helper.ended", warning=True, work=function.__name__)
                    self._discard(pool)
            raise Busy
        finally:
            self._under_way -= 1
            self._end_if_idle()

    def begin(self, function: Callable[..., object]) -> None:
        """See :class:`IProcesses`. What is wrong with it, the first call finds out."""
        if self._pool is None and not self._stopped:
            pool = self._ready()
            with suppress(BrokenProcessPool):
                pool.submit(helper_process.loaded, function)
            self._end_if_idle()

    def _end_if_idle(self) -> None:
        if self._idle is not None and self._idle_timer is None and not self._under_way and not self._stopped:
            self._idle_timer = self._reactor.callLater(self._idle, self._end)

    def stop(self) -> None:
        """End the processes; calls under way fail with :class:`Busy`. Does not wait for them."""
        self._stopped = True
        self._end()

    def _end(self) -> None:
        if self._idle_timer is not None and self._idle_timer.active():
            self._idle_timer.cancel()
        self._idle_timer = None
        pool = self._pool
        if pool is not None:
            processes = list((pool._processes or {}).values())
            self._discard(pool)
            for process in processes:
                process.terminate()

    def _ready(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._workers, helper_process.Context(), initializer=helper_process.begin, initargs=(self._nice,)
            )
        return self._pool

    def _discard(self, pool: ProcessPoolExecutor) -> None:
        if self._pool is pool:
            self._pool = None
        pool.shutdown(wait=False, cancel_futures=True)

    async def _submit(self, pool: ProcessPoolExecutor, function: Callable[[*Ts], T], args: tuple[*Ts]) -> T:
        ended: Deferred[None] = Deferred()
        future = pool.submit(function, *args)
        future.add_done_callback(lambda _: self._reactor.callFromThread(ended.callback, None))
        await ended
        return _result(future)


def _result(future: Future[T]) -> T:
    if future.cancelled():
        raise BrokenProcessPool
    return future.result()
