"""POP3 on Twisted: a factory that puts connection and session into a pump, and the limits on how many there are."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol
from zope.interface import classImplements

from mailnode.interfaces.runtime import IClock
from mailnode.interfaces.sessions import ILogins
from mailnode.interfaces.wire import IChannel, IConnection, ISession
from mailnode.net.pump import Pump
from mailnode.pop3.connection import Pop3Connection
from mailnode.pop3.responses import err
from mailnode.pop3.session import Pop3Session

# Said here, because the connection itself knows no framework.
classImplements(Pop3Connection, IConnection)


class TooManyConnections(Protocol):
    """Answers a connection that is one too many."""

    def connectionMade(self) -> None:
        """Say so and close."""
        if self.transport is not None:
            self.transport.write(bytes(err("too many connections, try again later", "SYS/TEMP")))
            self.transport.loseConnection()


class Pop3Factory(Factory):
    """Makes POP3 connections and knows those that live."""

    noisy = False

    def __init__(
        self,
        logins: ILogins,
        clock: IClock,
        *,
        tls: str,
        start_tls: Callable[[Any], None] | None,
        hostname: str,
        timeout: float = 600.0,
        max_connections: int = 1000,
        max_per_peer: int = 50,
    ) -> None:
        """:param tls: "none", "starttls" or "implicit". :param start_tls: given a transport, begins TLS on it.

        :param timeout: seconds of silence after which a connection is closed; RFC 1939 3 wants at least 600.
        :param max_connections: at one time. :param max_per_peer: from one IPv4 address or IPv6 /64 network.
        """
        self.pumps: dict[Pump, str] = {}  # and the network each comes from
        self._peers: Counter[str] = Counter()
        self._max_connections = max_connections
        self._max_per_peer = max_per_peer
        self._logins = logins
        self._clock = clock
        self._tls = tls
        self._start_tls = start_tls
        self._hostname = hostname
        self._timeout = timeout

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self.pumps)

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """Return a pump for one connection, or what refuses it."""
        peer = _network(str(getattr(addr, "host", "") or ""))
        if len(self.pumps) >= self._max_connections or (peer and self._peers[peer] >= self._max_per_peer):
            return TooManyConnections()
        connection = Pop3Connection()

        def make_session(channel: IChannel) -> ISession:
            return Pop3Session(
                channel,
                connection,
                self._logins,
                self._clock,
                hostname=self._hostname,
                offers_tls=self._tls == "starttls",
                timeout=self._timeout,
            )

        pump = Pump(
            "pop3",
            connection,
            make_session,
            self._clock,
            implicit_tls=self._tls == "implicit",
            start_tls=self._start_tls if self._tls == "starttls" else None,
            on_close=self._closed,
        )
        self.pumps[pump] = peer
        self._peers[peer] += 1
        pump.factory = self
        return pump

    def draining(self) -> None:
        """Tell every live session that the server shuts down."""
        for pump in list(self.pumps):
            pump.draining()

    def _closed(self, pump: Pump) -> None:
        peer = self.pumps.pop(pump, None)
        if peer is not None:
            self._peers[peer] -= 1
            if not self._peers[peer]:
                del self._peers[peer]


def _network(host: str) -> str:
    """What connections are counted by: the IPv4 address, the IPv6 /64 network, "" for what has no address."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return ""
    if address.version == 6 and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((int(address), 64), strict=False))
    return str(getattr(address, "ipv4_mapped", None) or address)
