"""TLS whose records go to the socket at once, as what the pump writes without TLS does."""

from __future__ import annotations

from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import connectionDone
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import directlyProvides, implementer, providedBy

from mailnode.interfaces.reactor import IStreamTransport
from mailnode.net.socket_writer import SocketWriter


class TidyTls(TLSMemoryBIOProtocol):
    """Leaves no cycle when it ends by an error of OpenSSL, as it does with every client that closes without a farewell.

    The frames that met the error hold OpenSSL's connection, tens of KiB that only a full collection would free, and those are rare.
    """

    def _tlsShutdownFinished(self, reason: Failure | None) -> None:
        super()._tlsShutdownFinished(reason)  # type: ignore[no-untyped-call]
        if reason is not None:
            reason.cleanFailure()  # type: ignore[no-untyped-call]


class StartedTls(TidyTls, BufferingTLSTransport):
    """Twisted's own of STARTTLS, but for that."""


class DirectTls(TidyTls):
    """For protocols that gather what they write by themselves.

    Twisted's own waits for the next round of the reactor, in case more is written, and then for one more in which the
    socket is found to take it: both cost more than to encrypt and to send a reply.
    """

    _wire: _Wire

    def makeConnection(self, transport: IStreamTransport) -> None:
        """Begin the handshake."""
        self._wire = _Wire(transport)
        super().makeConnection(self._wire)  # type: ignore[no-untyped-call]

    def write(self, data: bytes) -> None:
        """Send octets: their records in one piece."""
        self._wire.hold()
        try:
            super().write(data)  # type: ignore[no-untyped-call]
        finally:
            self._wire.release()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The socket is closed."""
        self._wire.lost()
        super().connectionLost(reason)  # type: ignore[no-untyped-call]


class _Wire:
    """Stands between TLS and its transport: to TLS it is the transport, but for what is written."""

    def __init__(self, transport: IStreamTransport) -> None:
        # TLS claims for itself what its transport provides; a half of it cannot be closed, whatever is below.
        directlyProvides(self, providedBy(transport) - IHalfCloseableProtocol)
        self._transport = transport
        self._writer = SocketWriter(transport)
        self._held: list[bytes] | None = None

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)

    def hold(self) -> None:
        """Gather what is written until :meth:`release`."""
        self._held = []

    def release(self) -> None:
        """Send what was gathered."""
        held, self._held = self._held, None
        if held:
            self.write(held[0] if len(held) == 1 else b"".join(held))

    def lost(self) -> None:
        """There is no socket any more."""
        self._writer.lost()

    def write(self, data: bytes) -> None:
        """Send records."""
        if self._held is not None:
            self._held.append(data)
        else:
            self._writer.write(data)

    def registerProducer(self, producer: IPushProducer, streaming: bool) -> None:
        """Have the transport tell us too what it tells whoever produces."""
        self._transport.registerProducer(_Output(producer, self._writer), streaming)


@implementer(IPushProducer)
class _Output:
    """What the transport knows as its producer. An object of its own: pauseProducing() of a producer says that the output
    is full, pauseProducing() of a transport stops its input."""

    def __init__(self, producer: IPushProducer, writer: SocketWriter) -> None:
        self._producer = producer
        self._writer = writer

    def pauseProducing(self) -> None:
        """The transport's buffer is full."""
        self._producer.pauseProducing()

    def resumeProducing(self) -> None:
        """The transport has sent all it had."""
        self._writer.emptied()
        self._producer.resumeProducing()

    def stopProducing(self) -> None:
        """The transport takes nothing any more."""
        self._writer.lost()
        self._producer.stopProducing()
