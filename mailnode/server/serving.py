"""What a process that serves mail consists of: the listeners, and behind them the rooms that answer."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.cred.portal import Portal
from twisted.logger import Logger

from mailnode.admin.administration import CertificateStatus, ProcessStatus
from mailnode.auth.checkers import DirectoryChecker, FirstThatKnows, ScramChecker
from mailnode.auth.logins import Logins
from mailnode.auth.realm import MailRealm
from mailnode.auth.secret import server_secret
from mailnode.auth.throttle import Throttle
from mailnode.config.holder import Holder
from mailnode.config.schema import Config
from mailnode.config.schema import Listener as ListenerConfig
from mailnode.config.version import VERSION
from mailnode.delivery.acceptance import Acceptance
from mailnode.delivery.judge import Judge
from mailnode.delivery.router import Router
from mailnode.imap.protocol import ImapFactory
from mailnode.imap.services import ImapServices
from mailnode.imap.session import ImapSession
from mailnode.imap.watching import Watching
from mailnode.imap.wire.connection import ImapLimits
from mailnode.interfaces.sessions import ISessionCounts
from mailnode.net.admission import Admission
from mailnode.net.client_counts import ClientCounts, ClientCountsMemory, SharedClientCounts
from mailnode.net.descriptors import OF_DATABASE, WEB, Shares, in_use, limit, share
from mailnode.net.listeners import HandedOver, Listener, own_addresses
from mailnode.net.pump_factory import PumpFactory
from mailnode.net.tls import CertificateStore, ListenerTls
from mailnode.policy.chain import Link, PolicyChain
from mailnode.pop3.protocol import Pop3Factory
from mailnode.queue.schedule import Schedule
from mailnode.server import plugins
from mailnode.server.plugins import PluginContext
from mailnode.server.ports import Ports
from mailnode.server.routing import routing_table
from mailnode.server.runtime import Runtime
from mailnode.server.stores import Stores
from mailnode.smtp.protocol import SmtpFactory
from mailnode.smtp.service import Service
from mailnode.smtp.wire.limits import Limits as SmtpLimits
from mailnode.smtp.wire.limits import Timeouts as SmtpTimeouts
from mailnode.web.metrics import Metrics

_log = Logger()


class Serving:
    """The listeners of one process and the rooms behind them: :meth:`bind`, :meth:`build` once the store is open,
    :meth:`accept`, in this order and once each."""

    def __init__(
        self,
        holder: Holder,
        stores: Stores,
        runtime: Runtime,
        certificates: CertificateStore,
        counts: ISessionCounts,
        ports: Ports,
        *,
        outgoing: int = 0,
        web: Callable[[], Any] | None = None,
    ) -> None:
        """:param outgoing: connections to other servers that this process may want in use at a time.
        :param web: makes the factory of an http listener; None: this process has none."""
        self._holder = holder
        self._config = config = holder.config  # what it was made with; what can change is asked of the holder
        self._stores = stores
        self._runtime = runtime
        self._certificates = certificates
        self._counts = counts
        self._ports = ports
        self._outgoing = outgoing
        self._web = web
        wanted = ports.numbers(config)
        self._admission = Admission(runtime.reactor)  # to all listeners for mail
        self._web_admission = Admission(runtime.reactor, WEB)  # a crowd at the others does not hide the metrics
        self._clients = {index: ClientCounts() for index in wanted}  # they outlive the factories
        self._listeners = {index: self._listener(index, config.listener[index]) for index in wanted}
        self._closed = False

    @property
    def listeners(self) -> list[Listener]:
        """Those of this process."""
        return list(self._listeners.values())

    async def bind(self) -> None:
        """Take every port. :raises ConfigurationError: none was taken."""
        await self._ports.bind(self._listeners)

    def handed_over(self) -> dict[int, HandedOver]:
        """Return what further processes need to take connections too, by the listener's number."""
        found = {}
        for index, listener in self._listeners.items():
            place = listener.handed_over() if listener.protocol != "http" else None
            if place is not None:
                found[index] = place
        return found

    def share_clients(self, memory: ClientCountsMemory, process: int) -> None:
        """Count clients together with other processes; this one is ``process``, from 0. Before :meth:`accept`."""
        self._clients = {index: SharedClientCounts(memory, process, index) for index in self._listeners}

    def accept(self, *, announced: bool = True) -> None:
        """Take connections. :param announced: whether the log says so."""
        for index, listener in self._listeners.items():
            listener.accept(self._factory(index, self._holder.config), announced=announced)
        self._take(self._holder.config)  # what came since the rooms were built
        self._holder.tell(self._serve)

    def _serve(self, config: Config) -> None:
        """Give new connections the limits of another configuration; those that stand keep what they were told."""
        if config.limits != self._limits and not self._closed:
            self._take(config)
            for index, listener in self._listeners.items():
                if listener.protocol != "http":  # it has no such limits
                    listener.serve(self._factory(index, config))

    def _take(self, config: Config) -> None:
        self._limits = config.limits
        self._realm.sessions_per_account = config.limits.sessions_per_account

    def served(self, process: int) -> ProcessStatus:
        """Return what this process, number ``process`` from 1 on, gives to new connections, as plain data."""
        certificates: list[CertificateStatus] = [
            {
                "names": list(pair.names),
                "fingerprint": pair.fingerprint,
                "not_after": pair.not_after.isoformat().replace("+00:00", "Z"),
            }
            for pair in self._certificates.pairs
        ]
        return {
            "process": process,
            "pid": os.getpid(),
            "generation": self._holder.generation,
            "certificates": certificates,
        }

    def measure(self, metrics: Metrics, process: int) -> None:
        """Set the gauges that tell the same, and those of this process' threads and views."""
        metrics.set("config_generation", self._holder.generation, process=str(process))
        metrics.clear("certificate_expiry_seconds")
        for pair in self._certificates.pairs:
            metrics.set(
                "certificate_expiry_seconds",
                pair.not_after.timestamp(),
                certificate=pair.names[0] if pair.names else "",
                fingerprint=pair.fingerprint,
                process=str(process),
            )
        for pool, calls in self._runtime.threads.waiting().items():
            metrics.set("thread_calls", calls, pool=pool)
        metrics.set("connections", self._admission.standing, process=str(process))
        metrics.set("connections_most", self._admission.most, process=str(process))
        metrics.set("connections_stopped", int(self._admission.full), process=str(process))
        metrics.set("imap_open_views", len(self._runtime.views))

    async def close_listeners(self) -> None:
        """Take no more connections; those that stand go on."""
        self._closed = True
        for listener in self._listeners.values():
            await listener.close()

    def drain(self) -> None:
        """Tell every session that the server shuts down."""
        for listener in self._listeners.values():
            listener.drain()

    # Rooms

    def build(self) -> None:
        """Put the rooms together."""
        config, stores, runtime = self._holder.config, self._stores, self._runtime
        self.shares = self._share_descriptors(config)
        queue = config.queue
        self.schedule = Schedule(
            tuple(queue.retry),
            lifetime=queue.lifetime,
            null_lifetime=queue.lifetime_null,
            delay_after=queue.delay_notice,
        )
        self.own_addresses = {*config.server.addresses, *own_addresses(self._listeners.values())}
        self._router = Router(
            stores.directory,
            stores.mail,
            refuse_foreign=not queue.outgoing,
            own_addresses=self.own_addresses,
            own_names=[config.server.hostname],
        )
        self.routing = routing_table(queue)
        self.delivery = Acceptance(
            stores.blobs,
            stores.mail,
            stores.queue,
            runtime.threads,
            runtime.processes,
            runtime.hints,
            expires=self.schedule.expires,
            routing=self.routing,
            scratch=str(config.server.data),
            batches=runtime.batches,
        )
        stores.mail.scan_older(self.delivery.scan_stored)
        self._watching = Watching(runtime.clock, stores.mail)
        self._policies = self._policy_chain()
        self._logins = self._make_logins()

    def _share_descriptors(self, config: Config) -> Shares:
        """Return what the connections of this process may have. The store is open, and nobody is connected."""
        store = OF_DATABASE * self._stores.databases + config.server.workers  # with PostgreSQL it is less
        shares = share(limit(), in_use(), store, self._outgoing)
        self._admission.most = shares.connections
        if shares.scarce:
            _log.warn(
                "{limit} open files are few: connections may take what the store needs (ulimit -n, LimitNOFILE=)",
                limit=shares.limit,
            )
        return shares

    def _policy_chain(self) -> PolicyChain:
        entries, runtime = self._config.policy, self._runtime
        context = PluginContext(runtime.clock, runtime.resolver, runtime.threads)
        policies = plugins.make_policies([(entry.name, entry.options) for entry in entries], context)
        links = [Link(policy, entry.on_failure) for policy, entry in zip(policies, entries, strict=True)]
        return PolicyChain(links, runtime.reactor)

    def _make_logins(self) -> Logins:
        directory, runtime = self._stores.directory, self._runtime
        checkers = [
            DirectoryChecker(directory, runtime.threads, runtime.reactor),
            *plugins.make_checkers(self._config.auth.checkers),
        ]
        self._realm = MailRealm(directory, self._stores.mail, self._counts)
        portal = Portal(
            self._realm,
            [FirstThatKnows(checkers), ScramChecker(directory)],
        )
        secret = server_secret(self._config.server.data)
        throttle = Throttle(self._stores.ephemeral, secret, lambda: self._holder.config.auth.no_throttle_for)
        return Logins(portal, directory, throttle, runtime.clock, secret)

    # Listeners

    def _listener(self, index: int, entry: ListenerConfig) -> Listener:
        tls = ListenerTls(self._certificates) if entry.tls != "none" else None
        key = f"listener[{index}]"
        admission = self._web_admission if entry.protocol == "http" else self._admission
        return Listener(
            self._runtime.reactor, key, entry.protocol, entry.endpoint, entry.tls, tls, entry.proxy_from, admission
        )

    def _factory(self, index: int, config: Config) -> Any:
        listener, entry = self._listeners[index], self._config.listener[index]
        if entry.protocol == "http":
            assert self._web is not None
            return self._web()
        make: dict[str, Callable[..., PumpFactory]] = {
            "smtp": self._smtp_factory,
            "submission": self._smtp_factory,
            "lmtp": self._smtp_factory,
            "imap": self._imap_factory,
            "pop3": self._pop3_factory,
        }
        start_tls = listener.listener_tls.start_tls if listener.listener_tls is not None else None
        factory = make[entry.protocol](entry, start_tls, config)
        factory.clients = self._clients[index]
        return factory

    def _smtp_factory(self, entry: ListenerConfig, start_tls: Any, config: Config) -> SmtpFactory:
        limits = config.limits
        service = Service(
            config.server.hostname,
            self._router,
            self.delivery,
            self._policies,
            Judge(self._router),
            self._runtime.clock,
            self._logins if entry.protocol == "submission" else None,
            SmtpLimits(
                message_size=limits.message_size,
                discard_size=2 * limits.message_size,
                recipients=limits.recipients,
                hops=limits.hops,
                errors_slow=min(10, limits.errors),
                errors_max=limits.errors,
            ),
            SmtpTimeouts(command=limits.smtp_timeout, data=limits.smtp_timeout, login=limits.login_timeout),
            entry.relay_from,
            entry.no_policy_for,
            self._runtime.reactor,
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
            self._runtime.hints,
            self._runtime.clock,
            self._runtime.threads,
            self.delivery.stage,
            self._runtime.views,
            self._runtime.searches,
            self._watching,
            start_tls=entry.tls == "starttls",
            append_limit=config.limits.message_size,
            version=VERSION,
        )
        return ImapFactory(
            lambda channel, connection: ImapSession(channel, connection, services),
            self._runtime.reactor,
            tls=entry.tls,
            start_tls=start_tls,
            plaintext_login=entry.plain_login,
            login_timeout=config.limits.login_timeout,
            limits=ImapLimits(message=config.limits.message_size, bad_commands=config.limits.errors),
            max_connections=config.limits.connections,
            max_per_peer=config.limits.connections_per_address,
        )

    def _pop3_factory(self, entry: ListenerConfig, start_tls: Any, config: Config) -> Pop3Factory:
        return Pop3Factory(
            self._logins,
            self._runtime.reactor,
            tls=entry.tls,
            start_tls=start_tls,
            hostname=config.server.hostname,
            timeout=config.limits.pop3_timeout,
            login_timeout=config.limits.login_timeout,
            plain_login=entry.plain_login,
            max_connections=config.limits.connections,
            max_per_peer=config.limits.connections_per_address,
        )
