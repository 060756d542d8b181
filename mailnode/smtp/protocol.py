"""SMTP, submission and LMTP on Twisted: the factory that puts connection and session into a pump."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol
from zope.interface import classImplements

from mailnode.interfaces.wire import IChannel, IConnection, ISession
from mailnode.net.pump import Pump
from mailnode.smtp.grammar import format_reply
from mailnode.smtp.lmtp import LmtpSession
from mailnode.smtp.reception import Reception
from mailnode.smtp.replies import TOO_MANY
from mailnode.smtp.server import Profile, ServerConnection
from mailnode.smtp.service import Networks, Service, within
from mailnode.smtp.session import SmtpSession
from mailnode.smtp.submission import Submission

classImplements(ServerConnection, IConnection)  # here, because the connection itself is pure

KINDS: dict[str, type[SmtpSession]] = {"smtp": Reception, "submission": Submission, "lmtp": LmtpSession}


class OneTooMany(Protocol):
    """Tells a client that there are too many, and closes."""

    def connectionMade(self) -> None:
        """Say so and close."""
        if self.transport is not None:
            self.transport.write(format_reply(TOO_MANY))
            self.transport.loseConnection()


class SmtpFactory(Factory):
    """Makes one pump, connection and session for each client of one listener."""

    noisy = False

    def __init__(
        self,
        kind: str,
        service: Service,
        *,
        tls: str = "none",
        start_tls: Callable[[Any], None] | None = None,
        xclient_from: Networks = (),
        strict_sync: bool = False,
        max_connections: int = 1000,
        max_per_peer: int = 50,
    ) -> None:
        """:param kind: "smtp", "submission" (then ``service.logins`` is needed) or "lmtp".
        :param tls: "none", "starttls" or "implicit". :param start_tls: given the transport, begins TLS on it; needed for
            "starttls".
        :param xclient_from: networks whose clients may say for whom they speak.
        :param strict_sync: end sessions of clients that do not wait for our reply to EHLO or DATA.
        :param max_connections: at one time. :param max_per_peer: from one IPv4 address or IPv6 /64 network.
        """
        if tls == "starttls" and start_tls is None:
            raise ValueError("starttls needs start_tls")
        if kind == "submission" and service.logins is None:
            raise ValueError("submission needs logins")
        self._kind = kind
        self._session_class = KINDS[kind]
        self._service = service
        self._tls = tls
        self._start_tls = start_tls if tls == "starttls" else None
        self._xclient_from = xclient_from
        self._strict_sync = strict_sync
        self._max_connections = max_connections
        self._max_per_peer = max_per_peer
        self._pumps: dict[Pump, str] = {}
        self._peers: Counter[str] = Counter()

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._pumps)

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        """Return a pump, or what turns the client away."""
        host = str(getattr(addr, "host", "") or "")
        peer = peer_key(host)
        if len(self._pumps) >= self._max_connections or (peer and self._peers[peer] >= self._max_per_peer):
            return OneTooMany()
        connection = ServerConnection(self._profile(host), secure=False)

        def make_session(channel: IChannel) -> ISession:
            return self._session_class(channel, connection, self._service)

        pump = Pump(
            self._kind,
            connection,
            make_session,
            self._service.clock,
            implicit_tls=self._tls == "implicit",
            start_tls=self._start_tls,
            on_close=self._closed,
        )
        self._pumps[pump] = peer
        self._peers[peer] += 1
        return pump

    def draining(self) -> None:
        """The server shuts down: every session finishes its message, says 421 and closes."""
        for pump in list(self._pumps):
            pump.draining()

    def _profile(self, host: str) -> Profile:
        submission = self._kind == "submission"
        return Profile(
            lmtp=self._kind == "lmtp",
            starttls=self._tls == "starttls",
            auth=submission,
            require_tls=submission,
            require_auth=submission,
            xclient=within(host, self._xclient_from),
            strict_sync=self._strict_sync,
            limits=self._service.limits,
        )

    def _closed(self, pump: Pump) -> None:
        peer = self._pumps.pop(pump, None)
        if peer is None:
            return
        self._peers[peer] -= 1
        if not self._peers[peer]:
            del self._peers[peer]


def peer_key(host: str) -> str:
    """Return by what connections are counted: an IPv4 address, an IPv6 /64 network, "" for what has no address."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return ""
    if address.version == 4:
        return str(address)
    return str(address.ipv4_mapped or ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
