"""8BITMIME (RFC 6152). What goes to a server without it is for ``delivery.eight_bit`` to say."""

from __future__ import annotations

from dataclasses import replace

from mailnode.smtp.extensions.row import Extension, Parameter, bad
from mailnode.smtp.wire.offers import Offers
from mailnode.smtp.wire.profile import Profile
from mailnode.values.envelope import MailOptions
from mailnode.values.smtp_reply import Reply

_LACKING = Reply(554, "5.6.3", ("The next server does not take 8-bit content",))


# body-value = "7BIT" / "8BITMIME" / "BINARYMIME"   RFC 6152 2, RFC 3030 3
def _read(value: str | None, profile: Profile) -> str:
    body = (value or "").upper()
    if body not in ("7BIT", "8BITMIME", "BINARYMIME") or (body == "BINARYMIME" and profile.lmtp):
        raise bad("BODY")
    return body


def _lacking(offers: Offers, options: MailOptions) -> Reply | None:
    return _LACKING if options.body == "8BITMIME" and "8BITMIME" not in offers else None


def _undeclared(options: MailOptions) -> MailOptions:
    return replace(options, body="7BIT")


def _words(offers: Offers, options: MailOptions) -> tuple[str, ...]:
    return ("BODY=8BITMIME",) if options.body == "8BITMIME" else ()


ROWS = (
    Extension(
        keyword="8BITMIME",
        mail=(Parameter(keyword="BODY", read=_read, field="body"),),
        lacking=_lacking,
        in_ascii=_undeclared,
        as_it_is=_undeclared,
        mail_words=_words,
    ),
)
