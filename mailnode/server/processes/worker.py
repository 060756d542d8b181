"""A further process of the server, ``python -m mailnode.server.processes.worker N``: it takes connections on the same
listeners as the first one, which started it, owns the writers, and speaks with it over the pair of sockets whose end is
descriptor N."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.logger import ILogObserver, LegacyLogObserverWrapper, Logger, globalLogBeginner, globalLogPublisher
from twisted.python.failure import Failure
from twisted.python.reflect import namedAny
from twisted.python.syslog import SyslogObserver
from zope.interface import implementer

from mailnode.config.holder import Holder
from mailnode.errors import ConfigurationError
from mailnode.imap.open_views import OpenViews
from mailnode.imap.searches import Searches
from mailnode.interfaces.sessions import ISessionCounts
from mailnode.interpreter import require_fit
from mailnode.net.client_counts import ClientCountsMemory
from mailnode.net.clock import WallClock
from mailnode.net.descriptors import dns_at_once
from mailnode.net.listeners import HandedOver, wait_for_connections
from mailnode.net.processes import Processes
from mailnode.net.resolver import Resolver
from mailnode.net.threads import Threads
from mailnode.net.tls import CertificateStore, Pair
from mailnode.server.logs import AppendedLog, observer
from mailnode.server.processes.handover import Handover, LogPlace, Served
from mailnode.server.processes.hints import SharedHints
from mailnode.server.processes.link import ProcessLink
from mailnode.server.processes.setup import end_by_force, prepare_process
from mailnode.server.processes.supervisor import join
from mailnode.server.serving import Runtime, Serving, scanning_batches, searching_processes
from mailnode.server.stores import WorkerStores
from mailnode.web.merging import Snapshot
from mailnode.web.metrics import EventMetrics, Metrics

DIRECTORY_POLL = 5.0  # seconds between looks whether the directory changed, should it not have been told
CLOSING = 3.0  # seconds the end of reading may take, after the grace time

reactor: Any = _reactor
_log = Logger()


@implementer(ISessionCounts)
class OwnersCounts:
    """The first process counts the sessions of all."""

    def __init__(self, link: ProcessLink) -> None:
        self._link = link

    async def enter(self, account_id: str, protocol: str, limit: int) -> bool:
        """See :class:`ISessionCounts`."""
        return bool(await self._link.call("session.enter", account_id, protocol, limit))

    def leave(self, account_id: str, protocol: str) -> None:
        """See :class:`ISessionCounts`."""
        self._link.tell("session.leave", account_id, protocol)


class WorkerServer:
    """What a worker consists of. Made with what it is given; :meth:`start`, :meth:`drain`, once each."""

    def __init__(self, handover: Handover, link: ProcessLink, log: AppendedLog | None) -> None:
        state = handover.state
        config = state.config
        self._handover = handover
        self._holder = Holder(config, state.generation)
        self._link = link
        self._log = log
        self._metrics = Metrics()
        self._counting = EventMetrics(self._metrics)
        clock = WallClock(time.time, reactor)
        self._clock = clock
        self._threads = Threads(reactor)
        self._processes = Processes(reactor)
        self._searching = searching_processes(reactor)
        self._hints = SharedHints(reactor, lambda: (link,))
        self._certificates = CertificateStore((), clock) if config.tls is not None else None
        self._take_certificates(state.certificates)
        self._stores = WorkerStores(config, clock, self._threads, self._hints, reactor.callFromThread, link.call)
        self._batches = scanning_batches(config, reactor)
        self._views = OpenViews(reactor)
        runtime = Runtime(
            reactor,
            clock,
            self._threads,
            self._processes,
            self._hints,
            Resolver(reactor, config.dns.servers, at_once=dns_at_once()),
            self._views,
            Searches(self._searching),
            self._batches,
        )
        clients = handover.clients
        self._serving = Serving(
            self._holder,
            self._stores,
            runtime,
            self._certificates,
            counts=OwnersCounts(link),
            places={
                place.listener: HandedOver(place.descriptor, place.family, place.backlog) for place in handover.places
            },
        )
        memory = ClientCountsMemory(clients.descriptor, clients.key, clients.processes, clients.listeners)
        self._serving.share_clients(memory, handover.number - 1)
        self._draining = False

    async def start(self) -> None:
        """Take connections. :raises Exception: whatever stands in the way."""
        globalLogPublisher.addObserver(self._counting)
        self._threads.start()
        await self._stores.start()
        await self._serving.bind()
        self._serving.build()
        # What was told meanwhile is before the answer in the stream, and so is what has changed since we were begun.
        self.take(await self._link.call("state"))
        await self._stores.directory.poll()
        self._poll_later()
        self._serving.accept(announced=False)

    async def drain(self, grace: float) -> None:
        """Take no more connections, let sessions end within ``grace`` seconds, close everything and end the process."""
        if self._draining:
            return
        self._draining = True
        end_by_force(grace)
        await self._serving.close_listeners()
        self._serving.drain()
        await wait_for_connections(self._serving.listeners, reactor, grace)
        self._processes.stop()
        self._searching.stop()
        if self._batches is not None:
            self._batches.stop()
        # What was acknowledged is committed. Threads that still work do so for nobody, and go with the process.
        with contextlib.suppress(DeferredTimeout):
            await Deferred.fromCoroutine(self._stores.stop()).addTimeout(CLOSING, reactor)
        os._exit(0)  # without the farewells of a reactor: the link's end would be taken for the first process's

    def drain_as_configured(self) -> None:
        """Do so because of SIGTERM."""
        Deferred.fromCoroutine(self.drain(self._holder.config.server.grace)).addErrback(_failed)

    # what the first process says

    def handlers(self) -> dict[str, Callable[..., Any]]:
        """What it may call or tell."""
        return {
            "hints": lambda modseqs, queue: self._hints.heard(self._link, modseqs, queue),
            "drain": self.drain,
            "reopen": self.reopen_log,
            "serve": self.take,
            "served": lambda: self._serving.served(self._handover.number),
            "changed": self.look_again,
            "metrics": self.snapshot,
        }

    def take(self, state: Served) -> None:
        """Serve this from now on."""
        if state.generation > self._holder.generation:
            self._take_certificates(state.certificates)
            self._holder.swap(state.config, state.generation)

    def _take_certificates(self, pairs: tuple[tuple[bytes, bytes], ...]) -> None:
        if self._certificates is not None and pairs:
            self._certificates.take([Pair.from_pem(chain, key) for chain, key in pairs])

    async def look_again(self) -> None:
        """Forget what is remembered of directory and accounts."""
        self._stores.mail.forget_usage()
        await self._stores.directory.poll()

    def reopen_log(self) -> None:
        """Write to the file that has the log's name now."""
        if self._log is not None:
            try:
                self._log.reopen()
            except OSError as error:
                _log.error("the log cannot be reopened: {error}", error=str(error))

    def snapshot(self) -> Snapshot:
        """Return what was counted here."""
        self._serving.measure(self._metrics, self._handover.number)
        return self._metrics.snapshot()

    def _poll_later(self) -> None:
        self._clock.callLater(DIRECTORY_POLL, self._poll)

    def _poll(self) -> None:
        if not self._draining:
            polling = Deferred.fromCoroutine(self._stores.directory.poll())
            polling.addErrback(lambda failure: None)  # the store has said so; it is tried again
            polling.addBoth(lambda _: self._poll_later())


def _open_log(place: LogPlace, form: str) -> AppendedLog | None:
    """Let everything that is logged go where the first process's log goes."""
    if place.kind != "lines":
        make: Any = SyslogObserver if place.kind == "syslog" else namedAny(place.name)  # type: ignore[no-untyped-call]
        made: Any = make(place.name).emit if place.kind == "syslog" else make()
        if not ILogObserver.providedBy(made):
            made = LegacyLogObserverWrapper(made)
        globalLogBeginner.beginLoggingTo([made], redirectStandardIO=False)
        return None
    log = AppendedLog(place.path, place.descriptor)
    globalLogBeginner.beginLoggingTo([observer(log, form)], redirectStandardIO=False)
    return log


def _failed(failure: Failure) -> None:
    _log.failure("a worker failed", failure)
    os._exit(1)


def _run(coroutine: Coroutine[Any, Any, None]) -> Deferred[None]:
    return Deferred.fromCoroutine(coroutine).addErrback(_failed)


def _leave_signals() -> None:
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)  # the first process gets them too, and says what they mean
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # until there is something to drain


def main(descriptor: int) -> None:
    """Serve until the first process says that it is enough, or is gone."""
    os.set_inheritable(descriptor, False)
    try:
        require_fit()
    except ConfigurationError as error:
        raise SystemExit("\n".join(f"mailnode: {mistake}" for mistake in error.mistakes)) from None
    prepare_process(reactor, time.monotonic)
    _leave_signals()
    handlers: dict[str, Callable[..., Any]] = {}

    def begin(handover: Handover) -> None:
        for inherited in handover.descriptors():
            os.set_inheritable(inherited, False)
        log = _open_log(handover.log, handover.state.config.server.log)

        async def start() -> None:
            server = WorkerServer(handover, link, log)
            handlers.update(server.handlers())
            await server.start()
            signal.signal(signal.SIGTERM, lambda number, frame: reactor.callFromThread(server.drain_as_configured))
            link.tell("ready")

        _run(start())

    def lost() -> NoReturn:
        # The first process is gone, or wants us to be. What was acknowledged is on disk; nothing else can be done here.
        os._exit(1)

    handlers["begin"] = begin
    link = ProcessLink(handlers, lost)
    join(reactor, socket.socket(fileno=descriptor), link)
    reactor.callWhenRunning(_leave_signals)  # the reactor sets its own when it begins: for its children they are needed
    reactor.run()


if __name__ == "__main__":
    main(int(sys.argv[1]))
