"""Clock, threads and waiting where no reactor runs: for commands, which have nothing else to do meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TypeVar, TypeVarTuple

from twisted.internet.defer import Deferred
from twisted.internet.pollreactor import PollReactor
from twisted.internet.task import Clock
from twisted.python import runtime
from twisted.python.failure import Failure
from zope.interface import implementer

from mailnode.interfaces.reactor import IServerReactor
from mailnode.interfaces.runtime import IClock, IDelayed, IThreads

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


@implementer(IClock)
class StandingClock:
    """The wall clock where no reactor runs: it tells the time, and timers never fire."""

    def __init__(self) -> None:
        self._timers = Clock()

    def seconds(self) -> float:
        """UTC seconds."""
        return float(runtime.seconds())

    def callLater(self, delay: float, callable: Callable[..., object], *args: object, **kwargs: object) -> IDelayed:
        """Take a call that will not come."""
        return self._timers.callLater(delay, callable, *args, **kwargs)  # type: ignore[return-value]


@implementer(IThreads)
class CallingThread:
    """No threads at all: everything runs where it is called. For commands, which have nothing else to do meanwhile."""

    async def run(self, pool: str, function: Callable[[*Ts], T], *args: *Ts) -> T:
        """Call it."""
        return function(*args)


def run_now(coroutine: Coroutine[Deferred[object], object, T]) -> T:
    """Run a coroutine that never has to wait. :raises RuntimeError: it waits."""
    outcome: list[T | Failure] = []
    Deferred.fromCoroutine(coroutine).addBoth(outcome.append)
    if not outcome:
        raise RuntimeError("this waits for something, and no reactor runs")
    [ended] = outcome
    if isinstance(ended, Failure):
        ended.raiseException()
    return ended


def run_on_reactor(work: Callable[[IServerReactor], Coroutine[Deferred[object], object, T]]) -> T:
    """Run a coroutine on a reactor of its own, and block until it has ended. Signals of the process are that reactor's from then
    on. :raises KeyboardInterrupt: somebody has ended it before."""
    reactor: IServerReactor = PollReactor()  # type: ignore[no-untyped-call,assignment]  # it has all of it
    outcome: list[T | Failure] = []

    def end(result: T | Failure) -> None:
        outcome.append(result)
        reactor.stop()

    reactor.callWhenRunning(lambda: Deferred.fromCoroutine(work(reactor)).addBoth(end))
    reactor.run()
    if not outcome:
        raise KeyboardInterrupt
    [ended] = outcome
    if isinstance(ended, Failure):
        ended.raiseException()
    return ended
