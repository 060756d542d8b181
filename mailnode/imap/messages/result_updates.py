"""What a client is told of a search whose result changes (RFC 5267 4.3): ADDTO and REMOVEFROM.

A result is kept as a mark for each message. That of SEARCH is in the order of the mailbox, and its members have no place; of
SORT the place of each that comes or goes is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from mailnode.imap.messages.fetch_items import FetchItem
from mailnode.imap.messages.ordered import Criterion
from mailnode.imap.messages.search_keys import (
    And,
    HasFlag,
    HasKeyword,
    InSet,
    IsRecent,
    ModSeq,
    Not,
    Or,
    SearchKey,
    Within,
    leaves,
)
from mailnode.imap.messages.search_returns import NUMBERS
from mailnode.imap.view.saved import Saved
from mailnode.imap.view.view import View
from mailnode.imap.wire.lexer import MAX_NUMBER
from mailnode.imap.wire.text import string
from mailnode.values.sets import STAR, UidSet, compressed

Pair: TypeAlias = tuple[int, Sequence[int]]  # context-position, and numbers in the order of the result


@dataclass(slots=True)
class Updated:
    """One search with UPDATE. ``uid``: UIDs are told. ``key``: with what numbers stood for then. ``criteria``: of SORT.
    ``marks``: which messages are in its result, as the client knows it. ``items``: what is told of new messages in it
    (RFC 5465 7). ``last_uid``: those above it are new. ``where``: further correlators."""

    tag: bytes
    uid: bool
    key: SearchKey
    marks: Saved
    criteria: tuple[Criterion, ...] = ()
    items: tuple[FetchItem, ...] = ()
    last_uid: int = 0
    where: bytes = b""


def settled(key: SearchKey, view: View) -> SearchKey:
    """Return a key in which message numbers, ``$`` and ``*`` stand for the messages they stand for now (RFC 5267 4.3); from a UID
    on to ``*`` are those that will come, too."""
    if isinstance(key, And):
        return And(tuple(settled(inner, view) for inner in key.keys))
    if isinstance(key, Or):
        return Or(settled(key.left, view), settled(key.right, view))
    if isinstance(key, Not):
        return Not(settled(key.key, view))
    if not isinstance(key, InSet):
        return key
    uids, messages = view.uids, key.messages
    if isinstance(messages, UidSet) and not messages.saved:
        largest = uids[view.exists - 1] if view.exists else 0
        spans = [_from_now(first, last, largest) for first, last in messages.ranges]
        return InSet(UidSet(tuple(span for span in spans if span[1])))
    picked = view.pick_existing(messages)
    return InSet(UidSet(tuple((uids[span.start], uids[span.stop - 1]) for span in picked if span)))


def may_change(key: SearchKey) -> bool:
    """Whether it may hold for a message now and not later, or later and not now: what a message says stays as it is.

    :param key: a settled one.
    """
    return any(isinstance(leaf, HasFlag | HasKeyword | IsRecent | ModSeq | Within) for leaf in leaves(key))


def _from_now(first: int, last: int, largest: int) -> tuple[int, int]:
    if STAR not in (first, last):
        return first, last
    if first == last:
        return largest, largest
    number = first or last
    return min(number, largest or number), MAX_NUMBER


def update_response(update: Updated, removed: Sequence[Pair], added: Sequence[Pair]) -> Iterator[bytes]:
    """Yield ``* ESEARCH`` in pieces; the client takes the pairs one after another, those removed first."""
    yield b"* ESEARCH (TAG %b%b)" % (string(update.tag), update.where) + b" UID" * update.uid
    for name, pairs in ((b" REMOVEFROM (", removed), (b" ADDTO (", added)):
        if pairs:
            yield name
            for number, (position, numbers) in enumerate(pairs):
                yield b" " * bool(number) + b"%d " % position
                for piece in compressed(numbers[at : at + NUMBERS] for at in range(0, len(numbers), NUMBERS)):
                    yield piece.encode("ascii")
            yield b")"
    yield b"\r\n"


def unordered(numbers: Sequence[int]) -> list[Pair]:
    """Return pairs of a result in the order of the mailbox. :param numbers: ascending."""
    return [(0, numbers)] if numbers else []


def inserted(places: Sequence[int], numbers: Sequence[int]) -> list[Pair]:
    """Return pairs that put numbers where they stand in the result then. :param places: ascending, counted from 0."""
    return [(run.start + 1, numbers[at : at + len(run)]) for at, run in _runs(places)]


def taken_out(places: Sequence[int], numbers: Sequence[int]) -> list[Pair]:
    """Return pairs that take numbers out of the result: the last come first, so that no other place changes by it."""
    return inserted(places, numbers)[::-1]


def _runs(places: Sequence[int]) -> Iterator[tuple[int, range]]:
    """Yield runs of places that follow one another, and which of all places begins each."""
    at = 0
    while at < len(places):
        end = at + 1
        while end < len(places) and places[end] == places[end - 1] + 1:
            end += 1
        yield at, range(places[at], places[end - 1] + 1)
        at = end
