"""Bounded thread pools by purpose. Full pools refuse at once instead of letting work pile up."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar, TypeVarTuple

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from mailnode.errors import Busy
from mailnode.interfaces.pause import pause
from mailnode.interfaces.runtime import IClock, IThreads

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# One busy Python thread makes every hop to another 5 ms long at the interpreter's default.
SWITCH_INTERVAL = 0.0005  # seconds, for sys.setswitchinterval
ENDING_STEP = 0.02  # seconds


@dataclass(frozen=True, slots=True)
class PoolSize:
    """``threads`` at most; ``waiting``: calls that may wait for one."""

    threads: int
    waiting: int


def default_sizes(cores: int | None = None) -> dict[str, PoolSize]:
    """Return the sizes a server uses; ``cores`` is the machine's number of them."""
    cores = cores or os.cpu_count() or 1
    return {
        "store": PoolSize(8, 4000),
        "disk": PoolSize(8, 4000),
        "cpu": PoolSize(max(2, cores), 4000),
        # Each derivation holds 19 MiB; who waits behind more than 200 of them has given up.
        "password": PoolSize(max(2, cores), 200),
        "http": PoolSize(2, 50),
        "doctor": PoolSize(2, 4),  # rounds of checks, which wait for others most of the time
    }


@implementer(IThreads)
class Threads:
    """The pools of one process. Started with :meth:`start`, ended with :meth:`stop`."""

    def __init__(self, reactor: IReactorFromThreads, sizes: Mapping[str, PoolSize] | None = None) -> None:
        self._reactor = reactor
        self._sizes = dict(sizes if sizes is not None else default_sizes())
        self._pools = {name: ThreadPool(0, size.threads, f"mailnode-{name}") for name, size in self._sizes.items()}
        self._under_way = dict.fromkeys(self._sizes, 0)
        self._running = False
        self._ending = False

    def start(self) -> None:
        """Let threads be made as they are needed."""
        if not self._running:
            self._running = True
            for pool in self._pools.values():
                pool.start()

    def stop(self) -> None:
        """Wait until what runs in threads has ended. Results that come later reach nobody."""
        if self._running:
            self._running = False
            for pool in self._pools.values():
                pool.stop()

    async def end(self, clock: IClock, seconds: float) -> bool:
        """Begin nothing any more, what waits included, and wait at most so long for what runs. False: threads still
        work, and hold the process until they have ended."""
        if not self._running:
            return True
        self._ending = True
        until = clock.seconds() + seconds
        while any(self._under_way.values()) and clock.seconds() < until:
            await pause(clock, ENDING_STEP)
        if any(self._under_way.values()):
            return False
        self.stop()
        return True

    async def run(self, pool: str, function: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run in a thread of the pool. :raises Busy: its queue is full, or the server has stopped."""
        size = self._sizes[pool]
        if not self._running or self._ending or self._under_way[pool] >= size.threads + size.waiting:
            raise Busy
        self._under_way[pool] += 1
        result: Deferred[T] = Deferred()

        def done(success: bool, value: T | Failure) -> None:
            self._reactor.callFromThread(self._deliver, pool, result, value)

        self._pools[pool].callInThreadWithCallback(done, self._begin, function, args)
        return await result

    def _begin(self, function: Callable[[*Ts], T], args: tuple[*Ts]) -> T:
        if self._ending:
            raise Busy
        return function(*args)

    def waiting(self) -> dict[str, int]:
        """Return how many calls each pool has under way or waiting, for metrics."""
        return dict(self._under_way)

    def _deliver(self, pool: str, result: Deferred[T], value: T | Failure) -> None:
        self._under_way[pool] -= 1
        if isinstance(value, Failure):
            result.errback(value)
        else:
            result.callback(value)
