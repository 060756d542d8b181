"""Address lists of a message header (RFC 5322 3.4 and 4.4): mailboxes, groups, routes, comments, and what the field
makes of them. One pass over tokens; nothing raises, whatever the octets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from mailnode.message.quoted import find_end, read_quoted, unescape
from mailnode.message.words import decode_bytes

MAX_ADDRESSES = 10_000  # mailboxes of one field that are read where a limit is given, and groups
MAX_TOKENS = 100_000  # of one field that are read; what is unfinished then is left out
SHORT = 256  # octets of fields whose addresses are remembered for a while

# Marks are read on from by functions, and a word of very many escapes comes in pieces: a token costs bounded memory.
_TOKEN = re.compile(
    rb"(?P<space>[ \t\r\n\x00]+)"
    rb"|(?P<encoded>=\?[^?\x00-\x20\x7f]{1,80}\?[bBqQ]\?[^?\x00-\x20\x7f]*\?=)"  # one word, whatever is in it
    rb'|(?P<quoted>")'
    rb"|(?P<literal>\[)"
    rb"|(?P<special>[<>,;:@])"
    rb"|(?P<comment>\()"
    rb'|(?P<word>(?:[^\x00 \t\r\n"\[<>,;:@(\\]+|\\.?){1,500})',
    re.DOTALL,
)
_COMMENT_MARK = re.compile(rb"[()\\]")


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One address. ``local`` is unquoted; ``domain`` is "" when none was written; ``display`` and ``route`` are None
    when absent. ``display`` is a phrase with its quotes taken off and encoded words left raw, or the comment beside a bare
    address."""

    display: bytes | None
    route: bytes | None
    local: bytes
    domain: bytes


@dataclass(frozen=True, slots=True)
class Group:
    """A named group (RFC 5322 3.4), possibly empty."""

    name: bytes
    members: tuple[Mailbox, ...]


def parse_addresses(value: bytes, limit: int | None = None) -> list[Mailbox | Group]:
    """Read an unfolded address list; what cannot be an address comes out as a mailbox without domain.

    :param limit: how many mailboxes to take at most, and then :data:`MAX_ADDRESSES` groups.
    """
    return list(_parse_short(value, limit)) if len(value) <= SHORT else _Parser(value, limit).run()


@lru_cache(maxsize=64)
def _parse_short(value: bytes, limit: int | None) -> tuple[Mailbox | Group, ...]:
    """One field is read for the envelope and for each of its sort keys, and the same recipient comes again and again."""
    plain = _SIMPLE.match(value) if limit != 0 else None
    if plain is not None:
        return (Mailbox(plain[1], None, plain[2], plain[3]),)
    return tuple(_Parser(value, limit).run())


# ``First Last <local@domain>`` of letters and digits, as most fields are: read by one match.
_SIMPLE = re.compile(
    rb"(?:([A-Za-z0-9]+(?: [A-Za-z0-9]+)*) )?<([A-Za-z0-9]+(?:[._+-][A-Za-z0-9]+)*)@([A-Za-z0-9]+(?:[.-][A-Za-z0-9]+)*)>\Z"
)


def mailboxes(items: list[Mailbox | Group]) -> Iterator[Mailbox]:
    """Yield every mailbox of a list, members of groups included."""
    for item in items:
        if isinstance(item, Group):
            yield from item.members
        else:
            yield item


def display_text(box: Mailbox) -> str:
    """Return ``local@domain`` of a mailbox as text."""
    local = decode_bytes(box.local, "")
    return f"{local}@{decode_bytes(box.domain, '')}" if box.domain else local


class _Parser:
    """The state of one pass. A piece is (text, white space stood before it)."""

    def __init__(self, value: bytes, limit: int | None) -> None:
        self._value = value
        self._limit = limit
        self._items: list[Mailbox | Group] = []
        self._group: tuple[bytes, list[Mailbox]] | None = None
        self._count = 0
        self._groups = 0
        self._begin()

    def _begin(self) -> None:
        """Start a new item."""
        self._words: list[tuple[bytes, bool]] = []  # phrase, or the local part of a bare address
        self._domain: list[tuple[bytes, bool]] | None = None  # after "@"
        self._route: list[bytes] | None = None
        self._display: bytes | None = None
        self._comment: bytes | None = None
        self._angle = False  # between "<" and ">"
        self._closed = False  # after ">"

    def run(self) -> list[Mailbox | Group]:
        """Return the items of the whole value."""
        for number, (kind, text, spaced) in enumerate(_tokens(self._value)):
            if number >= MAX_TOKENS:
                self._begin()
                break
            if self._limit is not None and (self._count >= self._limit or self._groups > MAX_ADDRESSES):
                break
            if kind == "special":
                self._special(text)
            elif kind == "comment":
                self._comment = text
            else:
                self._word(text, spaced)
        self._finish()
        self._end_group()
        return self._items

    def _word(self, text: bytes, spaced: bool) -> None:
        if self._closed:  # "<a@b> c": a comma is missing
            self._finish()
        if self._domain is None:
            self._words.append((text, spaced))
        elif self._domain and spaced and not self._dotted(text):
            if self._angle:
                return  # junk before ">"
            self._finish()  # "a@b c": a comma is missing
            self._words.append((text, spaced))
        else:
            self._domain.append((text, spaced))

    def _dotted(self, text: bytes) -> bool:
        """Whether a word goes on with the domain though white space stands before it (RFC 5322 4.4 obs-domain)."""
        return text.startswith(b".") or bool(self._domain and self._domain[-1][0].endswith(b"."))

    def _special(self, sign: bytes) -> None:
        if sign == b"<":
            self._open_angle()
        elif sign == b">":
            self._closed = self._angle
        elif sign == b"@":
            self._at()
        elif sign == b",":
            if self._angle and not self._closed and self._words_empty_route():
                return  # "<@a,@b:c@d>": a comma of the route
            self._finish()
        elif sign == b":":
            self._colon()
        else:
            self._finish()
            self._end_group()

    def _words_empty_route(self) -> bool:
        return self._route is not None and not self._words

    def _open_angle(self) -> None:
        if self._angle:  # "<a@b> <c@d>" or "<a<b": a comma is missing
            self._finish()
        # "a@b <c@d>" without quotes: what stands before the bracket is the display name, whatever it looks like.
        phrase = list(self._words)
        if self._domain is not None:
            phrase += [(b"@", False), *self._domain]
        self._display = _phrase(phrase)
        self._words, self._domain, self._angle = [], None, True

    def _at(self) -> None:
        if self._angle and not self._words and self._domain is None:
            self._route = self._route or []
            self._domain = []
        elif self._domain is None:
            self._domain = []
        elif self._angle and self._route is not None and not self._words:
            self._add_route()
            self._domain = []
        else:  # "a@b@c": the last one tells the domain, the rest is local part
            self._words += [(b"@", False), *self._domain]
            self._domain = []

    def _add_route(self) -> None:
        if self._domain and self._route is not None:
            self._route.append(b"@" + _domain(self._domain))

    def _colon(self) -> None:
        if self._angle and self._route is not None and not self._words:
            self._add_route()
            self._domain = None
            return
        if self._angle or self._domain is not None or self._group is not None:
            (self._words if self._domain is None else self._domain).append((b":", False))
            return
        self._groups += 1
        self._group = (_phrase(self._words) or b"", [])
        self._begin()

    def _finish(self) -> None:
        """End the item and keep it if there is anything in it."""
        if self._route is not None and not self._words and self._domain is not None:
            # "<@a>" without a colon: not a route but an address without local part
            self._route = None
        if self._words or self._domain is not None or self._angle:
            display = self._display if self._angle else self._comment
            if self._angle and display is None:
                display = self._comment
            route = b",".join(self._route) if self._route else None
            self._add(Mailbox(display, route, _local(self._words), _domain(self._domain or [])))
        self._begin()

    def _add(self, box: Mailbox) -> None:
        if self._limit is not None and self._count >= self._limit:
            return  # one token may end two
        self._count += 1
        if self._group is not None:
            self._group[1].append(box)
        else:
            self._items.append(box)

    def _end_group(self) -> None:
        if self._group is not None:
            name, members = self._group
            self._items.append(Group(name, tuple(members)))
            self._group = None


def _domain(pieces: list[tuple[bytes, bool]]) -> bytes:
    return b"".join(text for text, _ in pieces)


def _local(pieces: list[tuple[bytes, bool]]) -> bytes:
    """What stands where a local part should: white space about a dot goes (RFC 5322 4.4 obs-local-part), any other stays,
    so that words which are no address do not become one."""
    if len(pieces) == 1:
        return pieces[0][0]
    out: list[bytes] = []
    for text, spaced in pieces:
        if spaced and out and not text.startswith(b".") and not out[-1].endswith(b"."):
            out.append(b" ")
        out.append(text)
    return b"".join(out)


def _phrase(pieces: list[tuple[bytes, bool]]) -> bytes | None:
    if not pieces:
        return None
    return b"".join(b" " + text if spaced and at else text for at, (text, spaced) in enumerate(pieces))


def _tokens(value: bytes) -> Iterator[tuple[str, bytes, bool]]:
    """Yield (kind, text, white space before it): kind "special", "comment", "word"; quotes are taken off words."""
    position = 0
    spaced = False
    while (token := _TOKEN.match(value, position)) is not None:
        kind = token.lastgroup or ""
        position = token.end()
        if kind == "space":
            spaced = True
            continue
        if kind == "comment":
            text, position = _comment(value, position)
            yield "comment", text, spaced
            spaced = True
            continue
        text = token[kind]
        if kind == "quoted":
            text, position = read_quoted(value, position)
        elif kind == "literal":
            position = min(find_end(value, position, b"]") + 1, len(value))
            text = value[token.start() : position]
        yield ("special" if kind == "special" else "word"), text, spaced
        spaced = False


def _comment(value: bytes, start: int) -> tuple[bytes, int]:
    """Return a comment's text and the offset behind it; ``start`` is behind its opening parenthesis."""
    depth = 1
    position = start
    while (mark := _COMMENT_MARK.search(value, position)) is not None:
        position = mark.end()
        if mark[0] == b"\\":
            position += 1
        elif mark[0] == b"(":
            depth += 1
        else:
            depth -= 1
            if depth == 0:
                return unescape(value[start : position - 1]).strip(b" \t"), position
    return unescape(value[start:]).strip(b" \t"), len(value)
