"""URIs of mail (RFC 6068), as far as a notification needs them (RFC 5436 2.7)."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from mailnode.errors import BadAddress
from mailnode.sieve.addresses import outbound_address
from mailnode.sieve.faults import ValueRefused

SCHEME = "mailto:"
MAX_URI = 2048  # characters
MAX_RECIPIENTS = 10
_RECIPIENTS = ("to", "cc", "bcc")


@dataclass(frozen=True, slots=True)
class MailtoUri:
    """Whom mail goes to, and what stands in it."""

    recipients: tuple[str, ...]
    subject: str
    body: str


def parse_mailto(uri: str) -> MailtoUri:
    """Read a URI; fields but these three are left out, as some are unsafe (RFC 6068 4).

    :raises ValueRefused: it is another means of telling, or names nobody who can be told.
    """
    if uri[: len(SCHEME)].lower() != SCHEME:
        raise ValueRefused(f'"{uri[:40]}" is no URI of mail, the only means there is: mailto:name@domain')
    if len(uri) > MAX_URI:
        raise ValueRefused(f"the URI is longer than {MAX_URI} characters")
    addresses, _, query = uri[len(SCHEME) :].partition("?")
    found = [_decoded(one) for one in addresses.split(",") if one]
    said = {"subject": "", "body": ""}
    for field in query.split("&") if query else []:
        name, _, value = field.partition("=")
        name = _decoded(name).lower()
        if name in _RECIPIENTS:
            found += [_decoded(one) for one in value.split(",") if one]
        elif name in said:
            said[name] = _decoded(value)
    return MailtoUri(_recipients(found), said["subject"], said["body"])


def _recipients(written: list[str]) -> tuple[str, ...]:
    if not 0 < len(written) <= MAX_RECIPIENTS:
        raise ValueRefused(f"from 1 to {MAX_RECIPIENTS} addresses can be told, not {len(written)}")
    try:
        return tuple(dict.fromkeys([str(outbound_address(one)) for one in written]))
    except BadAddress as error:
        raise ValueRefused(f"the URI has no address where there should be one: {error}") from None


def _decoded(text: str) -> str:
    try:
        return unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        raise ValueRefused("what the URI says is not UTF-8") from None
