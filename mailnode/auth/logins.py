"""Logging in, the same for every protocol: throttle, mechanism, portal, log."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from typing import TypeVar

from twisted.cred.error import LoginFailed, UnauthorizedLogin
from twisted.cred.portal import Portal
from twisted.internet.defer import DeferredLock
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
    Step,
)
from mailnode.auth.throttle import FAILURE_DELAY, Throttle
from mailnode.errors import AuthenticationFailed, DomainError, LoginNotAllowed, NoSuchAccount, TooManyFailures
from mailnode.interfaces.accounts import IDirectory
from mailnode.interfaces.pause import pause
from mailnode.interfaces.runtime import IClock
from mailnode.interfaces.sessions import ILogin, ILogins, ISaslExchange, ISessionMind
from mailnode.values.directory import Account, LoginRecord
from mailnode.values.events import emit

LOOKS = 4  # at the throttle, within FAILURE_DELAY, before a login is refused as one too many

T = TypeVar("T")
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


class Turns:
    """Lets things be done one at a time, by key, in the order they came."""

    def __init__(self) -> None:
        self._locks: dict[Hashable, DeferredLock] = {}

    @asynccontextmanager
    async def of(self, key: Hashable | None) -> AsyncIterator[None]:
        """Wait for the turn. :param key: None: nobody waits."""
        if key is None:
            yield
            return
        lock = self._locks.setdefault(key, DeferredLock())
        await lock.acquire()
        try:
            yield
        finally:
            lock.release()
            if not lock.locked:
                self._locks.pop(key, None)


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
        self._turns = Turns()

    def mechanisms(self, protocol: str, secure: bool) -> tuple[str, ...]:
        """All mechanisms where passwords may come, else none."""
        return tuple(MECHANISMS) if secure else ()

    def exchange(self, mechanism: str, interface: type[Interface], mind: ISessionMind) -> ISaslExchange:
        """Begin an exchange. :raises KeyError: unknown mechanism (names are upper case)."""
        return SaslExchange(self, mechanism, MECHANISMS[mechanism](), interface, mind)

    async def password(
        self, user: bytes, password: bytes, interface: type[Interface], mind: ISessionMind, mechanism: str = "password"
    ) -> ILogin:
        """Log in with a clear password. :raises AuthenticationFailed, LoginNotAllowed, TooManyFailures, Busy:"""
        login = await self.complete(user, mind)
        name = login_name(login)
        credentials = PasswordCredentials(user, login, password, mind)
        found = await self.guess(
            name, mind, mechanism, password, lambda: self._ask_portal(credentials, name, interface, mind, mechanism)
        )
        return await self._begin(found, credentials, name, mind)

    async def proven(
        self, proof: ScramProof, name: str, interface: type[Interface], mind: ISessionMind, mechanism: str
    ) -> ILogin:
        """Log in after a proof that :meth:`guess` found right. :raises AuthenticationFailed, LoginNotAllowed, Busy:"""
        try:
            found = await self._ask_portal(proof, name, interface, mind, mechanism)
        except AuthenticationFailed:
            await self.refuse(name, mind, mechanism, "the account was removed during the login")
            raise
        return await self._begin(found, proof, name, mind)

    async def complete(self, user: bytes, mind: ISessionMind) -> bytes:
        """Return a login name with its domain: one that was typed without gets it from the name by which the client
        reached the server, or the server's only domain. Whether there is such a user makes no difference."""
        if b"@" in user:
            return user
        domain = await self._directory.login_domain(mind.server_name)
        return user + b"@" + domain.encode() if domain else user

    async def guess(
        self,
        name: str,
        mind: ISessionMind,
        mechanism: str,
        password: bytes | None,
        look: Callable[[], Awaitable[T]],
    ) -> T:
        """Look whether a secret is right, with ``look``, if the throttle allows one more guess: counted before, and one at
        a time for a login and an address. A right one is taken back; whatever else ``look`` fails with is none.

        :param password: None where it is not known. :raises AuthenticationFailed: as ``look`` did. :raises TooManyFailures:
        """
        for _ in range(LOOKS):
            async with self._turns.of(None if self._throttle.trusts(mind.peer) else (name, mind.peer)):
                attempt = await self._throttle.admit(name, mind.peer, password, self._clock.seconds())
                if attempt is not None:
                    try:
                        found = await look()
                    except AuthenticationFailed:
                        break
                    except BaseException:
                        await self._throttle.take_back(attempt, self._clock.seconds())
                        raise
                    await self._throttle.take_back(attempt, self._clock.seconds())
                    return found
            await self._sleep(FAILURE_DELAY / LOOKS)  # there may be room once those under way turn out right
        else:
            self._log_refusal(name, mind, mechanism, "too many failures")
            raise TooManyFailures
        await self.refuse(name, mind, mechanism, "wrong login or password", attempt.delay)
        raise AuthenticationFailed

    async def _ask_portal(
        self,
        credentials: PasswordCredentials | ScramProof,
        name: str,
        interface: type[Interface],
        mind: ISessionMind,
        mechanism: str,
    ) -> StandingLogin:
        try:
            _, avatar, logout = await self._portal.login(credentials, mind, interface)
        except (LoginFailed, NoSuchAccount):
            raise AuthenticationFailed from None
        except DomainError as error:
            reason = "account status" if isinstance(error, LoginNotAllowed) else type(error).__name__
            self._log_refusal(name, mind, mechanism, reason)
            raise
        return StandingLogin(avatar, mechanism, logout)

    async def _begin(
        self, login: StandingLogin, credentials: PasswordCredentials | ScramProof, name: str, mind: ISessionMind
    ) -> ILogin:
        if not unchanged(credentials.checked, login.account):
            login.logout()
            await self.refuse(name, mind, login.mechanism, "the account was changed during the login")
            raise AuthenticationFailed
        await self._throttle.succeeded(name, mind.peer, self._clock.seconds())
        emit(
            _log,
            "session.login",
            session=mind.session,
            protocol=mind.protocol,
            account=login.account.id,
            mechanism=login.mechanism,
            peer=mind.peer,
        )
        return login

    async def refuse(
        self, name: str, mind: ISessionMind, mechanism: str, reason: str, delay: float = FAILURE_DELAY
    ) -> None:
        """Log a failure, then let the usual delay pass."""
        self._log_refusal(name, mind, mechanism, reason)
        await self._sleep(delay)

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
            await pause(self._clock, seconds)


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
        step = await self._next(response)
        if isinstance(step, NeedVerifier) and isinstance(self._mechanism, ScramSha256):
            login = await self._logins.complete(step.username.encode(), self._mind)
            self._scram_login = login_name(login)
            verifier, self._record = await self._logins.scram_record(login.decode(), self._mind.protocol)
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

    async def _next(self, response: bytes | None) -> Step:
        mechanism = self._mechanism
        if isinstance(mechanism, ScramSha256) and mechanism.wants_proof:

            async def look() -> Step:
                return mechanism.step(response)

            return await self._logins.guess(self._scram_login, self._mind, self._name, None, look)
        try:
            return mechanism.step(response)
        except AuthenticationFailed:
            await self._logins.refuse(self._scram_login, self._mind, self._name, "malformed")
            raise

    async def _enter_proven(self) -> ILogin:
        if self._record is None or self._record.account is None:
            raise UnauthorizedLogin  # no proof fits the verifier of an unknown user
        proof = ScramProof(self._record.account)
        return await self._logins.proven(proof, self._scram_login, self._interface, self._mind, self._name)


def unchanged(checked: Account | None, now: Account) -> bool:
    """Whether the account a session begins on is still the one whose secret was checked, with that same secret.

    An address may have gone to another account meanwhile. :param checked: None: no secret of ours was checked.
    """
    return checked is None or (checked.id, checked.generation) == (now.id, now.generation)


def login_name(user: bytes) -> str:
    """Return a login name as failures are counted by: text, case-folded, bounded."""
    return user[:320].decode("utf-8", "replace").casefold()
