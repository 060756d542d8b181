"""A further process of the server, ``python -m mailnode.server.processes.worker N``: it takes connections on the same
listeners as the first one, which started it, owns the writers, and speaks with it over the pair of sockets whose end is
descriptor N."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import NoReturn, cast

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LegacyLogObserverWrapper, Logger, globalLogBeginner
from twisted.python.failure import Failure
from twisted.python.reflect import namedAny
from twisted.python.syslog import SyslogObserver
from zope.interface import implementer

from mailnode.config.holder import Holder
from mailnode.errors import ConfigurationError
from mailnode.interfaces.reactor import IServerReactor
from mailnode.interfaces.sending import ISending
from mailnode.interfaces.sessions import ISessionCounts
from mailnode.interpreter import require_fit
from mailnode.net.client_counts import ClientCountsMemory
from mailnode.net.listeners import HandedOver
from mailnode.net.tls import CertificateStore, Pair
from mailnode.server.logs import AppendedLog, observer
from mailnode.server.polling import DirectoryPoll
from mailnode.server.ports import InheritedPorts
from mailnode.server.process import Closing, MailProcess
from mailnode.server.processes.handover import Handover, LogPlace, Served
from mailnode.server.processes.hints import SharedHints
from mailnode.server.processes.link import ProcessLink
from mailnode.server.processes.setup import end_by_force, prepare_process
from mailnode.server.processes.supervisor import join
from mailnode.server.runtime import make_runtime
from mailnode.server.services import Services, Startable
from mailnode.server.serving import Serving
from mailnode.server.stores import WorkerStores
from mailnode.values.sending import Admitted, Counted, FailedRecipient
from mailnode.web.merging import Snapshot

STEP, STORE, THREADS = (
    2.0,
    3.0,
    0.0,
)  # seconds the steps of the end may take, beyond the grace time: threads end with it

reactor = cast(IServerReactor, _reactor)
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


@implementer(ISending)
class OwnersSending:
    """The first process knows what accounts sent."""

    def __init__(self, link: ProcessLink) -> None:
        self._link = link

    async def admit(self, account_id: str, recipient: str, first: bool) -> Admitted:
        """See :class:`ISending`."""
        admitted: Admitted = await self._link.call("sending.admit", account_id, recipient, first)
        return admitted

    def give_back(self, account_id: str, counted: Counted) -> None:
        """See :class:`ISending`."""
        self._link.tell("sending.give_back", account_id, counted)

    def sent(self, account_id: str, recipients: Sequence[str]) -> None:
        """See :class:`ISending`."""
        self._link.tell("sending.sent", account_id, list(recipients))

    async def bounced(self, account_id: str, recipient: str, status: str, reply: str) -> None:
        """Nothing: who delivers, knows."""

    async def returned(
        self, account_ids: Sequence[str], envelope_ids: Sequence[str], failures: Sequence[FailedRecipient]
    ) -> None:
        """See :class:`ISending`."""
        await self._link.call("sending.returned", list(account_ids), list(envelope_ids), list(failures))


class WorkerServer:
    """What a worker consists of. Made with what it is given; :meth:`start`, :meth:`drain`, once each."""

    def __init__(self, handover: Handover, link: ProcessLink, log: AppendedLog | None) -> None:
        given = handover.served
        config = given.config
        self._handover = handover
        self._holder = Holder(config, given.generation)
        self._link = link
        self._log = log
        self._hints = hints = SharedHints(reactor, lambda: (link,))
        runtime = make_runtime(config, reactor, time.time, hints)
        self._certificates = CertificateStore((), runtime.clock)
        self._take_certificates(given)
        self._stores = WorkerStores(config, runtime.clock, runtime.threads, hints, reactor.callFromThread, link.call)
        self._stores.tell_damaged(
            lambda name, words: link.tell("damaged", name, words), lambda name: link.tell("sound", name)
        )
        places = {
            place.listener: HandedOver(place.descriptor, place.family, place.backlog) for place in handover.places
        }
        self._serving = Serving(
            self._holder,
            self._stores,
            runtime,
            self._certificates,
            OwnersCounts(link),
            InheritedPorts(places),
            sending=OwnersSending(link),
        )
        clients = handover.clients
        memory = ClientCountsMemory(clients.descriptor, clients.key, clients.processes, clients.listeners)
        self._serving.share_clients(memory, handover.number - 1)
        self._grace = 0.0  # seconds; known when it ends
        self._draining = False
        self._polling = DirectoryPoll(runtime.clock, self._stores.directory.poll)
        closing = Closing(STEP, STORE, THREADS)
        self._process = MailProcess(runtime, self._stores, self._serving, closing, lambda: self._grace)
        self.services = Services(self._compose())

    def _compose(self) -> list[Startable]:
        """Return what this process runs, in the order in which it starts; it stops in reverse."""
        process = self._process
        return [
            *process.foundation(),
            process.ports(),
            process.rooms(),
            process.service("news of the first process", self._catch_up, self._polling.stop),
            process.sessions(),
            process.listeners(announced=False),
        ]

    async def start(self) -> None:
        """Take connections. :raises Exception: whatever stands in the way."""
        await self.services.start()

    async def drain(self, grace: float) -> None:
        """Take no more connections, let sessions end within ``grace`` seconds, close everything and end the process."""
        if self._draining:
            return
        self._draining = True
        self._grace = grace
        end_by_force(grace)
        await self.services.stop()
        # What was acknowledged is committed. Threads that still work do so for nobody, and go with the process.
        os._exit(0)  # without the farewells of a reactor: the link's end would be taken for the first process's

    def drain_as_configured(self) -> None:
        """Do so because of SIGTERM."""
        Deferred.fromCoroutine(self.drain(self._holder.config.server.grace)).addErrback(_failed)

    # what the first process says

    def handlers(self) -> dict[str, Callable[..., object]]:
        """What it may call or tell."""
        return {
            "hints": lambda modseqs, queue: self._hints.heard(self._link, modseqs, queue),
            "drain": self.drain,
            "reopen": self.reopen_log,
            "serve": self.take,
            "served": lambda: self._serving.served(self._handover.number),
            "changed": self.look_again,
            "mail_changed": self.look_at_mail,
            "metrics": self.snapshot,
            "counts": self._stores.write_counts,
        }

    def take(self, served: Served) -> None:
        """Serve this from now on."""
        if served.generation > self._holder.generation:
            self._take_certificates(served)
            self._holder.swap(served.config, served.generation)

    def _take_certificates(self, served: Served) -> None:
        if served.certificates:
            self._certificates.take([Pair.from_pem(chain, key) for chain, key in served.certificates])
        self._certificates.proofs = {name: Pair.from_pem(chain, key) for name, chain, key in served.proofs}

    async def look_again(self) -> None:
        """Forget what is remembered of directory and accounts."""
        self._stores.mail.forget_usage()
        await self._stores.directory.poll()

    async def look_at_mail(self) -> None:
        """Serve the partitions that the first process does, and forget what is remembered of mail."""
        await self._stores.look_at_service()
        self._stores.mail.forget()
        self._process.runtime.forget_mail()

    def reopen_log(self) -> None:
        """Write to the file that has the log's name now."""
        if self._log is not None:
            try:
                self._log.reopen()
            except OSError as error:
                _log.error("the log cannot be reopened: {error}", error=str(error))

    def snapshot(self) -> Snapshot:
        """Return what was counted here."""
        self._serving.measure(self._process.metrics, self._handover.number)
        return self._process.metrics.snapshot()

    async def _catch_up(self) -> None:
        """Learn what has changed since this process was begun, and look every few seconds from now on."""
        # What was told meanwhile is before the answer in the stream.
        self.take(await self._link.call("state"))
        await self._stores.directory.poll()
        self._polling.start()


def _open_log(place: LogPlace, form: str) -> AppendedLog | None:
    """Let everything that is logged go where the first process's log goes."""
    if place.kind != "lines":
        if place.kind == "syslog":
            made = SyslogObserver(place.name).emit  # type: ignore[no-untyped-call]
        else:
            made = namedAny(place.name)()  # type: ignore[no-untyped-call]
        if not ILogObserver.providedBy(made):
            made = LegacyLogObserverWrapper(made)  # type: ignore[arg-type]
        globalLogBeginner.beginLoggingTo([made], redirectStandardIO=False)
        return None
    log = AppendedLog(place.path, place.descriptor)
    globalLogBeginner.beginLoggingTo([observer(log, form)], redirectStandardIO=False)
    return log


def _failed(failure: Failure) -> None:
    _log.failure("a worker failed", failure)
    os._exit(1)


def _run(coroutine: Coroutine[Deferred[object], object, None]) -> Deferred[None]:
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
    handlers: dict[str, Callable[..., object]] = {}

    def begin(handover: Handover) -> None:
        for inherited in handover.descriptors():
            os.set_inheritable(inherited, False)
        log = _open_log(handover.log, handover.served.config.server.log)

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
