"""Logging in, the same for every protocol: throttle, mechanism, portal, log."""

from __future__ import annotations

import hmac

from twisted.cred.error import LoginFailed, UnauthorizedLogin
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import Interface, implementer

from mailnode.auth.credentials import PasswordCredentials, ScramProof
from mailnode.auth.passwords import SCRAM_ITERATIONS, SCRAM_SHA_256, ScramVerifier
from mailnode.auth.sasl import (
    MECHANISMS,
    Challenge,
    CheckPassword,
    Mechanism,
    NeedVerifier,
    ScramSha256,
)
from mailnode.auth.throttle import FAILURE_DELAY, Throttle
from mailnode.errors import AuthenticationFailed, DomainError, LoginNotAllowed, NoSuchAccount
from mailnode.interfaces.accounts import IDirectory
from mailnode.interfaces.runtime import IClock
from mailnode.interfaces.sessions import ILogin, ILogins, ISaslExchange, ISessionMind
from mailnode.values.directory import Account, LoginRecord
from mailnode.values.events import emit

_log = Logger()


@implementer(ILogin)
class StandingLogin:
    """A login that stands until :meth:`logout`."""

    def __init__(self, avatar: object, mechanism: str, logout: object) -> None:
        self.avatar = avatar
        self.account = avatar.account  # type: ignore[attr-defined]  # every avatar of the realm has one
        self.mechanism = mechanism
        self._logout = logout

    def logout(self) -> None:
        """Forget the session; a second call does nothing."""
        logout, self._logout = self._logout, None
        if callable(logout):
            logout()


@implementer(ILogins)
class Logins:
    """The door to the portal."""

    def __init__(self, portal: Portal, directory: IDirectory, throttle: Throttle, clock: IClock, secret: bytes) -> None:
        """:param secret: at least 16 octets that outlive restarts: unknown users' SCRAM salts are derived from it."""
        self._portal = portal
        self._directory = directory
        self._throttle = throttle
        self._clock = clock
        self._secret = secret

    def mechanisms(self, protocol: str, secure: bool) -> tuple[str, ...]:
        """All mechanisms where passwords may come, else none."""
        return tuple(MECHANISMS) if secure else ()

    def exchange(self, mechanism: str, interface: type[Interface], mind: ISessionMind) -> ISaslExchange:
        """Begin an exchange. :raises KeyError: unknown mechanism (names are upper case)."""
        return SaslExchange(self, mechanism, MECHANISMS[mechanism](), interface, mind)

    async def password(
        self, user: bytes, password: bytes, interface: type[Interface], mind: ISessionMind, mechanism: str = "password"
    ) -> ILogin:
        """Log in with a clear password. :raises AuthenticationFailed, LoginNotAllowed, Busy:"""
        name = login_name(user)
        await self.hold_up(name, mind)
        return await self.enter(PasswordCredentials(user, password, mind), name, interface, mind, mechanism)

    async def hold_up(self, name: str, mind: ISessionMind) -> None:
        """Wait as long as earlier failures of this login and network ask for."""
        await self._sleep(await self._throttle.delay(name, mind.peer, self._clock.seconds()))

    async def enter(
        self,
        credentials: PasswordCredentials | ScramProof,
        name: str,
        interface: type[Interface],
        mind: ISessionMind,
        mechanism: str,
    ) -> ILogin:
        """Ask the portal; count and log the result."""
        try:
            _, avatar, logout = await self._portal.login(credentials, mind, interface)
        except (LoginFailed, NoSuchAccount):
            await self.refuse(name, mind, mechanism, "wrong login or password")
            raise AuthenticationFailed from None
        except DomainError as error:
            reason = "account status" if isinstance(error, LoginNotAllowed) else type(error).__name__
            self._log_refusal(name, mind, mechanism, reason)
            raise
        login = StandingLogin(avatar, mechanism, logout)
        if not unchanged(credentials.checked, login.account):
            login.logout()
            await self.refuse(name, mind, mechanism, "the account was changed during the login")
            raise AuthenticationFailed
        await self._throttle.succeeded(name, mind.peer, self._clock.seconds())
        emit(
            _log,
            "session.login",
            session=mind.session,
            protocol=mind.protocol,
            account=login.account.id,
            mechanism=mechanism,
            peer=mind.peer,
        )
        return login

    async def refuse(self, name: str, mind: ISessionMind, mechanism: str, reason: str) -> None:
        """Count and log a failure, then let the usual delay pass."""
        self._log_refusal(name, mind, mechanism, reason)
        await self._throttle.failed(name, mind.peer, self._clock.seconds())
        await self._sleep(FAILURE_DELAY)

    async def scram_record(self, username: str, protocol: str) -> tuple[ScramVerifier, LoginRecord | None]:
        """Return the verifier of a login, or one that nothing fits, with a salt that stays the same."""
        record = await self._directory.login_record(username)
        for credential in record.credentials:
            if credential.kind == SCRAM_SHA_256 and protocol in credential.protocols and record.account:
                return ScramVerifier.decode(credential.secret), record
        salt = hmac.digest(self._secret, b"scram salt " + login_name(username.encode()).encode(), "sha256")[:16]
        key = hmac.digest(self._secret, salt, "sha256")
        return ScramVerifier(salt, SCRAM_ITERATIONS, key, key), None

    def _log_refusal(self, name: str, mind: ISessionMind, mechanism: str, reason: str) -> None:
        emit(
            _log,
            "session.refused",
            warning=True,
            session=mind.session,
            protocol=mind.protocol,
            login=name[:254],
            mechanism=mechanism,
            peer=mind.peer,
            reason=reason,
        )

    async def _sleep(self, seconds: float) -> None:
        if seconds > 0:
            waiting: Deferred[None] = Deferred()
            self._clock.callLater(seconds, waiting.callback, None)
            await waiting


@implementer(ISaslExchange)
class SaslExchange:
    """One exchange: a mechanism's steps, with look-up and portal where they are needed."""

    def __init__(
        self, logins: Logins, name: str, mechanism: Mechanism, interface: type[Interface], mind: ISessionMind
    ) -> None:
        self.login: ILogin | None = None
        self._logins = logins
        self._name = name
        self._mechanism = mechanism
        self._interface = interface
        self._mind = mind
        self._scram_login = ""
        self._record: LoginRecord | None = None

    async def step(self, response: bytes | None) -> bytes | None:
        """Feed a response; return the next challenge, or None when :attr:`login` is set."""
        try:
            step = self._mechanism.step(response)
        except AuthenticationFailed:
            await self._logins.refuse(self._scram_login, self._mind, self._name, "malformed or wrong proof")
            raise
        if isinstance(step, NeedVerifier) and isinstance(self._mechanism, ScramSha256):
            self._scram_login = login_name(step.username.encode())
            await self._logins.hold_up(self._scram_login, self._mind)
            verifier, self._record = await self._logins.scram_record(step.username, self._mind.protocol)
            return self._mechanism.verifier(verifier).data
        if isinstance(step, Challenge):
            return step.data
        if isinstance(step, CheckPassword):
            self.login = await self._logins.password(
                step.username, step.password, self._interface, self._mind, self._name
            )
            return None
        self.login = await self._enter_proven()
        return None

    async def _enter_proven(self) -> ILogin:
        if self._record is None or self._record.account is None:
            raise UnauthorizedLogin  # no proof fits the verifier of an unknown user
        proof = ScramProof(self._record.account)
        return await self._logins.enter(proof, self._scram_login, self._interface, self._mind, self._name)


def unchanged(checked: Account | None, now: Account) -> bool:
    """Whether the account a session begins on is still the one whose secret was checked, with that same secret.

    An address may have gone to another account meanwhile. :param checked: None: no secret of ours was checked.
    """
    return checked is None or (checked.id, checked.generation) == (now.id, now.generation)


def login_name(user: bytes) -> str:
    """Return a login name as failures are counted by: text, case-folded, bounded."""
    return user[:320].decode("utf-8", "replace").casefold()
