"""The settings of logging in: ``[auth]`` and ``[auth.oauth]``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mailnode.config.fields import FilePath, HttpsUrlOrNone, NetworkList, Section


class OAuth(Section):
    """Logging in with tokens of an OAuth 2.0 server (OAUTHBEARER, XOAUTH2); see :doc:`logins`. Without this section none are taken.
    One of ``keys_url``, ``keys_file`` and ``introspection_url`` is needed."""

    issuer: Annotated[str, Field(min_length=1, max_length=2000)] = Field(
        description="Who issues the tokens: what they say in ``iss``, to the letter."
    )
    audience: list[Annotated[str, Field(min_length=1)]] = Field(
        min_length=1,
        description="For whom a token must be, one of these: what it says in ``aud``. Not what the tokens for another service at "
        "the same issuer say: whoever runs that could read mail with them.",
    )
    claim: Annotated[str, Field(min_length=1)] = Field(
        "email",
        description="Which claim of a token is the login name. An ``email`` that is said not to be verified is none.",
    )
    scope: str = Field(
        "",
        description="A scope that a token must have. Programs are told of it that come with another. Empty: none is asked for.",
    )
    algorithms: list[
        Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
    ] = Field(["RS256", "ES256"], min_length=1, description="What tokens may be signed by.")
    keys_url: HttpsUrlOrNone = Field(
        "", description="Where the issuer shows the keys it signs with (``jwks_uri`` of its configuration)."
    )
    keys_file: FilePath | None = Field(
        None, description="A file with these keys (a JWK set), read again every hour and when a token names another."
    )
    introspection_url: HttpsUrlOrNone = Field(
        "", description="Where the issuer is asked about each token (RFC 7662), for those that are not signed."
    )
    client_id: str = Field("", description="Who this server is to the issuer, for ``introspection_url``.")
    client_secret_file: FilePath | None = Field(
        None, description="A file whose first line is the password of that, readable by the server alone."
    )
    openid_configuration: HttpsUrlOrNone = Field(
        "",
        description="The URL of the issuer's OpenID configuration, told to programs that need a token. Empty: they are not.",
    )


class Auth(Section):
    """Logging in."""

    checkers: list[str] = Field(
        [],
        description="Twisted credential checkers, such as ``file:/etc/mailnode/passwd``, asked after the store's own "
        "passwords. What they return as the user is an address of an account here.",
    )
    password_min_length: int = Field(
        10, ge=1, le=128, description="Characters that a new password needs at least. Passwords that are there stay."
    )
    password_refuse_common: bool = Field(
        True,
        description="Whether new passwords are refused that are guessed first: some hundred of the commonest, also with digits "
        "and signs around them, runs and repetitions, and what is made of the account's own name or domain.",
    )
    no_throttle_for: NetworkList = Field(
        [],
        description="Logins from these networks are never held up or refused for failures before them: for a webmail, or a "
        "proxy, that has a brake on guesses of its own. Wrong passwords from there still count for their account, up "
        "to a bound that leaves it to be logged in to from elsewhere; see :doc:`limits`.",
    )
    scram: list[Literal["SCRAM-SHA-256", "SCRAM-SHA-1"]] = Field(
        ["SCRAM-SHA-256"],
        description="Which of SCRAM's mechanisms there are; see :doc:`logins`. A password that is set is also kept as each of them "
        "needs it, which is guessed sooner than the hash beside it by who gets hold of the store. Empty: the hash alone is kept "
        "of new passwords.",
    )
    scram_bound: bool = Field(
        False,
        description="Whether each of them is also offered bound to the TLS connection (``-PLUS``). Some programs choose that and "
        "cannot bind: they cannot log in then.",
    )
    client_ca: FilePath | None = Field(
        None,
        description="A PEM file with the authorities whose certificates let programs log in (EXTERNAL) that show one in their TLS "
        "handshake; see :doc:`logins`. Without it nobody is asked for a certificate.",
    )
    client_name: Literal["email", "common-name"] = Field(
        "email",
        description="What of such a certificate is the login name: its mail addresses (rfc822Name), or the common name of its "
        "subject.",
    )
    oauth: OAuth | None = None


def oauth_mistakes(oauth: OAuth) -> list[str]:
    """Return what only shows between the keys."""
    found = []
    ways = (oauth.keys_url, oauth.keys_file, oauth.introspection_url)
    if sum(bool(way) for way in ways) != 1:
        found.append("one of keys_url, keys_file and introspection_url is needed, and one alone")
    if bool(oauth.introspection_url) != bool(oauth.client_id and oauth.client_secret_file):
        found.append("introspection_url needs client_id and client_secret_file, and nothing else does")
    return [f"auth.oauth: {what}" for what in found]
