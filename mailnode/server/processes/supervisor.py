"""The further processes of a server, as the first one sees them: started, replaced when they die, ended with it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailnode.errors import ConfigurationError, StoreUnavailable
from mailnode.interfaces.reactor import IServerReactor
from mailnode.interfaces.runtime import IDelayed
from mailnode.net.pickled import Pickled
from mailnode.server.processes.handover import Handover
from mailnode.server.processes.link import ProcessLink
from mailnode.values.events import emit

MODULE = "mailnode.server.processes.worker"
START = 60.0  # seconds a worker may take until it accepts connections
PAUSE = 0.1  # seconds before a worker that died is replaced; doubled each time it dies young
MAX_PAUSE = 30.0
YOUNG = 60.0  # seconds
ANSWER = 2.0  # seconds to wait for the answer of a worker to a question
REAP = 0.05  # seconds between looks whether a process has ended
ENDING = 5.0  # seconds beyond the grace time before a worker is killed

Handlers = Callable[["Worker"], Mapping[str, Callable[..., object]]]

_log = Logger()


class _Once(Factory):
    """Gives the one protocol it was made with."""

    noisy = False

    def __init__(self, protocol: Protocol) -> None:
        self._made = protocol

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """Return it."""
        return self._made


def join(reactor: IServerReactor, end: socket.socket, link: ProcessLink) -> None:
    """Let a link speak over one end of a pair of sockets, which becomes the reactor's."""
    end.setblocking(False)
    reactor.adoptStreamConnection(end.fileno(), socket.AF_UNIX, _Once(link))  # type: ignore[arg-type]
    end.close()


class Worker:
    """One process, from its start to its end."""

    def __init__(
        self,
        reactor: IServerReactor,
        handover: Handover,
        handlers: Handlers,
        on_ended: Callable[[Worker, int], None],
    ) -> None:
        """Start it. :param on_ended: called once with its exit code. :raises OSError: it cannot be started."""
        self.number = handover.number
        self.started = reactor.seconds()
        self.up = False
        self.ready: Deferred[None] = Deferred()
        self.ended: Deferred[None] = Deferred()
        self._reactor = reactor
        self._on_ended = on_ended
        self._kill: IDelayed | None = None
        self._gone = False
        answers = {"ready": self._is_ready, **handlers(self)}
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", MODULE, str(theirs.fileno())],
                    env=_environment(),
                    stdin=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(), *handover.descriptors()),
                )
            except BaseException:
                ours.close()
                raise
        self.link = ProcessLink(answers, self._lost)
        join(reactor, ours, self.link)
        self.link.tell("begin", handover)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def end_within(self, seconds: float) -> None:
        """Kill it unless it has ended by itself by then."""
        if self._kill is None and not self._gone:
            self._kill = self._reactor.callLater(seconds, self.kill)

    def kill(self) -> None:
        """End it now."""
        self._kill = None
        if not self._gone:
            self._process.kill()

    def _is_ready(self) -> None:
        if not self.up:
            self.up = True
            emit(_log, "worker.start", worker=self.number, pid=self.pid)
            self.ready.callback(None)

    def _lost(self) -> None:
        self.up = False
        self.end_within(ENDING)
        self._reap()

    def _reap(self) -> None:
        code = self._process.poll()
        if code is None:
            self._reactor.callLater(REAP, self._reap)
            return
        self._gone = True
        if self._kill is not None:
            self._kill.cancel()
            self._kill = None
        if not self.ready.called:
            self.ready.errback(StoreUnavailable("a worker ended before it was ready"))
        self._on_ended(self, code)
        self.ended.callback(None)


class Supervisor:
    """All of them. ``start`` and ``stop`` once each."""

    def __init__(
        self,
        reactor: IServerReactor,
        count: int,
        hand_over: Callable[[int], Handover],
        handlers: Handlers,
        forget: Callable[[Worker], None],
    ) -> None:
        """:param count: how many besides this process. :param hand_over: what worker number N is given now.
        :param handlers: what a worker may ask for. :param forget: called when one has ended."""
        self._reactor = reactor
        self._count = count
        self._hand_over = hand_over
        self._handlers = handlers
        self._forget = forget
        self._workers: dict[int, Worker] = {}
        self._pauses: dict[int, float] = {}
        self._timers: dict[int, IDelayed] = {}
        self._starting = True
        self._stopping = False

    async def start(self) -> None:
        """Return when all accept connections. :raises ConfigurationError: one cannot; none is left running."""
        try:
            ready = [self._begin(number).ready for number in range(2, self._count + 2)]
        except OSError as error:
            await self.stop(0.0)
            raise ConfigurationError([f"server.workers: a worker cannot be started: {error.strerror}"]) from error
        outcomes = await DeferredList(ready, consumeErrors=True)
        if not all(success for success, _ in outcomes):
            await self.stop(0.0)
            raise ConfigurationError(["server.workers: a worker ended or hung while it started; see the log"])
        self._starting = False

    async def stop(self, grace: float) -> None:
        """Tell all to drain, wait so many seconds and a few more, kill who is left."""
        self._stopping = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        waits = []
        for worker in list(self._workers.values()):
            worker.link.tell("drain", grace)
            worker.end_within(grace + ENDING if worker.up else 0.0)
            waits.append(worker.ended)
        await DeferredList(waits)

    def links(self) -> list[ProcessLink]:
        """Those of the workers that accept connections."""
        return [worker.link for worker in self._workers.values() if worker.up] if self._workers else []

    def tell(self, name: str, *args: object) -> None:
        """Say something to all, those that are starting too: what they are told comes after what they begin with."""
        for worker in self._workers.values():
            worker.link.tell(name, *args)

    async def ask(self, name: str, *args: object) -> dict[int, Pickled]:
        """Ask all at once; return the answers by number, without those that gave none in time."""
        answers: dict[int, Pickled] = {}

        async def ask_one(worker: Worker) -> None:
            answers[worker.number] = await worker.link.call(name, *args)

        waits: list[Deferred[object]] = []
        for worker in [worker for worker in self._workers.values() if worker.up]:
            waiting: Deferred[object] = Deferred.fromCoroutine(ask_one(worker))
            waits.append(waiting.addTimeout(ANSWER, self._reactor))  # type: ignore[arg-type]
        outcomes: Sequence[tuple[bool, object]] = await DeferredList(waits, consumeErrors=True)
        for _, result in outcomes:
            if isinstance(result, Failure) and not isinstance(result.value, StoreUnavailable | DeferredTimeout):
                _log.failure("a worker cannot answer", result)
        return answers

    @property
    def up(self) -> int:
        """How many accept connections."""
        return len(self.links())

    @property
    def running(self) -> int:
        """How many there are, those that start or end among them."""
        return len(self._workers)

    def _begin(self, number: int) -> Worker:
        worker = Worker(self._reactor, self._hand_over(number), self._handlers, self._ended)
        worker.ready.addTimeout(START, self._reactor)  # type: ignore[arg-type]
        worker.ready.addErrback(self._not_ready, worker)
        self._workers[number] = worker
        return worker

    def _not_ready(self, failure: Failure, worker: Worker) -> Failure | None:
        worker.kill()
        return failure if self._starting else None

    def _ended(self, worker: Worker, code: int) -> None:
        seconds = self._reactor.seconds() - worker.started
        del self._workers[worker.number]
        expected = self._stopping and code == 0
        emit(
            _log,
            "worker.ended",
            warning=not expected,
            worker=worker.number,
            pid=worker.pid,
            code=code,
            seconds=round(seconds, 3),
        )
        self._forget(worker)
        if not self._stopping and not self._starting:
            self._replace_later(worker.number, seconds)

    def _replace_later(self, number: int, lived: float) -> None:
        pause = PAUSE if lived >= YOUNG else self._pauses.get(number, PAUSE)
        self._pauses[number] = min(2 * pause, MAX_PAUSE)
        self._timers[number] = self._reactor.callLater(pause, self._replace, number)

    def _replace(self, number: int) -> None:
        del self._timers[number]
        try:
            self._begin(number)
        except OSError as error:
            _log.error("a worker cannot be started: {error}", error=str(error))
            self._replace_later(number, 0.0)


def _environment() -> dict[str, str]:
    """Return ours without what is meant for this process alone, and with the places modules come from."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("NOTIFY_", "LISTEN_", "WATCHDOG_"))
    }
    return kept | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
