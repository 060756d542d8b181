"""Addresses in scripts: those a message has, in parts, and those that mail is sent to (RFC 5228 2.4.2.3 and 2.7.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mailnode.errors import BadAddress
from mailnode.message.addresses import MAX_ADDRESSES, Mailbox, mailboxes, parse_addresses
from mailnode.message.headers import unfold
from mailnode.message.words import decode_bytes
from mailnode.sieve.constructs import ScriptCall, SieveTag
from mailnode.sieve.faults import ScriptFailed
from mailnode.sieve.mail import HeaderLine
from mailnode.values.address import Address, parse_address

ADDRESS_PART = "address part"  # the group of tags
WITH_PARTS = ("address", "envelope")  # tests
SEPARATOR = "+"  # RFC 5233 4

# Fields with addresses, beside which test address sees none (RFC 5228 5.1).
_FIELDS = """from to cc bcc sender reply-to resent-from resent-to resent-cc resent-bcc resent-sender resent-reply-to
return-path delivered-to x-original-to x-delivered-to envelope-to x-envelope-to x-envelope-from x-original-from original-from
author errors-to disposition-notification-to return-receipt-to apparently-to mail-followup-to mail-reply-to approved
x-forwarded-to x-forwarded-for list-post"""
ADDRESS_FIELDS = frozenset(_FIELDS.split())


def field_addresses(lines: Iterable[HeaderLine]) -> Iterator[tuple[str, str]]:
    """Yield local part and domain of each address in fields; a domain is "" where none was written."""
    for line in lines:
        for box in mailboxes(parse_addresses(unfold(line.body), MAX_ADDRESSES)):
            yield decode_bytes(box.local, ""), decode_bytes(box.domain, "")


def split_address(text: str) -> tuple[str, str]:
    """Return local part and domain of an address of the envelope; source routes are dropped (RFC 5228 5.4)."""
    if text.startswith("@") and ":" in text:
        text = text.partition(":")[2]
    local, at, domain = text.rpartition("@")
    return (local, domain) if at else (text, "")


def address_parts(call: ScriptCall, addresses: Iterable[tuple[str, str]]) -> list[str]:
    """Return the part that the tags of a test ask for; of an address that has none, nothing. What is counted are addresses,
    whatever part is asked for (RFC 5231 4.2)."""
    found = [_part(call, local, domain) for local, domain in addresses]
    if call.match is not None and call.match.type.name == "count":
        return [part or "" for part in found]
    return [part for part in found if part is not None]


def _part(call: ScriptCall, local: str, domain: str) -> str | None:
    if not local and not domain:  # the null reverse-path, whatever part is asked for (RFC 5228 5.4)
        return ""
    if call.has(":localpart"):
        return local
    if call.has(":domain"):
        return domain
    user, separator, detail = local.partition(SEPARATOR)
    if call.has(":user"):  # RFC 5233 4
        return user
    if call.has(":detail"):
        return detail if separator else None
    return f"{local}@{domain}" if domain else local


def names_part(call: ScriptCall) -> bool:
    """Whether a part of addresses is asked for (RFC 5228 2.7.4, RFC 5233 4)."""
    return any(call.has(tag) for tag in (":all", ":localpart", ":domain", ":user", ":detail"))


def part_tags(*names: str) -> tuple[SieveTag, ...]:
    """Return tags of address parts."""
    return tuple([SieveTag(name, group=ADDRESS_PART, on=WITH_PARTS) for name in names])


def outbound_address(text: str) -> Address:
    """Read a sieve-address: alone, or behind a name in angle brackets. :raises BadAddress: anything else."""
    if any(c < " " or c == "\x7f" for c in text):
        raise BadAddress("a control character stands in it")
    boxes = parse_addresses(text.strip().encode("utf-8", "replace"), 2)
    if len(boxes) != 1 or not isinstance(boxes[0], Mailbox) or boxes[0].route is not None:
        raise BadAddress("it is not one address")
    box = boxes[0]
    if not box.domain:
        raise BadAddress("there is no @")
    if b" " in box.local and '"' not in text:
        raise BadAddress("a space stands before the @")
    return parse_address(str(Address(decode_bytes(box.local, ""), decode_bytes(box.domain, ""))))


def checked_address(text: str, what: str) -> str:
    """Return an address as it is written in an envelope. :raises ScriptFailed: it is none."""
    try:
        return str(outbound_address(text))
    except BadAddress as error:
        raise ScriptFailed(f'{what}: "{text[:80]}" is no address: {error}') from None
