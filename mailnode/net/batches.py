"""One other process for short Python work that comes in numbers: calls that wait go to it together, as one message.

A call costs this process two pickles and its share of one write and one read, some twenty microseconds; what is worth
handing over takes several times as long. The process is started by the first call, ends after it was idle for a while,
and ends with us however we go: its end of the socket pair is all it lives by.
"""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from mailnode.errors import Busy
from mailnode.interfaces.reactor import IServerReactor
from mailnode.interfaces.runtime import IBatches, IDelayed
from mailnode.net import batch_process
from mailnode.net.frames import frame
from mailnode.net.helper_link import HelperLink, start_helper
from mailnode.net.pickled import Names
from mailnode.values.events import emit

MOST = 32  # calls of one batch, where nobody says otherwise
OCTETS = 512 * 1024  # of content in one batch, the last call's apart
UNDER_WAY = 2  # batches: while one is worked on, the next is there already
WAITING = 1000  # calls
IDLE_SECONDS = 60.0  # until the process is ended
ANSWER_SECONDS = 10.0  # for a batch: a process that takes longer stands still, and is ended

_Call: TypeAlias = tuple[bytes, *tuple[object, ...]]  # arguments, content first

_log = Logger()


@implementer(IBatches)
class Batches:
    """Runs functions in another process. :meth:`stop` ends it."""

    def __init__(
        self, reactor: IServerReactor, answers: Names, *functions: Callable[..., object], most: int = MOST
    ) -> None:
        """:param answers: names that may stand in what the functions return. :param functions: module-level; each is given the
        arguments of every call. :param most: calls of one batch."""
        self._reactor = reactor
        self._answers = answers
        self._most = most
        self._names = [f"{function.__module__}:{function.__qualname__}" for function in functions]
        self._waiting: deque[tuple[_Call, Deferred[tuple[object, ...]]]] = deque()
        self._under_way: deque[list[Deferred[tuple[object, ...]]]] = deque()
        self._link: HelperLink | None = None
        self._timer: IDelayed | None = None  # for the next answer, or for the next call
        self._stopped = False

    async def run(self, content: bytes, *others: object) -> tuple[object, ...]:
        """See :class:`IBatches`."""
        if self._stopped or len(self._waiting) >= WAITING:
            raise Busy
        done: Deferred[tuple[object, ...]] = Deferred()
        self._waiting.append(((content, *others), done))
        if len(self._under_way) < UNDER_WAY:
            try:
                self._send()
            except OSError:  # no process, or no descriptor for one
                self._give_up()
        return await done

    def stop(self) -> None:
        """End the process; calls under way fail with :class:`Busy`."""
        self._stopped = True
        self._end()

    def _send(self) -> None:
        if self._link is None:
            link = HelperLink(self._answers, self._answered, self._died)
            self._link = start_helper(self._reactor, link, batch_process.__name__, *self._names)
        calls: list[_Call] = []
        deferreds: list[Deferred[tuple[object, ...]]] = []
        octets = 0
        while self._waiting and len(calls) < self._most and octets < OCTETS:
            call, done = self._waiting.popleft()
            calls.append(call)
            deferreds.append(done)
            octets += len(call[0])
        self._under_way.append(deferreds)
        self._link.send(frame(pickle.dumps(calls, pickle.HIGHEST_PROTOCOL)))
        self._wait()

    def _answered(self, outcomes: list[batch_process.Outcome]) -> None:
        deferreds = self._under_way.popleft()
        if self._waiting:
            self._send()
        else:
            self._wait()
        for done, outcome in zip(deferreds, outcomes, strict=True):
            if outcome[0]:
                done.callback(outcome[1])
            else:
                _log.warn("{work} failed: {error}", work=" ".join(self._names), error=outcome[1])
                done.errback(Busy())

    def _wait(self) -> None:
        """Begin anew to wait for an answer, or for a call when none is under way."""
        self._cancel_timer()
        self._timer = self._reactor.callLater(ANSWER_SECONDS if self._under_way else IDLE_SECONDS, self._waited)

    def _waited(self) -> None:
        self._timer = None
        if self._under_way:
            self._tell_ended()
        self._end()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        if self._link is not None:
            self._link.end()
            self._lost(self._link)

    def _died(self, link: HelperLink) -> None:
        if link is self._link:  # it was not we who ended it
            self._tell_ended()
        self._lost(link)

    def _tell_ended(self) -> None:
        emit(_log, "helper.ended", warning=True, work=" ".join(self._names))

    def _lost(self, link: HelperLink) -> None:
        """The process is gone; the next call starts another."""
        if link is not self._link:
            return
        self._link = None
        self._cancel_timer()
        self._give_up()

    def _give_up(self) -> None:
        given_up = [done for batch in self._under_way for done in batch]
        given_up += [done for _, done in self._waiting]
        self._under_way.clear()
        self._waiting.clear()
        for done in given_up:
            done.errback(Busy())
