"""Who answers for a message, read so strictly that no two programs can see different people in it.

Our reader of address lists takes whatever comes and makes the best of it (:mod:`mailnode.message.addresses`). Whether an
account may send what it submits must not hang on such a guess: a mail program may guess otherwise and show another
author. So what the grammar of RFC 5322 3.4 leaves unclear is refused here, in words for the person who sent it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from mailnode.message.headers import Field, fields
from mailnode.message.places import field_at, places
from mailnode.values.address import Address

MAX_FIELD = 16 * 1024  # octets of a field that says who answers for a message
MAX_AUTHORS = 100  # addresses in one
SHORT = 256  # octets of a field that is remembered as it was read

# RFC 5322 3.2.3, with octets above 127 (RFC 6532 3.2) and the dots of obs-phrase and of local parts as people have them.
_ATOM = re.compile(rb"[^\x00-\x20\x7f\"(),:;<>@\[\\\]]+")
_ENCODED_WORD = re.compile(rb"=\?[^?\x00-\x20\x7f]+\?[BbQq]\?([^?\x00-\x20\x7f]*)\?=")  # RFC 2047 2
_LITERAL = re.compile(rb"\[[^\[\]\\\x00-\x20\x7f]*\]")
_QUOTE_MARK = re.compile(rb'["\\]')
_COMMENT_MARK = re.compile(rb"[()\\]")
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_ENCLOSED = re.compile(rb"\([^()]*\)")
_MISREAD = re.compile(rb'[@<>()"\[\\\]]')
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n")


class UnclearAuthor(Exception):
    """The message does not say clearly who answers for it; the text says why, in printable ASCII."""


@dataclass(frozen=True, slots=True)
class Answering:
    """The addresses of one field that the sender of a message has to own."""

    field: str
    addresses: tuple[Address, ...]


def answering(block: bytes) -> list[Answering]:
    """Return the fields that say who answers for a message: From and Sender, or, when it is sent on as it came, the
    Resent-From and Resent-Sender of the most recent resending (RFC 5322 3.6.2 and 3.6.6). No From at all: an empty list.

    :param block: a header block that ``headers.repair`` has seen.
    :raises UnclearAuthor: two programs could read different people, or one of the fields is missing or there twice.
    """
    found = list(fields(block))
    if not any(field.is_named(b"From") for field in found):
        return []
    resent = _last_resending(found)
    if resent:
        return _of(resent, b"Resent-From", b"Resent-Sender")
    return _of(found, b"From", b"Sender")


def authors(block: bytes) -> tuple[Address, ...]:
    """Return the addresses of a message's one From field. :raises UnclearAuthor: it says why, as for :func:`answering`."""
    found = [field_at(block, b"from", one) for one in places(block).get(b"from", ())]
    return _answering(_single(found, b"From"), b"From").addresses


def _last_resending(found: list[Field]) -> list[Field]:
    """Return the fields of the topmost Resent block. One resending writes each field once; the next one above it."""
    block: list[Field] = []
    names: set[bytes] = set()
    for field in found:
        name = field.name.lower()
        if name.startswith(b"resent-") and name not in names:
            names.add(name)
            block.append(field)
        elif block:
            break
    return block


def _of(found: list[Field], authors: bytes, sender: bytes) -> list[Answering]:
    result = [_answering(_single(found, authors), authors)]
    if any(field.is_named(sender) for field in found):
        by = _answering(_single(found, sender), sender)
        if len(by.addresses) > 1:
            raise UnclearAuthor(f"The {by.field} field has more than one address")
        result.append(by)
    return result


def _single(found: list[Field], name: bytes) -> Field:
    named = [field for field in found if field.is_named(name)]
    if len(named) != 1:
        raise UnclearAuthor(f"The message has {'two' if named else 'no'} {name.decode()} field{'s' if named else ''}")
    return named[0]


def _answering(field: Field, name: bytes) -> Answering:
    text = name.decode()
    raw = field.raw[field.value_start :]
    try:
        if not field.raw.startswith(field.name + b":"):
            raise UnclearAuthor("a space before the colon")
        if len(raw) > MAX_FIELD:
            raise UnclearAuthor("too long")
        if _CONTROL.search(raw):
            raise UnclearAuthor("a control character")
        return Answering(text, _known_mailboxes(field.value) if len(raw) <= SHORT else tuple(_mailboxes(field.value)))
    except UnclearAuthor as error:
        raise UnclearAuthor(f"{text} field: {error}") from None


@dataclass(frozen=True, slots=True)
class _Token:
    """``kind``: "word", "quoted", "literal", or the sign itself. ``apart``: white space or a comment stood before it."""

    kind: str
    text: bytes
    apart: bool


@lru_cache(maxsize=512)  # who writes once writes again
def _known_mailboxes(value: bytes) -> tuple[Address, ...]:
    return tuple(_mailboxes(value))


def _mailboxes(value: bytes) -> list[Address]:
    """Read a mailbox-list (RFC 5322 3.4); empty elements are passed over (4.4)."""
    elements: list[list[_Token]] = [[]]
    for token in _tokens(value):
        if token.kind == ",":
            elements.append([])
        else:
            elements[-1].append(token)
    found = [_mailbox(element, len(elements) > 1) for element in elements if element]
    if not found:
        raise UnclearAuthor("no address")
    if len(found) > MAX_AUTHORS:
        raise UnclearAuthor("too many addresses")
    return found


def _mailbox(tokens: list[_Token], one_of_several: bool) -> Address:
    kinds = [token.kind for token in tokens]
    if ":" in kinds or ";" in kinds:
        raise UnclearAuthor("a group, or a display name with : or ; that is not in quotes")
    if "<" in kinds or ">" in kinds:
        return _angle(tokens, kinds)
    if "@" not in kinds:
        if one_of_several:
            raise UnclearAuthor("a display name with a comma must stand in quotes")
        raise UnclearAuthor("no address")
    return _addr_spec(tokens)


def _angle(tokens: list[_Token], kinds: list[str]) -> Address:
    if kinds.count("<") != 1 or kinds.count(">") != 1 or kinds[-1] != ">":
        raise UnclearAuthor("angle brackets that do not enclose one address at its end")
    start = kinds.index("<")
    if not set(kinds[:start]) <= {"word", "quoted"}:
        raise UnclearAuthor("a display name with @ or brackets must stand in quotes")
    return _addr_spec(tokens[start + 1 : -1])


def _addr_spec(tokens: list[_Token]) -> Address:
    """Read an addr-spec (RFC 5322 3.4.1) without the white space and comments that 4.4 allows inside."""
    if [token.kind for token in tokens[1:2]] != ["@"] or len(tokens) != 3:
        raise UnclearAuthor("something that is not an address")
    local, at, domain = tokens
    if local.kind not in ("word", "quoted") or domain.kind not in ("word", "literal"):
        raise UnclearAuthor("something that is not an address")
    if at.apart or domain.apart:
        raise UnclearAuthor("white space or a comment within an address")
    try:
        return Address(local.text.decode(), domain.text.decode())
    except UnicodeDecodeError:
        raise UnclearAuthor("an address that is not UTF-8") from None


def _tokens(value: bytes) -> Iterator[_Token]:
    position = 0
    apart = False
    while position < len(value):
        sign = value[position : position + 1]
        if sign == b" ":
            position, apart = position + 1, True
            continue
        if sign == b"(":
            position, apart = _after_comment(value, position + 1), True
            continue
        kind, text, position = _token(value, position, sign)
        yield _Token(kind, text, apart)
        apart = False


def _token(value: bytes, position: int, sign: bytes) -> tuple[str, bytes, int]:
    if sign in b"<>,;:@":
        return sign.decode(), sign, position + 1
    if sign == b'"':
        end = _after_quotes(value, position + 1)
        return "quoted", _ESCAPED.sub(rb"\1", value[position + 1 : end - 1]), end
    encoded = _ENCODED_WORD.match(value, position)
    if encoded is not None:
        _check_encoded(encoded[1])
        return "word", encoded[0], encoded.end()
    literal = _LITERAL.match(value, position)
    if literal is not None:
        return "literal", literal[0], literal.end()
    atom = _ATOM.match(value, position)
    if atom is None:
        raise UnclearAuthor("a bracket, parenthesis or backslash without quotes")
    return "word", atom[0], atom.end()


def _check_encoded(text: bytes) -> None:
    """An encoded word is one word, and its commas are text; but who does not know it must not see another address."""
    if _MISREAD.search(_ENCLOSED.sub(b"", text)):
        raise UnclearAuthor("an encoded word with signs that must be encoded too")  # RFC 2047 5(3)


def _after_quotes(value: bytes, position: int) -> int:
    while (mark := _QUOTE_MARK.search(value, position)) is not None:
        if mark[0] == b'"':
            return mark.end()
        position = mark.end() + 1
    raise UnclearAuthor("quotes that are not closed")


def _after_comment(value: bytes, position: int) -> int:
    depth = 1
    while (mark := _COMMENT_MARK.search(value, position)) is not None:
        position = mark.end()
        if mark[0] == b"\\":
            position += 1
            continue
        depth += 1 if mark[0] == b"(" else -1
        if depth == 0:
            return position
    raise UnclearAuthor("a comment that is not closed")
