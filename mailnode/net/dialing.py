"""Dialling: TCP connections to other servers, to one address or to the quickest of several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar, cast

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, UNIXClientEndpoint
from twisted.internet.error import ConnectError, ConnectingCancelledError, ConnectionRefusedError
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol

from mailnode.interfaces.outbound import Proxy, Target, TargetFailed
from mailnode.interfaces.reactor import IServerReactor
from mailnode.interfaces.runtime import IClock
from mailnode.net.outbound_link import Link
from mailnode.net.race import Race
from mailnode.net.socks import SocksDialog, SocksFront, SocksRefused

T = TypeVar("T")

P = TypeVar("P", bound=Protocol)

STAGGER = 0.25  # seconds one address is given before the next is dialled beside it (RFC 8305 5)
AT_ONCE = 3  # addresses dialled at once in one race


class Dialer:
    """Opens the connections of one server."""

    def __init__(
        self,
        reactor: IServerReactor,
        clock: IClock,
        make_link: Callable[[Target], Link],
        sources: Sequence[str],
        timeout: float,
    ) -> None:
        """:param make_link: makes the protocol of a connection. :param sources: own addresses to connect from, the first of
        each family counts; none: the system chooses. :param timeout: seconds for one address."""
        self._reactor = reactor
        self._clock = clock
        self._make_link = make_link
        self._sources = tuple(sources)
        self._timeout = timeout
        self._dialled = 0  # addresses in races at present
        self._races = 0

    @property
    def beside(self) -> int:
        """How many connections are being opened beside another of the same race."""
        return max(0, self._dialled - self._races)

    async def connect(self, target: Target) -> Link:
        """Connect to one address. :raises TargetFailed: scope "connect"."""
        try:
            if target.proxy is not None:
                return await self._connect_through(target.proxy, target)
            endpoint = self._endpoint(target, target.address, target.port)
            return await self._opened(endpoint, lambda: self._make_link(target))
        except ConnectingCancelledError:
            raise CancelledError from None
        except SocksRefused as refused:
            raise TargetFailed("connect", str(refused)) from None
        except (ConnectError, OSError) as error:
            raise TargetFailed("connect", connect_text(error)) from None

    async def _connect_through(self, proxy: Proxy, target: Target) -> Link:
        """Have a proxy connect; both together may take as long as a connection."""
        ends = self._clock.seconds() + self._timeout
        dialog = SocksDialog(proxy, target.address, target.port)
        front = await self._opened(self._endpoint(target, proxy.address, proxy.port), lambda: SocksFront(dialog))
        try:
            left = max(0.0, ends - self._clock.seconds())
            await front.ready.addTimeout(left, self._clock)  # type: ignore[arg-type]
        except TimeoutError:
            front.abort()
            raise SocksRefused("timed out waiting for the proxy") from None
        except BaseException:
            front.abort()
            raise
        link = self._make_link(target)
        front.hand_over(link)
        return link

    async def _opened(self, endpoint: IStreamClientEndpoint, make: Callable[[], P]) -> P:
        factory = Factory.forProtocol(make)
        factory.noisy = False
        return cast(P, await endpoint.connect(factory))

    def _endpoint(self, target: Target, address: str, port: int) -> IStreamClientEndpoint:
        """:param address, port: what is connected to first on the way to the target."""
        if address.startswith("/"):
            return UNIXClientEndpoint(self._reactor, address, timeout=self._timeout)  # type: ignore[no-untyped-call]
        six = ":" in address
        source = target.source or next((own for own in self._sources if (":" in own) == six), "")
        kind = TCP6ClientEndpoint if six else TCP4ClientEndpoint
        bind = (source, 0) if source else None
        return kind(self._reactor, address, port, timeout=self._timeout, bindAddress=bind)

    async def first(
        self, targets: Sequence[Target], room: Callable[[], bool]
    ) -> tuple[Link | None, list[tuple[Target, TargetFailed]]]:
        """Connect to the one that answers first of several that are equally good; the others are given up. Return the
        connection, None when all failed, and those that failed before.

        :param room: whether one more connection may be opened beside another."""
        race = Race(
            self._clock,
            len(targets),
            lambda index: self._dial(targets[index]),
            stagger=STAGGER,
            may_begin_beside=lambda under_way: under_way < AT_ONCE and room(),
            discard=lambda link: link.abort(),
        )
        self._races += 1
        try:
            link = await race.run()
        finally:
            self._races -= 1
        failures = []
        for index, failure in race.failures:
            if not isinstance(failure.value, TargetFailed):
                if link is not None:
                    link.abort()  # nobody else knows of it yet
                failure.raiseException()
            failures.append((targets[index], failure.value))
        return link, failures

    def _dial(self, target: Target) -> Deferred[Link]:
        self._dialled += 1
        dialling = Deferred.fromCoroutine(self.connect(target))
        dialling.addBoth(self._dialled_one)
        return dialling

    def _dialled_one(self, result: T) -> T:
        self._dialled -= 1
        return result


def connect_text(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, ConnectTimeout):
        return "connection timed out"
    return "no connection"
