"""Makes the pumps of one listener, and bounds how many there are: in all, and from one network."""

from __future__ import annotations

from abc import ABC, abstractmethod

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger

from mailnode.net.client_counts import ClientCounts
from mailnode.net.pump import Pump
from mailnode.values.events import emit
from mailnode.values.networks import client_key

_log = Logger()


class OneTooMany(Protocol):
    """Tells a client that there are too many, and closes."""

    def __init__(self, words: bytes) -> None:
        self._words = words

    def connectionMade(self) -> None:
        """Say so and close."""
        if self.transport is not None:
            self.transport.write(self._words)
            self.transport.loseConnection()


class PumpFactory(Factory, ABC):
    """Knows the pumps that live. A protocol's factory says in :meth:`make_pump` what one consists of."""

    noisy = False
    kind = ""  # the protocol's name in the log

    def __init__(self, too_many: bytes, max_connections: int, max_per_peer: int, implicit_tls: bool = False) -> None:
        """:param too_many: said to a client that is one too many. :param max_connections: at one time.
        :param max_per_peer: from one IPv4 address or IPv6 /64 network.
        :param implicit_tls: words would need a handshake first, dear to us and free not to finish: then none are said.
        """
        self.pumps: dict[Pump, str] = {}  # and the network each comes from
        self.clients = ClientCounts()  # what the limits are compared with
        self._too_many = too_many
        self._max_connections = max_connections
        self._max_per_peer = max_per_peer
        self._says_why = not implicit_tls
        self._turned_away = 0  # since somebody was let in

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self.pumps)

    @abstractmethod
    def make_pump(self, host: str) -> Pump:
        """Return a pump for a client at this IP address ("" when it has none), with :meth:`closed` as its ``on_close``."""

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        """Return a pump, or what turns the client away; None closes the connection."""
        host = str(getattr(addr, "host", "") or "")
        peer = client_key(host)
        clients = self.clients
        if clients.total() >= self._max_connections:
            return self._turn_away(host, "too many connections")
        if peer and clients.of(peer) >= self._max_per_peer:
            return self._turn_away(host, "too many connections from there")
        self._turned_away = 0
        pump = self.make_pump(host)
        self.pumps[pump] = peer
        clients.enter(peer)
        return pump

    def _turn_away(self, host: str, reason: str) -> Protocol | None:
        """Say so in the log, less and less often while nobody is let in: a crowd must not fill it."""
        self._turned_away += 1
        if self._turned_away & (self._turned_away - 1) == 0:
            count = self._turned_away
            emit(_log, "connection.refused", protocol=self.kind, peer=host, reason=reason, count=count)
        return OneTooMany(self._too_many) if self._says_why else None

    def draining(self) -> None:
        """The server shuts down: every session says so where its protocol allows it, and closes."""
        for pump in list(self.pumps):
            pump.draining()

    def closed(self, pump: Pump) -> None:
        """A connection is gone."""
        peer = self.pumps.pop(pump, None)
        if peer is not None:
            self.clients.leave(peer)
