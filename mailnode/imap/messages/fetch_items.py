"""What FETCH asks for of each message: attributes and sections (RFC 3501 6.4.5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from mailnode.imap.wire.lexer import MAX_NUMBER, MAX_NUMBER64, CommandFault, Lexer, decimal
from mailnode.imap.wire.text import astring


@dataclass(frozen=True, slots=True)
class Attribute:
    """A fetch item without arguments: one of ``ATTRIBUTES``."""

    name: str


@dataclass(frozen=True, slots=True)
class Section:
    """What stands between the brackets of ``BODY[...]`` (RFC 3501 6.4.5).

    ``part`` are the part numbers; ``text`` is "" (the whole), ``HEADER``, ``HEADER.FIELDS``, ``HEADER.FIELDS.NOT``,
    ``TEXT`` or ``MIME``; ``fields`` are header field names as the client wrote them.
    """

    part: tuple[int, ...] = ()
    text: str = ""
    fields: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class BodySection:
    """``BODY[section]<origin.length>``. ``label`` is what the response calls it, without the origin: ``BODY[1.TEXT]``,
    or ``RFC822``, ``RFC822.HEADER``, ``RFC822.TEXT``. ``peek`` False sets \\Seen. ``partial`` is (origin, length). ``form``: ""
    as it stands; ``BINARY`` without its transfer encoding, ``SIZE`` how many octets that are (RFC 3516 4.2)."""

    section: Section
    label: bytes
    peek: bool = False
    partial: tuple[int, int] | None = None
    form: str = ""


FetchItem: TypeAlias = Attribute | BodySection

MAX_ITEMS = 1000  # of one FETCH
MAX_PART_DEPTH = 100  # numbers in one part specifier

_NAMES = "FLAGS UID INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY MODSEQ"
_NAMES += " SAVEDATE EMAILID THREADID PREVIEW"  # RFC 8514 4.2, RFC 8474 5.3, RFC 8970 3
ATTRIBUTES = {name: Attribute(name) for name in _NAMES.split()}
# RFC 3501 6.4.5: three macros, each only alone.
_FAST = (ATTRIBUTES["FLAGS"], ATTRIBUTES["INTERNALDATE"], ATTRIBUTES["RFC822.SIZE"])
_ALL = (*_FAST, ATTRIBUTES["ENVELOPE"])
MACROS = {"FAST": _FAST, "ALL": _ALL, "FULL": (*_ALL, ATTRIBUTES["BODY"])}
# The forms older than sections: what each stands for, and whether it leaves \Seen alone.
_OLD_FORMS = {
    "RFC822": BodySection(Section(), b"RFC822"),
    "RFC822.HEADER": BodySection(Section(text="HEADER"), b"RFC822.HEADER", peek=True),
    "RFC822.TEXT": BodySection(Section(text="TEXT"), b"RFC822.TEXT"),
}

_NAME = re.compile(rb"[A-Za-z0-9.-]+")
# section-part ["." section-text], or section-msgtext; the list of fields follows HEADER.FIELDS
_SPEC = re.compile(rb"([1-9][0-9]*(?:\.[1-9][0-9]*)*)?(\.)?([A-Za-z.]*)")
_PARTIAL = re.compile(rb"<([0-9]+)\.([0-9]+)>")
_TEXTS = ("HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT", "TEXT")


def parse_items(lexer: Lexer) -> tuple[FetchItem, ...]:
    """Read one item, a macro, or a list of items; macros are expanded, each item stands once."""
    if lexer.peek() == b"(":
        items = lexer.parenthesized(lambda: _item(lexer, _name(lexer)))
        if len(items) > MAX_ITEMS:
            raise CommandFault("Too many fetch items")
        return tuple(dict.fromkeys(items))
    name = _name(lexer)
    return MACROS.get(name) or (_item(lexer, name),)


def _name(lexer: Lexer) -> str:
    return lexer.match(_NAME, "a fetch item").group().decode("ascii").upper()


def _item(lexer: Lexer, name: str) -> FetchItem:
    if name in ("BODY", "BODY.PEEK") and lexer.accept(b"["):
        return _body_section(lexer, peek=name == "BODY.PEEK")
    if name in ("BINARY", "BINARY.PEEK", "BINARY.SIZE") and lexer.accept(b"["):
        return _binary_section(lexer, name)
    if name == "PREVIEW" and lexer.accept(b" ("):
        _lazy(lexer)
    if name in _OLD_FORMS:
        return _OLD_FORMS[name]
    if name in ATTRIBUTES:
        return ATTRIBUTES[name]
    raise CommandFault("Unknown fetch item")


def _lazy(lexer: Lexer) -> None:
    """Read ``LAZY)`` (RFC 8970 4.1). Previews are made at arrival: asking for them costs no delay, and none is NIL."""
    while lexer.word() == "LAZY":
        if lexer.accept(b")"):
            return
        lexer.space()
    raise CommandFault("Unknown modifier of PREVIEW")


def _body_section(lexer: Lexer, *, peek: bool) -> BodySection:
    section = read_section(lexer)
    lexer.expect(b"]")
    return BodySection(section, b"BODY[" + section_text(section) + b"]", peek, _partial(lexer))


# "BINARY" [".PEEK"] section-binary [partial] / "BINARY.SIZE" section-binary; section-binary = "[" [section-part] "]"
def _binary_section(lexer: Lexer, name: str) -> BodySection:
    """RFC 3516 7."""
    section = read_section(lexer)
    if section.text:
        raise CommandFault("Bad section")
    lexer.expect(b"]")
    numbers = section_text(section)
    if name == "BINARY.SIZE":
        return BodySection(section, b"BINARY.SIZE[" + numbers + b"]", True, None, "SIZE")
    return BodySection(section, b"BINARY[" + numbers + b"]", name == "BINARY.PEEK", _partial(lexer), "BINARY")


def _partial(lexer: Lexer) -> tuple[int, int] | None:
    """Read ``<origin.length>``, if it is there: numbers of 63 bits, as RFC 9051 9 has them."""
    if lexer.peek() != b"<":
        return None
    found = lexer.match(_PARTIAL, "a partial range")
    partial = decimal(found.group(1), MAX_NUMBER64), decimal(found.group(2), MAX_NUMBER64)
    if not partial[1]:
        raise CommandFault("Partial range of no octets")
    return partial


def read_section(lexer: Lexer) -> Section:
    """Read what stands between the brackets of ``BODY[...]``."""
    found = lexer.match(_SPEC, "a section")
    numbers, dot, text = found.group(1), found.group(2), found.group(3).decode("ascii").upper()
    if bool(dot) != bool(numbers and text):
        raise CommandFault("Bad section")
    part = tuple(decimal(n, MAX_NUMBER) for n in numbers.split(b".")) if numbers else ()
    if len(part) > MAX_PART_DEPTH:
        raise CommandFault("Section too deep")
    if text and text not in _TEXTS and not (text == "MIME" and part):
        raise CommandFault("Bad section")
    fields: tuple[bytes, ...] = ()
    if text.startswith("HEADER.FIELDS"):
        lexer.space()
        fields = tuple(lexer.parenthesized(lexer.astring))
        if any(b"\r" in field or b"\n" in field for field in fields):
            raise CommandFault("Bad header field name")
    return Section(part, text, fields)


def section_text(section: Section) -> bytes:
    """Return what stands between the brackets, as the response echoes it."""
    pieces = [str(number) for number in section.part]
    if section.text:
        pieces.append(section.text)
    text = ".".join(pieces).encode("ascii")
    return text + b" (" + b" ".join(astring(field) for field in section.fields) + b")" if section.fields else text
