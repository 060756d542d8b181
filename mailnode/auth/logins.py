"""Logging in, the same for every protocol: throttle, mechanism, portal, log."""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from twisted.cred.error import LoginFailed
from twisted.cred.portal import Portal
from twisted.logger import Logger
from zope.interface import Interface, implementer

from mailnode.auth.credentials import AccountProof, PasswordCredentials
from mailnode.auth.exchange import SaslExchange
from mailnode.auth.mechanisms import MECHANISMS, Offer
from mailnode.auth.names import login_name
from mailnode.auth.passwords import SCRAM_ITERATIONS, SCRAM_KINDS, ScramVerifier
from mailnode.auth.throttle import FAILURE_DELAY, Throttle
from mailnode.errors import AuthenticationFailed, DomainError, LoginNotAllowed, NoSuchAccount, TooManyFailures
from mailnode.interfaces.accounts import IDirectory
from mailnode.interfaces.pause import pause
from mailnode.interfaces.runtime import IClock
from mailnode.interfaces.sessions import ILogin, ILogins, ISaslExchange, ISessionMind
from mailnode.interfaces.tokens import ITokens
from mailnode.interfaces.turns import Turns
from mailnode.values.directory import Account, LoginRecord
from mailnode.values.events import emit

Proof = PasswordCredentials | AccountProof

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


@implementer(ILogins)
class Logins:
    """The door to the portal."""

    def __init__(
        self,
        portal: Portal,
        directory: IDirectory,
        throttle: Throttle,
        clock: IClock,
        secret: bytes,
        offer: Offer | None = None,
        tokens: ITokens | None = None,
    ) -> None:
        """:param secret: at least 16 octets that outlive restarts: unknown users' SCRAM salts are derived from it.
        :param offer: what there is besides passwords; None: what there is without any setting.
        :param tokens: asked about tokens where they are offered."""
        self._portal = portal
        self._directory = directory
        self._throttle = throttle
        self._clock = clock
        self._secret = secret
        self._turns = Turns()
        self.offer = offer or Offer()
        self._tokens = tokens

    def mechanisms(self, mind: ISessionMind, secure: bool) -> tuple[str, ...]:
        """All mechanisms that can work for this client where passwords may come, else none."""
        return self.offer.to(mind) if secure else ()

    def exchange(self, mechanism: str, interface: type[Interface], mind: ISessionMind) -> ISaslExchange:
        """Begin an exchange. :raises KeyError: unknown mechanism (names are upper case)."""
        return SaslExchange(self, mechanism, MECHANISMS[mechanism].make(self.offer, mind), interface, mind)

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
        self, proof: Proof, name: str, interface: type[Interface], mind: ISessionMind, mechanism: str
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
                    except AuthenticationFailed as error:
                        why = str(error) or "wrong login or password"
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
        await self.refuse(name, mind, mechanism, why, attempt.delay)
        raise AuthenticationFailed

    async def _ask_portal(
        self,
        credentials: Proof,
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

    async def _begin(self, login: StandingLogin, credentials: Proof, name: str, mind: ISessionMind) -> ILogin:
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

    async def scram_record(self, username: str, protocol: str, digest: str) -> tuple[ScramVerifier, LoginRecord | None]:
        """Return the verifier of a login, or one that nothing fits, with a salt that stays the same."""
        record = await self._directory.login_record(username)
        kind = SCRAM_KINDS[digest]
        for credential in record.credentials:
            if credential.kind == kind and credential.opens(protocol) and record.account:
                return ScramVerifier.decode(credential.secret), record
        about = b"scram salt " if digest == "sha256" else kind.encode() + b" salt "
        salt = hmac.digest(self._secret, about + login_name(username.encode()).encode(), "sha256")[:16]
        key = hmac.digest(self._secret, salt, digest)
        return ScramVerifier(salt, SCRAM_ITERATIONS, key, key), None

    async def named(self, names: Sequence[str], wanted: str) -> Account:
        """Return the account that the names of a certificate, or of a token, lead to: all of them to the same, or to several
        of which ``wanted`` names one. :raises AuthenticationFailed:"""
        found: dict[str, Account] = {}
        for name in names:
            account = (await self._directory.login_record(name)).account
            if account is not None:
                found[account.id] = account
        if wanted:
            chosen = (await self._directory.login_record(wanted)).account
            found = {chosen.id: chosen} if chosen is not None and chosen.id in found else {}
        if len(found) != 1:
            raise AuthenticationFailed
        return found.popitem()[1]

    async def by_token(self, token: str, wanted: str) -> Account:
        """Return the account that a token is for, which ``wanted`` must be, too, if it is not "".

        :raises AuthenticationFailed: :raises IssuerUnavailable:"""
        if self._tokens is None or not token:
            raise AuthenticationFailed("no token")
        return await self.named([await self._tokens.login_name(token)], wanted)

    def needed_token(self, mechanism: str, token: str) -> bytes:
        """Return what a program is told whose token was refused: RFC 7628 3.2.2, or as XOAUTH2 has it."""
        schemes = dict(self._tokens.schemes) if self._tokens is not None else {}
        if mechanism == "XOAUTH2":
            scope = {"scope": schemes["scope"]} if "scope" in schemes else {}
            return json.dumps({"status": "400", "schemes": "bearer", **scope}).encode("ascii")
        return json.dumps({"status": "invalid_token" if token else "invalid_request", **schemes}).encode("ascii")

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


def unchanged(checked: Account | None, now: Account) -> bool:
    """Whether the account a session begins on is still the one whose secret was checked, with that same secret.

    An address may have gone to another account meanwhile. :param checked: None: no secret of ours was checked.
    """
    return checked is None or (checked.id, checked.generation) == (now.id, now.generation)
