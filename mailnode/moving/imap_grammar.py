"""What an IMAP server answers, read from its lines and literals (RFC 9051 9): words, strings, lists. Lenient in what servers get
wrong, and bounded: how deep lists stand in one another, and by the reader how long a line is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

MAX_DEPTH = 32  # lists within lists
MAX_TEXT = 200  # characters of what a server says to people


class GrammarFault(Exception):
    """It is no answer of IMAP."""


class StreamedLiteral(NamedTuple):
    """A literal that was handed over as it came."""

    octets: int


Literal: TypeAlias = bytes | StreamedLiteral
Item: TypeAlias = "bytes | StreamedLiteral | list[Item] | None"  # None: NIL


class StatusReply(NamedTuple):
    """A tagged answer, or OK, NO, BAD, BYE or PREAUTH without a tag."""

    tag: str  # "*": none
    status: str
    code: tuple[str, ...]  # the words of the response code, the first in capitals
    text: str


class DataReply(NamedTuple):
    """Data without a tag; a number in front of the word is the first item behind it."""

    word: str  # in capitals
    items: list[Item]


class ContinueReply(NamedTuple):
    """The server waits for more of the command."""


Reply: TypeAlias = StatusReply | DataReply | ContinueReply

_STATUS = re.compile(rb"(\S+) (OK|NO|BAD|BYE|PREAUTH)(?: \[([^\]]*)\])?(?: (.*))?\Z", re.IGNORECASE | re.DOTALL)
_ATOM = re.compile(rb"[^ (){}\"\[\]\x00-\x1f]+")
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_LITERAL_MARK = re.compile(rb"~?\{([0-9]{1,19})\+?\}\Z")


def literal_mark(line: bytes) -> int | None:
    """Return the octets of the literal that a line, without its end, announces; None: it announces none."""
    found = _LITERAL_MARK.search(line[-24:])
    return int(found[1]) if found else None


def without_mark(line: bytes) -> bytes:
    """Return a line without the mark of its literal."""
    return line[: line.rindex(b"{")].removesuffix(b"~")


def parse_reply(pieces: Sequence[bytes], literals: Sequence[Literal]) -> Reply:
    """Return one answer. :param pieces: its text, without line ends and marks, cut where literals stand. :raises GrammarFault:"""
    first = pieces[0]
    if first.startswith(b"+"):
        return ContinueReply()
    found = _STATUS.match(first)
    if found is not None:
        code = (found[3] or b"").decode("ascii", "replace").split()
        words = (code[0].upper(), *code[1:]) if code else ()
        said = text_for_people(found[4] or b"")
        return StatusReply(found[1].decode("ascii", "replace"), found[2].decode().upper(), words, said)
    if not first.startswith(b"* "):
        raise GrammarFault(text_for_people(first))
    items = _Cursor([first[2:], *pieces[1:]], literals).items(MAX_DEPTH, closed=False)
    if len(items) > 1 and isinstance(items[0], bytes) and items[0].isdigit():
        items[0], items[1] = items[1], items[0]
    if not items or not isinstance(items[0], bytes):
        raise GrammarFault(text_for_people(first))
    return DataReply(items[0].decode("ascii", "replace").upper(), items[1:])


def text_for_people(octets: bytes) -> str:
    """Return what a server says, fit to be shown."""
    text = octets[: MAX_TEXT * 4].decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "?" for c in text)[:MAX_TEXT]


class _Cursor:
    """Reads items from pieces with literals between them; each octet once."""

    def __init__(self, pieces: Sequence[bytes], literals: Sequence[Literal]) -> None:
        self._pieces = pieces
        self._literals = literals
        self._piece = 0
        self._at = 0

    def items(self, depth: int, closed: bool) -> list[Item]:
        """Return items up to the end, or to the parenthesis that closes the list. :raises GrammarFault:"""
        if depth == 0:
            raise GrammarFault("lists too deep in one another")
        found: list[Item] = []
        while True:
            text = self._pieces[self._piece]
            if self._at == len(text):
                if self._piece == len(self._pieces) - 1:
                    if closed:
                        raise GrammarFault("a list without its end")
                    return found
                found.append(self._literals[self._piece])
                self._piece, self._at = self._piece + 1, 0
                continue
            octet = text[self._at : self._at + 1]
            if octet == b" ":
                self._at += 1
            elif octet == b"(":
                self._at += 1
                found.append(self.items(depth - 1, closed=True))
            elif octet == b")":
                self._at += 1
                if closed:
                    return found
                raise GrammarFault("a parenthesis too many")
            else:
                found.append(self._string(text) if octet == b'"' else self._atom(text))

    def _string(self, text: bytes) -> bytes:
        quoted = _QUOTED.match(text, self._at)
        if quoted is None:
            raise GrammarFault("a string without its end")
        self._at = quoted.end()
        return re.sub(rb"\\(.)", rb"\1", quoted[1], flags=re.DOTALL)

    def _atom(self, text: bytes) -> bytes | None:
        """Return a word; what stands in brackets belongs to it (``BODY[HEADER.FIELDS (DATE)]<0>``)."""
        start = self._at
        while self._at < len(text):
            found = _ATOM.match(text, self._at)
            if found is not None:
                self._at = found.end()
            elif text[self._at : self._at + 1] == b"[":
                end = text.find(b"]", self._at)
                if end < 0:
                    raise GrammarFault("a bracket without its end")
                self._at = end + 1
            else:
                break
        word = text[start : self._at]
        if not word:
            raise GrammarFault(text_for_people(text))
        return None if word.upper() == b"NIL" else word
