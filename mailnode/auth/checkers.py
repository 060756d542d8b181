"""Checkers: who a set of credentials belongs to.

An avatar id is an address of the account, as UTF-8: what our checkers return, and any other checker found by
``twisted.cred.strcred`` too. The realm looks it up in the directory.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from mailnode.auth.credentials import PasswordCredentials
from mailnode.auth.foreign_hashes import FOREIGN, fits
from mailnode.auth.passwords import MAX_PASSWORD_OCTETS, make_credentials, matching
from mailnode.errors import DomainError
from mailnode.interfaces.accounts import IDirectory
from mailnode.interfaces.runtime import IClock, IThreads
from mailnode.interfaces.sessions import IAccountProof
from mailnode.values.directory import Credential, LoginRecord
from mailnode.values.events import emit

REMEMBERED = 300.0  # seconds a verified login is believed without a new derivation
MAX_REMEMBERED = 10_000

_log = Logger()


class RememberedLogins:
    """Logins that were looked at a moment ago and what was found, by a digest whose key never leaves the process."""

    def __init__(self, clock: IClock) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._until: dict[bytes, tuple[float, str]] = {}

    def _digest(self, login: bytes, record: LoginRecord, password: bytes) -> bytes:
        mac = hmac.new(self._key, digestmod=hashlib.sha256)
        account = record.account
        state = (account.id, str(account.generation)) if account else ()
        for field in (login, *(text.encode() for text in (*state, *(c.secret for c in record.credentials)))):
            mac.update(len(field).to_bytes(4, "big") + field)
        mac.update(password)
        return mac.digest()

    def find(self, login: bytes, record: LoginRecord, password: bytes) -> str | None:
        """Return what was remembered within :data:`REMEMBERED` seconds, or None."""
        until, found = self._until.get(self._digest(login, record, password), (0.0, ""))
        return found if until > self._clock.seconds() else None

    def remember(self, login: bytes, record: LoginRecord, password: bytes, found: str) -> None:
        """Believe this for a while. :param found: the id of the credential that fits; "": none does."""
        if len(self._until) >= MAX_REMEMBERED:
            self._until.clear()
        self._until[self._digest(login, record, password)] = (self._clock.seconds() + REMEMBERED, found)


@implementer(ICredentialsChecker)
class DirectoryChecker:
    """Passwords against the directory's argon2id credentials, in the password pool."""

    credentialInterfaces = (IUsernamePassword,)

    def __init__(
        self,
        directory: IDirectory,
        threads: IThreads,
        clock: IClock,
        renewed: Callable[..., list[Credential]] = make_credentials,
    ) -> None:
        """:param renewed: makes credentials of ours out of a password that fits another server's hash, as
        :func:`make_credentials` does."""
        self._directory = directory
        self._threads = threads
        self._renewed = renewed
        self._verified, self._refused = RememberedLogins(clock), RememberedLogins(clock)
        self._absent_salt = secrets.token_bytes(16)

    def requestAvatarId(self, credentials: PasswordCredentials) -> Deferred[bytes | tuple[()]]:
        """Return the avatar id, or fail with UnauthorizedLogin: the same for a wrong password and an unknown user."""
        return Deferred.fromCoroutine(self._check(credentials))

    async def _check(self, credentials: PasswordCredentials) -> bytes | tuple[()]:
        login = credentials.login
        record = await self._directory.login_record(login.decode("utf-8", "replace"))
        password = credentials.password[: MAX_PASSWORD_OCTETS + 1]
        known = self._verified.find(login, record, password) or self._refused.find(login, record, password)
        if known is None:
            # One derivation whatever is known of the login: the pool is the same, and so is the time.
            # Another server's hash is looked at besides.
            found: Credential | None = await self._threads.run(
                "password", _matching, password, record.credentials, self._absent_salt
            )
        else:
            found = next((c for c in record.credentials if c.id == known), None)
        if found is None or record.account is None or len(password) > MAX_PASSWORD_OCTETS:
            self._refused.remember(login, record, password, "")
            raise UnauthorizedLogin
        self._verified.remember(login, record, password, found.id)
        if not found.opens(credentials.protocol):
            raise UnauthorizedLogin
        credentials.checked = record.account
        if found.kind == FOREIGN:
            await self._renew(record, found, password)
        return record.account.address.encode()

    async def _renew(self, record: LoginRecord, found: Credential, password: bytes) -> None:
        """Put credentials of ours in the place of another server's hash. What fails is done at the next login."""
        try:
            text = password.decode("utf-8")
            beside = [one for one in record.credentials if one.label != found.label]
            made = await self._threads.run("password", self._made, found, text, beside)
            if await self._directory.renew_credentials(found.account_id, found.id, made):
                scheme = found.secret.partition("}")[0].strip("{")
                emit(_log, "account.hash_replaced", account=found.account_id, scheme=scheme)
        except (DomainError, ValueError) as error:
            _log.warn(
                "the hash of {account} stays for now: {error}", account=found.account_id, error=type(error).__name__
            )

    def _made(self, found: Credential, password: str, beside: Sequence[Credential]) -> list[Credential]:
        return self._renewed(
            found.account_id, password, found.created, label=found.label, protocols=found.protocols, beside=beside
        )


def _matching(password: bytes, credentials: Sequence[Credential], absent_salt: bytes) -> Credential | None:
    """Return the credential a password fits, or None. Blocks: one derivation at least, whatever is known of the login."""
    found = matching(password, credentials, absent_salt)
    if found is None:
        found = next((one for one in credentials if one.kind == FOREIGN and fits(one.secret, password)), None)
    return found


@implementer(ICredentialsChecker)
class ProofChecker:
    """What our SASL server verified already: SCRAM's proofs, certificates, tokens."""

    credentialInterfaces = (IAccountProof,)

    def __init__(self, directory: IDirectory) -> None:
        self._directory = directory

    def requestAvatarId(self, credentials: IAccountProof) -> Deferred[bytes | tuple[()]]:
        """Return the avatar id, or fail with NoSuchAccount when the account went during the exchange."""
        return Deferred.fromCoroutine(self._check(credentials))

    async def _check(self, credentials: IAccountProof) -> bytes | tuple[()]:
        account = await self._directory.account(credentials.account_id)
        return account.address.encode()


@implementer(ICredentialsChecker)
class FirstThatKnows:
    """Several password checkers, asked in order until one accepts: ours first, then those of plug-ins."""

    credentialInterfaces = (IUsernamePassword,)

    def __init__(self, checkers: Sequence[ICredentialsChecker]) -> None:
        self._checkers = checkers

    def requestAvatarId(self, credentials: PasswordCredentials) -> Deferred[bytes | tuple[()]]:
        """Return the first avatar id, or fail with UnauthorizedLogin."""
        return Deferred.fromCoroutine(self._ask(credentials))

    async def _ask(self, credentials: PasswordCredentials) -> bytes | tuple[()]:
        for checker in self._checkers:
            try:
                return await checker.requestAvatarId(credentials)
            except UnauthorizedLogin:
                continue
        raise UnauthorizedLogin
