"""The pump: one Twisted protocol for every sans-I/O connection. Bytes in, events out, bytes out, timeouts, back-pressure.

Input is not read while more than ``HIGH_WATER`` octets wait to be handled. One event is handled at a time, and the next
one only when the transport's buffer is not full: whoever sends commands and reads no answers is not answered, whatever
his protocol. A session that has much to say at once waits in ``drain()`` itself; one that does not is cut off at
``MOST_UNSENT``. Who sends many events at once gives way to others every ``TURN_SECONDS``.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from math import inf
from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol, IHandshakeListener, IPushProducer, ISSLTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from mailnode.interfaces.reactor import IStreamTransport, StartTls
from mailnode.interfaces.runtime import IClock, IDelayed
from mailnode.interfaces.wire import IChannel, IConnection, ISession
from mailnode.net.client_certificate import client_names
from mailnode.net.deflate import LARGE, Deflating, Inflating
from mailnode.net.handshake import bindings_of, forget_tls, tls_of, why_no_tls
from mailnode.net.proving import is_proof
from mailnode.net.socket_writer import SocketWriter
from mailnode.values.client_names import NO_NAMES, ClientNames
from mailnode.values.events import emit
from mailnode.values.ids import session_id
from mailnode.values.networks import unmapped
from mailnode.values.wire import NEED_DATA, PAUSED

HIGH_WATER = 128 * 1024  # octets of unhandled input after which reading stops
GATHERED = 64 * 1024  # octets of output that may wait for the end of a turn
MOST_UNSENT = (
    4 * 1024 * 1024
)  # octets written while the transport's buffer is full, after which the connection is broken
FLUSH_SECONDS = 30.0  # for our last words to leave
DRAIN_FLUSH_SECONDS = 3.0  # the same when the server shuts down: it does not wait for a peer that sleeps
HANDSHAKE_SECONDS = 30.0  # for TLS to come up
BUSY_SECONDS = 1.0  # between looks at a deadline that has passed while an event is handled
LINGER_SECONDS = 2.0  # for the peer to take them and close its side
LINGER_OCTETS = 8 * 1024 * 1024  # of input dropped meanwhile
TURN_SECONDS = 0.001  # for which events of one connection are handled in a row while others wait
LEAST_OCTETS = 64 * 1024  # of one command that is not complete, in the time of a silence

_log = Logger()


@implementer(IChannel, IPushProducer, IHandshakeListener, IHalfCloseableProtocol)
class Pump(Protocol):
    """One connection: transport, sans-I/O connection and session held together."""

    # Slots because there are thousands of pumps, each with more attributes than instances of one class share the names of.
    __slots__ = (
        "_busy",
        "_bytes_in",
        "_bytes_out",
        "_client_names",
        "_clock",
        "_connection",
        "_deadline",
        "_deflating",
        "_draining",
        "_dropped",
        "_eof",
        "_flush_seconds",
        "_gathering",
        "_handshake_by",
        "_implicit_tls",
        "_inflating",
        "_latest",
        "_lost",
        "_make_session",
        "_name",
        "_on_close",
        "_opened_at",
        "_overfull",
        "_paused",
        "_pumping",
        "_reading",
        "_session",
        "_start_tls",
        "_timeout",
        "_timer",
        "_timer_at",
        "_tls_begun",
        "_unsent",
        "_unsent_size",
        "_writer",
        "_yielding",
        "closed",
        "full",
        "local",
        "peer",
        "secure",
        "server_name",
        "session",
        "tls",
    )

    def __init__(
        self,
        name: str,
        connection: IConnection,
        make_session: Callable[[IChannel], ISession],
        clock: IClock,
        *,
        implicit_tls: bool = False,
        start_tls: StartTls | None = None,
        on_close: Callable[[Pump], None] = lambda pump: None,
        deadline: float = inf,
    ) -> None:
        """:param name: the protocol's name in the log. :param start_tls: given the transport, begins TLS on it.
        :param deadline: seconds from the connection until the session must have set another one, or none."""
        self.session = session_id()
        self.peer = self.local = self.tls = self.server_name = ""
        self.secure = False
        self.closed = False
        self._name = name
        self._connection = connection
        self._deflating: Deflating | None = None
        self._inflating: Inflating | None = None  # the connection, then
        self._make_session = make_session
        self._session: ISession | None = None
        self._clock = clock
        self._implicit_tls = implicit_tls
        self._start_tls = start_tls
        self._on_close = on_close
        self._client_names: ClientNames | None = None  # None: nobody has asked
        self._busy = False
        self._pumping = False
        self._gathering = False  # what is written waits for the end of this turn, and leaves in one piece
        self._reading = True
        self._draining: list[Deferred[None]] = []
        self.full = False  # the transport's buffer, or others have their turn
        self._paused = False  # the transport's buffer alone
        self._yielding = False  # in this turn enough was compressed
        self._overfull = 0  # octets written since it is
        self._timeout = 60.0
        self._deadline = inf  # of the peer's silence; the timer follows it only when it fires, which is rare
        self._begun: int | None = None  # the command of which a part had come when the timer fired,
        self._begun_after = 0  # and the octets that had come until then
        self._latest = deadline  # the session's, whatever is sent; from the connection on a time of the clock
        self._handshake_by = inf
        self._timer: IDelayed | None = None
        self._timer_at = inf
        self._opened_at = 0.0
        self._lost = False
        self._eof = False
        self._tls_begun = implicit_tls
        self._dropped = 0
        self._flush_seconds = FLUSH_SECONDS
        self._bytes_in = self._bytes_out = 0
        self._unsent: list[bytes] = []
        self._unsent_size = 0
        self._writer: SocketWriter | None = None

    # From the transport

    def connectionMade(self) -> None:
        """Greet, or wait for the TLS handshake first."""
        transport = self._transport()
        peer, host = transport.getPeer(), transport.getHost()
        self.peer = unmapped(getattr(peer, "host", "") or "")
        self.local = f"{unmapped(getattr(host, 'host', ''))}:{getattr(host, 'port', '')}"
        self._opened_at = self._clock.seconds()
        transport.registerProducer(self, True)
        self._writer = SocketWriter(
            transport, direct=not self._implicit_tls and not ISSLTransport.providedBy(transport)
        )
        set_no_delay = getattr(transport, "setTcpNoDelay", None)
        if set_no_delay is not None:
            set_no_delay(True)
        emit(_log, "session.open", session=self.session, protocol=self._name, peer=self.peer, local=self.local)
        self._session = self._make_session(self)
        self._latest += self._opened_at
        if self._implicit_tls:
            self._handshake_by = self._opened_at + HANDSHAKE_SECONDS
        self._restart_timer()
        if not self._implicit_tls:
            self._begin(self._session.opened())

    def handshakeCompleted(self) -> None:
        """TLS is up: tell the connection, note the cipher, greet on implicit TLS."""
        self.secure = True
        self._handshake_by = inf
        self.tls, self.server_name = tls_of(self.transport)
        if self._implicit_tls and is_proof(self.transport):
            self._transport().loseConnection()  # RFC 8737 3: nothing is said over it
            return
        emit(_log, "session.tls", session=self.session, protocol=self._name, tls=self.tls)
        self._connection.tls_started()
        self._restart_timer()
        if self._implicit_tls and self._session is not None:
            self._begin(self._session.opened())
        else:
            self._run()

    def dataReceived(self, data: bytes) -> None:
        """Take input; handle what is complete."""
        if self.closed:
            self._dropped += len(data)
            if self._dropped > LINGER_OCTETS:
                self.abort()
            return
        self._bytes_in += len(data)
        self._connection.receive_data(data)
        if not self._busy and not self.full:
            self._run(heard=True)
        elif self._reading and self._connection.buffered > HIGH_WATER:
            self._reading = False
            self._transport().pauseProducing()

    def readConnectionLost(self) -> None:
        """The peer closed its side: events that are complete are still handled, and answered."""
        self._eof = True
        if self.closed:
            self._transport().loseConnection()
            return
        self._connection.receive_eof()
        self._run()

    def writeConnectionLost(self) -> None:
        """Our last words have left, see :meth:`close`."""
        self._cancel_timer()
        self._timer = self._clock.callLater(LINGER_SECONDS, self._transport().loseConnection)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        self._lost = self.closed = True
        self._cancel_timer()
        self._release()
        if self._tls_begun and not self.secure:
            why = why_no_tls(reason)
            emit(_log, "session.tls_failed", session=self.session, protocol=self._name, peer=self.peer, reason=why)
        emit(
            _log,
            "session.close",
            session=self.session,
            protocol=self._name,
            seconds=round(self._clock.seconds() - self._opened_at, 3),
            bytes_in=self._bytes_in,
            bytes_out=self._bytes_out,
        )
        session, self._session = self._session, None
        if session is not None:
            session.lost()
        self._on_close(self)
        self._leave_no_cycles()

    # IPushProducer: the transport's view of our output

    def pauseProducing(self) -> None:
        """The transport's buffer is full."""
        self.full = self._paused = True

    def resumeProducing(self) -> None:
        """The transport has sent all it had, and takes more."""
        if self._writer is not None:
            self._writer.emptied()
        self._paused = False
        self._go_on_writing()

    def _go_on_writing(self) -> None:
        self._yielding = False
        if self._paused:
            return
        self._push()
        if not self._yielding:
            self.full = False
            self._overfull = 0
            self._release()
            self._run(heard=True)

    def stopProducing(self) -> None:
        """The transport will never take more."""
        self.closed = True
        self.full = False
        self._release()

    # IChannel: what the session does

    def write(self, data: bytes) -> None:
        """Send octets unless the connection is closed."""
        if not self.closed:
            self._bytes_out += len(data)
            self._unsent.append(data)
            self._unsent_size += len(data)
            if not self._gathering or self._unsent_size >= GATHERED:
                self._push()

    @property
    def half_closed(self) -> bool:
        """Whether the peer has closed its side, at least."""
        return self._eof

    async def drain(self) -> None:
        """Wait until the transport takes more. A peer that does not read for the idle timeout is given up."""
        if self.full and not self.closed:
            waiting: Deferred[None] = Deferred()
            self._draining.append(waiting)
            self._restart_timer()
            await waiting
            if self._busy:
                self._deadline = inf

    def start_tls(self) -> None:
        """Begin TLS."""
        if self._start_tls is None:
            raise RuntimeError("this listener has no TLS")
        if self._lost:
            return
        self._push()
        self._tls_begun = True
        self._handshake_by = self._clock.seconds() + HANDSHAKE_SECONDS
        self._set_timer()
        self._start_tls(self._transport())
        self._writer = SocketWriter(self._transport(), direct=False)
        # TLS is what tells from now on whether the output is full, and begins with an empty one.
        self.full = self._paused = False
        self._overfull = 0
        self._release()

    @property
    def compressed(self) -> bool:
        """Whether it is, both ways."""
        return self._deflating is not None

    def start_deflate(self, rest: bytes, damaged: Callable[[], None]) -> None:
        """Compress what is written from now on, and inflate what comes (RFC 4978)."""
        self._push()
        self._deflating = Deflating()
        connection = self._connection if self._inflating is None else self._inflating.connection  # it was ended
        self._connection = self._inflating = Inflating(connection, self._clock, self.wake, damaged)
        self._inflating.receive_data(rest)

    def stop_deflate(self) -> None:
        """Compress what was written as the last, and take what comes behind the event under way as it is (RFC 8437 4.1)."""
        self._push(whole=True)
        deflating, inflating = self._deflating, self._inflating
        if deflating is None or inflating is None or self._writer is None:
            return
        end = deflating.end()
        self._bytes_out += len(end)
        self._writer.write(end)
        self._deflating = None
        inflating.end()

    def close(self) -> None:
        """Close after what was written.

        What the peer still sends is read and dropped for a moment: the kernel resets a connection that is closed over
        unread input, and the peer may then never see our last words. TLS waits for the peer's farewell by itself.
        """
        if self.closed:
            return
        self._push(whole=True)
        self.closed = True
        transport = self._transport()
        transport.unregisterProducer()
        if not self._reading and not self._eof:
            transport.resumeProducing()
        half_close = getattr(transport, "loseWriteConnection", None)
        if half_close is None or self._eof or self._tls_begun:
            transport.loseConnection()
        else:
            half_close()
        self._release()
        self._cancel_timer()
        self._timer = self._clock.callLater(self._flush_seconds, self.abort)

    def abort(self) -> None:
        """Close now."""
        self.closed = True
        if not self._lost:
            self._transport().abortConnection()

    def set_timeout(self, seconds: float) -> None:
        """Change the idle timeout."""
        self._timeout = seconds
        if self._deadline != inf:
            self._restart_timer()

    def set_deadline(self, seconds: float | None) -> None:
        """Change the deadline that stands whatever is sent."""
        self._latest = inf if seconds is None else self._clock.seconds() + seconds
        if not self.closed:
            self._set_timer()

    def wake(self) -> None:
        """Look for events again."""
        self._run()

    def draining(self) -> None:
        """Tell the session that the server shuts down."""
        self._flush_seconds = DRAIN_FLUSH_SECONDS
        if self._session is not None and not self.closed:
            self._session.draining()

    def tls_bindings(self) -> Mapping[str, bytes]:
        """What may bind a login to this connection."""
        return bindings_of(self.transport) if self.secure and not self._lost else {}

    def certificate_names(self) -> ClientNames:
        """Whom the client's certificate is for."""
        if self._client_names is None and self.secure and not self._lost:
            self._client_names = client_names(self.transport)
        return self._client_names or NO_NAMES

    # Inside

    def _leave_no_cycles(self) -> None:
        """Have all that the connection held free at once: Python looks for cycles of what is not young seldom, and thousands may
        go at a time."""
        if self._tls_begun and not self._implicit_tls:
            forget_tls(self.transport)
        self.transport = self._writer = None  # TLS has us as its producer

    def _transport(self) -> IStreamTransport:
        return self.transport  # type: ignore[return-value]

    def _begin(self, coroutine: Coroutine[Deferred[object], object, None]) -> None:
        self._busy = True
        self._deadline = inf
        self._go_on(None, coroutine)

    def _go_on(self, result: object, coroutine: Coroutine[Deferred[object], object, None]) -> None:
        """Take a coroutine up again with what it waited for, and handle what follows it."""
        gathering, self._gathering = self._gathering, True
        try:
            if self._step(result, coroutine) and not self._lost:
                self._run(heard=True)
        finally:
            self._gathering = gathering
        if not gathering and self._unsent:
            self._push()

    def _step(self, result: object, coroutine: Coroutine[Deferred[object], object, None]) -> bool:
        """Run a coroutine up to the next Deferred it waits for, which calls :meth:`_go_on`; return whether it ended. Most
        events wait for none."""
        try:
            if isinstance(result, Failure):
                awaited = coroutine.throw(cast(BaseException, result.value))
            else:
                awaited = coroutine.send(result)
        except StopIteration:
            self._busy = False
            return True
        except Exception:
            self._failed(Failure())  # type: ignore[no-untyped-call]
            return False
        awaited.addBoth(self._go_on, coroutine)
        return False

    def _run(self, heard: bool = False) -> None:
        """Handle events until one waits, the output is full, or others have their turn.

        :param heard: silence begins anew, even if there is none."""
        if self._pumping:
            return
        event: object = None
        began = self._clock.seconds()
        gathering, self._gathering = self._gathering, True
        self._pumping = True
        try:
            while not self._busy and not self.full and not self.closed and self._session is not None:
                event = self._connection.next_event()
                if event is NEED_DATA or event is PAUSED:
                    break
                heard = self._busy = True
                self._deadline = inf
                self._step(None, self._session.handle(event))
                if self._clock.seconds() - began >= TURN_SECONDS and self._connection.buffered and not self.full:
                    self.full = True
                    self._clock.callLater(0, self._go_on_writing)
        finally:
            self._pumping = False
            self._gathering = gathering
        if heard and not self._busy:
            self._restart_timer()
        if not gathering and self._unsent:
            self._push()
        if self._eof:
            if not self._busy and not self.full and not (self._inflating and self._inflating.resting):
                self.close()
        elif not self._reading and not self.closed and (event is NEED_DATA or self._connection.buffered <= HIGH_WATER):
            self._reading = True
            self._transport().resumeProducing()

    def _push(self, whole: bool = False) -> None:
        """Send what was written, and compress of it as much as others can wait for. :param whole: all of it."""
        if not self._unsent:
            return
        if (self._yielding or (self._paused and self._deflating is not None)) and not whole:
            if self._unsent_size > MOST_UNSENT:
                self._break_off("reads no answers")
            return
        data = self._unsent[0] if len(self._unsent) == 1 else b"".join(self._unsent)
        self._unsent.clear()
        self._unsent_size = 0
        if self.closed or self._writer is None:
            return
        if self._deflating is not None:
            if len(data) > LARGE and not whole:
                self._unsent, self._unsent_size = [data[LARGE:]], len(data) - LARGE
                data = data[:LARGE]
                self.full = self._yielding = True
                self._clock.callLater(0, self._go_on_writing)
            self._bytes_out -= len(data)
            data = self._deflating.deflate(data)
            self._bytes_out += len(data)
        if self._paused:
            self._overfull += len(data)
            if self._overfull > MOST_UNSENT:
                self._break_off("reads no answers")
                return
        self._writer.write(data)

    def _failed(self, failure: Failure) -> None:
        self._busy = False
        emit(
            _log,
            "session.error",
            warning=True,
            session=self.session,
            protocol=self._name,
            error=f"{failure.type.__name__}: {failure.getErrorMessage()}" if failure.type else "",
        )
        _log.debug("{traceback}", traceback=failure.getTraceback())
        if self._session is None or self._lost:
            return
        try:
            self._session.failed()
        except Exception:  # a session that cannot even say so: its client must not wait for it
            _log.failure("failed() failed")
            self.abort()

    def _restart_timer(self) -> None:
        if self.closed:
            return
        self._deadline = self._clock.seconds() + self._timeout
        if self._timer is None or self._timer_at > self._deadline:
            self._set_timer()

    def _set_timer(self) -> None:
        self._cancel_timer()
        self._timer_at = min(self._deadline, self._latest, self._handshake_by)
        if self._timer_at != inf:
            wait = max(0.0, self._timer_at - self._clock.seconds())
            self._timer = self._clock.callLater(wait, self._look_at_deadline)

    def _cancel_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _look_at_deadline(self) -> None:
        self._timer = None
        if self.closed or self._session is None:
            return
        now = self._clock.seconds()
        if now >= self._handshake_by:
            self._break_off("no TLS in time")
        elif now >= self._latest and self._busy and not self.full:
            self._timer_at = now + BUSY_SECONDS  # what is being handled is answered first
            self._timer = self._clock.callLater(BUSY_SECONDS, self._look_at_deadline)
        elif now >= min(self._deadline, self._latest) or self._stands_still():
            self._deadline = self._latest = inf
            self._session.timed_out()
            if self.full and not self.closed:
                self.abort()  # in an answer nobody reads: the session waits for it to leave, to say its last word
        else:
            self._set_timer()

    def _stands_still(self) -> bool:
        """Whether of the command that was under way when this was last asked hardly anything has come: at least the time of
        a silence lies between, for each octet begins that anew."""
        if self._busy or self.full:
            return False
        begun, octets = self._connection.begun, self._bytes_in
        still = begun is not None and begun == self._begun and octets - self._begun_after < LEAST_OCTETS
        self._begun, self._begun_after = begun, octets
        return still

    def _break_off(self, reason: str) -> None:
        emit(_log, "session.ended", session=self.session, protocol=self._name, peer=self.peer, reason=reason)
        self.abort()

    def _release(self) -> None:
        waiting, self._draining = self._draining, []
        for deferred in waiting:
            deferred.callback(None)
