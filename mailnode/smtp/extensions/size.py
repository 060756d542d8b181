"""SIZE (RFC 1870): the server's limit, and the size that MAIL declares."""

from __future__ import annotations

from mailnode.smtp.extensions.row import Extension, Parameter, bad
from mailnode.smtp.wire.content import TOO_LARGE
from mailnode.smtp.wire.grammar import CommandError, decimal
from mailnode.smtp.wire.offers import Offers
from mailnode.smtp.wire.profile import Profile
from mailnode.values.envelope import MailOptions
from mailnode.values.smtp_reply import Reply

_LACKING = Reply(552, "5.3.4", ("The message is larger than the next server takes",))


def size_limit(offers: Offers) -> int:
    """The message size limit in octets (RFC 1870), 0 when none is named."""
    try:
        return decimal(offers.get("SIZE", "").strip())
    except ValueError:
        return 0


# size-value = 1*20DIGIT   RFC 1870 3
def _read(value: str | None, profile: Profile) -> int:
    try:
        size = decimal(value or "")
    except ValueError:
        raise bad("SIZE") from None
    if size > profile.limits.message_size:
        raise CommandError(TOO_LARGE.code, TOO_LARGE.status, TOO_LARGE.text)
    return size


def _lacking(offers: Offers, options: MailOptions) -> Reply | None:
    return _LACKING if 0 < size_limit(offers) < options.size else None


def _words(offers: Offers, options: MailOptions) -> tuple[str, ...]:
    return (f"SIZE={options.size}",) if options.size and "SIZE" in offers else ()


ROWS = (
    Extension(
        keyword="SIZE",
        offered=lambda greeted: str(greeted.profile.limits.message_size),
        mail=(Parameter(keyword="SIZE", read=_read, field="size"),),
        lacking=_lacking,
        mail_words=_words,
    ),
)
