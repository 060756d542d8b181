"""What knows whose a token is, as a configuration asks for it."""

from __future__ import annotations

from mailnode.auth.introspected_tokens import IntrospectedTokens
from mailnode.auth.token_rules import TokenRules
from mailnode.config.logins import OAuth
from mailnode.config.route_mistakes import read_secret
from mailnode.errors import ConfigurationError
from mailnode.interfaces.tokens import ITokens
from mailnode.net.client_tls import ClientTls
from mailnode.net.https_request import WebClient
from mailnode.net.token_issuer import IssuerPlaces, TokenIssuer
from mailnode.server.runtime import Runtime


def make_tokens(oauth: OAuth, runtime: Runtime) -> ITokens:
    """Make it. :raises ConfigurationError: the secret cannot be read, or a library is missing."""
    rules = TokenRules(oauth.issuer, tuple(oauth.audience), oauth.claim, oauth.scope, tuple(oauth.algorithms))
    told = {"scope": oauth.scope, "openid-configuration": oauth.openid_configuration}
    schemes = {name: value for name, value in told.items() if value}
    places = IssuerPlaces(oauth.keys_url, oauth.keys_file, oauth.introspection_url, oauth.client_id, _secret(oauth))
    web = WebClient(runtime.reactor, runtime.resolver, ClientTls())
    issuer = TokenIssuer(web, runtime.threads, places)
    if oauth.introspection_url:
        return IntrospectedTokens(rules, issuer, runtime.clock, schemes)
    try:
        from mailnode.auth.signed_tokens import SignedTokens
    except ImportError as error:
        raise ConfigurationError([f"auth.oauth: signed tokens need mailnode[oauth]: {error}"]) from None
    return SignedTokens(rules, issuer, runtime.clock, schemes)


def _secret(oauth: OAuth) -> str:
    if oauth.client_secret_file is None:
        return ""
    try:
        return read_secret(oauth.client_secret_file)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError([f"auth.oauth.client_secret_file: {error}"]) from None
