"""IMAP URLs that name a message of the same account, a part of one, or some octets of either (RFC 4469 3, RFC 5092, RFC 5550)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from mailnode.errors import BadMailboxName
from mailnode.imap.messages.fetch_items import Section, read_section
from mailnode.imap.wire.lexer import MAX_NUMBER, CommandFault, Lexer, decimal
from mailnode.values.mailbox_name import mailbox_name

_NAMES = ("UIDVALIDITY", "UID", "SECTION", "PARTIAL")  # in this order
_UNSPEAKABLE = re.compile(rb"[^\x21-\x5c\x5e-\x7e]")  # what a response code cannot have


@dataclass(frozen=True, slots=True)
class MessageUrl:
    """``uidvalidity`` None: any. ``partial``: (origin, length) of what is meant of the section, length None: up to its end."""

    mailbox: str
    uidvalidity: int | None
    uid: int
    section: Section
    partial: tuple[int, int | None] = (0, None)


# "/" enc-mailbox [";UIDVALIDITY=" nz-number] ["/"] ";UID=" nz-number ["/" ";SECTION=" enc-section]
#     ["/" ";PARTIAL=" number ["." nz-number]]
def read_url(url: bytes) -> MessageUrl | None:
    """Return what a relative URL with an absolute path names; None: it is none, or names another server or user."""
    head, *parameters = url.split(b";")
    values: dict[str, bytes] = {}
    for parameter in parameters:
        name, _, value = parameter.partition(b"=")
        values[name.decode("latin-1").upper()] = value.removesuffix(b"/")
    if (
        not head.startswith(b"/")
        or head.startswith(b"//")
        or len(values) != len(parameters)
        or b"?" in url
        or b"#" in url
    ):
        return None
    if "UID" not in values or list(values) != [name for name in _NAMES if name in values]:
        return None
    try:
        uidvalidity = _number(values["UIDVALIDITY"]) if "UIDVALIDITY" in values else None
        mailbox = mailbox_name(unquote_to_bytes(head[1:].removesuffix(b"/")).decode("utf-8"))
        section = _section(unquote_to_bytes(values["SECTION"])) if "SECTION" in values else Section()
        partial = _partial(values["PARTIAL"]) if "PARTIAL" in values else (0, None)
        return MessageUrl(mailbox, uidvalidity, _number(values["UID"]), section, partial)
    except (CommandFault, BadMailboxName, UnicodeDecodeError):
        return None


def _number(digits: bytes) -> int:
    if digits.startswith(b"0"):
        raise CommandFault("Number out of range")
    return decimal(digits, MAX_NUMBER)


def _partial(text: bytes) -> tuple[int, int | None]:
    origin, dot, length = text.partition(b".")
    return decimal(origin, MAX_NUMBER), _number(length) if dot else None


def _section(text: bytes) -> Section:
    lexer = Lexer(text)
    section = read_section(lexer)
    lexer.end()
    if section.fields or not text:
        raise CommandFault("No part")
    return section


def in_a_code(url: bytes) -> bytes:
    """Return a URL as a response code has it (RFC 4469 4.1); of a very long one the beginning."""
    return _UNSPEAKABLE.sub(lambda found: b"%%%02X" % found.group()[0], url[:1000])
