"""ManageSieve on Twisted: the factory that puts connection and session into a pump."""

from __future__ import annotations

from zope.interface import classImplements

from mailnode.interfaces.reactor import StartTls
from mailnode.interfaces.runtime import IClock
from mailnode.interfaces.wire import IChannel, IConnection, ISession
from mailnode.managesieve.session import ManageSieveService, ManageSieveSession
from mailnode.managesieve.wire.connection import ManageSieveConnection
from mailnode.managesieve.wire.responses import bye
from mailnode.net.pump import Pump
from mailnode.net.pump_factory import PumpFactory

# Said here, because the connection itself knows no framework.
classImplements(ManageSieveConnection, IConnection)

_TOO_MANY = bytes(bye("too many connections, try again later", "TRYLATER"))


class ManageSieveFactory(PumpFactory):
    """Makes ManageSieve connections and knows those that live."""

    kind = "managesieve"

    def __init__(
        self,
        service: ManageSieveService,
        clock: IClock,
        *,
        tls: str,
        start_tls: StartTls | None,
        max_connections: int = 1000,
        max_per_peer: int = 50,
    ) -> None:
        """:param tls: "none", "starttls" or "implicit". :param start_tls: given a transport, begins TLS on it.
        :param max_connections: at one time. :param max_per_peer: from one IPv4 address or IPv6 /64 network.
        """
        super().__init__(_TOO_MANY, max_connections, max_per_peer, tls == "implicit")
        self._service = service
        self._clock = clock
        self._tls = tls
        self._start_tls = start_tls

    def make_pump(self, host: str) -> Pump:
        """Return a pump around a new connection and session."""
        connection = ManageSieveConnection()

        def make_session(channel: IChannel) -> ISession:
            return ManageSieveSession(channel, connection, self._service)

        return Pump(
            "managesieve",
            connection,
            make_session,
            self._clock,
            implicit_tls=self._tls == "implicit",
            start_tls=self._start_tls if self._service.start_tls else None,
            on_close=self.closed,
            deadline=self._service.login_seconds,
        )
