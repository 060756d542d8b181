"""The PROXY protocol in front of a listener: the protocol behind it begins only when the client's address is known.

Whoever may write a header may claim any address, so only balancers in named networks may connect. Twisted's own wrapper
connects the protocol at once, with the balancer's address; whoever decides by address then decides about the balancer.
"""

from __future__ import annotations

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, IProtocolFactory, ITransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from zope.interface import alsoProvides, directlyProvides, providedBy

from mailnode.interfaces.reactor import IStreamTransport
from mailnode.interfaces.runtime import IClock, IDelayed
from mailnode.net.proxy_header import BadHeader, Header, Place, read_header
from mailnode.values.events import emit
from mailnode.values.networks import Networks, within

HEADER_TIMEOUT = 10.0  # seconds a balancer may take for its header

_log = Logger()


class LateProxyWrapper(ProtocolWrapper):
    """Makes the protocol behind it when the header has been read."""

    behind_balancer = True  # asked of whatever TLS stands on it, which passes on what it does not know

    def __init__(self, factory: LateProxyFactory) -> None:
        super().__init__(factory, Protocol())  # type: ignore[arg-type]
        self._header: Header | None = None
        self._first = b""
        self._timer: IDelayed | None = None

    def makeConnection(self, transport: ITransport) -> None:
        """Wait for the header."""
        directlyProvides(self, providedBy(transport))
        alsoProvides(self, IHalfCloseableProtocol)
        Protocol.makeConnection(self, transport)  # type: ignore[no-untyped-call]
        self._of().registerProtocol(self)  # type: ignore[no-untyped-call]
        self._timer = self._of().clock.callLater(HEADER_TIMEOUT, self._too_late)

    def getPeer(self) -> IAddress:
        """The client's address; the balancer's where it names none."""
        own = self._under().getPeer()
        return _address(self._header.source, own) if self._header is not None else own

    def getHost(self) -> IAddress:
        """The address the client connected to."""
        own = self._under().getHost()
        return _address(self._header.destination, own) if self._header is not None else own

    def dataReceived(self, data: bytes) -> None:
        """Read the header, then pass everything on."""
        if self._header is not None:
            self.wrappedProtocol.dataReceived(data)
            return
        self._first += data  # at most 64 KiB in 10 seconds, from a balancer we trust
        try:
            self._header = read_header(self._first)
        except BadHeader:
            self._refuse("no PROXY header")
            return
        if self._header is not None:
            self._stop_timer()
            rest, self._first = self._first[self._header.octets :], b""
            self._begin(rest)

    def readConnectionLost(self) -> None:
        """The client closed its side: the protocol may still answer, if it knows how."""
        if IHalfCloseableProtocol.providedBy(self.wrappedProtocol):
            self.wrappedProtocol.readConnectionLost()
        else:
            self._give_up()

    def writeConnectionLost(self) -> None:
        """The protocol closed its side."""
        if IHalfCloseableProtocol.providedBy(self.wrappedProtocol):
            self.wrappedProtocol.writeConnectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell the protocol if there is one."""
        self._stop_timer()
        super().connectionLost(reason)  # type: ignore[no-untyped-call]

    def _begin(self, rest: bytes) -> None:
        behind = self._of().wrappedFactory.buildProtocol(self.getPeer())
        if behind is None:
            self._give_up()
            return
        self.wrappedProtocol = behind
        behind.makeConnection(self)
        if rest:
            behind.dataReceived(rest)

    def _too_late(self) -> None:
        self._timer = None
        self._refuse("no PROXY header in time")

    def _refuse(self, reason: str) -> None:
        self._of().refused(self._under().getPeer(), reason)
        self._give_up()

    def _give_up(self) -> None:
        self._stop_timer()
        self._under().abortConnection()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _under(self) -> IStreamTransport:
        return self.transport  # type: ignore[return-value]

    def _of(self) -> LateProxyFactory:
        return self.factory  # type: ignore[no-any-return]


def _address(place: Place | None, otherwise: IAddress) -> IAddress:
    if place is None:
        return otherwise
    kind = IPv6Address if ":" in place[0] else IPv4Address
    return kind("TCP", *place)


class LateProxyFactory(WrappingFactory):
    """Puts a :class:`LateProxyWrapper` before each connection of a balancer, and takes no others."""

    noisy = False

    def __init__(self, factory: IProtocolFactory, clock: IClock, balancers: Networks, protocol: str = "") -> None:
        """:param balancers: the networks they connect from; who has no address came by a Unix socket, whose file has
        permissions. :param protocol: spoken behind it, for the log."""
        super().__init__(factory)  # type: ignore[no-untyped-call]
        self.clock = clock
        self._balancers = balancers
        self._protocol = protocol

    def buildProtocol(self, addr: IAddress | None) -> LateProxyWrapper | None:  # type: ignore[override]
        """Return what waits for the header; None, which closes the connection, for strangers."""
        host = str(getattr(addr, "host", "") or "")
        if host and not within(host, self._balancers):
            self.refused(addr, "not in proxy_from")
            return None
        return LateProxyWrapper(self)

    def refused(self, address: IAddress | None, reason: str) -> None:
        """Log who was turned away."""
        peer = str(getattr(address, "host", "") or "")
        emit(_log, "proxy.refused", warning=True, protocol=self._protocol, peer=peer, reason=reason)
