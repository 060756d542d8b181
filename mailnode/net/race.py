"""Several ways to one end, begun one after the other while none has come to it (RFC 8305 5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mailnode.interfaces.runtime import IClock, IDelayed

T = TypeVar("T")


class Race(Generic[T]):
    """Begins way after way until one has succeeded. Used once: :meth:`run`."""

    def __init__(
        self,
        clock: IClock,
        count: int,
        begin: Callable[[int], Deferred[T]],
        *,
        stagger: float,
        may_begin_beside: Callable[[int], bool],
        discard: Callable[[T], None],
    ) -> None:
        """:param count: of the ways. :param begin: begins one, by its index; it is cancelled when another was quicker.
        :param stagger: seconds that one is given before the next begins beside it.
        :param may_begin_beside: whether one may begin while so many are under way; asked when there is at least one.
        :param discard: takes what came of one that could not be cancelled in time."""
        self.failures: list[tuple[int, Failure]] = []
        self._clock = clock
        self._begin = begin
        self._left = list(range(count))
        self._stagger = stagger
        self._may_begin_beside = may_begin_beside
        self._discard = discard
        self._under_way: dict[int, Deferred[T]] = {}
        self._timer: IDelayed | None = None
        self._over = False
        self._result: Deferred[T | None] = Deferred(lambda _: self._end())

    @property
    def under_way(self) -> int:
        """How many have begun and not ended."""
        return len(self._under_way)

    def run(self) -> Deferred[T | None]:
        """Return what the first came to that succeeded, None when all failed: ``failures`` tells how, by index. Cancelling it
        cancels those under way."""
        self._next()
        return self._result

    def _next(self) -> None:
        """Begin one more, if there is one and it may."""
        self._stop_timer()
        if self._over:
            return
        if self._left and (not self._under_way or self._may_begin_beside(len(self._under_way))):
            index = self._left.pop(0)
            self._timer = self._clock.callLater(self._stagger, self._next)
            self._under_way[index] = way = self._begin(index)
            way.addCallbacks(self._succeeded, self._failed, callbackArgs=(index,), errbackArgs=(index,))
        elif self._left:
            self._timer = self._clock.callLater(self._stagger, self._next)
        elif not self._under_way:
            self._end()
            self._result.callback(None)

    def _succeeded(self, made: T, index: int) -> None:
        del self._under_way[index]
        if self._over:
            self._discard(made)
            return
        self._end()
        self._result.callback(made)

    def _failed(self, failure: Failure, index: int) -> None:
        del self._under_way[index]
        if not self._over:
            self.failures.append((index, failure))
            self._next()

    def _end(self) -> None:
        self._over = True
        self._stop_timer()
        for way in list(self._under_way.values()):
            way.cancel()

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
