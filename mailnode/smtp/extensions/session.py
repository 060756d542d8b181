"""Extensions that give no parameter: they change how server and client speak, and nothing of them goes with a message."""

from __future__ import annotations

from mailnode.smtp.extensions.row import Extension, Greeted
from mailnode.smtp.wire.grammar import decimal
from mailnode.smtp.wire.offers import Offers
from mailnode.smtp.wire.xclient import ATTRIBUTES


def recipient_limit(offers: Offers) -> int:
    """The limit of recipients in one transaction (RFC 9422 4.2), 0 when none is named."""
    return _limit(offers, "RCPTMAX")


def domain_limit(offers: Offers) -> int:
    """The limit of domains of recipients in one transaction (RFC 9422 4.3), 0 when none is named."""
    return _limit(offers, "RCPTDOMAINMAX")


def mail_limit(offers: Offers) -> int:
    """The limit of transactions on one connection (RFC 9422 4.1), 0 when none is named."""
    return _limit(offers, "MAILMAX")


def _limit(offers: Offers, wanted: str) -> int:
    for word in offers.get("LIMITS", "").split():
        name, _, value = word.partition("=")
        if name.upper() == wanted:
            try:
                return decimal(value, 6)
            except ValueError:
                return 0
    return 0


def _start_tls(greeted: Greeted) -> str | None:
    return "" if greeted.profile.starttls and not greeted.secure else None


def _xclient(greeted: Greeted) -> str | None:
    return " ".join(ATTRIBUTES) if greeted.profile.xclient else None


# limits = LIMITS SP limit *( SP limit )   RFC 9422 4: MAILMAX, RCPTMAX
def _limits(greeted: Greeted) -> str:
    limits = greeted.profile.limits
    return f"RCPTMAX={limits.recipients} MAILMAX={limits.messages}"


ROWS = (
    Extension(keyword="PIPELINING"),  # RFC 2920
    Extension(keyword="CHUNKING"),  # RFC 3030
    Extension(keyword="ENHANCEDSTATUSCODES"),  # RFC 2034
    Extension(keyword="LIMITS", offered=_limits),
    Extension(keyword="STARTTLS", offered=_start_tls),  # RFC 3207
    Extension(keyword="XCLIENT", offered=_xclient),  # Postfix XCLIENT_README
)
