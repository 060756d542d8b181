"""IMAP on Twisted: the factory that puts connection and session into a pump."""

from __future__ import annotations

from collections.abc import Callable

from zope.interface import classImplements

from mailnode.imap.commands.table import TABLE
from mailnode.imap.wire import responses
from mailnode.imap.wire.connection import ImapConnection
from mailnode.imap.wire.limits import DEFAULT_LIMITS, ImapLimits
from mailnode.interfaces.reactor import StartTls
from mailnode.interfaces.runtime import IClock
from mailnode.interfaces.wire import IChannel, IConnection, ISession
from mailnode.net.pump import Pump
from mailnode.net.pump_factory import PumpFactory

classImplements(ImapConnection, IConnection)  # here, because the connection itself is pure

MakeSession = Callable[[IChannel, ImapConnection], ISession]

_TOO_MANY = responses.bye("Too many connections, try again later", b"UNAVAILABLE")


class ImapFactory(PumpFactory):
    """Makes one pump, connection and session for each client."""

    kind = "imap"

    def __init__(
        self,
        make_session: MakeSession,
        clock: IClock,
        *,
        tls: str = "none",
        start_tls: StartTls | None = None,
        limits: ImapLimits = DEFAULT_LIMITS,
        plaintext_login: bool = False,
        login_timeout: float = 120.0,
        max_connections: int = 10_000,
        max_per_peer: int = 100,
    ) -> None:
        """:param make_session: given the channel and its connection. :param tls: "none", "starttls" or "implicit".
        :param start_tls: given the transport, begins TLS on it; needed for "starttls".
        :param plaintext_login: logins are allowed without TLS.
        :param login_timeout: seconds from the connection until the login has succeeded.
        :param max_connections: at one time. :param max_per_peer: from one IPv4 address or IPv6 /64 network.
        """
        if tls == "starttls" and start_tls is None:
            raise ValueError("starttls needs start_tls")
        super().__init__(_TOO_MANY, max_connections, max_per_peer, tls == "implicit")
        self._make_session = make_session
        self._clock = clock
        self._implicit_tls = tls == "implicit"
        self._start_tls = start_tls if tls == "starttls" else None
        self._limits = limits
        self._plaintext_login = plaintext_login
        self._login_timeout = login_timeout

    def make_pump(self, host: str) -> Pump:
        """Return a pump around a new connection and session."""
        connection = ImapConnection(TABLE, self._limits, plaintext_login=self._plaintext_login)
        return Pump(
            "imap",
            connection,
            lambda channel: self._make_session(channel, connection),
            self._clock,
            implicit_tls=self._implicit_tls,
            start_tls=self._start_tls,
            on_close=self.closed,
            deadline=self._login_timeout,
        )
