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

MOST = 32  # calls of one batch
OCTETS = 512 * 1024  # of the arguments of one batch, the last call's apart
UNDER_WAY = 2  # batches: while one is worked on, the next is there already
WAITING = 1000  # calls
IDLE_SECONDS = 60.0  # until the process is ended

_log = Logger()


@implementer(IBatches)
class Batches:
    """Runs functions of one octet string in another process. :meth:`stop` ends it."""

    def __init__(self, reactor: IServerReactor, *functions: Callable[[bytes], object]) -> None:
        """:param functions: module-level; each is given every argument, and what it returns is pickled."""
        self._reactor = reactor
        self._names = [f"{function.__module__}:{function.__qualname__}" for function in functions]
        self._waiting: deque[tuple[bytes, Deferred[tuple[object, ...]]]] = deque()
        self._under_way: deque[list[Deferred[tuple[object, ...]]]] = deque()
        self._link: _HelperEnd | None = None
        self._idle: IDelayed | None = None
        self._stopped = False

    async def run(self, argument: bytes) -> tuple[object, ...]:
        """Return the functions' values, in a tuple. :raises Busy: the process died, or too many calls wait."""
        if self._stopped or len(self._waiting) >= WAITING:
            raise Busy
        done: Deferred[tuple[object, ...]] = Deferred()
        self._waiting.append((argument, done))
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
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        arguments: list[bytes] = []
        deferreds: list[Deferred[tuple[object, ...]]] = []
        octets = 0
        while self._waiting and len(arguments) < MOST and octets < OCTETS:
            argument, done = self._waiting.popleft()
            arguments.append(argument)
            deferreds.append(done)
            octets += len(argument)
        self._under_way.append(deferreds)
        self._link.send(arguments)

    def _answered(self, outcomes: list[batch_process.Outcome]) -> None:
        deferreds = self._under_way.popleft()
        if self._waiting:
            self._send()
        elif not self._under_way:
            self._idle = self._reactor.callLater(IDLE_SECONDS, self._end_idle)
        for done, outcome in zip(deferreds, outcomes, strict=True):
            if outcome[0]:
                done.callback(outcome[1])
            else:
                done.errback(RuntimeError(outcome[1]))

    def _end_idle(self) -> None:
        self._idle = None
        self._end()

    def _end(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._link is not None:
            self._link.end()
            self._lost(self._link)

    def _died(self, link: _HelperEnd) -> None:
        if link is self._link:  # it was not we who ended it
            emit(_log, "helper.ended", warning=True, work=" ".join(self._names))
        self._lost(link)

    def _lost(self, link: _HelperEnd) -> None:
        """The process is gone; the next call starts another."""
        if link is not self._link:
            return
        self._link = None
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

    def send(self, arguments: list[bytes]) -> None:
        """Send one batch."""
        self._transport().write(frame(pickle.dumps(arguments, pickle.HIGHEST_PROTOCOL)))

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
