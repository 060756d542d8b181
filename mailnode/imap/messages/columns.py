"""Columns of what SORT and THREAD (RFC 5256 3) compare, one for each kind. May run in another process, and loads little, as some
orders take less time than to load what reads facts.

A column holds values of some messages of a mailbox, in the order in which they were read: numbers one after another, texts
with NUL between them, as they are compared (:mod:`mailnode.values.casemap`), links as ``Threaded.links`` has them. What a message
says never changes, so a column only grows.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias, TypeVar

NUMBERS = frozenset(
    {"ARRIVAL", "DATE", "SIZE", "REPLY"}
)  # ARRIVAL and DATE are seconds: finer, INTERNALDATE tells nobody
LINKS = "LINKS"

T = TypeVar("T")

Values: TypeAlias = "array[int] | bytes"


class Column(NamedTuple):
    """One column. ``uids`` are those of its messages."""

    uids: array[int]
    values: Values

    @property
    def octets(self) -> int:
        """How much memory it takes."""
        return len(self.uids) * self.uids.itemsize + memoryview(self.values).nbytes


def grown(column: Column | None, uids: Sequence[array[int]], values: Sequence[Values]) -> Column:
    """Return a column with what was read for it since, piece by piece."""
    all_uids = array("I") if column is None else column.uids[:]
    for some in uids:
        all_uids.extend(some)
    before = [] if column is None or not column.uids else [column.values]
    filled = before + [value for some, value in zip(uids, values, strict=True) if some]
    if all(isinstance(value, bytes) for value in filled):
        return Column(all_uids, b"\0".join(filled))
    numbers = array("q")
    for value in filled:
        numbers.extend(value)
    return Column(all_uids, numbers)


def texts_of(column: Column, uids: array[int]) -> Sequence[bytes]:
    """Return the texts of messages in their order. What is not in the column is as if the message said nothing."""
    texts = bytes(column.values).split(b"\0") if column.uids else []
    return texts if column.uids == uids else _picked(column.uids, texts, uids, b"")


def numbers_of(column: Column, uids: array[int]) -> Sequence[int]:
    """The same of numbers."""
    values = _numbers(column)
    return values if column.uids == uids else _picked(column.uids, values, uids, 0)


def links_of(column: Column, uids: array[int]) -> Sequence[int]:
    """The same of links, one message after another."""
    values = _numbers(column)
    if column.uids == uids:
        return values
    links = array("q")
    for one in _picked(column.uids, _parted(values), uids, array("q", [0, 0])):
        links.extend(one)
    return links


def _numbers(column: Column) -> array[int]:
    return array("q") if isinstance(column.values, bytes) else column.values


def _picked(held: array[int], values: Sequence[T], uids: array[int], absent: T) -> list[T]:
    value = dict(zip(held, values, strict=True)).get
    return [value(uid, absent) for uid in uids]


def _parted(links: array[int]) -> list[array[int]]:
    parts, place = [], 0
    while place < len(links):
        end = place + 2 + links[place + 1]
        parts.append(links[place:end])
        place = end
    return parts
