"""ENVELOPE, BODY and BODYSTRUCTURE as ready IMAP octets (RFC 3501 7.4.2 and 9)."""

from __future__ import annotations

import re

from mailnode.message.addresses import MAX_ADDRESSES, Group, Mailbox, parse_addresses
from mailnode.message.entity import OPAQUE, REV1_MESSAGES, Entity, MediaTypes
from mailnode.message.parameters import MediaType, Parameters

MAX_QUOTED = 1024  # octets; longer ones are literals
MAX_SHOWN = 2 * 1024 * 1024  # octets of texts, addresses and parameters in one ENVELOPE, and in one BODYSTRUCTURE
MAX_LANGUAGES = 512  # octets of Content-Language that are read
_QUOTABLE = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]{0,%d}\Z" % MAX_QUOTED)
_EXTENSION_FIELDS = frozenset({b"content-disposition", b"content-language", b"content-location"})
_NIL_ENVELOPE = b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"


def string(value: bytes) -> bytes:
    """Return an IMAP string: quoted when it can be, else a literal. NUL, which no string may hold, becomes a space."""
    if value.isalnum() and len(value) <= MAX_QUOTED:  # as most types and encodings are
        return b'"' + value + b'"'
    if _QUOTABLE.match(value):
        if b'"' in value or b"\\" in value:
            value = value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        return b'"' + value + b'"'
    value = value.replace(b"\0", b" ")
    return b"{%d}\r\n%s" % (len(value), value)


def nstring(value: bytes | None) -> bytes:
    """Return an IMAP string, or NIL for None."""
    return b"NIL" if value is None else string(value)


class Budget:
    """What may still be shown of one message: few octets that came must not become many. What is over it is left out, a
    text as NIL, an address or a parameter with all behind it."""

    __slots__ = ("addresses", "octets")

    def __init__(self) -> None:
        self.octets = MAX_SHOWN
        self.addresses = MAX_ADDRESSES

    def covers(self, octets: int) -> bool:
        """Whether so many octets may be shown; they are taken from what is left."""
        if octets > self.octets:
            self.octets = 0
            return False
        self.octets -= octets
        return True

    def nstring(self, value: bytes | None) -> bytes:
        """As the function of that name."""
        return b"NIL" if value is None or not self.covers(len(value)) else string(value)


def envelope(headers: dict[bytes, list[bytes]], budget: Budget | None = None) -> bytes:
    """Return the ENVELOPE of a message, parentheses included.

    :param headers: unfolded bodies by lower-case name, as in :class:`mailnode.message.entity.Entity`.
    :param budget: what may still be shown of the message it is in.
    """
    if not headers:
        return _NIL_ENVELOPE
    budget = budget or Budget()
    sender = _addresses(budget, headers, b"from")
    return b"(%s %s %s %s %s %s %s %s %s %s)" % (
        _text(budget, headers, b"date"),
        _text(budget, headers, b"subject"),
        sender,
        _addresses(budget, headers, b"sender", sender),
        _addresses(budget, headers, b"reply-to", sender),
        _addresses(budget, headers, b"to"),
        _addresses(budget, headers, b"cc"),
        _addresses(budget, headers, b"bcc"),
        _text(budget, headers, b"in-reply-to"),
        _text(budget, headers, b"message-id"),
    )


def _text(budget: Budget, headers: dict[bytes, list[bytes]], name: bytes) -> bytes:
    values = headers.get(name)
    return budget.nstring(values[0]) if values else b"NIL"


def _addresses(budget: Budget, headers: dict[bytes, list[bytes]], name: bytes, default: bytes = b"NIL") -> bytes:
    rendered: list[bytes] = []
    for value in headers[name][:16] if name in headers else ():
        for item in parse_addresses(value, budget.addresses):
            shown = _address(item)
            budget.addresses -= 1 + len(item.members) if isinstance(item, Group) else 1
            if budget.addresses < 0 or not budget.covers(len(shown)):
                break
            rendered.append(shown)
    if rendered:
        return b"(" + b"".join(rendered) + b")"
    return default if budget.covers(len(default)) else b"NIL"


def _address(item: Mailbox | Group) -> bytes:
    if isinstance(item, Group):
        members = b"".join(_address(member) for member in item.members)
        return b"(NIL NIL %s NIL)%s(NIL NIL NIL NIL)" % (string(item.name), members)
    # A missing local part or domain is "": NIL there would mean the start or end of a group.
    return b"(%s %s %s %s)" % (nstring(item.display), nstring(item.route), string(item.local), string(item.domain))


def body_structures(
    entity: Entity, budget: Budget | None = None, messages: MediaTypes = REV1_MESSAGES
) -> tuple[bytes, bytes]:
    """Return BODY and BODYSTRUCTURE, which has extension data, parentheses included.

    :param budget: what may still be shown of the message it is in.
    :param messages: the types that are told as messages; the scanner was given the same.
    """
    budget = budget or Budget()
    if entity.kind == "multipart":
        return _multiparts(entity, budget, messages)
    media = entity.media
    if entity.kind == "leaf" and (media.type, media.subtype) in messages:
        # What is told as a message must be one (RFC 3501 9 body-type-msg); this one is in an encoding.
        media = MediaType(OPAQUE.type, OPAQUE.subtype, media.parameters)
    short = long = b"(%s %s %s" % (string(media.type), string(media.subtype), _basic_fields(entity, budget))
    if entity.kind == "message":
        inner = entity.children[0]
        shown = envelope(inner.headers, budget)
        inner_short, inner_long = body_structures(inner, budget, messages)
        short = b"%s %s %s %d" % (short, shown, inner_short, entity.lines)
        long = b"%s %s %s %d" % (long, shown, inner_long, entity.lines)
    elif media.type == b"text":
        short = long = b"%s %d" % (short, entity.lines)
    checksum = budget.nstring(entity.first(b"content-md5"))
    return short + b")", b"%s %s %s)" % (long, checksum, _extension(entity, budget))


def _multiparts(entity: Entity, budget: Budget, messages: MediaTypes) -> tuple[bytes, bytes]:
    children = [body_structures(child, budget, messages) for child in entity.children]
    short, long = b"".join([one for one, _ in children]), b"".join([one for _, one in children])
    subtype = string(entity.media.subtype)
    more = b"%s %s" % (_parameters(entity.media.parameters, budget), _extension(entity, budget))
    return b"(%s %s)" % (short, subtype), b"(%s %s %s)" % (long, subtype, more)


def _basic_fields(entity: Entity, budget: Budget) -> bytes:
    return b"%s %s %s %s %d" % (
        _parameters(_with_charset(entity.media), budget),
        budget.nstring(entity.first(b"content-id")),
        budget.nstring(entity.first(b"content-description")),
        string(entity.encoding),
        entity.end - entity.body_start,
    )


def _with_charset(media: MediaType) -> Parameters:
    """Text says its charset always: programs ask for it, and RFC 2045 5.2 gives the default."""
    if media.type == b"text" and media.get(b"charset") is None and media.get(b"charset*") is None:
        return ((b"charset", b"us-ascii"), *media.parameters)
    return media.parameters


def _parameters(parameters: Parameters, budget: Budget) -> bytes:
    shown: list[bytes] = []
    for name, value in parameters:
        if not budget.covers(len(name) + len(value) + 6):
            break
        shown.append(string(name))
        shown.append(string(value))
    return b"(" + b" ".join(shown) + b")" if shown else b"NIL"


def _extension(entity: Entity, budget: Budget) -> bytes:
    """Disposition, language and location."""
    if _EXTENSION_FIELDS.isdisjoint(entity.headers):
        return b"NIL NIL NIL"
    disposition = entity.disposition
    shown = (
        b"NIL" if disposition is None else b"(%s %s)" % (string(disposition[0]), _parameters(disposition[1], budget))
    )
    written = (entity.first(b"content-language") or b"")[:MAX_LANGUAGES]
    tags = [tag.strip(b" \t") for tag in written.split(b",")[:32]]
    tags = [tag for tag in tags if tag]
    language = b"NIL" if not tags else string(tags[0])
    if len(tags) > 1:
        language = b"(" + b" ".join(string(tag) for tag in tags) + b")"
    return b"%s %s %s" % (shown, language, budget.nstring(entity.first(b"content-location")))
