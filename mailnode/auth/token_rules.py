"""What must be true of a token besides that it is genuine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mailnode.errors import AuthenticationFailed

LEEWAY = 30  # seconds that the clocks of an issuer and of ours may differ


@dataclass(frozen=True, slots=True)
class TokenRules:
    """``issuer``: who issues it. ``audiences``: for one of whom it must be. ``claim``: which of its claims is the login name.
    ``scope``: what it must be good for; "": nothing is asked. ``algorithms``: that it may be signed by."""

    issuer: str
    audiences: tuple[str, ...]
    claim: str = "email"
    scope: str = ""
    algorithms: tuple[str, ...] = ("RS256", "ES256")

    def login_name(self, claims: Mapping[str, object], now: float, *, introspected: bool = False) -> str:
        """Return the login name in a token's claims (RFC 7519 4.1).

        :param introspected: the issuer itself says that it is valid, and may leave out what RFC 7662 2.2 leaves optional.
        :raises AuthenticationFailed: with the reason.
        """
        if claims.get("iss") != self.issuer and not (introspected and "iss" not in claims):
            raise AuthenticationFailed("the token is of another issuer")
        self.check_times(claims, now, introspected)
        if not self._is_for_us(claims, introspected):
            raise AuthenticationFailed("the token is for somebody else (aud)")
        if self.scope and self.scope not in _words(claims.get("scope", claims.get("scp"))):
            raise AuthenticationFailed("the token lacks the scope")
        name = claims.get(self.claim)
        if not isinstance(name, str) or not name or len(name) > 320:
            raise AuthenticationFailed(f"the token has no claim {self.claim}")
        if self.claim == "email" and claims.get("email_verified", True) is not True:
            raise AuthenticationFailed("the address in the token is not verified")
        return name

    def check_times(self, claims: Mapping[str, object], now: float, introspected: bool) -> None:
        """:raises AuthenticationFailed: with the reason, where a token's claims are not of this time."""
        expires = _number(claims, "exp")
        if expires is None and not introspected:
            raise AuthenticationFailed("the token does not say when it expires")
        if expires is not None and expires <= now - LEEWAY:
            raise AuthenticationFailed("the token has expired")
        begins = _number(claims, "nbf")
        if begins is not None and begins > now + LEEWAY:
            raise AuthenticationFailed("the token is not valid yet")

    def _is_for_us(self, claims: Mapping[str, object], introspected: bool) -> bool:
        told = claims.get("aud")
        audiences = [told] if isinstance(told, str) else told if isinstance(told, list) else []
        if told is None and introspected:  # RFC 7662 2.2: who asked for the token
            audiences = [claims.get("client_id")]
        return any(isinstance(one, str) and one in self.audiences for one in audiences)


def _number(claims: Mapping[str, object], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e12:
        raise AuthenticationFailed(f"the claim {name} is no time")
    return value


def _words(scope: object) -> list[str]:
    if isinstance(scope, str):
        return scope.split(" ")
    return [one for one in scope if isinstance(one, str)] if isinstance(scope, list) else []
