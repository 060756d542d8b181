"""The composition root: a configuration becomes a server, or a store that commands work on."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, DeferredLock
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.logger import Logger, globalLogPublisher

from mailnode.admin.administration import Administration, Reloaded, ServerStatus
from mailnode.admin.control_socket import ControlFactory, ControlPort
from mailnode.auth.passwords import make_credentials
from mailnode.auth.realm import SessionCounts
from mailnode.config.changes import changed_keys, live
from mailnode.config.holder import Holder
from mailnode.config.schema import Config
from mailnode.config.version import VERSION
from mailnode.delivery.acceptance import remove_scratch
from mailnode.delivery.bounce import Bouncer
from mailnode.delivery.local import LocalAgent
from mailnode.delivery.remote import RemoteAgent
from mailnode.errors import ConfigurationError, DomainError
from mailnode.imap.open_views import OpenViews
from mailnode.imap.searches import Searches
from mailnode.net.client_tls import ClientTls
from mailnode.net.clock import WallClock
from mailnode.net.descriptors import dns_at_once
from mailnode.net.hints import LocalHints
from mailnode.net.listeners import wait_for_connections
from mailnode.net.outbound import Outbound, OutboundSettings
from mailnode.net.processes import Processes
from mailnode.net.resolver import Resolver
from mailnode.net.threads import Threads
from mailnode.net.tls import CertificateStore
from mailnode.queue.destination import DestinationSettings
from mailnode.queue.runner import QueueRunner, RunnerSettings
from mailnode.server.administration import password_judge
from mailnode.server.processes.first import FurtherProcesses
from mailnode.server.processes.handover import LogPlace
from mailnode.server.processes.hints import SharedHints
from mailnode.server.processes.link import ProcessLink
from mailnode.server.serving import Runtime, Serving, scanning_batches, searching_processes
from mailnode.server.stores import OwnStores
from mailnode.upkeep.sweeper import Sweeper
from mailnode.values.events import emit
from mailnode.web.metrics import EventMetrics, Metrics
from mailnode.web.site import web_factory

HEALTH_TIMEOUT = 5.0  # seconds
CLOSING, CLOSING_STORE, CLOSING_WORKERS = 2.0, 5.0, 10.0  # seconds a step of the end may take, after the grace time
FIRST = 1  # the number of the process that is a whole server

_log = Logger()


class Server:
    """A whole server: :meth:`bind`, :meth:`start`, :meth:`stop`, in this order and once each."""

    def __init__(
        self,
        config: Config,
        reactor: Any,
        wall: Callable[[], float],
        read_again: Callable[[], Config],
        log: LogPlace,
    ) -> None:
        """:param reactor: its own seconds must never step. :param wall: returns UTC seconds.
        :param read_again: returns the configuration as it is now; for :meth:`reload`. :param log: where workers log."""
        self._holder = Holder(config)
        self._reloading = DeferredLock()
        self.metrics = Metrics()
        self._counting = EventMetrics(self.metrics)
        self._reactor = reactor
        self._clock = WallClock(wall, reactor)
        self._read_again = read_again
        self._threads = Threads(reactor)
        self._processes = Processes(reactor)
        self._searching = searching_processes(reactor)
        several = config.server.workers > 1
        self._batches = scanning_batches(config, reactor)
        self._hints = hints = SharedHints(reactor, self._links) if several else LocalHints()
        self._views = OpenViews(reactor)
        self._draining = False
        self._trouble = ""  # what health found last
        tls = config.tls
        self._certificates = CertificateStore(_pairs(config), self._clock) if tls is not None else None
        self._stores = OwnStores(config, self._clock, self._threads, hints, reactor.callFromThread)
        self._resolver = Resolver(reactor, config.dns.servers, at_once=dns_at_once())
        runtime = Runtime(
            reactor,
            self._clock,
            self._threads,
            self._processes,
            hints,
            self._resolver,
            self._views,
            Searches(self._searching),
            self._batches,
        )
        counts = SessionCounts()
        self._serving = Serving(self._holder, self._stores, runtime, self._certificates, counts, web=self._web)
        self._further: FurtherProcesses | None = None
        if isinstance(hints, SharedHints):
            self._further = FurtherProcesses(
                reactor, self._holder, self._serving, self._stores, self._certificates, counts, hints, log
            )
        self.administration = Administration(
            self._stores.directory,
            self._stores.mail,
            self._stores.queue,
            self._clock,
            self._threads,
            self._hints,
            make_credentials,
            password_judge(lambda: self.config),
            self,
        )
        self._control = ControlPort(reactor, config.server.data, ControlFactory(self.administration, self._changed))

    @property
    def config(self) -> Config:
        """That of the moment."""
        return self._holder.config

    # Life

    async def bind(self) -> None:
        """Read the certificates and take every port. :raises ConfigurationError: nothing was started."""
        if self._certificates is not None:
            self._certificates.load()
        await self._serving.bind()

    async def start(self) -> None:
        """Open the store, start everything, accept connections. :raises ConfigurationError: nothing is left running."""
        globalLogPublisher.addObserver(self._counting)
        self._threads.start()
        try:
            await self._stores.start()
            try:
                remove_scratch(self.config.server.data)
                self._build()
                self._control.open()
            except BaseException:
                await self._stores.stop()
                raise
        except BaseException:
            await self._serving.close_listeners()
            self._threads.stop()
            raise
        self._runner.start()
        self._sweeper.start()
        if self._certificates is not None:
            self._certificates.on_change = lambda: self._holder.swap(self.config)
            self._certificates.watch()

    async def accept(self) -> None:
        """Take connections, in all processes. :raises ConfigurationError: one of them cannot be started."""
        if self._further is not None:
            self._further.prepare()
            await self._further.start()
        self._serving.accept()
        emit(
            _log,
            "server.start",
            hostname=self.config.server.hostname,
            data=str(self.config.server.data),
            version=VERSION,
        )

    async def stop(self, reason: str) -> bool:
        """Let sessions and tries come to an end, at most the grace time, then close everything in reverse order, the
        store as the last thing. False: all is closed, but threads still work for nobody, and would hold the process.

        What fails to close, or takes too long, is logged and keeps nothing else open."""
        self._draining = True
        await self._close(self._serving.close_listeners(), CLOSING)
        await self._close(self._control.close(), CLOSING)
        await self._drain()
        await self._close(self._outbound.stop(), CLOSING)
        await self._close(self._stop_helpers(), CLOSING)
        await self._close(self._stores.stop(), CLOSING_STORE)
        ended = await self._threads.end(self._reactor, CLOSING)
        emit(_log, "server.stop", reason=reason)
        globalLogPublisher.removeObserver(self._counting)
        return ended

    async def _close(self, closing: Coroutine[Any, Any, Any], seconds: float) -> None:
        """Wait for one step of the end, at most so long."""
        try:
            await Deferred.fromCoroutine(closing).addTimeout(seconds, self._reactor)
        except DeferredTimeout:
            _log.warn(
                "{step} did not end within {seconds} s",
                step=getattr(closing, "__qualname__", "a step"),
                seconds=seconds,
            )
        except Exception:
            _log.failure("not everything could be closed")

    async def _drain(self) -> None:
        grace = self.config.server.grace
        self._serving.drain()
        waits = [
            self._close(wait_for_connections(self._serving.listeners, self._reactor, grace), grace + CLOSING),
            self._close(self._runner.stop(grace), grace + CLOSING),
            self._close(self._sweeper.stop(), grace + CLOSING),
        ]
        if self._further is not None:
            waits.append(self._close(self._further.stop(grace), grace + CLOSING_WORKERS))
        await DeferredList([Deferred.fromCoroutine(wait) for wait in waits])

    async def _stop_helpers(self) -> None:
        if self._certificates is not None:
            self._certificates.stop()
        self._processes.stop()
        self._searching.stop()
        if self._batches is not None:
            self._batches.stop()

    # Rooms

    def _build(self) -> None:
        """Put the rooms together, once the store is open."""
        config, stores, clock, serving = self.config, self._stores, self._clock, self._serving
        serving.build()
        bouncer = Bouncer(
            stores.directory,
            stores.queue,
            stores.blobs,
            serving.delivery,
            clock,
            hostname=config.server.hostname,
            expires=serving.schedule.expires,
            routing=serving.routing,
            refuse_foreign=not config.queue.outgoing,
        )
        self._outbound = Outbound(
            self._reactor,
            config.server.hostname,
            ClientTls(),
            self._reactor,
            settings=OutboundSettings(kept=min(100, serving.shares.outgoing)),
        )
        self._runner = QueueRunner(
            stores.queue,
            RemoteAgent(
                self._resolver,
                self._outbound,
                stores.queue,
                self._reactor,
                own_names=[config.server.hostname],
                own_addresses=serving.own_addresses,
                routing=serving.routing,
                port=config.queue.port,
            ),
            LocalAgent(stores.directory, stores.mail, stores.queue),
            bouncer,
            clock,
            self._hints,
            RunnerSettings(
                serving.schedule,
                DestinationSettings(cap=config.queue.concurrency, start=min(5, config.queue.concurrency)),
                total=serving.shares.outgoing,
                drain=config.server.grace,
            ),
            self.metrics,
        )
        self._sweeper = Sweeper(stores.mail.sweep, clock)

    # What the http listener shows

    def _web(self) -> Any:
        return web_factory(self.health, self._metrics_page, self._clock)

    async def health(self) -> dict[str, Any]:
        """Whether mail is taken: ``status`` "ok", "draining", "store" when it does not answer or its files are gone, "full"
        when the disk is, or "damaged" when some of them are: the others are served."""
        if self._draining:
            return {"status": "draining"}
        asking = Deferred.fromCoroutine(self._ask_store())
        asking.addTimeout(HEALTH_TIMEOUT, self._reactor)
        try:
            status = await asking
        except (DomainError, DeferredTimeout):
            status = "store"
        if status == "ok" and (damage := self._stores.damage()):
            return {"status": "damaged", "version": VERSION, "files": sorted(damage)}
        return {"status": "ok", "version": VERSION} if status == "ok" else {"status": status}

    async def _ask_store(self) -> str:
        """Return what health says of it."""
        if trouble := await self._stores.trouble():
            if trouble != self._trouble:
                _log.warn("the store does not take mail: {trouble}", trouble=trouble)
            self._trouble = trouble
            return "store"
        self._trouble = ""
        await self._stores.directory.domains()
        return "full" if await self._stores.is_full() else "ok"

    async def _metrics_page(self) -> tuple[bytes, bytes]:
        self._serving.measure(self.metrics, FIRST)
        try:
            counts = dict(await self._stores.queue.counts())
        except DomainError:
            counts = {}
        self.metrics.set("queue_envelopes", counts.pop("envelopes", 0))
        for state, count in counts.items():
            self.metrics.set("queue_recipients", count, state=state)
        if self._further is None:
            self.metrics.set("workers", 1)
            return self.metrics.render()
        workers, counted = await self._further.counted()
        self.metrics.set("workers", 1 + workers)
        return self.metrics.render(counted)

    # Changes while it runs

    async def status(self) -> ServerStatus:
        """Return the version, the number of what is served, what each process that answers serves, and what is wrong with
        files of the store."""
        processes = [self._serving.served(FIRST)]
        if self._further is not None:
            processes += await self._further.served()
        return {
            "version": VERSION,
            "hostname": self.config.server.hostname,
            "generation": self._holder.generation,
            "processes": processes,
            "damage": list(self._stores.damage().values()),
        }

    async def reload(self) -> Reloaded:
        """Take over what can change live, or nothing when there is a mistake anywhere.

        Return ``applied``, ``needs_restart`` and ``mistakes``, lists of lines, and what :meth:`status` does.
        """
        await self._reloading.acquire()
        try:
            applied, needs_restart = await self._take_over()
            mistakes: list[str] = []
        except ConfigurationError as error:
            applied, needs_restart, mistakes = [], [], error.mistakes
        finally:
            self._reloading.release()
        emit(_log, "server.reload", applied=",".join(applied), needs_restart=",".join(needs_restart))
        for mistake in mistakes:
            _log.warn("nothing was taken over: {mistake}", mistake=mistake)
        return {
            "applied": applied,
            "needs_restart": needs_restart,
            "mistakes": mistakes,
            **await self.status(),
        }

    async def _take_over(self) -> tuple[list[str], list[str]]:
        """Return the keys that were taken over and those that were not. :raises ConfigurationError: nothing was."""
        wanted, config, store = self._read_again(), self.config, self._certificates
        taken = live(config, wanted)
        read = store.read(_pairs(taken)) if store is not None else None
        if taken.domain != config.domain:
            try:
                await self._stores.directory.set_fixed_domains([domain.name for domain in taken.domain])
            except DomainError:
                raise ConfigurationError(["domain: the store cannot be written at the moment; see the log"]) from None
        # From here on nothing fails and nothing waits: all of it comes into use at once.
        applied = changed_keys(config, taken)
        if store is not None and read is not None and store.use(read):
            applied = [key for key in applied if not key.startswith("tls.")] + ["tls"]
        if applied:
            self._holder.swap(taken)
        if self._further is not None and taken.domain != config.domain:
            await self._further.changed()
        return applied, changed_keys(taken, wanted)

    def reopen_logs(self) -> None:
        """Have the other processes write to the file that has the log's name now."""
        if self._further is not None:
            self._further.reopen_log()

    async def _changed(self) -> None:
        """A command changed something: return when every process knows."""
        if self._further is not None:
            await self._further.changed()

    def _links(self) -> list[ProcessLink]:
        return self._further.links() if self._further is not None else []


def _pairs(config: Config) -> list[tuple[Path, Path]]:
    tls = config.tls
    if tls is None:
        return []
    return [(tls.certificate, tls.key), *((name.certificate, name.key) for name in tls.name)]
