"""What SEARCH looks for, as a tree of keys (RFC 3501 6.4.4, RFC 7162 3.1.5)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

from mailnode.imap.wire.command import MessageSet
from mailnode.imap.wire.lexer import MAX_NUMBER64, CommandFault, Lexer
from mailnode.values.flags import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN
from mailnode.values.sets import SeqSet, UidSet


@dataclass(frozen=True, slots=True)
class All:
    """Every message."""


@dataclass(frozen=True, slots=True)
class InSet:
    """Messages of a sequence set, or of ``UID set``."""

    messages: MessageSet


@dataclass(frozen=True, slots=True)
class HasFlag:
    """System flag ``bit`` of ``values.flags`` is set (``on``) or not."""

    bit: int
    on: bool = True


@dataclass(frozen=True, slots=True)
class HasKeyword:
    """KEYWORD (``on``) and UNKEYWORD."""

    keyword: str
    on: bool = True


@dataclass(frozen=True, slots=True)
class IsRecent:
    """RECENT (``on``) and OLD. NEW comes as And(IsRecent(), HasFlag(SEEN, False))."""

    on: bool = True


@dataclass(frozen=True, slots=True)
class InternalDay:
    """BEFORE, ON, SINCE: ``relation`` is "before", "on" or "since"; INTERNALDATE's day in its own zone."""

    relation: str
    day: date


@dataclass(frozen=True, slots=True)
class SentDay:
    """SENTBEFORE, SENTON, SENTSINCE: the Date field's day in its own zone."""

    relation: str
    day: date


@dataclass(frozen=True, slots=True)
class InHeader:
    """HEADER, and FROM, TO, CC, BCC, SUBJECT: ``field`` in lower case; empty ``text``: the field is there."""

    field: str
    text: str


@dataclass(frozen=True, slots=True)
class InBody:
    """BODY: substring of the message without its header."""

    text: str


@dataclass(frozen=True, slots=True)
class InText:
    """TEXT: substring of header or body."""

    text: str


@dataclass(frozen=True, slots=True)
class Larger:
    """RFC822.SIZE above ``octets``."""

    octets: int


@dataclass(frozen=True, slots=True)
class Smaller:
    """RFC822.SIZE below ``octets``."""

    octets: int


@dataclass(frozen=True, slots=True)
class ModSeq:
    """MODSEQ (RFC 7162 3.1.5): mod-sequence of at least ``value``."""

    value: int


@dataclass(frozen=True, slots=True)
class Not:
    """The key does not hold."""

    key: SearchKey


@dataclass(frozen=True, slots=True)
class Or:
    """Either key holds."""

    left: SearchKey
    right: SearchKey


@dataclass(frozen=True, slots=True)
class And:
    """All keys hold; at least two."""

    keys: tuple[SearchKey, ...]


SearchKey: TypeAlias = (
    All
    | InSet
    | HasFlag
    | HasKeyword
    | IsRecent
    | InternalDay
    | SentDay
    | InHeader
    | InBody
    | InText
    | Larger
    | Smaller
    | ModSeq
    | Not
    | Or
    | And
)

MAX_DEPTH = 50  # of NOT, OR and parentheses within each other
MAX_KEYS = 2000  # of one SEARCH
# Charsets a client may write its strings in, and Python's names of them; nothing else reaches a codec.
CHARSETS = {"US-ASCII": "ascii", "UTF-8": "utf-8", "ISO-8859-1": "latin-1", "ISO-8859-15": "iso8859-15"}

_KEY_NAME = re.compile(rb"[A-Za-z]+")
_ENTRY_TYPES = ("priv", "shared", "all")


def bad_charset() -> CommandFault:
    """NO [BADCHARSET (...)] with what is known (RFC 3501 7.1)."""
    known = " ".join(sorted(CHARSETS, reverse=True)).encode("ascii")
    return CommandFault("Unknown charset", status=b"NO", code=b"BADCHARSET (%s)" % known)


class SearchProgram:
    """Reads search keys. Strings are decoded; the depth and the number of keys are limited.

    ``modseq`` is True once a MODSEQ key was read.
    """

    def __init__(self, lexer: Lexer, charset: str = "") -> None:
        """:param charset: a key of ``CHARSETS``, or "": ASCII, and UTF-8 where a literal has 8-bit octets."""
        self._lexer = lexer
        self._codec = CHARSETS[charset or "UTF-8"]
        self._depth = 0
        self._count = 0
        self.modseq = False

    def keys(self) -> SearchKey:
        """Read ``search-key *(SP search-key)`` up to the end of the command."""
        keys = [self._key()]
        while not self._lexer.at_end:
            self._lexer.space()
            keys.append(self._key())
        return _conjunction(keys)

    def _key(self) -> SearchKey:
        self._count += 1
        if self._depth >= MAX_DEPTH or self._count > MAX_KEYS:
            raise CommandFault("Search is too deep or too long", status=b"NO", code=b"LIMIT")
        self._depth += 1
        try:
            return self._one()
        finally:
            self._depth -= 1

    def _one(self) -> SearchKey:
        lexer = self._lexer
        following = lexer.peek()
        if following == b"(":
            return _conjunction(lexer.parenthesized(self._key))
        if following.isdigit() or following == b"*":
            return InSet(lexer.sequence_set(SeqSet))
        name = lexer.match(_KEY_NAME, "a search key").group().decode("ascii").upper()
        plain = _PLAIN_KEYS.get(name)
        if plain is not None:
            return plain
        read = _KEYS.get(name)
        if read is None:
            raise CommandFault("Unknown search key")
        lexer.space()
        return read(self)

    # Arguments

    def text(self) -> str:
        """Read an astring in the command's charset."""
        try:
            return self._lexer.astring().decode(self._codec)
        except UnicodeDecodeError:
            raise bad_charset() from None

    def field_name(self) -> str:
        """Read a header field name, in lower case."""
        try:
            return self._lexer.astring().decode("ascii").lower()
        except UnicodeDecodeError:
            raise CommandFault("Bad header field name") from None

    def keyword(self, on: bool) -> SearchKey:
        """Read KEYWORD's argument."""
        return HasKeyword(self._lexer.atom().decode("ascii"), on)

    def negation(self) -> SearchKey:
        """Read NOT's argument."""
        return Not(self._key())

    def alternative(self) -> SearchKey:
        """Read OR's arguments."""
        left = self._key()
        self._lexer.space()
        return Or(left, self._key())

    def header(self) -> SearchKey:
        """Read HEADER's arguments."""
        field = self.field_name()
        self._lexer.space()
        return InHeader(field, self.text())

    def mod_sequence(self) -> SearchKey:
        """Read MODSEQ's arguments; entry name and type are checked and passed over: one modseq covers a message."""
        if self._lexer.peek() == b'"':
            if not self._lexer.string().lower().startswith(b"/flags/"):
                raise CommandFault("Unknown metadata entry")
            self._lexer.space()
            if self._lexer.word().lower() not in _ENTRY_TYPES:
                raise CommandFault("Unknown metadata entry type")
            self._lexer.space()
        self.modseq = True
        return ModSeq(self._lexer.number(MAX_NUMBER64))

    @property
    def lexer(self) -> Lexer:
        """The cursor."""
        return self._lexer


def _conjunction(keys: list[SearchKey]) -> SearchKey:
    return keys[0] if len(keys) == 1 else And(tuple(keys))


_PLAIN_KEYS: dict[str, SearchKey] = {
    "ALL": All(),
    "NEW": And((IsRecent(), HasFlag(SEEN, False))),
    "OLD": IsRecent(False),
    "RECENT": IsRecent(),
}
for _name, _bit in {"ANSWERED": ANSWERED, "DELETED": DELETED, "DRAFT": DRAFT, "FLAGGED": FLAGGED, "SEEN": SEEN}.items():
    _PLAIN_KEYS[_name] = HasFlag(_bit)
    _PLAIN_KEYS["UN" + _name] = HasFlag(_bit, False)

# A further search key is one class above and one row here.
_KEYS: dict[str, Callable[[SearchProgram], SearchKey]] = {
    "BCC": lambda p: InHeader("bcc", p.text()),
    "CC": lambda p: InHeader("cc", p.text()),
    "FROM": lambda p: InHeader("from", p.text()),
    "SUBJECT": lambda p: InHeader("subject", p.text()),
    "TO": lambda p: InHeader("to", p.text()),
    "HEADER": SearchProgram.header,
    "BODY": lambda p: InBody(p.text()),
    "TEXT": lambda p: InText(p.text()),
    "BEFORE": lambda p: InternalDay("before", p.lexer.date()),
    "ON": lambda p: InternalDay("on", p.lexer.date()),
    "SINCE": lambda p: InternalDay("since", p.lexer.date()),
    "SENTBEFORE": lambda p: SentDay("before", p.lexer.date()),
    "SENTON": lambda p: SentDay("on", p.lexer.date()),
    "SENTSINCE": lambda p: SentDay("since", p.lexer.date()),
    "KEYWORD": lambda p: p.keyword(True),
    "UNKEYWORD": lambda p: p.keyword(False),
    "LARGER": lambda p: Larger(p.lexer.number()),
    "SMALLER": lambda p: Smaller(p.lexer.number()),
    "MODSEQ": SearchProgram.mod_sequence,
    "UID": lambda p: InSet(p.lexer.sequence_set(UidSet)),
    "NOT": SearchProgram.negation,
    "OR": SearchProgram.alternative,
}
