"""POP3 on Twisted: a factory that puts connection and session into a pump."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from zope.interface import classImplements

from mailnode.interfaces.runtime import IClock
from mailnode.interfaces.sessions import ILogins
from mailnode.interfaces.wire import IChannel, IConnection, ISession
from mailnode.net.pump import Pump
from mailnode.pop3.connection import Pop3Connection
from mailnode.pop3.session import Pop3Session

# Said here, because the connection itself knows no framework.
classImplements(Pop3Connection, IConnection)


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
    ) -> None:
        """:param tls: "none", "starttls" or "implicit". :param start_tls: given a transport, begins TLS on it.

        :param timeout: seconds of silence after which a connection is closed; RFC 1939 3 wants at least 600.
        """
        self.pumps: set[Pump] = set()
        self._logins = logins
        self._clock = clock
        self._tls = tls
        self._start_tls = start_tls
        self._hostname = hostname
        self._timeout = timeout

    def buildProtocol(self, addr: IAddress | None) -> Pump:
        """Return a pump for one connection."""
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
            on_close=self.pumps.discard,
        )
        self.pumps.add(pump)
        pump.factory = self
        return pump

    def draining(self) -> None:
        """Tell every live session that the server shuts down."""
        for pump in list(self.pumps):
            pump.draining()
