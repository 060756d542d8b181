"""What a search says of its result: return options and the answers made by them (RFC 4731, RFC 5182 2.4, RFC 5267 4,
RFC 6203 4, RFC 9394 3).

A result is a sequence of indexes of the view in the order of the result: that of the mailbox for SEARCH, the one asked for
for SORT (RFC 5267 3.1). Options speak of places in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mailnode.imap.messages.fetch_items import FetchItem, parse_items
from mailnode.imap.wire.lexer import MAX_NUMBER, CommandFault, Lexer, decimal
from mailnode.imap.wire.text import string
from mailnode.values.sets import compressed

NUMBERS = 5000  # said between two turns of the reactor

_ITEMS = frozenset({"MIN", "MAX", "ALL", "COUNT"})
_ALL = frozenset({"ALL"})
_OTHERS = frozenset(
    {"SAVE", "RELEVANCY", "UPDATE", "CONTEXT"}
)  # CONTEXT is a hint, which nothing is made of (RFC 5267 4.2)
# partial-range = nz-number ":" nz-number / "-" nz-number ":" "-" nz-number
_PARTIAL = re.compile(rb"(-?)([1-9][0-9]{0,9}):(-?)([1-9][0-9]{0,9})")


@dataclass(frozen=True, slots=True)
class PartialRange:
    """Places of results: 1 is the first, -1 the last; either order (RFC 9394 3.1). Both ends have the same sign."""

    first: int
    last: int

    @classmethod
    def read(cls, lexer: Lexer) -> PartialRange:
        """Read a partial-range. :raises CommandFault:"""
        found = lexer.match(_PARTIAL, "a range of results")
        if found[1] != found[3]:
            raise CommandFault("A range of results begins and ends at the same side")
        first, last = decimal(found[2], MAX_NUMBER), decimal(found[4], MAX_NUMBER)
        return cls(-first, -last) if found[1] else cls(first, last)

    @property
    def from_end(self) -> bool:
        """Whether it counts from the last result."""
        return self.first < 0

    @property
    def furthest(self) -> int:
        """How many results there must be, from the end it counts from, for it to be filled."""
        return max(abs(self.first), abs(self.last))

    def of(self, count: int) -> range:
        """Return which of so many results it names, counted from 0."""
        low, high = min(abs(self.first), abs(self.last)), self.furthest
        if self.from_end:
            return range(max(count - high, 0), max(count - low + 1, 0))
        return range(min(low - 1, count), min(high, count))


@dataclass(frozen=True, slots=True)
class Returns:
    """Return options of one command. ``items``: of MIN, MAX, ALL and COUNT; ``RETURN ()`` is ALL. ``relevancy``: the scores
    of those that PARTIAL names are told, or else of all. ``update``: changes are told from now on (RFC 5267 4.3), with
    ``new_items`` of messages that are new in the result (RFC 5465 7). ``context``: UPDATE or CONTEXT stands there."""

    items: frozenset[str]
    save: bool = False
    partial: PartialRange | None = None
    relevancy: bool = False
    update: bool = False
    new_items: tuple[FetchItem, ...] = ()
    context: bool = False

    @property
    def answered(self) -> bool:
        """Whether there is an ESEARCH response: SAVE alone has none (RFC 5182 1)."""
        return bool(self.items) or self.partial is not None or self.relevancy

    def named(self, count: int) -> Sequence[int]:
        """Return the places, ascending, of the results among so many that ``$`` then stands for (RFC 5182 2.4, RFC 9394
        3.2), and whose mod-sequences count (RFC 7162 3.1.10)."""
        if self.items & {"ALL", "COUNT"} or not (self.items or self.partial):
            return range(count)
        span = range(0) if self.partial is None else self.partial.of(count)
        first = [0] if count and "MIN" in self.items and 0 not in span else []
        last = [count - 1] if count and "MAX" in self.items and count - 1 not in span and first != [count - 1] else []
        return [*first, *span, *last] if first or last else span

    @property
    def enough(self) -> tuple[int, bool] | None:
        """How many results are enough to answer, and whether they are those from the end; None: all are needed."""
        if self.update:
            return None
        if self.partial is not None:
            far = "MIN" if self.partial.from_end else "MAX"
            alone = not self.items & {"COUNT", far}
            return (self.partial.furthest, self.partial.from_end) if alone else None
        if self.relevancy:
            return None
        if self.items == {"MIN"}:
            return 1, False
        return (1, True) if self.items == {"MAX"} else None

    def scored(self, count: int) -> range:
        """Return the places, of so many results, whose scores are told."""
        return range(count) if self.partial is None else self.partial.of(count)


ALL_OF_THEM = Returns(_ALL)


# search-return-opts = SP "RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")"
def read_returns(lexer: Lexer) -> Returns | None:
    """Read ``RETURN (options)`` with the space behind it; None when it is not there (RFC 4466 2.6.1).

    :raises CommandFault: an unknown option, or PARTIAL twice or beside ALL (RFC 9394 3.1).
    """
    if not lexer.accept_word(b"RETURN "):
        return None
    partials: list[PartialRange] = []
    new_items: tuple[FetchItem, ...] = ()

    def option() -> str:
        nonlocal new_items
        name = lexer.word()
        if name == "PARTIAL":
            lexer.space()
            partials.append(PartialRange.read(lexer))
        elif name == "UPDATE" and lexer.follows(
            b" ("
        ):  # modifier-update = "UPDATE" [SP "(" fetch-att *(SP fetch-att) ")"]
            lexer.space()
            new_items = parse_items(lexer)
        elif name not in _ITEMS and name not in _OTHERS:
            raise CommandFault("Unknown search return option")
        return name

    names = frozenset(lexer.parenthesized(option, minimum=0))
    lexer.space()
    if len(partials) + ("ALL" in names) > 1:
        raise CommandFault("PARTIAL stands alone, without ALL")
    items = names & _ITEMS if names else _ALL
    partial = partials[0] if partials else None
    return Returns(
        items,
        save="SAVE" in names,
        partial=partial,
        relevancy="RELEVANCY" in names,
        update="UPDATE" in names,
        new_items=new_items,
        context=not names.isdisjoint(("UPDATE", "CONTEXT")),
    )


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What was found, in its order. ``uids`` are those of the view, where they are what is said; None: sequence numbers are.
    ``modseq``: the highest of what is named, None where nothing was found or nobody asked (RFC 7162 3.1.5). ``scores``: of
    ``Returns.scored``."""

    indexes: Sequence[int]
    uids: Sequence[int] | None = None
    modseq: int | None = None
    scores: Sequence[int] = ()

    def numbers(self, places: range) -> Iterator[list[int]]:
        """Yield the numbers at these places, ``NUMBERS`` at a time: all may be millions."""
        for at in range(places.start, places.stop, NUMBERS):
            some = self.indexes[at : min(at + NUMBERS, places.stop)]
            yield self.said(some)

    def said(self, indexes: Sequence[int]) -> list[int]:
        """Return what is said of these indexes."""
        uids = self.uids
        return [index + 1 for index in indexes] if uids is None else [uids[index] for index in indexes]


def search_response(result: SearchResult, name: bytes = b"SEARCH") -> Iterator[bytes]:
    """Yield ``* SEARCH``, or ``* SORT``, in pieces, also when nothing was found (RFC 3501 7.2.5)."""
    yield b"* " + name
    for some in result.numbers(range(len(result.indexes))):
        yield b" %d" * len(some) % tuple(some)
    yield (b"" if result.modseq is None else b" (MODSEQ %d)" % result.modseq) + b"\r\n"


def esearch_response(
    tag: bytes, uid: bool, returns: Returns, result: SearchResult, where: bytes = b""
) -> Iterator[bytes]:
    """Yield ``* ESEARCH`` in pieces (RFC 4731 3.1): MIN, MAX and ALL are left out when nothing was found, COUNT is 0.

    :param where: further correlators, with a space before each (RFC 7377 2.1).
    """
    count = len(result.indexes)
    words = [b"* ESEARCH", b"(TAG %b%b)" % (string(tag), where)]
    if uid:
        words.append(b"UID")
    if count and "MIN" in returns.items:
        words.append(b"MIN %d" % result.said(result.indexes[:1])[0])
    if count and "MAX" in returns.items:
        words.append(b"MAX %d" % result.said(result.indexes[-1:])[0])
    yield b" ".join(words)
    if count and "ALL" in returns.items:
        yield b" ALL "
        yield from _set(result.numbers(range(count)))
    if returns.partial is not None:
        yield b" PARTIAL (%d:%d " % (returns.partial.first, returns.partial.last)
        places = returns.partial.of(count)
        yield from _set(result.numbers(places)) if places else (b"NIL",)
        yield b")"
    if returns.relevancy:
        yield b" RELEVANCY ("
        for at in range(0, len(result.scores), NUMBERS):
            yield b" " * bool(at) + b" ".join([b"%d" % score for score in result.scores[at : at + NUMBERS]])
        yield b")"
    words = [b""]
    if "COUNT" in returns.items:
        words.append(b"COUNT %d" % count)
    if result.modseq is not None:
        words.append(b"MODSEQ %d" % result.modseq)
    yield b" ".join(words) + b"\r\n"


def _set(numbers: Iterable[Sequence[int]]) -> Iterator[bytes]:
    """Yield a sequence-set in the order of the numbers; only ascending ones make a range (RFC 5267 3.2)."""
    for piece in compressed(numbers):
        yield piece.encode("ascii")
