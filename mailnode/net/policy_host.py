"""Fetching MTA-STS policies over https (RFC 8461 3.3): from one host, with its certificate checked, bounded in time and size."""

from __future__ import annotations

from typing import cast

from OpenSSL import SSL
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, ResponseDone
from twisted.web.iweb import IAgentEndpointFactory, IResponse
from zope.interface import implementer

from mailnode.errors import DomainError
from mailnode.interfaces.outbound import IPolicyHost, IResolver, PolicyNotFetched, Target
from mailnode.interfaces.reactor import IServerReactor
from mailnode.net.client_tls import ClientTls, Handshake

SECONDS = 60.0  # for one policy (RFC 8461 3.3)
LARGEST = 65_536  # octets of a policy (RFC 8461 3.3)
LARGEST_HEADER = 16_384  # octets before it
CONNECT = 10.0  # seconds for one address
MAX_ADDRESSES = 4
FETCH_ERROR = "sts-policy-fetch-error"  # RFC 8460 4.3


@implementer(IPolicyHost)
class PolicyHost:
    """Fetches from ``mta-sts`` of each domain."""

    def __init__(
        self,
        reactor: IServerReactor,
        resolver: IResolver,
        tls: ClientTls,
        *,
        port: int = 443,
        seconds: float = SECONDS,
    ) -> None:
        """:param port: another one is for tests. :param seconds: for one policy."""
        self._reactor = reactor
        self._resolver = resolver
        self._tls = tls
        self._port = port
        self._seconds = seconds

    async def fetch(self, domain: str) -> bytes:
        """Return the text of a domain's policy, as it came. :raises PolicyNotFetched:"""
        target = Target(f"mta-sts.{domain}", "", self._port)
        to = _PolicyEndpoint(self._reactor, self._resolver, target, self._tls.handshake("verified", target))
        try:
            fetching = Deferred.fromCoroutine(_fetch(self._reactor, to))
            return await fetching.addTimeout(self._seconds, self._reactor, _too_late)  # type: ignore[arg-type]
        except TimeoutError:
            raise PolicyNotFetched(FETCH_ERROR, f"not within {self._seconds:g} seconds") from None
        except PolicyNotFetched:
            raise
        except Exception as error:  # whatever a web server that nobody chose brings about
            raise _explained(error, to) from None
        finally:
            to.close()


def _too_late(ended: object, seconds: float) -> Failure:
    """Say so, whatever it was that a cancelled request ended with."""
    return Failure(TimeoutError(seconds))  # type: ignore[no-untyped-call]


async def _fetch(reactor: IServerReactor, to: _PolicyEndpoint) -> bytes:
    agent = Agent.usingEndpointFactory(reactor, to)  # type: ignore[no-untyped-call]
    url = f"https://{to.host}/.well-known/mta-sts.txt"
    response: IResponse = await agent.request(b"GET", url.encode("ascii"))
    problem = to.handshake.problem()
    if problem is not None:
        raise PolicyNotFetched("sts-webpki-invalid", f"{to.host}: {problem.text}")
    if response.code != 200:  # a redirect is not followed (RFC 8461 3.3)
        raise PolicyNotFetched(FETCH_ERROR, f"the policy host answered with {response.code}")
    types = response.headers.getRawHeaders(b"content-type", [])
    if [one.partition(b";")[0].strip().lower() for one in types] != [b"text/plain"]:
        raise PolicyNotFetched(FETCH_ERROR, "the policy is not text/plain")
    body = _PolicyBody()
    response.deliverBody(body)  # type: ignore[no-untyped-call]
    return await body.done


def _explained(error: Exception, to: _PolicyEndpoint) -> PolicyNotFetched:
    if to.too_large:
        return PolicyNotFetched(FETCH_ERROR, f"more than {LARGEST} octets")
    reasons = [reason.value for reason in getattr(error, "reasons", ())]
    if any(isinstance(one, SSL.Error) for one in (error, *reasons)):
        return PolicyNotFetched("sts-webpki-invalid", f"the TLS handshake with {to.host} failed")
    if isinstance(error, DomainError):
        return PolicyNotFetched(FETCH_ERROR, f"the address of {to.host} is not known")
    return PolicyNotFetched(FETCH_ERROR, f"no answer of {to.host}")


@implementer(IAgentEndpointFactory, IStreamClientEndpoint)
class _PolicyEndpoint:
    """The way to one policy host, for one request."""

    def __init__(self, reactor: IServerReactor, resolver: IResolver, target: Target, handshake: Handshake) -> None:
        self.host = target.host
        self.handshake = handshake
        self.too_large = False
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
        """More came than a policy may have."""
        self.too_large = True
        self.close()

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        bounding = _Bounding(factory, self)
        failure: Exception = ConnectError()  # type: ignore[no-untyped-call]
        for address in (await self._resolver.addresses(self.host))[:MAX_ADDRESSES]:
            kind = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
            try:
                endpoint = kind(self._reactor, address, self._port, timeout=CONNECT)
                bounded = cast(_Bounded, await wrapClientTLS(self.handshake, endpoint).connect(bounding))
            except (ConnectError, OSError) as error:
                failure = error
            else:
                self._bounded = bounded
                return bounded.wrappedProtocol
        raise failure


class _Bounded(ProtocolWrapper):
    """Counts what comes."""

    def __init__(self, factory: _Bounding, wrapped: IProtocol) -> None:
        super().__init__(factory, wrapped)
        self._endpoint = factory.to
        self._octets = 0

    def dataReceived(self, data: bytes) -> None:
        """Pass on what is not too much."""
        self._octets += len(data)
        if self._octets > LARGEST + LARGEST_HEADER:
            self._endpoint.overflow()
        else:
            super().dataReceived(data)  # type: ignore[no-untyped-call]


class _Bounding(WrappingFactory[_Bounded]):
    protocol = _Bounded
    noisy = False

    def __init__(self, wrapped: IProtocolFactory, to: _PolicyEndpoint) -> None:
        super().__init__(wrapped)  # type: ignore[no-untyped-call]
        self.to = to


class _PolicyBody(Protocol):
    """What the policy host sends after its header."""

    def __init__(self) -> None:
        self.done: Deferred[bytes] = Deferred()
        self._octets = b""

    def dataReceived(self, data: bytes) -> None:
        """Keep it; how much comes is bounded elsewhere."""
        self._octets += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """All is there, or not."""
        if self.done.called:
            return
        if not isinstance(reason.value, ResponseDone):
            self.done.errback(reason)
        elif len(self._octets) > LARGEST:
            self.done.errback(PolicyNotFetched(FETCH_ERROR, f"more than {LARGEST} octets"))
        else:
            self.done.callback(self._octets)
