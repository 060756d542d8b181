"""IMAP on Twisted: the pump around a connection, its factory, and the limits on how many there are."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol
from zope.interface import classImplements

from mailnode.imap import responses
from mailnode.imap.connection import DEFAULT_LIMITS, ImapConnection, ImapLimits
from mailnode.interfaces.runtime import IClock
from mailnode.interfaces.wire import IChannel, IConnection, ISession
from mailnode.net.pump import Pump

classImplements(ImapConnection, IConnection)  # here, because the connection itself is pure

MakeSession = Callable[[IChannel, ImapConnection], ISession]


class TooManyConnections(Protocol):
    """Says BYE to a connection that is one too many."""

    def connectionMade(self) -> None:
        """Say so and close."""
        if self.transport is not None:
            self.transport.write(responses.bye("Too many connections, try again later", b"UNAVAILABLE"))
            self.transport.loseConnection()


class ImapFactory(Factory):
    """Makes one pump, connection and session for each client."""

    noisy = False

    def __init__(
        self,
        make_session: MakeSession,
        clock: IClock,
        *,
        tls: str = "none",
        start_tls: Callable[[Any], None] | None = None,
        limits: ImapLimits = DEFAULT_LIMITS,
        plaintext_login: bool = False,
        max_connections: int = 10_000,
        max_per_peer: int = 100,
    ) -> None:
        """:param make_session: given the channel and its connection. :param tls: "none", "starttls" or "implicit".
        :param start_tls: given the transport, begins TLS on it; needed for "starttls".
        :param plaintext_login: logins are allowed without TLS.
        :param max_connections: at one time. :param max_per_peer: from one IPv4 address or IPv6 /64 network.
        """
        if tls == "starttls" and start_tls is None:
            raise ValueError("starttls needs start_tls")
        self._make_session = make_session
        self._clock = clock
        self._implicit_tls = tls == "implicit"
        self._start_tls = start_tls if tls == "starttls" else None
        self._limits = limits
        self._plaintext_login = plaintext_login
        self._max_connections = max_connections
        self._max_per_peer = max_per_peer
        self._pumps: dict[Pump, str] = {}
        self._peers: Counter[str] = Counter()

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._pumps)

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        """Return a pump, or what refuses the connection."""
        peer = _peer_key(str(getattr(addr, "host", "") or ""))
        if len(self._pumps) >= self._max_connections or (peer and self._peers[peer] >= self._max_per_peer):
            return TooManyConnections()
        connection = ImapConnection(self._limits, plaintext_login=self._plaintext_login)
        pump = Pump(
            "imap",
            connection,
            lambda channel: self._make_session(channel, connection),
            self._clock,
            implicit_tls=self._implicit_tls,
            start_tls=self._start_tls,
            on_close=self._closed,
        )
        self._pumps[pump] = peer
        self._peers[peer] += 1
        return pump

    def draining(self) -> None:
        """The server shuts down: let every session say BYE and close."""
        for pump in list(self._pumps):
            pump.draining()

    def _closed(self, pump: Pump) -> None:
        peer = self._pumps.pop(pump, None)
        if peer is None:
            return
        self._peers[peer] -= 1
        if not self._peers[peer]:
            del self._peers[peer]


def _peer_key(host: str) -> str:
    """Return by what connections are counted: an IPv4 address, an IPv6 /64 network, "" for what has no address."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return ""
    if address.version == 4:
        return str(address)
    return str(address.ipv4_mapped or ipaddress.ip_network((int(address), 64), strict=False))
