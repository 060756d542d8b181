"""The composition root: a configuration becomes a server, or a store that commands work on."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.logger import Logger, globalLogPublisher
from zope.interface import implementer

from mailnode import demo, plugins
from mailnode.auth.checkers import DirectoryChecker, FirstThatKnows, ScramChecker
from mailnode.auth.logins import Logins
from mailnode.auth.passwords import make_credentials
from mailnode.auth.realm import MailRealm
from mailnode.auth.secret import server_secret
from mailnode.auth.throttle import Throttle
from mailnode.config.changes import changed_keys
from mailnode.config.demo import demo_config
from mailnode.config.loader import Checks, load, read_secret
from mailnode.config.schema import Config, PolicyEntry
from mailnode.config.schema import Listener as ListenerConfig
from mailnode.config.version import VERSION
from mailnode.ctl.control_socket import ControlFactory, ControlPort
from mailnode.ctl.office import Office
from mailnode.delivery.acceptance import Acceptance
from mailnode.delivery.bounce import Bouncer
from mailnode.delivery.local import LocalAgent
from mailnode.delivery.remote import RemoteAgent
from mailnode.delivery.router import Router
from mailnode.delivery.tls_policy import Smarthost
from mailnode.errors import ConfigurationError, DomainError
from mailnode.imap.connection import ImapLimits
from mailnode.imap.open_views import OpenViews
from mailnode.imap.protocol import ImapFactory
from mailnode.imap.session import ImapServices, ImapSession
from mailnode.interfaces.policy import IPluginContext
from mailnode.interfaces.runtime import IClock, IHints, IThreads
from mailnode.message.scanner import read_facts
from mailnode.net.batches import Batches
from mailnode.net.client_tls import ClientTls
from mailnode.net.clock import WallClock
from mailnode.net.hints import LocalHints
from mailnode.net.listeners import Listener, bind_all, own_addresses, wait_for_connections
from mailnode.net.no_reactor import CallingThread, StandingClock, run_now
from mailnode.net.outbound import Outbound
from mailnode.net.processes import Processes
from mailnode.net.resolver import Resolver
from mailnode.net.threads import Threads
from mailnode.net.tls import CertificateStore, ListenerTls, check_pair
from mailnode.policy.chain import Link, PolicyChain
from mailnode.pop3.protocol import Pop3Factory
from mailnode.queue.lane import LaneSettings
from mailnode.queue.runner import QueueRunner, RunnerSettings
from mailnode.queue.schedule import Schedule
from mailnode.smtp.limits import Limits as SmtpLimits
from mailnode.smtp.limits import Timeouts as SmtpTimeouts
from mailnode.smtp.protocol import SmtpFactory
from mailnode.smtp.service import Service
from mailnode.store.blobs_local import LocalBlobs
from mailnode.store.data_lock import DataLock
from mailnode.store.directory import Directory
from mailnode.store.engine import Engine
from mailnode.store.engine_sqlite import SqliteEngine
from mailnode.store.ephemeral import Ephemeral
from mailnode.store.mail_store import MailStore
from mailnode.store.queue import Queue
from mailnode.upkeep.sweeper import Sweeper
from mailnode.values.events import emit
from mailnode.web.metrics import EventMetrics, Metrics
from mailnode.web.site import web_factory

HEALTH_TIMEOUT = 5.0  # seconds

T = TypeVar("T")
_log = Logger()


# Configuration


def configuration(
    file: Path | None, data: Path | None, port_offset: int = 0, *, with_certificates: bool = True
) -> Config:
    """Return the configuration of a file, or the embedded default, checked with all it points at.

    :param data: in place of the file's data directory; needed without a file.
    :param with_certificates: look at the certificate files too.
    :raises ConfigurationError: every mistake.
    """
    if file is not None:
        pairs = check_pair if with_certificates else _no_mistakes
        return load(file, data, Checks(pairs, _policy_mistakes, _checker_mistakes))
    return demo_config((data or Path("mailnode-data")).absolute(), port_offset)


def _no_mistakes(certificate: Path, key: Path) -> list[tuple[str, str]]:
    return []


def _policy_mistakes(entries: Sequence[PolicyEntry]) -> list[str]:
    clock = StandingClock()
    context = PluginContext(clock, Resolver(clock, ["127.0.0.1"]), CallingThread())
    return _mistakes(lambda: plugins.make_policies([(entry.name, entry.options) for entry in entries], context))


def _checker_mistakes(texts: Sequence[str]) -> list[str]:
    return _mistakes(lambda: plugins.make_checkers(texts))


def _mistakes(make: Callable[[], object]) -> list[str]:
    try:
        make()
    except ConfigurationError as error:
        return error.mistakes
    return []


@implementer(IPluginContext)
@dataclass(frozen=True, slots=True)
class PluginContext:
    """What a plug-in may use."""

    clock: Any
    resolver: Any
    threads: Any


# The store


class Stores:
    """The engine and all that stands on it. ``start`` and ``stop`` once each."""

    def __init__(
        self,
        config: Config,
        clock: IClock,
        threads: IThreads,
        hints: IHints,
        call_from_thread: Callable[..., object] | None,
    ) -> None:
        """:param call_from_thread: the reactor's; None: everything runs in the calling thread."""
        self._config = config
        self.engine = _engine(config, call_from_thread)
        # The SQLite engine locks the directory by itself; with another one it still holds blobs and control socket.
        self._lock = None if isinstance(self.engine, SqliteEngine) else DataLock(config.server.data)
        directory = config.server.data / config.store.blobs.removeprefix("file:")
        self.blobs = LocalBlobs(directory, threads, clock, config.store.inline_limit)
        self.queue = Queue(self.engine, self.blobs)
        self.mail = MailStore(self.engine, self.blobs, hints, clock, config.server.partitions, self.queue.blobs_in_use)
        self.directory = Directory(self.engine)
        self.ephemeral = Ephemeral(self.engine, clock)

    async def start(self) -> None:
        """Lock the data directory, open, migrate. :raises ConfigurationError: what stands in the way."""
        if self._lock is not None:
            self._lock.acquire()
        try:
            await self.engine.start()
        except BaseException:
            self._unlock()
            raise
        try:
            self.blobs.prepare()
            await self.directory.set_fixed_domains([domain.name for domain in self._config.domain])
            await self.ephemeral.start()
            if isinstance(self.engine, SqliteEngine):  # which no other process has open
                await self.mail.end_maildrops()
        except Exception as error:
            await self.engine.stop()
            self._unlock()
            what = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
            data = self._config.server.data
            raise ConfigurationError([f"server.data: {data}: cannot be used: {what or 'see the log'}"]) from error

    async def stop(self) -> None:
        """Write what waits and close."""
        await self.ephemeral.stop()
        await self.engine.stop()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.release()


def _engine(config: Config, call_from_thread: Callable[..., object] | None) -> Engine:
    if config.store.url == "sqlite:":
        return SqliteEngine(config.server.data, config.server.partitions, call_from_thread)
    try:
        from mailnode.store.engine_postgres import PostgresEngine
    except ImportError as error:
        raise ConfigurationError([f"store.url: PostgreSQL needs mailnode[postgres]: {error}"]) from error
    return PostgresEngine(config.store.url, config.server.partitions, call_from_thread)


@contextmanager
def office(config: Config) -> Iterator[Office]:
    """Open the store for commands while no server runs. :raises ConfigurationError: it cannot be opened."""
    clock, threads, hints = StandingClock(), CallingThread(), LocalHints()
    stores = Stores(config, clock, threads, hints, None)
    run_now(stores.start())
    try:
        yield Office(stores.directory, stores.mail, stores.queue, clock, threads, hints, make_credentials)
    finally:
        run_now(stores.stop())


def with_store(config: Config, work: Callable[[Office], Coroutine[Any, Any, T]]) -> T:
    """Open the store, do some work on it that needs no reactor, close it. :raises ConfigurationError:"""
    with office(config) as opened:
        return run_now(work(opened))


# The demonstration, for the commands


def demonstration(data: Path) -> dict[str, Any] | None:
    """Return what ``mailnode demo`` shows, or None: none was started there."""
    return demo.recall(data)


def demonstration_screen(shown: dict[str, Any]) -> str:
    """Return the screen for a person."""
    return demo.screen(shown)


# The server


class Server:
    """A whole server: :meth:`bind`, :meth:`start`, :meth:`stop`, in this order and once each."""

    def __init__(
        self, config: Config, reactor: Any, wall: Callable[[], float], read_again: Callable[[], Config]
    ) -> None:
        """:param reactor: its own seconds must never step. :param wall: returns UTC seconds.
        :param read_again: returns the configuration as it is now; for :meth:`reload`."""
        self.config = config
        self.metrics = Metrics()
        self._counting = EventMetrics(self.metrics)
        self._reactor = reactor
        self._clock = WallClock(wall, reactor)
        self._read_again = read_again
        self._threads = Threads(reactor)
        self._processes = Processes(reactor)
        self._batches = Batches(reactor, read_facts) if len(os.sched_getaffinity(0)) > 1 else None
        self._hints = LocalHints()
        self._views = OpenViews(reactor)
        self._draining = False
        tls = config.tls
        self._certificates = CertificateStore(_pairs(config), self._clock) if tls is not None else None
        self._stores = Stores(config, self._clock, self._threads, self._hints, reactor.callFromThread)
        self._resolver = Resolver(reactor, config.dns.servers)
        self.listeners = [self._listener(index, entry) for index, entry in enumerate(config.listener)]
        self.office = Office(
            self._stores.directory,
            self._stores.mail,
            self._stores.queue,
            self._clock,
            self._threads,
            self._hints,
            make_credentials,
            self.reload,
        )
        self._control = ControlPort(reactor, config.server.data, ControlFactory(self.office))

    # Life

    async def bind(self) -> None:
        """Read the certificates and take every port. :raises ConfigurationError: nothing was started."""
        if self._certificates is not None:
            self._certificates.load()
        await bind_all(self.listeners)

    async def start(self) -> None:
        """Open the store, start everything, accept connections. :raises ConfigurationError: nothing is left running."""
        globalLogPublisher.addObserver(self._counting)
        self._threads.start()
        try:
            await self._stores.start()
            try:
                self._build()
                self._control.open()
            except BaseException:
                await self._stores.stop()
                raise
        except BaseException:
            await self._close_listeners()
            self._threads.stop()
            raise
        self._runner.start()
        self._sweeper.start()
        if self._certificates is not None:
            self._certificates.watch()

    def accept(self) -> None:
        """Take connections."""
        for listener, entry in zip(self.listeners, self.config.listener, strict=True):
            listener.accept(self._factory(listener, entry, self.config))
        emit(
            _log,
            "server.start",
            hostname=self.config.server.hostname,
            data=str(self.config.server.data),
            version=VERSION,
        )

    async def stop(self, reason: str) -> None:
        """Let sessions and tries come to an end, at most the grace time, then close everything in reverse order."""
        self._draining = True
        grace = self.config.server.grace
        await self._close_listeners()
        await self._control.close()
        for listener in self.listeners:
            listener.drain()
        waits: list[Coroutine[Any, Any, Any]] = [
            wait_for_connections(self.listeners, self._reactor, grace),
            self._runner.stop(),
            self._sweeper.stop(),
        ]
        await DeferredList([Deferred.fromCoroutine(wait) for wait in waits], consumeErrors=True)
        await self._outbound.stop()
        if self._certificates is not None:
            self._certificates.stop()
        self._processes.stop()
        if self._batches is not None:
            self._batches.stop()
        await self._stores.stop()
        self._threads.stop()
        emit(_log, "server.stop", reason=reason)
        globalLogPublisher.removeObserver(self._counting)

    # Rooms

    def _build(self) -> None:
        """Put the rooms together, once the store is open."""
        config, stores, clock = self.config, self._stores, self._clock
        schedule = Schedule(
            tuple(config.queue.retry),
            lifetime=config.queue.lifetime,
            null_lifetime=config.queue.lifetime_null,
            delay_after=config.queue.delay_notice,
        )
        closed = not config.queue.outgoing
        smarthost = _smarthost(config)
        addresses = {*config.server.addresses, *own_addresses(self.listeners)}
        self._router = Router(stores.directory, stores.mail, refuse_foreign=closed, own_addresses=addresses)
        self._delivery = Acceptance(
            stores.blobs,
            stores.mail,
            stores.queue,
            self._threads,
            self._processes,
            self._hints,
            message_size=config.limits.message_size,
            expires=schedule.expires,
            smarthost=smarthost is not None,
            scratch=str(config.server.data),
            batches=self._batches,
        )
        bouncer = Bouncer(
            stores.directory,
            stores.queue,
            stores.blobs,
            self._delivery,
            clock,
            hostname=config.server.hostname,
            expires=schedule.expires,
            smarthost=smarthost is not None,
            refuse_foreign=closed,
        )
        self._outbound = Outbound(self._reactor, config.server.hostname, ClientTls(), self._reactor)
        self._runner = QueueRunner(
            stores.queue,
            RemoteAgent(
                self._resolver,
                self._outbound,
                stores.queue,
                self._reactor,
                own_names=[config.server.hostname],
                own_addresses=addresses,
                smarthost=smarthost,
                port=config.queue.port,
            ),
            LocalAgent(stores.mail, stores.queue),
            bouncer,
            clock,
            self._hints,
            RunnerSettings(
                schedule,
                LaneSettings(cap=config.queue.concurrency, start=min(5, config.queue.concurrency)),
                total=config.queue.concurrency_total,
                drain=config.server.grace,
            ),
            self.metrics,
        )
        self._sweeper = Sweeper(stores.mail.sweep, clock)
        self._policies = self._policy_chain()
        self._logins = self._make_logins()

    def _policy_chain(self) -> PolicyChain:
        entries = self.config.policy
        context = PluginContext(self._clock, self._resolver, self._threads)
        policies = plugins.make_policies([(entry.name, entry.options) for entry in entries], context)
        links = [Link(policy, entry.on_failure) for policy, entry in zip(policies, entries, strict=True)]
        return PolicyChain(links, self._reactor)

    def _make_logins(self) -> Logins:
        directory, clock = self._stores.directory, self._clock
        checkers = [
            DirectoryChecker(directory, self._threads, self._reactor),
            *plugins.make_checkers(self.config.auth.checkers),
        ]
        self._realm = MailRealm(directory, self._stores.mail, self.config.limits.sessions_per_account)
        portal = Portal(
            self._realm,
            [FirstThatKnows(checkers), ScramChecker(directory)],
        )
        secret = server_secret(self.config.server.data)
        return Logins(portal, directory, Throttle(self._stores.ephemeral), clock, secret)

    # Listeners

    def _listener(self, index: int, entry: ListenerConfig) -> Listener:
        tls = ListenerTls(self._certificates) if self._certificates is not None and entry.tls != "none" else None
        key = f"listener[{index}]"
        return Listener(self._reactor, key, entry.protocol, entry.endpoint, entry.tls, tls)

    def _factory(self, listener: Listener, entry: ListenerConfig, config: Config) -> Any:
        make = {
            "smtp": self._smtp_factory,
            "submission": self._smtp_factory,
            "lmtp": self._smtp_factory,
            "imap": self._imap_factory,
            "pop3": self._pop3_factory,
            "http": self._http_factory,
        }[entry.protocol]
        start_tls = listener.listener_tls.start_tls if listener.listener_tls is not None else None
        return make(entry, start_tls, config)

    def _smtp_factory(self, entry: ListenerConfig, start_tls: Any, config: Config) -> SmtpFactory:
        limits = config.limits
        service = Service(
            config.server.hostname,
            self._router,
            self._delivery,
            self._policies,
            self._clock,
            self._logins if entry.protocol == "submission" else None,
            SmtpLimits(
                message_size=limits.message_size,
                discard_size=2 * limits.message_size,
                recipients=limits.recipients,
                hops=limits.hops,
                errors_slow=min(10, limits.errors),
                errors_max=limits.errors,
            ),
            SmtpTimeouts(command=limits.smtp_timeout, data=limits.smtp_timeout),
            entry.relay_from,
            entry.no_policy_for,
            self._reactor,
        )
        return SmtpFactory(
            entry.protocol,
            service,
            tls=entry.tls,
            start_tls=start_tls,
            xclient_from=entry.xclient_from,
            plain_login=entry.plain_login,
            strict_sync=entry.protocol == "smtp" and entry.strict_sync,
            max_connections=limits.connections,
            max_per_peer=limits.connections_per_address,
        )

    def _imap_factory(self, entry: ListenerConfig, start_tls: Any, config: Config) -> ImapFactory:
        services = ImapServices(
            self._logins,
            self._hints,
            self._clock,
            self._threads,
            self._delivery.scan,
            self._views,
            start_tls=entry.tls == "starttls",
            append_limit=config.limits.message_size,
            version=VERSION,
        )
        return ImapFactory(
            lambda channel, connection: ImapSession(channel, connection, services),
            self._reactor,
            tls=entry.tls,
            start_tls=start_tls,
            plaintext_login=entry.plain_login,
            limits=ImapLimits(message=config.limits.message_size, bad_commands=config.limits.errors),
            max_connections=config.limits.connections,
            max_per_peer=config.limits.connections_per_address,
        )

    def _pop3_factory(self, entry: ListenerConfig, start_tls: Any, config: Config) -> Pop3Factory:
        return Pop3Factory(
            self._logins,
            self._reactor,
            tls=entry.tls,
            start_tls=start_tls,
            hostname=config.server.hostname,
            timeout=config.limits.pop3_timeout,
            plain_login=entry.plain_login,
            max_connections=config.limits.connections,
            max_per_peer=config.limits.connections_per_address,
        )

    def _http_factory(self, entry: ListenerConfig, start_tls: Any, config: Config) -> Any:
        return web_factory(self.health, self._metrics_page, self._clock)

    # What the http listener shows

    async def health(self) -> dict[str, Any]:
        """Whether mail is taken: ``status`` "ok", "draining", or "store" when it does not answer."""
        if self._draining:
            return {"status": "draining"}
        asking = Deferred.fromCoroutine(self._stores.directory.domains())
        asking.addTimeout(HEALTH_TIMEOUT, self._reactor)
        try:
            await asking
        except (DomainError, DeferredTimeout):
            return {"status": "store"}
        return {"status": "ok", "version": VERSION}

    async def _metrics_page(self) -> tuple[bytes, bytes]:
        for pool, calls in self._threads.waiting().items():
            self.metrics.set("thread_calls", calls, pool=pool)
        self.metrics.set("imap_open_views", len(self._views))
        if self._certificates is not None:
            for pair in self._certificates.pairs:
                name = pair.names[0] if pair.names else ""
                self.metrics.set("certificate_expiry_seconds", pair.not_after.timestamp(), certificate=name)
        try:
            counts = dict(await self._stores.queue.counts())
        except DomainError:
            counts = {}
        self.metrics.set("queue_envelopes", counts.pop("envelopes", 0))
        for state, count in counts.items():
            self.metrics.set("queue_recipients", count, state=state)
        return self.metrics.render()

    # Changes while it runs

    async def reload(self) -> dict[str, Any]:
        """Take over what can change live; return ``applied``, ``needs_restart`` and ``mistakes``, lists of lines.

        Certificates come first and on their own: a mistake elsewhere does not keep an expiring one in use.
        """
        try:
            wanted = self._read_again()
        except ConfigurationError as error:
            applied, mistakes = self._reload_certificates(self.config)
            return self._reloaded(applied, [], list(dict.fromkeys(mistakes + error.mistakes)))
        applied, mistakes = self._reload_certificates(wanted)
        config = self.config
        if wanted.limits != config.limits:
            applied.append("limits")
            self._realm.sessions_per_account = wanted.limits.sessions_per_account
            for listener, entry in zip(self.listeners, config.listener, strict=True):
                listener.serve(self._factory(listener, entry, wanted))
        if wanted.domain != config.domain:
            applied.append("domain")
            await self._stores.directory.set_fixed_domains([domain.name for domain in wanted.domain])
        if wanted.server.grace != config.server.grace:
            applied.append("server.grace")
        live = {"limits": wanted.limits, "domain": wanted.domain, "tls": wanted.tls}
        live["server"] = config.server.model_copy(update={"grace": wanted.server.grace})
        self.config = config.model_copy(update=live)
        return self._reloaded(applied, changed_keys(self.config, wanted), mistakes)

    def _reload_certificates(self, wanted: Config) -> tuple[list[str], list[str]]:
        if self._certificates is None:
            return [], []
        problem = self._certificates.reload(_pairs(wanted) if wanted.tls is not None else None)
        return ([], [f"tls: the old certificates are kept: {problem}"]) if problem else (["tls"], [])

    def _reloaded(self, applied: list[str], needs_restart: list[str], mistakes: list[str]) -> dict[str, Any]:
        emit(_log, "server.reload", applied=",".join(applied), needs_restart=",".join(needs_restart))
        for mistake in mistakes:
            _log.warn("not taken over: {mistake}", mistake=mistake)
        return {"applied": applied, "needs_restart": needs_restart, "mistakes": mistakes}

    # Inside

    async def _close_listeners(self) -> None:
        for listener in self.listeners:
            await listener.close()


def _pairs(config: Config) -> list[tuple[Path, Path]]:
    tls = config.tls
    if tls is None:
        return []
    return [(tls.certificate, tls.key), *((name.certificate, name.key) for name in tls.name)]


def _smarthost(config: Config) -> Smarthost | None:
    wanted = config.queue.smarthost
    if wanted is None:
        return None
    password = read_secret(wanted.password_file) if wanted.password_file is not None else ""
    return Smarthost(wanted.host, wanted.port, wanted.tls, wanted.username, password)
