"""Tokens that others issue, and those who issue them."""

from __future__ import annotations

from collections.abc import Mapping

from zope.interface import Attribute, Interface


class ITokens(Interface):
    """Knows whose a token is."""

    schemes = Attribute(
        "Mapping[str, str]: what a program is told that needs another token, by its name in RFC 7628 3.2.2"
    )

    async def login_name(token: str) -> str:
        """Return the login name of the account that a token is for.

        :raises AuthenticationFailed: it is no good; the text says why, for the log. :raises IssuerUnavailable:
        """


class ITokenIssuer(Interface):
    """The server that issues tokens."""

    async def keys() -> Mapping[str, object]:
        """Return what it signs tokens with: a JWK set (RFC 7517 5). :raises IssuerUnavailable:"""

    async def introspect(token: str) -> Mapping[str, object]:
        """Return what it says of a token (RFC 7662 2.2). :raises IssuerUnavailable:"""
