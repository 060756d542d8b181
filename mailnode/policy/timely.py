"""Look-ups about one message, within the time that all policies together have for them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from math import inf
from typing import TypeVar

from twisted.internet.defer import Deferred, TimeoutError

from mailnode.errors import ResolverFailure
from mailnode.interfaces.outbound import IResolver, MxRecord, Records
from mailnode.interfaces.runtime import IClock

T = TypeVar("T")


class DnsTime:
    """What all policies have for DNS about one message. Each may use half of what is left: a stranger's servers, which are as slow
    as the stranger wants, leave some to those that ask others."""

    def __init__(self, clock: IClock, seconds: float) -> None:
        """:param seconds: of all of them together, from now on."""
        self._clock = clock
        self._end = self._until = clock.seconds() + seconds

    def begin(self, now: float) -> None:
        """The next policy is asked. :param now: of the clock."""
        self._until = now + max(0.0, self._end - now) / 2

    def left(self) -> float:
        """Return how many seconds the policy that is being asked has."""
        return max(0.0, self._until - self._clock.seconds())


class TimelyResolver:
    """Gives up when there is no time left; what is asked then fails, as it does where DNS does not answer."""

    def __init__(self, resolver: IResolver, clock: IClock, left: Callable[[], float]) -> None:
        """:param left: returns the seconds that are left."""
        self._resolver = resolver
        self._clock = clock
        self._left = left

    async def txt(self, name: str) -> Records[bytes]:
        """See :class:`IResolver`."""
        return await self._in_time(self._resolver.txt(name))

    async def mx(self, domain: str) -> Records[MxRecord]:
        """See :class:`IResolver`."""
        return await self._in_time(self._resolver.mx(domain))

    async def _in_time(self, looking: Coroutine[Deferred[object], object, T]) -> T:
        answer = Deferred.fromCoroutine(looking)
        if not answer.called and (left := self._left()) < inf:  # what is remembered needs no timer
            answer.addTimeout(left, self._clock)  # type: ignore[arg-type]
        try:
            return await answer
        except TimeoutError:
            raise ResolverFailure("no time is left for DNS") from None
