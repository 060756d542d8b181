"""What the process gives every room: clock, threads, hints. Injected, so that tests can replace them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar, TypeVarTuple

from zope.interface import Interface

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class IDelayed(Interface):
    """A call that has not happened yet."""

    def cancel() -> None:
        """Take it back. :raises twisted.internet.error.AlreadyCalled: too late."""

    def active() -> bool:
        """Whether it is still to come."""


class IClock(Interface):
    """UTC time and timers. UTC may step, timers never do. ``twisted.internet.task.Clock`` provides it as it is.

    Where only durations are measured the reactor itself serves: its seconds count from any moment and never step.
    """

    def seconds() -> float:
        """UTC seconds since 1970."""

    def callLater(delay: float, callable: Callable[..., object], *args: object, **kwargs: object) -> IDelayed:
        """Call back after ``delay`` seconds."""


class IThreads(Interface):
    """Bounded thread pools by purpose: ``store`` (SQL), ``disk`` (blob files), ``cpu`` (hash, compression, parsing of
    small messages), ``password`` (argon2), ``doctor`` (checks)."""

    async def run(pool: str, function: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run in a thread of that pool and return the result.

        :raises mailnode.errors.Busy: the pool's queue is full.
        """


class IProcesses(Interface):
    """Another process for long Python work, which would hold up every thread of this one."""

    async def run(function: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run a module-level function in another process and return its result; arguments and result are pickled.

        :raises mailnode.errors.Busy: the process died, also at the second time, or too many calls wait.
        """

    def begin(function: Callable[..., object]) -> None:
        """Let the process begin, and load what a function needs that is about to be run, where none has begun; waits for
        nothing."""


class IBatches(Interface):
    """Another process for many short calls of the same functions, which would keep this one's interpreter busy."""

    async def run(content: bytes, *others: object) -> tuple[object, ...]:
        """Return the values of all the functions for these octets, in a tuple. :param others: further arguments of each.

        :raises mailnode.errors.Busy: the process died or stands still, too many calls wait, or a function failed, which the log
            tells: whoever asks does without it.
        """


class IHints(Interface):
    """Who should look again. Hints may be lost; everyone who relies on them also polls."""

    def publish(account_id: str, modseq: int) -> None:
        """Tell that an account reached this modseq (after COMMIT only)."""

    def subscribe(account_id: str, callback: Callable[[int], None]) -> Callable[[], None]:
        """Call back with each modseq published for the account; returns what ends it."""

    def has_listener(account_id: str) -> bool:
        """Whether anybody in this process has subscribed to the account."""

    def watch(callback: Callable[[str, int], None]) -> Callable[[], None]:
        """Call back with account and modseq of all that is published, of whatever account; returns what ends it."""

    def wake_queue(destinations: Sequence[str] = ()) -> None:
        """Tell the queue runner that there may be something due. :param destinations: of what is new; () when none is."""

    def on_queue(callback: Callable[[Sequence[str]], None]) -> Callable[[], None]:
        """Call back at each :meth:`wake_queue`; returns what ends it."""


class IMetrics(Interface):
    """Counters and gauges by name; the names and labels are documented in docs/metrics.rst."""

    def count(name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter."""

    def observe(name: str, value: float, **labels: str) -> None:
        """Add a value to a histogram (seconds or octets, as the name says)."""
