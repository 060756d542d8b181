"""What SEARCH looks for, as a tree of keys (RFC 3501 6.4.4, RFC 6203 3, RFC 7162 3.1.5)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

from mailnode.imap.wire.command import MessageSet
from mailnode.imap.wire.lexer import MAX_NUMBER, MAX_NUMBER64, CommandFault, Lexer
from mailnode.message.fuzzy import words_of
from mailnode.message.search_text import fold
from mailnode.values.flags import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN
from mailnode.values.object_ids import is_object_id
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
class SavedDay:
    """SAVEDBEFORE, SAVEDON, SAVEDSINCE: SAVEDATE's day, as FETCH shows it (RFC 8514 4.3)."""

    relation: str
    day: date


@dataclass(frozen=True, slots=True)
class HasObjectId:
    """EMAILID and THREADID (RFC 8474 6): ``column`` is ``message_id`` or ``thread_id``, ``text`` the identifier as written."""

    column: str
    text: str


@dataclass(frozen=True, slots=True)
class Within:
    """OLDER and YOUNGER (RFC 5032): INTERNALDATE at least (``older``) or at most so many seconds ago."""

    older: bool
    seconds: int


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
class NearlyInHeader:
    """FUZZY of a header field (RFC 6203 3): ``needed`` of the words, or more, stand or nearly stand in fields of that name."""

    field: str
    words: tuple[str, ...]
    needed: int


@dataclass(frozen=True, slots=True)
class NearlyInText:
    """FUZZY of BODY, and of TEXT (``header``): the words may stand in different places."""

    words: tuple[str, ...]
    needed: int
    header: bool


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
    | Within
    | SentDay
    | SavedDay
    | HasObjectId
    | InHeader
    | InBody
    | InText
    | NearlyInHeader
    | NearlyInText
    | Larger
    | Smaller
    | ModSeq
    | Not
    | Or
    | And
)

MAX_DEPTH = 50  # of NOT, OR and parentheses within each other
MAX_KEYS = 2000  # of one SEARCH
MAX_WORDS = 32  # the same, behind FUZZY
# Charsets a client may write its strings in, and Python's names of them; nothing else reaches a codec.
CHARSETS = {"US-ASCII": "ascii", "UTF-8": "utf-8", "ISO-8859-1": "latin-1", "ISO-8859-15": "iso8859-15"}

_KEY_NAME = re.compile(rb"[A-Za-z]+")
_ENTRY_TYPES = ("priv", "shared", "all")


def bad_charset() -> CommandFault:
    """NO [BADCHARSET (...)] with what is known (RFC 3501 7.1)."""
    known = " ".join(sorted(CHARSETS, reverse=True)).encode("ascii")
    return CommandFault("Unknown charset", status=b"NO", code=b"BADCHARSET (%s)" % known)


def read_charset(lexer: Lexer) -> str:
    """Read the charset of a command's strings: a key of ``CHARSETS``. :raises CommandFault: NO [BADCHARSET]"""
    charset = lexer.astring().decode("latin-1").upper()
    if charset not in CHARSETS:
        raise bad_charset()
    return charset


def leaves(key: SearchKey) -> Iterator[SearchKey]:
    """Yield the keys of a tree that are no combination of others, in its order."""
    if isinstance(key, And):
        for inner in key.keys:
            yield from leaves(inner)
    elif isinstance(key, Or):
        yield from leaves(key.left)
        yield from leaves(key.right)
    elif isinstance(key, Not):
        yield from leaves(key.key)
    else:
        yield key


def counts(key: SearchKey) -> bool:
    """Whether message sequence numbers stand anywhere in a key."""
    return any(isinstance(leaf, InSet) and isinstance(leaf.messages, SeqSet) for leaf in leaves(key))


def knows_recent(key: SearchKey) -> bool:
    """Whether NEW, OLD or RECENT stands anywhere in a key."""
    return any(isinstance(leaf, IsRecent) for leaf in leaves(key))


class SearchProgram:
    """Reads search keys. Strings are decoded; the depth and the number of keys are limited.

    ``modseq`` is True once a MODSEQ key was read, ``fuzzy`` once a FUZZY one.
    """

    def __init__(self, lexer: Lexer, charset: str = "") -> None:
        """:param charset: a key of ``CHARSETS``, or "": ASCII, and UTF-8 where a literal has 8-bit octets."""
        self._lexer = lexer
        self._codec = CHARSETS[charset or "UTF-8"]
        self._depth = 0
        self._count = 0
        self._words = 0
        self._nearly = False  # FUZZY stands before what is read
        self.modseq = False
        self.fuzzy = False

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
        if following.isdigit() or following in (b"*", b"$"):
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

    def nearly(self) -> SearchKey:
        """Read FUZZY's argument: texts are looked for by their words, of all other keys nothing is near (RFC 6203 5)."""
        outside, self._nearly, self.fuzzy = self._nearly, True, True
        try:
            return self._key()
        finally:
            self._nearly = outside

    def in_header(self, field: str) -> SearchKey:
        """Read what is looked for in fields of a name."""
        text = self.text()
        words = self._fuzzy_words(text)
        return NearlyInHeader(field, words, _most_of(words)) if words else InHeader(field, text)

    def in_text(self, header: bool) -> SearchKey:
        """Read the argument of TEXT (``header``) and BODY."""
        text = self.text()
        words = self._fuzzy_words(text)
        if words:
            return NearlyInText(words, _most_of(words), header)
        return InText(text) if header else InBody(text)

    def _fuzzy_words(self, text: str) -> tuple[str, ...]:
        """Return the words that are enough nearly; none where the text is looked for as it stands."""
        words = words_of(fold(text)) if self._nearly else ()
        self._words += len(words)
        if self._words > MAX_WORDS:
            raise CommandFault("Too many words behind FUZZY", status=b"NO", code=b"LIMIT")
        return words

    def field_name(self) -> str:
        """Read a header field name, in lower case."""
        try:
            return self._lexer.astring().decode("ascii").lower()
        except UnicodeDecodeError:
            raise CommandFault("Bad header field name") from None

    def keyword(self, on: bool) -> SearchKey:
        """Read KEYWORD's argument."""
        return HasKeyword(self._lexer.atom().decode("ascii"), on)

    def within(self, older: bool) -> SearchKey:
        """Read the argument of OLDER and YOUNGER."""
        seconds = self._lexer.number()
        if not seconds:
            raise CommandFault("Number out of range")
        return Within(older, seconds)

    def beside_uid(self, *, after: bool) -> SearchKey:
        """Read the argument of UIDAFTER and UIDBEFORE (RFC 9738 3.2): no ``*`` stands in the set, which may be empty."""
        uid = self._lexer.number()
        if not uid:
            raise CommandFault("Number out of range")
        low, high = (uid + 1, MAX_NUMBER) if after else (1, uid - 1)
        return InSet(UidSet(((low, high),) if low <= high else ()))

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
        return self.in_header(field)

    def object_id(self, column: str) -> SearchKey:
        """Read EMAILID's or THREADID's argument."""
        text = self._lexer.atom().decode("ascii")
        if not is_object_id(text):
            raise CommandFault("Bad object identifier")
        return HasObjectId(column, text)

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


def _most_of(words: tuple[str, ...]) -> int:
    """Return how many words are more than half of them."""
    return len(words) // 2 + 1


def _conjunction(keys: list[SearchKey]) -> SearchKey:
    return keys[0] if len(keys) == 1 else And(tuple(keys))


_PLAIN_KEYS: dict[str, SearchKey] = {
    "ALL": All(),
    "NEW": And((IsRecent(), HasFlag(SEEN, False))),
    "OLD": IsRecent(False),
    "RECENT": IsRecent(),
    "SAVEDATESUPPORTED": All(),
}
for _name, _bit in {"ANSWERED": ANSWERED, "DELETED": DELETED, "DRAFT": DRAFT, "FLAGGED": FLAGGED, "SEEN": SEEN}.items():
    _PLAIN_KEYS[_name] = HasFlag(_bit)
    _PLAIN_KEYS["UN" + _name] = HasFlag(_bit, False)

# A further search key is one class above and one row here.
_KEYS: dict[str, Callable[[SearchProgram], SearchKey]] = {
    "BCC": lambda p: p.in_header("bcc"),
    "CC": lambda p: p.in_header("cc"),
    "FROM": lambda p: p.in_header("from"),
    "SUBJECT": lambda p: p.in_header("subject"),
    "TO": lambda p: p.in_header("to"),
    "HEADER": SearchProgram.header,
    "BODY": lambda p: p.in_text(header=False),
    "TEXT": lambda p: p.in_text(header=True),
    "BEFORE": lambda p: InternalDay("before", p.lexer.date()),
    "ON": lambda p: InternalDay("on", p.lexer.date()),
    "SINCE": lambda p: InternalDay("since", p.lexer.date()),
    "OLDER": lambda p: p.within(True),
    "YOUNGER": lambda p: p.within(False),
    "SENTBEFORE": lambda p: SentDay("before", p.lexer.date()),
    "SENTON": lambda p: SentDay("on", p.lexer.date()),
    "SENTSINCE": lambda p: SentDay("since", p.lexer.date()),
    "SAVEDBEFORE": lambda p: SavedDay("before", p.lexer.date()),
    "SAVEDON": lambda p: SavedDay("on", p.lexer.date()),
    "SAVEDSINCE": lambda p: SavedDay("since", p.lexer.date()),
    "EMAILID": lambda p: p.object_id("message_id"),
    "THREADID": lambda p: p.object_id("thread_id"),
    "KEYWORD": lambda p: p.keyword(True),
    "UNKEYWORD": lambda p: p.keyword(False),
    "LARGER": lambda p: Larger(p.lexer.number(MAX_NUMBER64)),
    "SMALLER": lambda p: Smaller(p.lexer.number(MAX_NUMBER64)),
    "MODSEQ": SearchProgram.mod_sequence,
    "UIDAFTER": lambda p: p.beside_uid(after=True),
    "UIDBEFORE": lambda p: p.beside_uid(after=False),
    "UID": lambda p: InSet(p.lexer.sequence_set(UidSet)),
    "FUZZY": SearchProgram.nearly,
    "NOT": SearchProgram.negation,
    "OR": SearchProgram.alternative,
}
