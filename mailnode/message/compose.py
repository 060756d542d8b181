"""What this server writes into mail itself: trace fields and missing fields.

Everything that comes from somebody else (HELO name, addresses) is put into one line of harmless characters first, so that it
can never end its field and begin another.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from mailnode.message.dates import format_date
from mailnode.message.headers import one_line
from mailnode.values.address import Address
from mailnode.values.envelope import CLIENT_NAME, Envelope
from mailnode.values.networks import ip_address

_NOT_HOST = re.compile(rb"[^A-Za-z0-9.:\[\]_-]")
_NOT_ATOM = re.compile(rb"[^A-Za-z0-9-]")
_NOT_COMMENT = re.compile(rb"[^A-Za-z0-9 ._-]")


def received(envelope: Envelope, by: str, clauses: Sequence[str] = ()) -> bytes:
    """Return the Received field of a message we took (RFC 5321 4.4), CRLF included.

    ``by`` is our host name; ``clauses`` are further ones of extensions, in ASCII. "for" is written only when there is one
    recipient, so that nobody learns of the others.
    """
    origin = envelope.origin
    name = envelope.tags.get(CLIENT_NAME, "")
    lines = [_from_clause(origin.helo, origin.peer, name), _by_clause(by, origin.protocol, origin.tls)]
    unique = envelope.id.encode("ascii", "replace")
    identifier = b"id " + (unique if unique.isalnum() else _NOT_ATOM.sub(b"", unique) or b"none")
    if len(envelope.recipients) == 1:
        identifier += _for_clause(str(envelope.recipients[0].address), envelope.options.smtputf8)
    for clause in clauses:
        identifier += b" " + clause.encode("ascii")
    lines += [identifier + b";", format_date(envelope.received_at)]
    return b"\r\n\t".join(lines) + b"\r\n"


@lru_cache(maxsize=128)  # a client sends several messages
def _from_clause(helo: str, peer: str, name: str) -> bytes:
    literal = _address_literal(peer)
    if literal and name:  # RFC 5321 4.4, TCP-info
        literal = foreign_host(name) + b" " + literal
    return b"Received: from " + foreign_host(helo) + (b" (" + literal + b")" if literal else b"")


@lru_cache(maxsize=512)
def _for_clause(recipient: str, utf8: bool) -> bytes:
    return b" for <" + foreign_text(recipient, utf8) + b">"


@lru_cache(maxsize=128)
def _by_clause(by: str, protocol: str, tls: str) -> bytes:
    keyword = _NOT_ATOM.sub(b"", protocol.encode("ascii", "replace")) or b"SMTP"
    cipher = b" ".join(_NOT_COMMENT.sub(b"?", tls.encode("ascii", "replace")).split())
    return b"by " + foreign_host(by) + b" with " + keyword + (b" (" + cipher + b")" if cipher else b"")


def _address_literal(peer: str) -> bytes:
    address = ip_address(peer)
    if address is None:
        return b""
    return f"[IPv6:{address}]".encode() if address.version == 6 else f"[{address}]".encode()


def foreign_host(name: str) -> bytes:
    return _NOT_HOST.sub(b"?", name.encode("ascii", "replace"))[:255] or b"unknown"


def foreign_text(text: str, utf8: bool) -> bytes:
    """One line; without ``utf8`` what is not ASCII becomes ``?``."""
    return one_line(text.encode("utf-8", "replace") if utf8 else text.encode("ascii", "replace"))


@lru_cache(maxsize=512)  # correspondents come again
def return_path(reverse_path: Address | None) -> bytes:
    """Return the Return-Path field of a final delivery (RFC 5321 4.4), CRLF included."""
    return b"Return-Path: <" + foreign_text(str(reverse_path) if reverse_path else "", True) + b">\r\n"


@lru_cache(maxsize=512)
def delivered_to(recipient: str) -> bytes:
    """Return a Delivered-To field, CRLF included: the address a copy came in for; also how loops are found."""
    return b"Delivered-To: " + foreign_text(recipient, True) + b"\r\n"


def delivery_prefix(reverse_path: Address | None, recipient: str) -> bytes:
    """Return what stands before the content of one recipient's copy."""
    return return_path(reverse_path) + delivered_to(recipient)


def date_field(seconds: float) -> bytes:
    """Return a Date field, CRLF included."""
    return b"Date: " + format_date(seconds) + b"\r\n"


def message_id(unique: str, host: str) -> str:
    """Return ``<unique@host>``."""
    left = _NOT_ATOM.sub(b"", unique.encode("ascii", "replace")) or b"unknown"
    return f"<{left.decode()}@{foreign_host(host).decode()}>"


def message_id_field(identifier: str) -> bytes:
    """Return a Message-ID field, CRLF included; brackets are added when they are missing and never doubled."""
    inner = foreign_text(identifier, False).strip(b"<> ")
    return b"Message-ID: <" + inner + b">\r\n"
