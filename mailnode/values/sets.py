"""Sets of message numbers. Sequence numbers and UIDs are different types, so that one is never taken for the other.

A set as a client writes it (``4,6:*``) stays a tuple of ranges and is never expanded beyond what exists.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

STAR = 0  # stands for "*" in a range; 0 is not a message number


@dataclass(frozen=True, slots=True)
class _NumberSet:
    ranges: tuple[tuple[int, int], ...]  # as written: (first, last), STAR for "*"; either order
    saved: bool = False  # whether ``$`` stands behind them (RFC 5182 3)

    def concrete(self, largest: int) -> tuple[tuple[int, int], ...]:
        """Return sorted, disjoint (low, high) ranges with ``*`` replaced by ``largest``; ``*`` is left out when it is 0. What
        ``$`` stands for, the view of a session alone knows."""
        spans = []
        for first, last in self.ranges:
            a = first or largest
            b = last or largest
            if a and b:
                spans.append((a, b) if a <= b else (b, a))
        return merge(spans) if len(spans) > 1 else tuple(spans)


@dataclass(frozen=True, slots=True)
class SeqSet(_NumberSet):
    """Message sequence numbers (RFC 9051 2.3.1.2)."""


@dataclass(frozen=True, slots=True)
class UidSet(_NumberSet):
    """Unique identifiers (RFC 9051 2.3.1.1)."""


def merge(spans: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Return sorted, disjoint, non-adjacent (low, high) ranges that cover the same numbers."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(spans):
        if merged and low <= merged[-1][1] + 1:
            if high > merged[-1][1]:
                merged[-1] = (merged[-1][0], high)
        else:
            merged.append((low, high))
    return tuple(merged)


def select(ordered: Sequence[int], spans: Iterable[tuple[int, int]]) -> list[int]:
    """Return the members of an ascending sequence that lie in sorted, disjoint ranges; O(answer + ranges * log n)."""
    found: list[int] = []
    for low, high in spans:
        found.extend(ordered[bisect_left(ordered, low) : bisect_right(ordered, high)])
    return found


def compress(numbers: Iterable[int]) -> str:
    """Return numbers in the given order as an IMAP set: ascending runs become ``a:b`` (RFC 4315 3 wants the order kept)."""
    return "".join(compressed((numbers,)))


def compressed(parts: Iterable[Iterable[int]]) -> Iterator[str]:
    """Yield what :func:`compress` returns for all numbers of the parts, a piece after each part, which may be empty."""
    start = previous = None
    comma = ""
    for part in parts:
        runs: list[str] = []
        for number in part:
            if previous is not None and number == previous + 1:
                previous = number
                continue
            if start is not None:
                runs.append(f"{start}" if start == previous else f"{start}:{previous}")
            start = previous = number
        yield comma + ",".join(runs) if runs else ""
        comma = "," if runs else comma
    if start is not None:
        yield comma + (f"{start}" if start == previous else f"{start}:{previous}")
