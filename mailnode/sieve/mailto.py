"""URIs of mail (RFC 6068), as far as a notification needs them (RFC 5436 2.7)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from mailnode.errors import BadAddress
from mailnode.sieve.addresses import outbound_address
from mailnode.sieve.faults import ValueRefused

SCHEME = "mailto:"
MAX_URI = 2048  # characters
MAX_RECIPIENTS = 10
_RECIPIENTS = ("to", "cc", "bcc")
# What else of a URI stands in the message: fields that change neither whom it is from nor where it goes, nor how it is read
# (RFC 5436 2.7, RFC 6068 4). All others are left out.
FIELDS = frozenset({"comments", "importance", "in-reply-to", "keywords", "organization", "priority", "references"})
_OWN_FIELD = re.compile(r"x-[a-z0-9-]{1,60}\Z")
MAX_FIELDS = 10


@dataclass(frozen=True, slots=True)
class MailtoUri:
    """Whom mail goes to, and what stands in it. ``recipients``: all of them, those of ``bcc`` included, each once. ``fields``:
    further ones of the header, each name once and with capitals."""

    recipients: tuple[str, ...]
    to: tuple[str, ...]
    cc: tuple[str, ...]
    subject: str
    body: str
    fields: tuple[tuple[str, str], ...] = ()


def parse_mailto(uri: str) -> MailtoUri:
    """Read a URI. :raises ValueRefused: it is another means of telling, or names nobody who can be told."""
    if uri[: len(SCHEME)].lower() != SCHEME:
        raise ValueRefused(f'"{uri[:40]}" is no URI of mail, the only means there is: mailto:name@domain')
    if len(uri) > MAX_URI:
        raise ValueRefused(f"the URI is longer than {MAX_URI} characters")
    addresses, _, query = uri[len(SCHEME) :].partition("?")
    found: dict[str, list[str]] = {name: [] for name in _RECIPIENTS}
    found["to"] += _listed(addresses)
    said = {"subject": "", "body": ""}
    fields: dict[str, str] = {}
    for field in query.split("&") if query else []:
        name, _, value = field.partition("=")
        name = _decoded(name).lower()
        if name in found:
            found[name] += _listed(value)
        elif name in said:
            said[name] = _decoded(value)
        elif (name in FIELDS or _OWN_FIELD.match(name)) and len(fields) < MAX_FIELDS:
            fields.setdefault(name.title(), _decoded(value))
    if not 0 < sum(map(len, found.values())) <= MAX_RECIPIENTS:
        raise ValueRefused(f"from 1 to {MAX_RECIPIENTS} addresses can be told, not {sum(map(len, found.values()))}")
    to, cc, bcc = (_checked(found[name]) for name in _RECIPIENTS)
    recipients = tuple(dict.fromkeys([*to, *cc, *bcc]))
    return MailtoUri(recipients, to, cc, said["subject"], said["body"], tuple(fields.items()))


def _listed(value: str) -> list[str]:
    return [_decoded(one) for one in value.split(",") if one]


def _checked(written: list[str]) -> tuple[str, ...]:
    try:
        return tuple(dict.fromkeys([str(outbound_address(one)) for one in written]))
    except BadAddress as error:
        raise ValueRefused(f"the URI has no address where there should be one: {error}") from None


def _decoded(text: str) -> str:
    try:
        return unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        raise ValueRefused("what the URI says is not UTF-8") from None
