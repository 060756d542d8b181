"""AUTH (RFC 4954): what EHLO says of it, and the identity that MAIL may name. The exchange itself is a command."""

from __future__ import annotations

from mailnode.smtp.extensions.row import Extension, Greeted, Parameter
from mailnode.smtp.wire.grammar import read_xtext
from mailnode.smtp.wire.profile import Profile


def _offered(greeted: Greeted) -> str | None:
    return " ".join(greeted.mechanisms) if greeted.profile.auth and greeted.mechanisms else None


def _read(value: str | None, profile: Profile) -> object:
    """RFC 4954 5: an identity this server has no reason to trust; valid syntax is all that is asked."""
    return read_xtext(value)


ROWS = (
    Extension(
        keyword="AUTH",
        offered=_offered,
        mail=(Parameter(keyword="AUTH", read=_read, known=lambda profile: profile.auth),),
    ),
)
