"""The side of ManageSieve that thinks: what is said at first and at last, TLS, logging in and out (RFC 5804)."""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mailnode.dialog.session import Session, Why
from mailnode.errors import AuthenticationFailed, DomainError, LoginNotAllowed, TooManyFailures
from mailnode.interfaces.sessions import ILogins, ISaslExchange, IScriptUser
from mailnode.interfaces.wire import IChannel
from mailnode.managesieve.capabilities import capabilities
from mailnode.managesieve.checking import ScriptChecker
from mailnode.managesieve.scripts import OwnScripts
from mailnode.managesieve.wire.connection import ManageSieveConnection
from mailnode.managesieve.wire.grammar import (
    BadManageCommand,
    Event,
    ManageCommand,
    ManageSaslResponse,
    ManageState,
    TlsUp,
)
from mailnode.managesieve.wire.responses import ManageReply, bye, no, ok
from mailnode.values.scripts import ScriptQuota

SILENCE = 31 * 60.0  # seconds without input; RFC 5804 1.2 wants at least 30 minutes after a login
MAX_BAD = 10  # commands that are none, and failed logins, of one connection

# What a refused login is answered with (RFC 5804 2.1). The first that fits. TRANSITION-NEEDED is not said: it tells who exists.
_LOGIN_REFUSALS: tuple[tuple[type[DomainError], ManageReply], ...] = (
    (AuthenticationFailed, no("login failed")),
    (LoginNotAllowed, no("this account may not log in")),
    (TooManyFailures, no("too many failed logins, try again later", "TRYLATER")),
    (DomainError, no("try again later", "TRYLATER")),
)
_LAST_WORDS = {
    Why.TIMEOUT: bye("nothing was heard for too long"),
    Why.SHUTDOWN: bye("the server shuts down, try again later", "TRYLATER"),
    Why.ACCOUNT: bye("the account was changed: log in again"),
    Why.TROUBLE: bye("internal trouble, try again later", "TRYLATER"),
}


@dataclass(frozen=True, slots=True)
class ManageSieveService:
    """What the sessions of a listener are given. ``start_tls``: whether STARTTLS is possible. ``plain_login``: whether logins are
    allowed without TLS. ``login_seconds``: for a login, from the connection or from UNAUTHENTICATE on. ``enabled``: whether there
    are filters at all."""

    logins: ILogins
    checker: ScriptChecker
    quota: ScriptQuota
    implementation: str
    start_tls: bool
    plain_login: bool = False
    login_seconds: float = 120.0
    enabled: bool = True


class ManageSieveSession(Session[Event]):
    """One session; ``protocol.py`` gives it its channel and connection."""

    protocol = "managesieve"

    def __init__(self, channel: IChannel, connection: ManageSieveConnection, service: ManageSieveService) -> None:
        super().__init__(channel)
        self._connection = connection
        self._service = service
        self._exchange: ISaslExchange | None = None
        self._scripts: OwnScripts | None = None  # whose the session is, after a login
        self._bad = 0

    # What ``dialog`` asks

    async def greet(self) -> None:
        """RFC 5804 1.7: capabilities come first."""
        self.channel.set_timeout(SILENCE)
        if not self._service.enabled:
            self.write(bytes(bye("filters are switched off here")))
            self.leave("filters are switched off")
            return
        self._say_capabilities()
        self.write(bytes(ok("ManageSieve server ready")))

    async def answer(self, event: Event) -> None:
        """Carry out one command."""
        if isinstance(event, ManageCommand):
            if self._scripts is not None and event.verb not in _VERBS:
                self._answer(await self._scripts.carry_out(event))
            else:
                await _VERBS[event.verb](self, event)
        elif isinstance(event, ManageSaslResponse):
            await self._sasl_response(event)
        elif isinstance(event, TlsUp):
            self._say_capabilities()
            self._answer(ok("TLS is up"))
        else:
            self._not_understood(event)

    def last_words(self, why: Why) -> bytes | None:
        """Every answer is whole: BYE may stand behind any."""
        reply = _LAST_WORDS.get(why)
        return bytes(reply) if reply is not None else b""

    # Inside

    def _answer(self, reply: ManageReply) -> None:
        self.write(self._connection.answer(reply))

    def _not_understood(self, event: BadManageCommand) -> None:
        self._exchange = None
        if event.lost:
            self._answer(bye(event.reason, event.code))
            self.leave(event.reason)
        else:
            self._refuse(no(event.reason, event.code))

    def _refuse(self, reply: ManageReply) -> None:
        """Answer what counts as a mistake; the last one ends the session."""
        self._bad += 1
        if self._bad < MAX_BAD:
            self._answer(reply)
            return
        self._answer(bye("too many errors"))
        self.leave("too many errors")

    def _mechanisms(self) -> tuple[str, ...]:
        return self._service.logins.mechanisms(self, self.channel.secure or self._service.plain_login)

    def _may_start_tls(self) -> bool:
        return self._service.start_tls and not self.channel.secure and self.login is None

    def _say_capabilities(self) -> None:
        owner = self.login.account.address if self.login is not None else ""
        start_tls = self._may_start_tls()
        self.write(capabilities(self._service.implementation, self._mechanisms(), start_tls=start_tls, owner=owner))

    # Commands of both states

    async def _do_capability(self, command: ManageCommand) -> None:
        self._say_capabilities()
        self._answer(ok())

    async def _do_noop(self, command: ManageCommand) -> None:
        """RFC 5804 2.13"""
        self._answer(ok("done", "TAG", command.word) if command.word is not None else ok("done"))

    async def _do_logout(self, command: ManageCommand) -> None:
        self._answer(ok("goodbye"))
        self.leave()

    # Before the login

    async def _do_starttls(self, command: ManageCommand) -> None:
        if self.channel.secure:
            self._refuse(no("TLS is up already"))
        elif not self._service.start_tls:
            self._refuse(no("no TLS here"))
        else:
            self.write(self._connection.begin_tls(ok("begin TLS")))
            self.flush()
            self.channel.start_tls()

    async def _do_authenticate(self, command: ManageCommand) -> None:
        """RFC 5804 2.1. An initial response where the server speaks first is refused."""
        mechanisms = self._mechanisms()
        name = (command.word or b"").decode("ascii", "replace")
        if not mechanisms:
            self._refuse(no("start TLS first", "ENCRYPT-NEEDED"))
            return
        if name not in mechanisms:
            self._refuse(no("unknown mechanism"))
            return
        exchange = self._exchange = self._service.logins.exchange(name, IScriptUser, self)
        if command.initial is None:
            await self._step(exchange, None)
        elif await exchange.step(None) == b"":
            await self._step(exchange, command.initial)
        else:
            self._exchange = None
            self._refuse(no("this mechanism has no initial response"))

    async def _sasl_response(self, response: ManageSaslResponse) -> None:
        exchange = self._exchange
        if response.data is None or exchange is None:
            self._exchange = None
            self._refuse(no("cancelled"))
        else:
            await self._step(exchange, response.data)

    async def _step(self, exchange: ISaslExchange, response: bytes | None) -> None:
        final: bytes | None = None
        try:
            challenge = await exchange.step(response)
            if challenge is not None and exchange.final:  # it goes out beside OK, which saves a round trip
                final, challenge = challenge, await exchange.step(b"")
        except DomainError as error:
            self._exchange = None
            self._refuse(next(reply for kind, reply in _LOGIN_REFUSALS if isinstance(error, kind)))
            return
        if challenge is not None:
            self.write(self._connection.challenge(challenge))
            return
        self._exchange = None
        self._log_in(exchange, final)

    def _log_in(self, exchange: ISaslExchange, final: bytes | None) -> None:
        """No security layer was negotiated: capabilities are not said anew (RFC 5804 4, response-authenticate)."""
        login = self.login = exchange.login
        user, service = login.avatar, self._service
        self._scripts = OwnScripts(user.account.id, user.scripts, service.quota, service.checker, self.write)
        self._connection.enter(ManageState.AFTER_LOGIN)
        self.channel.set_deadline(None)
        self._bad = 0
        if final is None:
            self._answer(ok("logged in"))
        else:
            self._answer(ok("logged in", "SASL", b2a_base64(final, newline=False)))

    # After the login

    async def _do_unauthenticate(self, command: ManageCommand) -> None:
        """RFC 5804 2.14.1: the connection stays, and is nobody's again."""
        self._scripts = None
        self.log_out()
        self._connection.enter(ManageState.BEFORE_LOGIN)
        self.channel.set_deadline(self._service.login_seconds)
        self._answer(ok("logged out"))


_VERBS: dict[str, Callable[[ManageSieveSession, ManageCommand], Awaitable[None]]] = {
    "AUTHENTICATE": ManageSieveSession._do_authenticate,
    "STARTTLS": ManageSieveSession._do_starttls,
    "LOGOUT": ManageSieveSession._do_logout,
    "CAPABILITY": ManageSieveSession._do_capability,
    "NOOP": ManageSieveSession._do_noop,
    "UNAUTHENTICATE": ManageSieveSession._do_unauthenticate,
}
