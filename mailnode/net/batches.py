"""One other process for short Python work that comes in numbers: calls that wait go to it together, as one message.

A call costs this process two pickles and its share of one write and one read, some twenty microseconds; what is worth
handing over takes several times as long. The process is started by the first call, ends after it was idle for a while,
and ends with us however we go: its end of the socket pair is all it lives by.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import socket
import sys
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IProcessTransport
from twisted.internet.protocol import Factory, ProcessProtocol, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from mailnode.errors import Busy
from mailnode.interfaces.reactor import IServerReactor, IStreamTransport
from mailnode.interfaces.runtime import IBatches, IDelayed
from mailnode.net import batch_process
from mailnode.net.frames import FrameReader, frame
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

    def __init__(self, reactor: IServerReactor, *functions: Callable[..., object], most: int = MOST) -> None:
        """:param functions: module-level; each is given the arguments of every call, and what it returns is pickled.
        :param most: calls of one batch."""
        self._reactor = reactor
        self._most = most
        self._names = [f"{function.__module__}:{function.__qualname__}" for function in functions]
        self._waiting: deque[tuple[_Call, Deferred[tuple[object, ...]]]] = deque()
        self._under_way: deque[list[Deferred[tuple[object, ...]]]] = deque()
        self._link: _HelperEnd | None = None
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
            self._link = _start(self._reactor, self._names, self._answered, self._died)
        calls: list[_Call] = []
        deferreds: list[Deferred[tuple[object, ...]]] = []
        octets = 0
        while self._waiting and len(calls) < self._most and octets < OCTETS:
            call, done = self._waiting.popleft()
            calls.append(call)
            deferreds.append(done)
            octets += len(call[0])
        self._under_way.append(deferreds)
        self._link.send(calls)
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

    def _died(self, link: _HelperEnd) -> None:
        if link is self._link:  # it was not we who ended it
            self._tell_ended()
        self._lost(link)

    def _tell_ended(self) -> None:
        emit(_log, "helper.ended", warning=True, work=" ".join(self._names))

    def _lost(self, link: _HelperEnd) -> None:
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


class _HelperEnd(Protocol):
    """Our end of the socket pair."""

    def __init__(
        self, answered: Callable[[list[batch_process.Outcome]], None], lost: Callable[[_HelperEnd], None]
    ) -> None:
        self._answered = answered
        self._lost = lost
        self._reader = FrameReader()
        self.process: IProcessTransport  # given by who starts it

    def send(self, calls: list[_Call]) -> None:
        """Send one batch."""
        self._transport().write(frame(pickle.dumps(calls, pickle.HIGHEST_PROTOCOL)))

    def end(self) -> None:
        """End the process, whatever it is working on."""
        self._transport().abortConnection()
        with contextlib.suppress(ProcessExitedAlready):
            self.process.signalProcess("KILL")

    def dataReceived(self, data: bytes) -> None:
        """Take answers."""
        for payload in self._reader.receive(data):
            self._answered(pickle.loads(payload))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The process ended."""
        self._lost(self)

    def _transport(self) -> IStreamTransport:
        return self.transport  # type: ignore[return-value]


def _start(
    reactor: IServerReactor,
    names: list[str],
    answered: Callable[[list[batch_process.Outcome]], None],
    lost: Callable[[_HelperEnd], None],
) -> _HelperEnd:
    """Start the process and return the link to it."""
    ours, its = socket.socketpair()
    with ours, its:
        ours.setblocking(False)
        link = _HelperEnd(answered, lost)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        command = [sys.executable, "-m", batch_process.__name__, *names]
        link.process = reactor.spawnProcess(
            ProcessProtocol(), sys.executable, command, environment, childFDs={0: its.fileno(), 2: 2}
        )
        reactor.adoptStreamConnection(ours.fileno(), socket.AF_UNIX, Factory.forProtocol(lambda: link))  # type: ignore[arg-type]
    return link
