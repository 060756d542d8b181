"""One SASL exchange: a mechanism's steps, with look-up, throttle and portal where they are needed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from twisted.cred.error import UnauthorizedLogin
from zope.interface import Interface, implementer

from mailnode.auth.bearer import Bearer, CheckToken
from mailnode.auth.credentials import AccountProof
from mailnode.auth.external import CheckCertificate
from mailnode.auth.mechanisms import AnyStep, Mechanism
from mailnode.auth.names import login_name
from mailnode.auth.sasl import Challenge, CheckPassword, NeedVerifier
from mailnode.auth.scram import Scram
from mailnode.errors import AuthenticationFailed
from mailnode.interfaces.sessions import ILogin, ISaslExchange, ISessionMind
from mailnode.values.directory import LoginRecord

if TYPE_CHECKING:
    from mailnode.auth.logins import Logins


@implementer(ISaslExchange)
class SaslExchange:
    """What AUTH and AUTHENTICATE go on with."""

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

    @property
    def final(self) -> bool:
        """Whether the last challenge was SCRAM's own proof (RFC 5802 3), which the client need not answer."""
        return isinstance(self._mechanism, Scram) and self._mechanism.proven

    async def step(self, response: bytes | None) -> bytes | None:
        """Feed a response; return the next challenge, or None when :attr:`login` is set."""
        step = await self._next(response)
        if isinstance(step, NeedVerifier) and isinstance(self._mechanism, Scram):
            return await self._challenge(step, self._mechanism)
        if isinstance(step, Challenge):
            return step.data
        if isinstance(step, CheckPassword):
            self.login = await self._logins.password(
                step.username, step.password, self._interface, self._mind, self._name
            )
        elif isinstance(step, CheckCertificate):
            self.login = await self._enter_by_certificate(step)
        elif isinstance(step, CheckToken) and isinstance(self._mechanism, Bearer):
            return await self._enter_by_token(step, self._mechanism)
        else:
            self.login = await self._enter_proven()
        return None

    async def _challenge(self, step: NeedVerifier, mechanism: Scram) -> bytes:
        login = await self._logins.complete(step.username.encode(), self._mind)
        self._scram_login = login_name(login)
        verifier, self._record = await self._logins.scram_record(login.decode(), self._mind.protocol, mechanism.digest)
        return mechanism.verifier(verifier).data

    async def _next(self, response: bytes | None) -> AnyStep:
        mechanism = self._mechanism
        if isinstance(mechanism, Scram) and mechanism.wants_proof:

            async def look() -> AnyStep:
                return mechanism.step(response)

            return await self._logins.guess(self._scram_login, self._mind, self._name, None, look)
        try:
            return mechanism.step(response)
        except AuthenticationFailed:
            if isinstance(mechanism, Bearer) and mechanism.told:
                raise  # late enough, and in the log
            await self._logins.refuse(self._scram_login, self._mind, self._name, "malformed")
            raise

    async def _enter_proven(self) -> ILogin:
        if self._record is None or self._record.account is None:
            raise UnauthorizedLogin  # no proof fits the verifier of an unknown user
        proof = AccountProof(self._record.account)
        return await self._logins.proven(proof, self._scram_login, self._interface, self._mind, self._name)

    async def _enter_by_certificate(self, step: CheckCertificate) -> ILogin:
        """RFC 4422 A.2: an authorization identity must be one of those that the certificate names."""
        names = [
            (await self._logins.complete(name.encode(), self._mind)).decode()
            for name in self._logins.offer.certificate_names(self._mind)
        ]
        wanted = (await self._logins.complete(step.wanted.encode(), self._mind)).decode() if step.wanted else ""
        shown = login_name((wanted or (names[0] if names else "")).encode())

        async def look() -> AccountProof:
            return AccountProof(await self._logins.named(names, wanted))

        proof = await self._logins.guess(shown, self._mind, self._name, None, look)
        return await self._logins.proven(proof, shown, self._interface, self._mind, self._name)

    async def _enter_by_token(self, step: CheckToken, mechanism: Bearer) -> bytes | None:
        """Let in, or return the challenge that says which token is needed (RFC 7628 3.2.2)."""
        logins, token = self._logins, step.token.encode("ascii")
        wanted = (await logins.complete(step.wanted.encode(), self._mind)).decode() if step.wanted else ""
        # Who gives no name is counted by the token: nobody shares that, and nobody locks others out.
        shown = login_name(wanted.encode()) if wanted else "token:" + hashlib.sha256(token).hexdigest()[:16]

        async def look() -> AccountProof:
            return AccountProof(await logins.by_token(step.token, wanted))

        try:
            proof = await logins.guess(shown, self._mind, self._name, token, look)
        except AuthenticationFailed:
            return mechanism.refused(logins.needed_token(self._name, step.token)).data
        self.login = await logins.proven(proof, shown, self._interface, self._mind, self._name)
        return None
