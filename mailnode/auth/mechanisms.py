"""Which SASL mechanisms there are, which of them a client is offered, and what makes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mailnode.auth.bearer import Bearer, CheckToken, OAuthBearer, XOAuth2
from mailnode.auth.external import CheckCertificate, External
from mailnode.auth.sasl import Login, Plain, Step
from mailnode.auth.scram import Scram
from mailnode.interfaces.sessions import ISessionMind

Mechanism = Plain | Login | Scram | External | Bearer
AnyStep = Step | CheckCertificate | CheckToken


@dataclass(frozen=True, slots=True)
class Offer:
    """What an installation offers. ``scram``: which of SCRAM's mechanisms. ``client_name``: what of a client's certificate
    names an account, "email" or "common-name". ``tokens``: whether those of an issuer are taken. ``bound``: whether each of
    SCRAM's is offered with its -PLUS, too."""

    scram: tuple[str, ...] = ("SCRAM-SHA-256",)
    client_name: str = "email"
    tokens: bool = False
    bound: bool = False

    def bindings(self, mind: ISessionMind) -> Mapping[str, bytes]:
        """Return what SCRAM can be bound to, by type; nothing where it is not to be."""
        return mind.tls_bindings() if self.bound else {}

    def certificate_names(self, mind: ISessionMind) -> tuple[str, ...]:
        """Return the login names in a client's certificate."""
        names = mind.certificate_names()
        return names.emails if self.client_name == "email" else names.common_names

    def to(self, mind: ISessionMind) -> tuple[str, ...]:
        """Return the mechanisms that can work for a client."""
        return tuple(name for name, kind in MECHANISMS.items() if kind.works(self, mind))


@dataclass(frozen=True, slots=True)
class Kind:
    """A mechanism. ``make``: begins an exchange with a client. ``works``: whether it can work for it."""

    make: Callable[[Offer, ISessionMind], Mechanism]
    works: Callable[[Offer, ISessionMind], bool] = lambda offer, mind: True


def _scram(name: str, digest: str) -> Kind:
    return Kind(
        lambda offer, mind: Scram(digest, bindings=offer.bindings(mind)), lambda offer, mind: name in offer.scram
    )


def _scram_plus(name: str, digest: str) -> Kind:
    return Kind(
        lambda offer, mind: Scram(digest, bindings=offer.bindings(mind), plus=True),
        lambda offer, mind: name in offer.scram and bool(offer.bindings(mind)),
    )


# In the order in which they are offered, the best first: some programs take the first that they know.
MECHANISMS = {
    "SCRAM-SHA-256-PLUS": _scram_plus("SCRAM-SHA-256", "sha256"),
    "SCRAM-SHA-1-PLUS": _scram_plus("SCRAM-SHA-1", "sha1"),
    "SCRAM-SHA-256": _scram("SCRAM-SHA-256", "sha256"),
    "SCRAM-SHA-1": _scram("SCRAM-SHA-1", "sha1"),
    "EXTERNAL": Kind(lambda offer, mind: External(), lambda offer, mind: bool(offer.certificate_names(mind))),
    "OAUTHBEARER": Kind(lambda offer, mind: OAuthBearer(), lambda offer, mind: offer.tokens),
    "XOAUTH2": Kind(lambda offer, mind: XOAuth2(), lambda offer, mind: offer.tokens),
    "PLAIN": Kind(lambda offer, mind: Plain()),
    "LOGIN": Kind(lambda offer, mind: Login()),
}
