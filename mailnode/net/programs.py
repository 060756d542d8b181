"""Connections to programs beside the server, over TCP or a Unix socket."""

from __future__ import annotations

from typing import cast

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, UNIXClientEndpoint
from twisted.internet.error import ConnectError, ConnectingCancelledError
from twisted.internet.interfaces import IStreamClientEndpoint, ITCPTransport
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure
from zope.interface import implementer

from mailnode.errors import DomainError
from mailnode.interfaces.outbound import IResolver
from mailnode.interfaces.programs import HttpAnswer, HttpPost, IProgramLink, IPrograms, ProgramFailed
from mailnode.interfaces.reactor import IServerReactor
from mailnode.net.dialing import connect_text
from mailnode.net.http_post import post_on
from mailnode.net.program_link import ProgramLink
from mailnode.values.networks import ip_address
from mailnode.values.program import ProgramEndpoint

MAX_ADDRESSES = 4  # of one name


@implementer(IPrograms)
class Programs:
    """See :class:`IPrograms`."""

    def __init__(self, reactor: IServerReactor, resolver: IResolver) -> None:
        self._reactor = reactor
        self._resolver = resolver

    async def connect(self, endpoint: ProgramEndpoint, seconds: float) -> IProgramLink:
        """See :class:`IPrograms`."""
        return await self._connect(endpoint, seconds)

    async def post(self, request: HttpPost, seconds: float) -> HttpAnswer:
        """See :class:`IPrograms`."""
        asking = Deferred.fromCoroutine(self._post(request, seconds))
        try:
            return await asking.addTimeout(seconds, self._reactor, _too_late)  # type: ignore[arg-type]
        except TimeoutError:
            raise ProgramFailed(f"no answer of {request.endpoint} within {seconds:g} seconds") from None

    async def _post(self, request: HttpPost, seconds: float) -> HttpAnswer:
        link = await self._connect(request.endpoint, seconds)
        try:
            return await post_on(link, request)
        except ProgramFailed as failed:
            raise ProgramFailed(f"{request.endpoint}: {failed}") from None
        finally:
            link.abort()

    async def _connect(self, endpoint: ProgramEndpoint, seconds: float) -> ProgramLink:
        failure = "no address"
        factory = Factory.forProtocol(ProgramLink)
        factory.noisy = False
        for way in await self._ways(endpoint, seconds):
            try:
                link = cast(ProgramLink, await way.connect(factory))
            except ConnectingCancelledError:
                raise CancelledError from None
            except (ConnectError, OSError) as error:
                failure = connect_text(error)
            else:
                if endpoint.port:
                    cast(ITCPTransport, link.transport).setTcpNoDelay(True)
                return link
        raise ProgramFailed(f"{endpoint}: {failure}")

    async def _ways(self, endpoint: ProgramEndpoint, seconds: float) -> list[IStreamClientEndpoint]:
        host, port = endpoint.host, endpoint.port
        if not port:
            return [UNIXClientEndpoint(self._reactor, host, timeout=seconds)]  # type: ignore[no-untyped-call]
        if ip_address(host) is not None:
            addresses = [host]
        elif host == "localhost":  # which needs no DNS
            addresses = ["127.0.0.1", "::1"]
        else:
            try:
                addresses = list(await self._resolver.addresses(host))[:MAX_ADDRESSES]
            except DomainError:
                raise ProgramFailed(f"{endpoint}: its address is not known") from None
        return [
            (TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint)(
                self._reactor, address, port, timeout=seconds
            )
            for address in addresses
        ]


def _too_late(ended: object, seconds: float) -> Failure:
    """Say so, whatever it was that a cancelled request ended with."""
    return Failure(TimeoutError(seconds))  # type: ignore[no-untyped-call]
