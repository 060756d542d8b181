"""POP3 on Twisted: the factory that puts connection and session into a pump."""

from __future__ import annotations

from zope.interface import classImplements

from mailnode.interfaces.reactor import StartTls
from mailnode.interfaces.runtime import IClock
from mailnode.interfaces.sessions import ILogins
from mailnode.interfaces.wire import IChannel, IConnection, ISession
from mailnode.net.pump import Pump
from mailnode.net.pump_factory import PumpFactory
from mailnode.pop3.session import Pop3Session
from mailnode.pop3.wire.connection import Pop3Connection
from mailnode.pop3.wire.responses import err

# Said here, because the connection itself knows no framework.
classImplements(Pop3Connection, IConnection)

_TOO_MANY = bytes(err("too many connections, try again later", "SYS/TEMP"))


class Pop3Factory(PumpFactory):
    """Makes POP3 connections and knows those that live."""

    kind = "pop3"

    def __init__(
        self,
        logins: ILogins,
        clock: IClock,
        *,
        tls: str,
        start_tls: StartTls | None,
        hostname: str,
        timeout: float = 600.0,
        login_timeout: float = 120.0,
        plain_login: bool = False,
        max_connections: int = 1000,
        max_per_peer: int = 50,
    ) -> None:
        """:param tls: "none", "starttls" or "implicit". :param start_tls: given a transport, begins TLS on it.

        :param timeout: seconds of silence after which a connection is closed; RFC 1939 3 wants at least 600.
        :param login_timeout: seconds from the connection until the login has succeeded.
        :param plain_login: logins are allowed without TLS.
        :param max_connections: at one time. :param max_per_peer: from one IPv4 address or IPv6 /64 network.
        """
        super().__init__(_TOO_MANY, max_connections, max_per_peer, tls == "implicit")
        self._logins = logins
        self._clock = clock
        self._tls = tls
        self._start_tls = start_tls
        self._hostname = hostname
        self._timeout = timeout
        self._login_timeout = login_timeout
        self._plain_login = plain_login

    def make_pump(self, host: str) -> Pump:
        """Return a pump around a new connection and session."""
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
                plain_login=self._plain_login,
            )

        return Pump(
            "pop3",
            connection,
            make_session,
            self._clock,
            implicit_tls=self._tls == "implicit",
            start_tls=self._start_tls if self._tls == "starttls" else None,
            on_close=self.closed,
            deadline=self._login_timeout,
        )
