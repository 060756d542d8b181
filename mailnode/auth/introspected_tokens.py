"""Tokens that say nothing by themselves: their issuer is asked (RFC 7662)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from zope.interface import implementer

from mailnode.auth.token_rules import TokenRules
from mailnode.errors import AuthenticationFailed
from mailnode.interfaces.runtime import IClock
from mailnode.interfaces.tokens import ITokenIssuer, ITokens

REMEMBERED = 60.0  # seconds for which an answer is believed
MAX_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class KnownToken:
    """What came of an answer, which itself may be long. ``until``: UTC seconds. ``problem``: why the token is no good, or "".
    ``times``: the claims that say when it is."""

    until: float
    login: str = ""
    problem: str = ""
    times: Mapping[str, object] = field(default_factory=dict)


@implementer(ITokens)
class IntrospectedTokens:
    """Asks the issuer about each token, and again after a minute."""

    def __init__(self, rules: TokenRules, issuer: ITokenIssuer, clock: IClock, schemes: Mapping[str, str]) -> None:
        self.schemes = schemes
        self._rules = rules
        self._issuer = issuer
        self._clock = clock
        self._known: dict[bytes, KnownToken] = {}  # by digest of the token

    async def login_name(self, token: str) -> str:
        """See :class:`ITokens`."""
        digest = hashlib.sha256(token.encode("utf-8")).digest()
        known, now = self._known.get(digest), self._clock.seconds()
        if known is None or known.until <= now:
            known = self._read(await self._issuer.introspect(token), now + REMEMBERED)
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            self._known[digest] = known
        if known.problem:
            raise AuthenticationFailed(known.problem)
        self._rules.check_times(known.times, self._clock.seconds(), introspected=True)
        return known.login

    def _read(self, answer: Mapping[str, object], until: float) -> KnownToken:
        try:
            if answer.get("active") is not True:
                raise AuthenticationFailed("the issuer says that the token is not active")
            login = self._rules.login_name(answer, self._clock.seconds(), introspected=True)
        except AuthenticationFailed as refused:
            return KnownToken(until, problem=str(refused))
        return KnownToken(until, login, times={name: answer[name] for name in ("exp", "nbf") if name in answer})
