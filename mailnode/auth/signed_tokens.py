"""Tokens that are signed (JWT, RFC 7519), checked with the issuer's public keys."""

from __future__ import annotations

from collections.abc import Mapping

from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import JWKRegistry, Key, KeySet
from twisted.logger import Logger
from zope.interface import implementer

from mailnode.auth.token_rules import TokenRules
from mailnode.errors import AuthenticationFailed, IssuerUnavailable
from mailnode.interfaces.runtime import IClock
from mailnode.interfaces.tokens import ITokenIssuer, ITokens
from mailnode.interfaces.turns import Places
from mailnode.values.events import emit

REFRESH = 3600.0  # seconds after which keys are fetched anew
RETRY = 60.0  # seconds between two fetches, whatever keys tokens name
MAX_KEYS = 100  # of an issuer that are looked at

_log = Logger()


@implementer(ITokens)
class SignedTokens:
    """Asks the issuer for its keys alone, now and then."""

    def __init__(self, rules: TokenRules, issuer: ITokenIssuer, clock: IClock, schemes: Mapping[str, str]) -> None:
        self.schemes = schemes
        self._rules = rules
        self._issuer = issuer
        self._clock = clock
        self._keys: KeySet | None = None
        self._fetched = self._tried = float("-inf")
        self._fetching = Places()

    async def login_name(self, token: str) -> str:
        """See :class:`ITokens`."""
        keys = await self._current_keys(REFRESH)
        try:
            claims = self._claims(token, keys)
        except InvalidKeyIdError:  # a new key, perhaps
            try:
                claims = self._claims(token, await self._current_keys(RETRY))
            except InvalidKeyIdError:
                raise AuthenticationFailed("the token is signed with a key that the issuer does not show") from None
        return self._rules.login_name(claims, self._clock.seconds())

    def _claims(self, token: str, keys: KeySet) -> Mapping[str, object]:
        try:
            # Nothing but these algorithms, each with keys of its own kind: no "none", no HMAC with a public key.
            claims = jwt.decode(token, keys, algorithms=self._rules.algorithms).claims
        except InvalidKeyIdError:
            raise
        except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise AuthenticationFailed(f"the token is not genuine: {type(error).__name__}") from None
        if not isinstance(claims, dict):
            raise AuthenticationFailed("the token has no claims")
        return claims

    async def _current_keys(self, age: float) -> KeySet:
        """Return keys that are no older, unless there was a try within :data:`RETRY`. Old ones are better than none."""
        if self._keys is not None and self._clock.seconds() - self._fetched < age:
            return self._keys  # whoever else has them fetched, because of a key that nobody may have
        async with self._fetching:
            now = self._clock.seconds()
            if now - self._fetched >= age and now - self._tried >= RETRY:
                self._tried = now
                await self._fetch(now)
        if self._keys is None:
            raise IssuerUnavailable
        return self._keys

    async def _fetch(self, now: float) -> None:
        try:
            found = await self._issuer.keys()
        except IssuerUnavailable:
            return
        keys = _usable(found.get("keys"))
        if keys:
            self._keys, self._fetched = KeySet(keys), now
        else:
            emit(_log, "tokens.unavailable", warning=True, reason="the issuer shows no key that can be used")


def _usable(shown: object) -> list[Key]:
    """Return the keys of a set that can be used; the others are passed over (RFC 7517 5)."""
    keys = []
    for one in shown[:MAX_KEYS] if isinstance(shown, list) else ():
        try:
            keys.append(JWKRegistry.import_key(one))
        except (JoseError, ValueError, TypeError, KeyError):  # of a kind, on a curve or of a form that is not known
            continue
    return keys
