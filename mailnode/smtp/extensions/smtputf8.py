"""SMTPUTF8 (RFC 6531). No address is rewritten but for a domain, which has an A-label: what needs the extension does not go
to a server without it."""

from __future__ import annotations

from dataclasses import replace

from mailnode.errors import BadAddress
from mailnode.smtp.extensions.row import Extension, Parameter
from mailnode.smtp.wire.grammar import CommandError
from mailnode.smtp.wire.offers import Offers
from mailnode.smtp.wire.profile import Profile
from mailnode.values.address import domain_key
from mailnode.values.envelope import MailOptions
from mailnode.values.smtp_reply import Reply

LACKING = Reply(553, "5.6.7", ("The next server does not take internationalized mail (SMTPUTF8)",))


def write_path(offers: Offers, address: str) -> tuple[bytes, bool]:
    """Return ``<address>`` and whether it needs SMTPUTF8. A Unicode domain alone does not: it has an A-label.

    :raises ValueError: control characters.
    """
    if any(c < " " or c == "\x7f" for c in address):
        raise ValueError("control character in an address")
    if not address.isascii() and "SMTPUTF8" not in offers:
        local, _, domain = address.rpartition("@")
        try:
            address = f"{local}@{domain_key(domain)}"
        except BadAddress:
            pass
    return b"<" + address.encode("utf-8") + b">", not address.isascii()


def _read(value: str | None, profile: Profile) -> bool:
    if value is not None:
        raise CommandError(501, "5.5.4", "SMTPUTF8 has no value")
    return True


def _lacking(offers: Offers, options: MailOptions) -> Reply | None:
    return LACKING if options.smtputf8 and "SMTPUTF8" not in offers else None


ROWS = (
    Extension(
        keyword="SMTPUTF8",
        mail=(Parameter(keyword="SMTPUTF8", read=_read, field="smtputf8"),),
        lacking=_lacking,
        in_ascii=lambda options: replace(options, smtputf8=False),
        mail_words=lambda offers, options: ("SMTPUTF8",) if options.smtputf8 else (),
    ),
)
