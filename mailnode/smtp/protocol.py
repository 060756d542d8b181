"""SMTP, submission and LMTP on Twisted: the factory that puts connection and session into a pump."""

from __future__ import annotations

from math import inf

from zope.interface import classImplements

from mailnode.interfaces.reactor import StartTls
from mailnode.interfaces.wire import IChannel, IConnection, ISession
from mailnode.net.pump import Pump
from mailnode.net.pump_factory import PumpFactory
from mailnode.smtp.lmtp import LmtpSession
from mailnode.smtp.reception import Reception
from mailnode.smtp.service import Service
from mailnode.smtp.session import SmtpSession
from mailnode.smtp.submission import Submission
from mailnode.smtp.wire.grammar import format_reply
from mailnode.smtp.wire.profile import Profile
from mailnode.smtp.wire.replies import TOO_MANY
from mailnode.smtp.wire.server import ServerConnection
from mailnode.values.networks import Networks, within

classImplements(ServerConnection, IConnection)  # here, because the connection itself is pure

KINDS: dict[str, type[SmtpSession]] = {"smtp": Reception, "submission": Submission, "lmtp": LmtpSession}


class SmtpFactory(PumpFactory):
    """Makes one pump, connection and session for each client of one listener."""

    def __init__(
        self,
        kind: str,
        service: Service,
        *,
        tls: str = "none",
        start_tls: StartTls | None = None,
        xclient_from: Networks = (),
        strict_sync: bool = False,
        plain_login: bool = False,
        max_connections: int = 1000,
        max_per_peer: int = 50,
    ) -> None:
        """:param kind: "smtp", "submission" (then ``service.logins`` is needed) or "lmtp".
        :param tls: "none", "starttls" or "implicit". :param start_tls: given the transport, begins TLS on it; needed for
            "starttls".
        :param xclient_from: networks whose clients may say for whom they speak.
        :param plain_login: submission needs no TLS.
        :param strict_sync: end sessions of clients that do not wait for our reply to EHLO or DATA.
        :param max_connections: at one time. :param max_per_peer: from one IPv4 address or IPv6 /64 network.
        """
        if tls == "starttls" and start_tls is None:
            raise ValueError("starttls needs start_tls")
        if kind == "submission" and service.logins is None:
            raise ValueError("submission needs logins")
        super().__init__(format_reply(TOO_MANY), max_connections, max_per_peer, tls == "implicit")
        self.kind = kind
        self._session_class = KINDS[kind]
        self._service = service
        self._tls = tls
        self._start_tls = start_tls if tls == "starttls" else None
        self._xclient_from = xclient_from
        self._strict_sync = strict_sync
        self._plain_login = plain_login
        self._profiles = {xclient: self._profile(xclient) for xclient in (False, True)}

    def make_pump(self, host: str) -> Pump:
        """Return a pump around a new connection and session."""
        connection = ServerConnection(self._profiles[within(host, self._xclient_from)], secure=False)

        def make_session(channel: IChannel) -> ISession:
            return self._session_class(channel, connection, self._service)

        return Pump(
            self.kind,
            connection,
            make_session,
            self._service.steady,
            implicit_tls=self._tls == "implicit",
            start_tls=self._start_tls,
            on_close=self.closed,
            deadline=self._service.timeouts.login if self.kind == "submission" else inf,
        )

    def _profile(self, xclient: bool) -> Profile:
        submission = self.kind == "submission"
        return Profile(
            lmtp=self.kind == "lmtp",
            starttls=self._tls == "starttls",
            auth=submission,
            plain_auth=submission and self._plain_login,
            require_tls=submission and not self._plain_login,
            require_auth=submission,
            xclient=xclient,
            strict_sync=self._strict_sync,
            limits=self._service.limits,
        )
