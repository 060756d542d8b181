"""The PROXY protocol in front of a listener: the protocol behind it begins only when the client's address is known.

Twisted's own wrapper connects the protocol at once, with the balancer's address; whoever decides by address then
decides about the balancer.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, IProtocolFactory
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.haproxy._v1parser import V1Parser
from twisted.protocols.haproxy._v2parser import V2Parser
from twisted.protocols.haproxy._wrapper import HAProxyProtocolWrapper, HAProxyWrappingFactory
from twisted.python.failure import Failure
from zope.interface import alsoProvides, directlyProvides, providedBy

from mailnode.interfaces.runtime import IClock, IDelayed

HEADER_TIMEOUT = 10.0  # seconds a balancer may take for its header
ENOUGH = 16  # octets that tell one version of the header from the other, or from something else


def _may_be_header(data: bytearray) -> bool:
    return any(bytes(data) == start[: len(data)] for start in (V1Parser.PROXYSTR, V2Parser.PREFIX)) or data.startswith(
        (V1Parser.PROXYSTR, V2Parser.PREFIX)
    )


class LateProxyWrapper(HAProxyProtocolWrapper):
    """Makes the protocol behind it when the header has been read."""

    def __init__(self, factory: Any) -> None:
        super().__init__(factory, _Kept())  # type: ignore[arg-type]
        self._begun = False
        self._first = bytearray()
        self._timer: IDelayed | None = None

    def makeConnection(self, transport: Any) -> None:
        """Wait for the header."""
        directlyProvides(self, providedBy(transport))
        alsoProvides(self, IHalfCloseableProtocol)
        Protocol.makeConnection(self, transport)  # type: ignore[no-untyped-call]
        self._of().registerProtocol(self)
        self._timer = self._of().clock.callLater(HEADER_TIMEOUT, self._too_late)

    def dataReceived(self, data: bytes) -> None:
        """Read the header, then pass everything on."""
        if not self._begun and self._parser is None:
            # Twisted's wrapper gives up on a header whose first piece is too short to tell its version.
            self._first += data
            if len(self._first) < ENOUGH and not self._first.endswith(b"\r\n", 5) and _may_be_header(self._first):
                return
            data = bytes(self._first)
        super().dataReceived(data)
        if self._begun or self._proxyInfo is None:
            return
        self._begun = True
        self._stop_timer()
        kept: Any = self.wrappedProtocol
        behind = self._of().wrappedFactory.buildProtocol(self.getPeer())
        if behind is None:
            self._give_up()
            return
        self.wrappedProtocol = behind
        behind.makeConnection(self)
        if kept.data:
            behind.dataReceived(bytes(kept.data))

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

    def _too_late(self) -> None:
        self._timer = None
        self._give_up()

    def _give_up(self) -> None:
        transport: Any = self.transport
        transport.abortConnection()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _of(self) -> Any:
        return self.factory


class _Kept:
    """Stands where the protocol will be, and takes what follows the header in the same segment."""

    def __init__(self) -> None:
        self.data = bytearray()

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: Failure) -> None:
        pass


class LateProxyFactory(HAProxyWrappingFactory):
    """Puts a :class:`LateProxyWrapper` before each connection."""

    def __init__(self, factory: IProtocolFactory, clock: IClock) -> None:
        super().__init__(factory)  # type: ignore[no-untyped-call]
        self.clock = clock

    def buildProtocol(self, addr: IAddress | None) -> LateProxyWrapper:
        """Return what waits for the header."""
        return LateProxyWrapper(self)
