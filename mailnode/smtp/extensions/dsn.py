"""DSN (RFC 3461). Its parameters concern notices only: what cannot be read of them is left out, for no message is to be lost
by it. A server without the extension is not told; then we are the last to give notice.

It is offered to clients that are known, whose reverse-path was checked or is a server's of ours to answer for: with anybody
else's, notices of success would let them send mail to whom they like. Who gives its parameters without having been offered
them, since another server took them or we once did, loses no mail by it (RFC 5321 4.1.1.11 would have it refused), and is heard
where it asks for less than we would tell anyway.
"""

from __future__ import annotations

from mailnode.smtp.extensions.row import Extension, Parameter
from mailnode.smtp.wire.grammar import MAX_ORCPT, decode_envid, decode_orcpt, encode_orcpt, encode_xtext, parse_notify
from mailnode.smtp.wire.offers import Offers
from mailnode.values.envelope import MailOptions, RcptOptions


# ret-value = "FULL" / "HDRS"   RFC 3461 4.3
def _read_ret(value: str | None) -> str:
    ret = (value or "").upper()
    return ret if ret in ("FULL", "HDRS") else ""


def _mail_words(offers: Offers, options: MailOptions) -> tuple[str, ...]:
    if "DSN" not in offers:
        return ()
    words = (f"RET={options.ret}",) if options.ret else ()
    return (*words, f"ENVID={encode_xtext(options.envid)}") if options.envid else words


def _rcpt_words(offers: Offers, options: RcptOptions) -> tuple[str, ...]:
    """RFC 3461 4.1 and 4.2."""
    if "DSN" not in offers:
        return ()
    words = (f"NOTIFY={','.join(sorted(options.notify))}",) if options.notify else ()
    return words + _orcpt(options.orcpt) if options.orcpt else words


def _orcpt(orcpt: str) -> tuple[str, ...]:
    """ORCPT, or nothing where it cannot be written or would be longer than RFC 3461 4.2 allows."""
    try:
        value = encode_orcpt(orcpt)
    except ValueError:
        return ()
    return (f"ORCPT={value}",) if len(value) <= MAX_ORCPT else ()


ROWS = (
    Extension(
        keyword="DSN",
        offered=lambda greeted: "" if greeted.known else None,
        mail=(
            Parameter(keyword="RET", read=lambda value, profile: _read_ret(value), field="ret", lenient=True),
            Parameter(keyword="ENVID", read=lambda value, profile: decode_envid(value), field="envid", lenient=True),
        ),
        rcpt=(
            Parameter(keyword="NOTIFY", read=lambda value, profile: parse_notify(value), field="notify", lenient=True),
            Parameter(keyword="ORCPT", read=lambda value, profile: decode_orcpt(value), field="orcpt", lenient=True),
        ),
        mail_words=_mail_words,
        rcpt_words=_rcpt_words,
        for_strangers=lambda options: options.without_success,
    ),
)
