"""dnspython's asynchronous I/O on Twisted: datagram and stream sockets over any reactor.

dnspython drives the query; this module only moves octets. A datagram socket is connected, so that the kernel drops what
does not come from the server that was asked, and every query has a source port of its own (RFC 5452 9.2).
"""

# ruff: noqa: ASYNC109 (the parameter is part of dnspython's contract)
from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

import dns.exception
from dns.asyncbackend import Backend, DatagramSocket, StreamSocket  # type: ignore[attr-defined]
from twisted.internet.defer import Deferred, TimeoutError, ensureDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from mailnode.interfaces.pause import pause
from mailnode.interfaces.reactor import IServerReactor, IStreamTransport
from mailnode.interfaces.runtime import IClock
from mailnode.interfaces.turns import Places

T = TypeVar("T")

MAX_DATAGRAM = 65535
MAX_STREAM_BUFFER = 128 * 1024  # octets; a DNS message has at most 65,535
MAX_WAITING_DATAGRAMS = 8


@implementer(IReadDescriptor)
class _DatagramSocket(DatagramSocket):
    """One connected UDP socket, read by the reactor.

    Not a ``twisted.internet.udp.Port``: that one writes two lines to the log for each, and a query has one of its own.
    """

    def __init__(
        self, family: int, reactor: IServerReactor, address: str, port: int, closed: Callable[[], None]
    ) -> None:
        super().__init__(family, socket.SOCK_DGRAM)
        self._reactor = reactor
        self._closed: Callable[[], None] | None = closed
        self._arrived: deque[bytes] = deque(maxlen=MAX_WAITING_DATAGRAMS)
        self._error: OSError | None = None
        self._waiting: Deferred[None] | None = None
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.connect((address, port))
            self._peer = self._socket.getpeername()
        except OSError:
            self._socket.close()
            raise
        reactor.addReader(self)

    # From the reactor

    def fileno(self) -> int:
        return self._socket.fileno()

    def logPrefix(self) -> str:
        return "dns"

    def doRead(self) -> None:
        try:
            self._arrived.append(self._socket.recv(MAX_DATAGRAM))
        except BlockingIOError:
            return
        except OSError as error:
            self._error = error
        self._wake()

    def connectionLost(self, reason: Failure) -> None:
        """What some reactors make of an error without data: nobody listens there. Fail now, not at the timeout."""
        number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self._error = OSError(number, os.strerror(number))
        self._socket.close()
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    # From dnspython

    async def sendto(self, what: bytes, destination: object, timeout: float | None) -> int:
        return self._socket.send(what)

    async def recvfrom(self, size: int, timeout: float | None) -> tuple[bytes, object]:
        while not self._arrived:
            if self._error is not None:
                raise self._error
            self._waiting = Deferred()
            await _within(self._waiting, timeout, self._reactor)
        return self._arrived.popleft(), self._peer

    async def close(self) -> None:
        self._reactor.removeReader(self)
        self._socket.close()
        closed, self._closed = self._closed, None
        if closed is not None:
            closed()

    async def getpeername(self) -> object:
        return self._peer

    async def getsockname(self) -> object:
        return self._socket.getsockname()


class _Stream(Protocol):
    """The octets of one TCP connection, waiting to be taken."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.ended = False
        self.waiting: Deferred[None] | None = None
        self.closed: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        """Keep octets; stop reading when nobody takes them."""
        self.buffer += data
        if len(self.buffer) > MAX_STREAM_BUFFER and self.transport is not None:
            self.transport.loseConnection()
        self._wake()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The end of the stream."""
        self.ended = True
        self._wake()
        self.closed.callback(None)

    def _wake(self) -> None:
        waiting, self.waiting = self.waiting, None
        if waiting is not None:
            waiting.callback(None)


class _StreamSocket(StreamSocket):
    def __init__(self, family: int, reactor: IServerReactor, protocol: _Stream, closed: Callable[[], None]) -> None:
        super().__init__(family, socket.SOCK_STREAM)
        self._reactor = reactor
        self._protocol = protocol
        self._closed: Callable[[], None] | None = closed

    async def sendall(self, what: bytes, timeout: float | None) -> None:
        self._transport().write(what)

    async def recv(self, size: int, timeout: float | None) -> bytes:
        protocol = self._protocol
        while not protocol.buffer and not protocol.ended:
            protocol.waiting = Deferred()
            await _within(protocol.waiting, timeout, self._reactor)
        taken = bytes(protocol.buffer[:size])
        del protocol.buffer[:size]
        return taken

    async def close(self) -> None:
        closed, self._closed = self._closed, None
        try:
            if not self._protocol.ended:
                self._transport().abortConnection()
                await self._protocol.closed
        finally:
            if closed is not None:
                closed()

    async def getpeername(self) -> object:
        peer = self._transport().getPeer()
        return peer.host, peer.port

    async def getsockname(self) -> object:
        host = self._transport().getHost()
        return host.host, host.port

    def _transport(self) -> IStreamTransport:
        return self._protocol.transport  # type: ignore[return-value]


class TwistedBackend(Backend):
    """The backend to pass to ``dns.asyncresolver``; its coroutines run under ``ensureDeferred``."""

    def __init__(self, reactor: IServerReactor, at_once: int) -> None:
        """:param at_once: sockets at a time; a question for which there is none waits."""
        self._reactor = reactor
        self._places = Places(at_once)

    def name(self) -> str:
        """The name dnspython shows."""
        return "twisted"

    def datagram_connection_required(self) -> bool:
        """Ask for connected datagram sockets."""
        return True

    async def make_socket(
        self,
        af: int,
        socktype: int,
        proto: int = 0,
        source: tuple[str, int] | None = None,
        destination: tuple[str, int] | None = None,
        timeout: float | None = None,
        ssl_context: object = None,
        server_hostname: str | None = None,
    ) -> _DatagramSocket | _StreamSocket:
        """Open a connected socket of either kind. :raises NotImplementedError: TLS, which this server does not use."""
        if destination is None or ssl_context is not None:
            raise NotImplementedError
        await self._places.acquire()
        try:
            return await self._open(af, socktype, destination, timeout)
        except BaseException:  # a cancelled question too
            self._places.release()
            raise

    async def _open(
        self, af: int, socktype: int, destination: tuple[str, int], timeout: float | None
    ) -> _DatagramSocket | _StreamSocket:
        address, port = destination[:2]
        if socktype == socket.SOCK_DGRAM:
            return _DatagramSocket(af, self._reactor, address, port, self._places.release)
        endpoint = TCP6ClientEndpoint if af == socket.AF_INET6 else TCP4ClientEndpoint
        limit = 30.0 if timeout is None else timeout
        factory = Factory.forProtocol(_Stream)
        factory.noisy = False
        connecting = endpoint(self._reactor, address, port, timeout=limit).connect(factory)
        stream = await _within(connecting, limit, self._reactor)
        return _StreamSocket(af, self._reactor, stream, self._places.release)

    async def sleep(self, interval: float) -> None:
        """Return after ``interval`` seconds."""
        await pause(self._reactor, interval)

    async def wait_for(self, awaitable: Awaitable[T], timeout: float | None) -> T:
        """Await with a limit in seconds. :raises dns.exception.Timeout:"""
        return await _within(ensureDeferred(awaitable), timeout, self._reactor)  # type: ignore[arg-type]


async def _within(deferred: Deferred[T], timeout: float | None, clock: IClock) -> T:
    if timeout is None:
        return await deferred
    try:
        return await deferred.addTimeout(max(timeout, 0.0), clock)  # type: ignore[arg-type]
    except TimeoutError:
        raise dns.exception.Timeout(timeout=timeout) from None  # type: ignore[no-untyped-call]
