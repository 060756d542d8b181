"""What a server offers in its answer to EHLO, and how MAIL and RCPT are written for it."""

from __future__ import annotations

from collections.abc import Mapping

from mailnode.errors import BadAddress
from mailnode.smtp.wire.grammar import MAX_ORCPT, decimal, encode_orcpt, encode_xtext
from mailnode.values.address import domain_key
from mailnode.values.envelope import MailOptions, RcptOptions
from mailnode.values.smtp_reply import Reply

Offers = Mapping[str, str]  # keyword in capitals to its parameters

NO_SMTPUTF8 = Reply(553, "5.6.7", ("The next server does not take internationalized mail (SMTPUTF8)",))
_TOO_LARGE = Reply(552, "5.3.4", ("The message is larger than the next server takes",))
_NO_8BIT = Reply(554, "5.6.3", ("The next server does not take 8-bit content",))


def read_offers(reply: Reply) -> dict[str, str]:
    """Read the keywords of an EHLO reply."""
    found: dict[str, str] = {}
    for line in reply.lines[1:]:
        keyword, _, parameters = line.strip().partition(" ")
        keyword = keyword.upper()
        if keyword.startswith("AUTH="):  # the form of old servers, before RFC 2554
            keyword, parameters = "AUTH", f"{keyword[5:]} {parameters}"
        if keyword == "AUTH" and "AUTH" in found:
            parameters = f"{found['AUTH']} {parameters}"
        if keyword:
            found[keyword] = parameters
    return found


def size_limit(offers: Offers) -> int:
    """The message size limit in octets (RFC 1870), 0 when none is named."""
    try:
        return decimal(offers.get("SIZE", "").strip())
    except ValueError:
        return 0


def recipient_limit(offers: Offers) -> int:
    """The limit of recipients in one transaction (RFC 9422), 0 when none is named."""
    for word in offers.get("LIMITS", "").split():
        name, _, value = word.partition("=")
        if name.upper() == "RCPTMAX":
            try:
                return decimal(value, 6)
            except ValueError:
                return 0
    return 0


def refusal(offers: Offers, options: MailOptions) -> Reply | None:
    """Return why a message cannot go to this server, None when it can."""
    if 0 < size_limit(offers) < options.size:
        return _TOO_LARGE
    if options.smtputf8 and "SMTPUTF8" not in offers:
        return NO_SMTPUTF8
    if options.body == "8BITMIME" and "8BITMIME" not in offers:
        return _NO_8BIT
    return None


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


def mail_parameters(offers: Offers, options: MailOptions) -> bytes:
    """Return MAIL's parameters, each with the space before it; those the server does not know are left out."""
    words = []
    if options.size and "SIZE" in offers:
        words.append(f"SIZE={options.size}")
    if options.body == "8BITMIME":
        words.append("BODY=8BITMIME")
    if options.smtputf8:
        words.append("SMTPUTF8")
    if "DSN" in offers and options.ret in ("FULL", "HDRS"):
        words.append(f"RET={options.ret}")
    if "DSN" in offers and options.envid:
        words.append(f"ENVID={encode_xtext(options.envid)}")
    return "".join(f" {word}" for word in words).encode("ascii")


def rcpt_parameters(offers: Offers, options: RcptOptions) -> bytes:
    """Return RCPT's parameters, each with the space before it (RFC 3461 4)."""
    if "DSN" not in offers:
        return b""
    words = []
    if options.notify:
        words.append(f" NOTIFY={','.join(sorted(options.notify))}")
    if options.orcpt:
        words.append(_orcpt(options.orcpt))
    return "".join(words).encode("ascii")


def _orcpt(orcpt: str) -> str:
    """ORCPT, or nothing where it cannot be written or would be longer than RFC 3461 4.2 allows."""
    try:
        value = encode_orcpt(orcpt)
    except ValueError:
        return ""
    return f" ORCPT={value}" if len(value) <= MAX_ORCPT else ""
