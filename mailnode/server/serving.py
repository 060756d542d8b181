"""What a process serves: its listeners, the rooms behind them, and what it tells of both."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection

from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import Logger

from mailnode.admin.administration import CertificateStatus, ProcessStatus
from mailnode.config.holder import Holder
from mailnode.config.schema import Config
from mailnode.config.schema import Listener as ListenerConfig
from mailnode.interfaces.sending import ISending
from mailnode.interfaces.sessions import ISessionCounts
from mailnode.net.admission import ConnectionAdmission
from mailnode.net.client_certificate import read_authorities
from mailnode.net.client_counts import ClientCounts, ClientCountsMemory, SharedClientCounts
from mailnode.net.descriptors import OF_DATABASE, WEB, Shares, in_use, limit, share
from mailnode.net.listeners import HandedOver, Listener, own_addresses
from mailnode.net.tls import CertificateStore, ListenerTls
from mailnode.server.ports import Ports
from mailnode.server.rooms import Rooms
from mailnode.server.runtime import Runtime
from mailnode.server.stores import Stores
from mailnode.values.directory import PROTOCOLS
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
        sending: ISending | None = None,
        outgoing: int = 0,
        web: Callable[[Collection[str]], IProtocolFactory] | None = None,
    ) -> None:
        """:param sending: asked what accounts may send; None: all of it.
        :param outgoing: connections to other servers that this process may want in use at a time.
        :param web: makes the factory of an http listener with these pages; None: this process has none."""
        self._holder = holder
        self._config = config = holder.config  # what it was made with; what can change is asked of the holder
        self._stores = stores
        self._runtime = runtime
        self._certificates = certificates
        self._counts = counts
        self._sending = sending
        self._ports = ports
        self._outgoing = outgoing
        self._web = web
        self._authorities = read_authorities(config.auth.client_ca)
        wanted = ports.numbers(config)
        self._admission = ConnectionAdmission(runtime.reactor)  # to all listeners for mail
        self._web_admission = ConnectionAdmission(
            runtime.reactor, WEB
        )  # a crowd at the others does not hide the metrics
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
        """Give new connections what another configuration says of them; those that stand keep what they were told."""
        if (config.limits, config.submission, config.imap, config.sieve) != self._served and not self._closed:
            self._take(config)
            for index, listener in self._listeners.items():
                if listener.protocol != "http":  # it has no such limits
                    listener.serve(self._factory(index, config))

    def _take(self, config: Config) -> None:
        self._served = config.limits, config.submission, config.imap, config.sieve
        self.rooms.limit_sessions(config.limits.sessions_per_account)

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

    def build(self) -> None:
        """Put the rooms together, once the store is open. :raises ConfigurationError: a plug-in cannot be made."""
        config = self._holder.config
        self.shares = self._share_descriptors(config)
        addresses = {*config.server.addresses, *own_addresses(self._listeners.values())}
        self.rooms = Rooms(self._holder, self._stores, self._runtime, self._counts, addresses, self._sending)

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

    def _listener(self, index: int, entry: ListenerConfig) -> Listener:
        authorities = self._authorities if entry.protocol in PROTOCOLS else ()
        tls = ListenerTls(self._certificates, authorities) if entry.tls != "none" else None
        key = f"listener[{index}]"
        admission = self._web_admission if entry.protocol == "http" else self._admission
        return Listener(
            self._runtime.reactor, key, entry.protocol, entry.endpoint, entry.tls, tls, entry.proxy_from, admission
        )

    def _factory(self, index: int, config: Config) -> IProtocolFactory:
        listener, entry = self._listeners[index], self._config.listener[index]
        if entry.protocol == "http":
            assert self._web is not None
            return self._web(entry.pages)
        start_tls = listener.listener_tls.start_tls if listener.listener_tls is not None else None
        factory = self.rooms.factory(entry, start_tls, config)
        factory.clients = self._clients[index]
        return factory
