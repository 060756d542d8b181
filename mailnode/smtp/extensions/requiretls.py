"""REQUIRETLS (RFC 8689): mail that travels under TLS alone, and the field of a header that asks for less.

A server that offers it gives its word for all further ways of the message, which :mod:`mailnode.delivery.tls_policy` keeps. It
is not offered on LMTP, whose clients hand over what has arrived, nor without TLS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mailnode.message.headers import first
from mailnode.smtp.extensions.row import Extension, Greeted, Parameter
from mailnode.smtp.wire.grammar import CommandError
from mailnode.smtp.wire.offers import Offers
from mailnode.smtp.wire.profile import Profile
from mailnode.values.envelope import TLS_OPTIONAL, TLS_REQUIRED, MailOptions
from mailnode.values.smtp_reply import Reply

_FIELD = b"tls-required"
_LACKING = Reply(550, "5.7.30", ("REQUIRETLS: the next server does not offer it (requiretls-not-supported)",))


def _known(profile: Profile) -> bool:
    return not profile.lmtp


def _offered(greeted: Greeted) -> str | None:
    return "" if greeted.secure and _known(greeted.profile) else None


def _read(value: str | None, profile: Profile) -> str:
    if value is not None:
        raise CommandError(501, "5.5.4", "REQUIRETLS has no value")
    return TLS_REQUIRED


def _lacking(offers: Offers, options: MailOptions) -> Reply | None:
    return _LACKING if options.tls == TLS_REQUIRED and "REQUIRETLS" not in offers else None


# requiretls-field = "TLS-Required:" [FWS] "No" CRLF   RFC 8689 3; more than one is no such field
def _by_header(options: MailOptions, names: Sequence[bytes], header: bytes) -> MailOptions:
    """RFC 8689 4.1: the field counts where MAIL does not say REQUIRETLS."""
    if options.tls or names.count(_FIELD) != 1:
        return options
    return replace(options, tls=TLS_OPTIONAL) if (first(header, _FIELD) or b"").lower() == b"no" else options


ROWS = (
    Extension(
        keyword="REQUIRETLS",
        offered=_offered,
        mail=(Parameter(keyword="REQUIRETLS", read=_read, field="tls", known=_known, secure=True),),
        lacking=_lacking,
        mail_words=lambda offers, options: ("REQUIRETLS",) if options.tls == TLS_REQUIRED else (),
        by_header=_by_header,
    ),
)
