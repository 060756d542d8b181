"""Reads notices about mail that could not be delivered, as other servers write them (RFC 3464, RFC 6522, RFC 6533)."""

from __future__ import annotations

import re

from mailnode.message.headers import fields, first
from mailnode.values.facts import decode_parts
from mailnode.values.sending import FailedRecipient

MAX_STATUS = 64 * 1024  # octets of what a notice says of recipients that are read
MAX_ORIGINAL = 64 * 1024  # octets of the header it brings back
MAX_PARTS = 20  # of a notice that are looked at
MAX_RECIPIENTS = 100  # of one notice
MAX_IDS = 30  # Received fields of what was brought back
MAX_REPLY = 500  # octets of what the other server said

_STATUS = ("message/delivery-status", "message/global-delivery-status")
_ORIGINAL = ("message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers")
_AS_IT_IS = ("7bit", "8bit", "binary")
_CODE = re.compile(rb"5\.\d{1,3}\.\d{1,3}(?!\d)")
_REPLY_CODE = re.compile(rb"smtp *; *5\d\d[ -](5\.\d{1,3}\.\d{1,3})(?!\d)", re.IGNORECASE)
_ID = re.compile(rb" id ([0-9a-z]{20})(?![0-9a-z])")
_GROUP = re.compile(rb"\r\n[ \t]*(?=\r\n)")

Extent = tuple[int, int]  # offset and length of octets of a message


def locate(parts: bytes) -> tuple[Extent, Extent] | None:
    """Return where a notice says what became of recipients, and where what it brings back begins; None: it is none.

    :param parts: of the message's facts, encoded.
    """
    whole, *below = decode_parts(parts)
    if whole.content_type != "multipart/report":
        return None
    found: dict[tuple[str, ...], Extent] = {}
    for part in below[:MAX_PARTS]:
        for kinds in (_STATUS, _ORIGINAL):
            if part.content_type in kinds and part.encoding in _AS_IT_IS:
                found.setdefault(kinds, (part.body_start, part.end - part.body_start))
    if len(found) < 2:
        return None
    (status_at, status), (original_at, original) = found[_STATUS], found[_ORIGINAL]
    return (status_at, min(status, MAX_STATUS)), (original_at, min(original, MAX_ORIGINAL))


def failures(status: bytes) -> list[FailedRecipient]:
    """Return the recipients that mail failed for, for good. :param status: the octets of the part that says so."""
    found = []
    for group in _GROUP.split(status)[1 : MAX_RECIPIENTS + 1]:  # the first is about the message
        block = group.lstrip(b"\r\n")
        action, recipient = first(block, b"Action") or b"", first(block, b"Final-Recipient") or b""
        code, said = first(block, b"Status") or b"", first(block, b"Diagnostic-Code") or b""
        kind, _, address = recipient.partition(b";")
        if action.strip().lower() != b"failed" or kind.strip().lower() not in (b"rfc822", b"utf-8"):
            continue
        more = _REPLY_CODE.match(said)
        exact = more[1] if more is not None and code.strip() == b"5.0.0" else (_CODE.match(code) or [b""])[0]
        if exact:
            reply = said[:MAX_REPLY].decode("utf-8", "replace")
            found.append(FailedRecipient(address.strip().decode("utf-8", "replace"), exact.decode("ascii"), reply))
    return found


def envelope_ids(original: bytes) -> list[str]:
    """Return what may be ids of ours in the Received fields of a message that was brought back."""
    found: list[str] = []
    for field in fields(original):
        if field.is_named(b"Received") and len(found) < MAX_IDS:
            found += [one.decode("ascii") for one in _ID.findall(b" " + field.value)[:1]]
    return found
