"""One connection to another mail server: octets between the transport and the sans-I/O client, waits with limits,
back-pressure, and every failure told as :class:`TargetFailed`."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.interfaces import IHandshakeListener, IOpenSSLClientConnectionCreator, IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from mailnode.errors import BlobDamaged
from mailnode.interfaces.outbound import OutboundMessage, Target, TargetFailed
from mailnode.interfaces.reactor import IStreamTransport
from mailnode.interfaces.runtime import IClock, IDelayed
from mailnode.net.handshake import version_and_cipher
from mailnode.net.peer_certificate import CertificateProblem
from mailnode.smtp.wire import client
from mailnode.values.smtp_reply import Reply
from mailnode.values.wire import NEED_DATA

_log = Logger()

READ_PIECE = 256 * 1024  # octets read at once: a frame of the stored form
WRITE_PIECE = 64 * 1024  # octets written between looks at back-pressure
MAX_UNREAD = 128 * 1024  # octets a server may send that nobody waits for
MAX_WAIT = 3600.0  # seconds for the answers to one group of commands
CONTENT_GRACE = 300.0  # seconds after which a server must have taken a message with a least rate
CONTENT_RATE = 500  # that rate, in octets a second


@implementer(IHandshakeListener, IPushProducer)
class Link(Protocol):
    """One connection: moves octets between transport and client, waits with limits, tells failures as TargetFailed."""

    def __init__(self, target: Target, hostname: str, clock: IClock, patience: float) -> None:
        self.target = target
        self.client = client.ClientConnection(hostname, lmtp=target.lmtp)
        self.mails = 0
        self.opened_at = clock.seconds()
        self.tls = ""
        self.source = ""  # the IP address it comes from, as the server sees it; "" where a proxy stands between
        self.fared: tuple[str, str, str] | None = None  # result, reason and level, as TlsSession has them
        self.problem: CertificateProblem | None = None  # by the rule; where there is none, by the host's name
        self.noted: set[str] = set()  # domains for which it was noted how it fared
        self.lost = False
        self.gone: Deferred[None] = Deferred()
        self._clock = clock
        self._patience = patience
        self._ending = False  # the end of data was written, its answer has not come
        self._why: Failure | None = None
        self._waiting: Deferred[None] | None = None
        self._handshake: Deferred[None] | None = None
        self._full = False
        self._timer: IDelayed | None = None
        self._on_idle_input: Callable[[], object] | None = None

    @property
    def greeted(self) -> bool:
        """Whether anything was said on it."""
        return self.client.state is not client.ClientState.GREETING

    # From the transport

    def connectionMade(self) -> None:
        """Send small commands at once."""
        set_no_delay = getattr(self.transport, "setTcpNoDelay", None)
        if set_no_delay is not None:
            set_no_delay(True)
        own = self._transport().getHost()
        if isinstance(own, IPv4Address | IPv6Address) and self.target.proxy is None:
            self.source = own.host

    def dataReceived(self, data: bytes) -> None:
        """Take what the server says; one that talks on without being asked is cut off."""
        self.client.receive_data(data)
        if self.client.buffered > MAX_UNREAD:
            self.abort()
        elif self._on_idle_input is not None:  # a farewell, or nonsense: this connection is of no more use
            self._on_idle_input()
        else:
            self._wake()

    def handshakeCompleted(self) -> None:
        """TLS is up."""
        self.tls = version_and_cipher(self._transport().getHandle())
        handshake, self._handshake = self._handshake, None
        if handshake is not None:
            handshake.callback(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        self.lost = True
        self._why = reason
        self.client.receive_eof()
        handshake, self._handshake = self._handshake, None
        if handshake is not None:
            handshake.errback(reason)
        self.stop_idling()
        self._wake()
        self.gone.callback(None)

    def pauseProducing(self) -> None:
        """The transport's buffer is full."""
        self._full = True

    def resumeProducing(self) -> None:
        """The transport takes more."""
        self._full = False
        self._wake()

    def stopProducing(self) -> None:
        """The transport takes no more; its loss follows."""
        self._full = False
        self._wake()

    # For Outbound

    def write(self, data: bytes) -> None:
        """Send octets."""
        if data and not self.lost:
            self._transport().write(data)

    async def expect(self, *kinds: type) -> client.Event:
        """Return the next event, one of these kinds. :raises TargetFailed: anything else, or nothing in time."""
        began = since = self._clock.seconds()
        answered = self.client.answered
        too_late: TargetFailed | None = None
        while True:
            event = self.client.next_event()
            if event is NEED_DATA:
                if answered != self.client.answered:  # each reply has its time, each octet of one has not
                    answered, since = self.client.answered, self._clock.seconds()
                end = min(since + self.client.timeout * self._patience, began + MAX_WAIT)
                if not await self._wait(end - self._clock.seconds()):
                    too_late = self._failed("timed out waiting for a reply")
                    self.client.receive_eof()  # some recipients of LMTP may have their answers
            elif isinstance(event, client.Send):
                self.write(event.data)
            elif isinstance(event, kinds):
                if isinstance(event, client.Sent):
                    self._ending = False
                return event  # type: ignore[return-value]
            elif too_late is not None:
                raise too_late
            elif isinstance(event, client.Failed):
                raise self._failed(event.text, event.reply, event.scope)
            else:
                raise self._failed("the server answered out of turn")

    async def begin_tls(self, creator: IOpenSSLClientConnectionCreator) -> None:
        """Do a TLS handshake as client. :raises TargetFailed: scope "tls"."""
        handshake: Deferred[None] = Deferred()
        self._handshake = handshake
        self._transport().startTLS(creator)
        limit = client.TIMEOUTS["tls"] * self._patience
        try:
            await handshake.addTimeout(limit, self._clock)  # type: ignore[arg-type]
        except TimeoutError:
            raise TargetFailed("tls", "timed out in the TLS handshake") from None
        except CancelledError:
            raise
        except Exception as error:
            _log.info("TLS with {host} failed: {error!r}", host=self.target.host, error=error)
            raise TargetFailed("tls", "the TLS handshake failed") from None
        self.client.tls_started()

    async def stream(self, message: OutboundMessage) -> None:
        """Send the content and its end, no faster than the server takes it. :raises BlobDamaged: it is cut short."""
        self._transport().registerProducer(self, True)
        began = self._clock.seconds()
        try:
            offset = 0
            while offset < message.size:
                asked = self._clock.seconds()
                piece = await message.read(offset, min(READ_PIECE, message.size - offset))
                if not piece:
                    raise BlobDamaged("a message that is shorter than it should be")
                began += self._clock.seconds() - asked  # our own time does not count
                for start in range(0, len(piece), WRITE_PIECE):
                    written = piece[start : start + WRITE_PIECE]
                    self.write(self.client.data(written))
                    offset += len(written)
                    await self._drained(began + max(CONTENT_GRACE, offset / CONTENT_RATE) * self._patience)
            end = self.client.end_data()
            self._ending = end != b""
            self.write(end)
        finally:
            if not self.lost:
                self._transport().unregisterProducer()

    def idle(self, seconds: float, end: Callable[[], object]) -> None:
        """Wait unused; ``end`` is called after ``seconds``, or when the server says something."""
        self._on_idle_input = end
        self._timer = self._clock.callLater(seconds, end)

    def stop_idling(self) -> None:
        """Be in use again."""
        self._on_idle_input = None
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def quit(self) -> None:
        """Say QUIT and close; not waiting for the answer longer than its time."""
        if self.lost:
            return
        self.write(self.client.quit())
        self._on_idle_input = self._transport().loseConnection
        self._abort_soon()

    def close(self) -> None:
        """Close after what was written, not waiting long for the server to take it."""
        if not self.lost:
            self._transport().loseConnection()
            self._abort_soon()

    def _abort_soon(self) -> None:
        self._timer = self._clock.callLater(client.TIMEOUTS["quit"] * self._patience, self.abort)

    def abort(self) -> None:
        """Close at once."""
        if not self.lost:
            self._transport().abortConnection()

    # Inside

    async def _drained(self, by: float) -> None:
        """Wait until the transport takes more. :param by: the time at which it must, however little the server takes at a time.

        :raises TargetFailed:"""
        limit = client.TIMEOUTS["content"] * self._patience
        while self._full and not self.lost:
            if not await self._wait(min(limit, by - self._clock.seconds())):
                raise self._failed("timed out sending the message")
        if self.lost:
            await self.expect()  # raises, with what the server said before it left

    async def _wait(self, seconds: float) -> bool:
        """Wait for anything to happen; False when nothing does in time."""
        if self.lost:
            return True
        waiting: Deferred[None] = Deferred()
        self._waiting = waiting
        try:
            await waiting.addTimeout(max(seconds, 0.0), self._clock)  # type: ignore[arg-type]
        except TimeoutError:
            return False
        finally:
            self._waiting = None
        return True

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    def _failed(self, text: str, reply: Reply | None = None, scope: str | None = None) -> TargetFailed:
        if scope is None:
            scope = _SCOPES.get(self.client.state, "lost")
        return TargetFailed(scope, text, reply, in_doubt=self._ending)

    def _transport(self) -> IStreamTransport:
        return self.transport  # type: ignore[return-value]


_SCOPES = {
    client.ClientState.GREETING: "greeting",
    client.ClientState.GREETED: "greeting",
    client.ClientState.HELLO: "greeting",
    client.ClientState.TLS: "tls",
}
