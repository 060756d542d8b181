"""Another process for long Python work, such as searching in texts or reading the structure of very large messages.

It is started when first needed, and loads what it is asked to run (:mod:`mailnode.net.helper_process`), nothing of the server.
When it dies it takes with it only what it was working on, which is tried once more by the next.
"""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from mailnode.errors import Busy
from mailnode.interfaces.reactor import IServerReactor
from mailnode.interfaces.runtime import IDelayed, IProcesses
from mailnode.net import helper_process
from mailnode.net.frames import frame
from mailnode.net.helper_link import HelperLink, start_helper
from mailnode.net.pickled import Names, Pickled
from mailnode.values.events import emit

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

UNDER_WAY = 2  # calls: while one is worked on, the next is there already

_log = Logger()


class _Call:
    """``work``: the function's name. ``tried``: a process died of it."""

    def __init__(self, function: Callable[..., object], arguments: tuple[object, ...]) -> None:
        self.work = function.__name__
        self.octets = frame(pickle.dumps((function, arguments), pickle.HIGHEST_PROTOCOL))
        self.done: Deferred[Pickled] = Deferred()
        self.tried = False


@implementer(IProcesses)
class Processes:
    """One process at a time. Nothing runs before the first call; :meth:`stop` ends it."""

    def __init__(
        self, reactor: IServerReactor, names: Names, waiting: int = 100, *, nice: int = 0, idle: float | None = None
    ) -> None:
        """:param names: that may stand in a result. :param waiting: calls that may wait while one is worked on; more are
        refused. :param nice: by how much other processes are preferred. :param idle: seconds without a call after which the
        process is ended; None: it stays."""
        self._reactor = reactor
        self._names = names
        self._nice = nice
        self._idle = idle
        self._idle_timer: IDelayed | None = None
        self._room = 1 + waiting
        self._waiting: deque[_Call] = deque()
        self._under_way: deque[_Call] = deque()
        self._link: HelperLink | None = None
        self._stopped = False

    async def run(self, function: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run a module-level function there. :raises Busy: see :class:`IProcesses`."""
        if self._stopped or len(self._waiting) + len(self._under_way) >= self._room:
            raise Busy
        call = _Call(function, args)
        self._waiting.append(call)
        self._send()
        result: T = await call.done
        return result

    def begin(self, function: Callable[..., object]) -> None:
        """See :class:`IProcesses`. What is wrong with it, the first call finds out."""
        if self._link is None and not self._stopped:
            call = _Call(helper_process.loaded, (function,))
            call.done.addErrback(lambda _: None)
            self._waiting.append(call)
            self._send()

    def stop(self) -> None:
        """End the process; calls under way fail with :class:`Busy`."""
        self._stopped = True
        self._cancel_timer()
        self._end()

    def _send(self) -> None:
        self._cancel_timer()
        try:
            while self._waiting and len(self._under_way) < UNDER_WAY:
                if self._link is None:
                    self._link = self._started()
                call = self._waiting.popleft()
                self._under_way.append(call)
                self._link.send(call.octets)
        except OSError:  # no process, or no descriptor for one
            self._give_up()
        if not self._under_way and self._idle is not None and self._link is not None:
            self._idle_timer = self._reactor.callLater(self._idle, self._end)

    def _started(self) -> HelperLink:
        link = HelperLink(self._names, self._answered, self._lost)
        return start_helper(self._reactor, link, helper_process.__name__, str(self._nice))

    def _answered(self, outcome: helper_process.Outcome) -> None:
        call = self._under_way.popleft()
        self._send()
        if outcome[0]:
            call.done.callback(outcome[1])
        else:
            error = outcome[1]
            call.done.errback(RuntimeError(error) if isinstance(error, str) else error)

    def _lost(self, link: HelperLink) -> None:
        """The process is gone; if it was not we who ended it, the next begins with what this one was given."""
        if link is not self._link:
            return
        self._link = None
        while self._under_way:
            self._waiting.appendleft(self._under_way.pop())
        if self._waiting:
            worked_on = self._waiting[0]
            emit(_log, "helper.ended", warning=True, work=worked_on.work)
            if worked_on.tried:
                self._waiting.popleft().done.errback(Busy())
            worked_on.tried = True
            self._send()

    def _end(self) -> None:
        self._idle_timer = None
        link, self._link = self._link, None
        if link is not None:
            link.end()
        self._give_up()

    def _give_up(self) -> None:
        given_up = [*self._under_way, *self._waiting]
        self._under_way.clear()
        self._waiting.clear()
        for call in given_up:
            call.done.errback(Busy())

    def _cancel_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
