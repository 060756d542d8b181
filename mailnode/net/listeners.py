"""Listeners: an endpoint string, TLS and a factory, bound first and accepting later."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from errno import EACCES, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, EAGAIN, ECONNABORTED, EPERM
from socket import AF_UNIX, AddressFamily
from socket import socket as Socket

from twisted.internet.abstract import FileDescriptor
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IListeningPort, IProtocol, IProtocolFactory
from twisted.internet.protocol import Factory
from twisted.internet.unix import Server
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from mailnode.errors import ConfigurationError
from mailnode.interfaces.pause import pause
from mailnode.interfaces.reactor import IServerReactor
from mailnode.interfaces.runtime import IClock
from mailnode.net.admission import ConnectionAdmission
from mailnode.net.direct_tls import DirectTls
from mailnode.net.proxy import LateProxyFactory
from mailnode.net.tls import ListenerTls
from mailnode.values.events import emit
from mailnode.values.networks import Networks, ip_address

PORT_TAKEN = (
    "another program has the port, perhaps another mail server, or this one runs already: ss -ltnp shows which program"
)
PORT_DENIED = (
    "ports below 1024 are for root, for who has the capability CAP_NET_BIND_SERVICE (AmbientCapabilities= in the systemd "
    "unit etc/mailnode.service), and for sockets that systemd opens (endpoint systemd:domain=INET6:name=NAME)"
)
NO_ADDRESS = "interface= names an address that this machine does not have, or not yet: ip address shows those it has"
NO_IPV6 = "this machine has no IPv6: write tcp:PORT for tcp6:PORT"
_HINTS = {
    EADDRINUSE: PORT_TAKEN,
    EACCES: PORT_DENIED,
    EPERM: PORT_DENIED,
    EADDRNOTAVAIL: NO_ADDRESS,
    EAFNOSUPPORT: NO_IPV6,
}

# Clients that may wait in the kernel for a listener to take them: about what is taken in a second. Of more the kernel forgets some
# while they believe to be connected, and wait for a greeting.
BACKLOG = 1024
_TWISTED_BACKLOG = 50  # where the endpoint says nothing

_log = Logger()


class ImplicitTlsFactory(TLSMemoryBIOFactory):
    """TLS from the first octet. A factory that takes no more connections may say so with None."""

    protocol = DirectTls

    def buildProtocol(self, addr: IAddress | None) -> IProtocol | None:  # type: ignore[override]
        """Return a TLS protocol around the wrapped factory's."""
        inner = self.wrappedFactory.buildProtocol(addr)
        return self.protocol(self, inner) if inner is not None else None  # type: ignore[no-untyped-call]


class ListenerFactory(Factory):
    """Passes each new connection to the factory of the moment."""

    noisy = False

    def __init__(self) -> None:
        self.factory: IProtocolFactory | None = None

    def buildProtocol(self, addr: IAddress | None) -> IProtocol | None:  # type: ignore[override]
        """Return a protocol of the factory; None, which closes the connection, while there is none."""
        return self.factory.buildProtocol(addr) if self.factory is not None else None  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A listening socket on its way into another process."""

    descriptor: int
    family: int
    backlog: int


@implementer(IListeningPort)
class SharedUnixPort(FileDescriptor):
    """Accepts on a UNIX socket that another process has bound and will remove: Twisted's own port would change the mode of
    the path at the beginning and remove it at the end."""

    def __init__(self, reactor: IServerReactor, descriptor: int, factory: IProtocolFactory) -> None:
        """:param descriptor: of the listening socket; it becomes this object's."""
        super().__init__(reactor)
        self.factory = factory
        self.socket = Socket(fileno=descriptor)
        self._reactor = reactor
        factory.doStart()

    def fileno(self) -> int:
        """The socket's."""
        return self.socket.fileno()

    def getHost(self) -> IAddress:
        """Where it listens."""
        return UNIXAddress(self.socket.getsockname())

    def doRead(self) -> None:
        """Take one client."""
        try:
            client, _ = self.socket.accept()
        except OSError as error:
            if error.errno not in (EAGAIN, ECONNABORTED):
                _log.warn("cannot take a connection: {error}", error=str(error))
            return
        protocol = self.factory.buildProtocol(UNIXAddress(client.getsockname()))
        if protocol is None:
            client.close()
        else:
            # What adoptStreamConnection does, but with this very socket, which is counted.
            transport = Server(client, protocol, client.getpeername(), None, 0, self._reactor)  # type: ignore[no-untyped-call]
            protocol.makeConnection(transport)

    def startListening(self) -> None:
        """Take clients."""
        self.startReading()  # type: ignore[no-untyped-call]

    def stopListening(self) -> None:
        """Take no more."""
        if self.socket.fileno() >= 0:
            self.stopReading()  # type: ignore[no-untyped-call]
            self.socket.close()
            self.factory.doStop()


class Listener:
    """One listening place of the server: bound first, accepting when the rooms behind it are up.

    The factory's ``draining()``, if there is one, tells its sessions that the server shuts down, and its
    ``connections`` says how many there are.
    """

    def __init__(
        self,
        reactor: IServerReactor,
        key: str,
        protocol: str,
        endpoint: str,
        tls: str,
        listener_tls: ListenerTls | None = None,
        proxy_from: Networks = (),
        admission: ConnectionAdmission | None = None,
    ) -> None:
        """:param key: of the configuration, such as ``listener[1]``, for messages. :param tls: as configured.
        :param listener_tls: needed for "implicit" and "starttls". :param proxy_from: networks of the balancers that may
        connect where the endpoint begins with ``haproxy:``. :param admission: None: connections are not counted."""
        self.protocol = protocol
        self.endpoint = endpoint
        self.tls = tls
        self.listener_tls = listener_tls
        self._proxy_from = proxy_from
        self._admission = admission or ConnectionAdmission(reactor)
        self._accepting = False
        self._current = ListenerFactory()
        self._former: list[IProtocolFactory] = []  # factories whose sessions may still live
        self._reactor = reactor
        self._key = key
        self._port: IListeningPort | None = None
        self._behind: IProtocolFactory | None = None

    async def bind(self) -> None:
        """Take the port, without accepting yet. :raises ConfigurationError: it cannot be taken, in words."""
        text = self.endpoint.removeprefix("haproxy:")
        self._behind = behind = self._outer_factory()
        try:
            endpoint = serverFromString(self._reactor, text)  # type: ignore[no-untyped-call]
            self._port = await maybeDeferred(endpoint.listen, behind)
        except CannotListenError as error:
            reason = getattr(error.socketError, "strerror", None) or str(error.socketError)
            raise ConfigurationError([f"{self._key}.endpoint: {self.endpoint}: {reason}"]) from error
        except Exception as error:  # each endpoint type fails in its own ways
            what = f"{type(error).__name__}: {error}"
            raise ConfigurationError([f"{self._key}.endpoint: {self.endpoint}: {what}"]) from error
        self._lengthen_queue(systemd=text.startswith("systemd:"))
        self._bound()

    def handed_over(self) -> HandedOver | None:
        """Return what another process needs to take connections here too; None: with this kind of endpoint it cannot."""
        socket = getattr(self._port, "socket", None)
        # An endpoint that puts something of its own before our factory does more than to accept.
        if socket is None or getattr(self._port, "factory", None) is not self._behind:
            return None
        return HandedOver(socket.fileno(), int(socket.family), int(getattr(self._port, "backlog", BACKLOG)))

    def adopt(self, place: HandedOver) -> None:
        """Take a port that another process has bound, without accepting yet; its descriptor is closed."""
        self._behind = behind = self._outer_factory()
        if place.family == AF_UNIX:
            self._port = SharedUnixPort(self._reactor, place.descriptor, behind)
        else:
            self._port = port = self._reactor.adoptStreamPort(place.descriptor, AddressFamily(place.family), behind)  # type: ignore[arg-type]
            port.socket.listen(place.backlog)  # type: ignore[attr-defined]  # Twisted set it to its own
            os.close(place.descriptor)
        self._bound()

    def accept(self, factory: IProtocolFactory, *, announced: bool = True) -> None:
        """Begin to take connections, those that wait included. :param announced: whether the log says so."""
        self.serve(factory)
        self._accepting = True
        self._follow()
        if announced:
            emit(_log, "listener.open", protocol=self.protocol, endpoint=self.endpoint, tls=self.tls)

    def serve(self, factory: IProtocolFactory) -> None:
        """Give new connections to this factory; those that stand stay with theirs."""
        former = self._current.factory
        factory.doStart()
        self._current.factory = factory
        if former is not None:
            former.doStop()
            self._former = [one for one in (*self._former, former) if getattr(one, "connections", 0)]

    async def close(self) -> None:
        """Take no more connections; those that stand go on."""
        port, self._port = self._port, None
        self._admission.forget(self._follow)
        if port is not None:
            await maybeDeferred(port.stopListening)
        if self._current.factory is not None:
            self._current.factory.doStop()
            self._former.append(self._current.factory)
            self._current.factory = None

    def drain(self) -> None:
        """Tell every session that the server shuts down."""
        for factory in self._factories():
            draining = getattr(factory, "draining", None)
            if draining is not None:
                draining()

    @property
    def connections(self) -> int:
        """How many connections stand, as far as the factories know."""
        return sum(int(getattr(factory, "connections", 0)) for factory in self._factories())

    def _factories(self) -> list[IProtocolFactory]:
        current = self._current.factory
        return [*self._former, current] if current is not None else self._former

    @property
    def address(self) -> IAddress | None:
        """Where it listens; None before :meth:`bind`."""
        return self._port.getHost() if self._port is not None else None

    def _outer_factory(self) -> IProtocolFactory:
        factory: IProtocolFactory = self._current
        if self.tls == "implicit":
            if self.listener_tls is None:
                raise ConfigurationError([f"{self._key}.tls: no certificate"])
            factory = ImplicitTlsFactory(self.listener_tls, False, self._current, self._reactor)  # type: ignore[arg-type]
        if self.endpoint.startswith("haproxy:"):
            factory = LateProxyFactory(factory, self._reactor, self._proxy_from, self.protocol)
        return factory

    def _lengthen_queue(self, systemd: bool) -> None:
        """Let as many wait as are wanted where nobody has said how many. :param systemd: its unit says it (``Backlog=``)."""
        port = self._port
        if getattr(port, "backlog", None) == _TWISTED_BACKLOG:
            port.backlog = BACKLOG  # type: ignore[union-attr]
            if not systemd:
                port.socket.listen(BACKLOG)  # type: ignore[union-attr]

    def _bound(self) -> None:
        assert self._port is not None
        self._admission.watch(self._port, self._follow)
        self._follow()

    def _follow(self) -> None:
        """Read from the port while it may be."""
        # Ports of every kind Twisted makes can pause; a foreign endpoint's that cannot accepts a little early.
        reading = self._accepting and not self._admission.full
        switch = getattr(self._port, "startReading" if reading else "stopReading", None)
        if switch is not None:
            switch()


def _hint(cause: BaseException | None) -> str:
    """Return what may help when a TCP port could not be taken; "" where the reason says it all."""
    tcp = isinstance(cause, CannotListenError) and isinstance(cause.port, int)
    return _HINTS.get(getattr(cause.socketError, "errno", None), "") if tcp else ""  # type: ignore[union-attr,arg-type]


def own_addresses(listeners: Iterable[Listener]) -> tuple[str, ...]:
    """Return the IP addresses bound listeners were given by name: not loopback, which every machine has, and not the
    wildcards, which name none."""
    found: dict[str, None] = {}
    for listener in listeners:
        host = getattr(listener.address, "host", None)
        if isinstance(host, str):
            address = ip_address(host)
            if address is not None and not (address.is_loopback or address.is_unspecified):
                found[str(address)] = None
    return tuple(found)


async def bind_all(listeners: list[Listener]) -> None:
    """Bind every listener or none. :raises ConfigurationError: every one that could not be bound, then what may help."""
    mistakes: list[str] = []
    hints: list[str] = []
    for listener in listeners:
        try:
            await listener.bind()
        except ConfigurationError as error:
            mistakes += error.mistakes
            hints.append(_hint(error.__cause__))
    if mistakes:
        for listener in listeners:
            await listener.close()
        raise ConfigurationError([*mistakes, *dict.fromkeys(filter(None, hints))])


async def wait_for_connections(listeners: list[Listener], clock: IClock, seconds: float, step: float = 0.1) -> int:
    """Wait until no connection stands, at most so many seconds; return how many are left."""
    end = clock.seconds() + seconds
    while (left := sum(listener.connections for listener in listeners)) and clock.seconds() < end:
        await pause(clock, step)
    return left
