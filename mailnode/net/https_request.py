"""One request over https to a host that somebody else named: its certificate checked before anything is said, no redirect
followed, bounded in time and size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from OpenSSL import SSL
from twisted.internet.defer import Deferred, TimeoutError, succeed
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, ConnectionDone
from twisted.internet.interfaces import (
    IConsumer,
    IHandshakeListener,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer, IResponse
from zope.interface import implementer

from mailnode.errors import DomainError
from mailnode.interfaces.outbound import IResolver, Target
from mailnode.interfaces.reactor import IServerReactor
from mailnode.net.client_tls import ClientTls, Handshake

LARGEST_HEADER = 16_384  # octets before the content of an answer
CONNECT = 10.0  # seconds for one address
MAX_ADDRESSES = 4


@dataclass(frozen=True, slots=True)
class WebRequest:
    """``path`` begins with a slash. ``largest``: octets that the content of the answer may have; 0: it is not read."""

    host: str
    path: str
    port: int = 443
    method: bytes = b"GET"
    headers: Mapping[bytes, bytes] = field(default_factory=dict)
    content: bytes = b""
    largest: int = 65_536


@dataclass(frozen=True, slots=True)
class WebAnswer:
    """What a web server said."""

    code: int
    types: Sequence[bytes]  # values of Content-Type
    content: bytes


class WebFailed(Exception):
    """There was no answer to use; the text is for people. ``tls``: because of TLS or the certificate."""

    def __init__(self, text: str, tls: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.tls = tls


class WebClient:
    """Asks web servers."""

    def __init__(self, reactor: IServerReactor, resolver: IResolver, tls: ClientTls) -> None:
        self._reactor = reactor
        self._resolver = resolver
        self._tls = tls

    async def ask(self, request: WebRequest, seconds: float) -> WebAnswer:
        """Return the answer, whatever its code is. :param seconds: for all of it. :raises WebFailed:"""
        target = Target(request.host, "", request.port)
        to = _Endpoint(self._reactor, self._resolver, target, self._tls.handshake("verified", target), request.largest)
        try:
            asking = Deferred.fromCoroutine(_ask(self._reactor, to, request))
            return await asking.addTimeout(seconds, self._reactor, _too_late)  # type: ignore[arg-type]
        except TimeoutError:
            raise WebFailed(f"not within {seconds:g} seconds") from None
        except WebFailed:
            raise
        except Exception as error:  # whatever a web server that nobody chose brings about
            raise _explained(error, to) from None
        finally:
            to.close()


def _too_late(ended: object, seconds: float) -> Failure:
    """Say so, whatever it was that a cancelled request ended with."""
    return Failure(TimeoutError(seconds))  # type: ignore[no-untyped-call]


async def _ask(reactor: IServerReactor, to: _Endpoint, request: WebRequest) -> WebAnswer:
    agent = Agent.usingEndpointFactory(reactor, to)  # type: ignore[no-untyped-call]
    # The Host field names a port that is not the usual one.
    url = f"https://{request.host}:{request.port}{request.path}".encode("ascii")
    headers = Headers({name: [value] for name, value in request.headers.items()})
    content = _Content(request.content) if request.content else None
    response: IResponse = await agent.request(request.method, url, headers, content)
    types = response.headers.getRawHeaders(b"content-type", [])
    if not request.largest:
        return WebAnswer(response.code, types, b"")
    body = _Body(to)
    response.deliverBody(body)  # type: ignore[no-untyped-call]
    return WebAnswer(response.code, types, await body.done)


def _explained(error: Exception, to: _Endpoint) -> WebFailed:
    if to.too_large:
        return WebFailed(f"more than {to.largest or LARGEST_HEADER} octets")
    reasons = [reason.value for reason in getattr(error, "reasons", ())]
    if any(isinstance(one, SSL.Error) for one in (error, *reasons)):
        return WebFailed(f"the TLS handshake with {to.host} failed", tls=True)
    if isinstance(error, DomainError):
        return WebFailed(f"the address of {to.host} is not known")
    return WebFailed(f"no answer of {to.host}")


@implementer(IAgentEndpointFactory, IStreamClientEndpoint)
class _Endpoint:
    """The way to one host, for one request."""

    def __init__(
        self, reactor: IServerReactor, resolver: IResolver, target: Target, handshake: Handshake, largest: int
    ) -> None:
        self.host = target.host
        self.largest = largest
        self.too_large = False
        self.said_goodbye = False  # the host ended the connection by the rules of TLS
        self._handshake = handshake
        self._reactor = reactor
        self._resolver = resolver
        self._port = target.port
        self._bounded: _Bounded | None = None

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """Return itself: there is one host."""
        return self

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect to one of the host's addresses, over TLS."""
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    def close(self) -> None:
        """End the connection, whatever comes over it."""
        if self._bounded is not None and self._bounded.transport is not None:
            cast(ITCPTransport, self._bounded.transport).abortConnection()

    def overflow(self) -> None:
        """More came than was to come."""
        self.too_large = True
        self.close()

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        bounding = _Bounding(factory, self)
        failure: Exception = ConnectError()  # type: ignore[no-untyped-call]
        for address in (await self._resolver.addresses(self.host))[:MAX_ADDRESSES]:
            kind = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
            try:
                endpoint = kind(self._reactor, address, self._port, timeout=CONNECT)
                over_tls = wrapClientTLS(self._handshake, endpoint, self._reactor)  # type: ignore[arg-type]
                bounded = cast(_Bounded, await over_tls.connect(bounding))
            except (ConnectError, OSError) as error:
                failure = error
            else:
                self._bounded = bounded
                await bounded.encrypted
                problem = self._handshake.problem()
                if problem is not None:
                    raise WebFailed(f"{self.host}: {problem.text}", tls=True)
                return bounded.wrappedProtocol
        raise failure


@implementer(IHandshakeListener)
class _Bounded(ProtocolWrapper):
    """Waits for TLS, and counts what comes."""

    def __init__(self, factory: _Bounding, wrapped: IProtocol) -> None:
        super().__init__(factory, wrapped)
        self.encrypted: Deferred[None] = Deferred()
        self._endpoint = factory.to
        self._octets = 0

    def handshakeCompleted(self) -> None:
        """TLS is up."""
        if not self.encrypted.called:
            self.encrypted.callback(None)

    def dataReceived(self, data: bytes) -> None:
        """Pass on what is not too much."""
        self._octets += len(data)
        if self._octets > self._endpoint.largest + LARGEST_HEADER:
            self._endpoint.overflow()
        else:
            super().dataReceived(data)  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Note how it ended, and tell who waits for TLS, too."""
        self._endpoint.said_goodbye = isinstance(reason.value, ConnectionDone)
        super().connectionLost(reason)  # type: ignore[no-untyped-call]
        if not self.encrypted.called:
            self.encrypted.errback(reason)


class _Bounding(WrappingFactory[_Bounded]):
    protocol = _Bounded
    noisy = False

    def __init__(self, wrapped: IProtocolFactory, to: _Endpoint) -> None:
        super().__init__(wrapped)  # type: ignore[no-untyped-call]
        self.to = to


@implementer(IBodyProducer)
class _Content:
    """What a request sends: all of it at once. Twisted's own producer would ask the global reactor for turns."""

    def __init__(self, octets: bytes) -> None:
        self.length = len(octets)
        self._octets = octets

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Send it."""
        consumer.write(self._octets)
        return succeed(None)

    def pauseProducing(self) -> None:
        """It is sent already."""

    resumeProducing = stopProducing = pauseProducing


class _Body(Protocol):
    """What a web server sends after its header."""

    def __init__(self, to: _Endpoint) -> None:
        self.done: Deferred[bytes] = Deferred()
        self._to = to
        self._octets = bytearray()

    def dataReceived(self, data: bytes) -> None:
        """Keep it; how much comes is bounded elsewhere, how small the pieces are is not."""
        self._octets += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """All is there, or not. Where nothing but the end of the connection ends a body (RFC 9112 6.3), it is whole when the
        host said goodbye: anybody on the way can cut a connection off, but not say that."""
        if self.done.called:
            return
        ended = isinstance(reason.value, PotentialDataLoss) and self._to.said_goodbye
        if not ended and not isinstance(reason.value, ResponseDone):
            self.done.errback(reason)
        elif len(self._octets) > self._to.largest:
            self.done.errback(WebFailed(f"more than {self._to.largest} octets"))
        else:
            self.done.callback(bytes(self._octets))
