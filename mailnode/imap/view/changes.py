"""What a client that was away has missed, and what of it need not be said (RFC 7162 3.2.5 and 3.2.6).

Everything is yielded in pieces of bounded size: mailboxes may have millions of messages.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence

from mailnode.values.sets import compressed

STEP = 1000  # messages looked at between two pieces

Spans = Sequence[tuple[int, int]]  # sorted, disjoint: lowest and highest
Matches = Sequence[tuple[int, int, int]]  # ascending: sequence number, UID, and how many follow one another in both


def clipped(spans: Spans, lowest: int, highest: int) -> Spans:
    """Return what of the spans lies between two numbers."""
    return [(max(low, lowest), min(high, highest)) for low, high in spans if max(low, lowest) <= min(high, highest)]


def changed(modseqs: Sequence[int], spans: Iterable[Sequence[int]], since: int) -> Iterator[Sequence[int]]:
    """Yield the indexes of messages changed after a mod-sequence, ascending. :param spans: ascending indexes."""
    for span in spans:
        for start in range(0, len(span), STEP):
            some = span[start : start + STEP]
            if isinstance(some, range) and max(modseqs[some.start : some.stop]) <= since:
                yield ()  # as of most, which are not looked at one by one
            else:
                yield [index for index in some if modseqs[index] > since]


def known_expunged(gone: Sequence[int], uids: Sequence[int], spans: Spans) -> Iterator[str]:
    """Yield the set of those expunged UIDs that lie in the spans, a piece at a time.

    :param gone: expunged UIDs, ascending. :param uids: those of the view, whose expunge is told by itself.
    """
    return compressed(_without(gone, uids, spans))


def _without(gone: Sequence[int], uids: Sequence[int], spans: Spans) -> Iterator[list[int]]:
    count = len(uids)
    for low, high in spans:
        end = bisect_right(gone, high)
        for start in range(bisect_left(gone, low), end, STEP):
            yield [
                uid
                for uid in gone[start : min(start + STEP, end)]
                if (at := bisect_left(uids, uid)) == count or uids[at] != uid
            ]


def missing(uids: Sequence[int], spans: Spans) -> Iterator[str]:
    """Yield the set of the UIDs of the spans that are not in the view, a piece at a time: all that may have been expunged,
    where nobody knows what was.

    :param uids: those of the view, ascending.
    """
    comma = ""
    for some in _gaps(uids, spans):
        yield comma * bool(some) + ",".join([f"{low}" if low == high else f"{low}:{high}" for low, high in some])
        comma = "," if some else comma


def _gaps(uids: Sequence[int], spans: Spans) -> Iterator[list[tuple[int, int]]]:
    for low, high in spans:
        expected, end = low, bisect_right(uids, high)
        for start in range(bisect_left(uids, low), end, STEP):
            block = uids[start : min(start + STEP, end)]
            gaps = []
            if block[-1] - expected + 1 > len(block):
                for uid in block:
                    if uid > expected:
                        gaps.append((expected, uid - 1))
                    expected = uid + 1
            expected = block[-1] + 1
            yield gaps
        if expected <= high:
            yield [(expected, high)]


def last_match(uids: Sequence[int], matches: Matches) -> int:
    """Return the highest UID that has the sequence number its client takes it to have, 0 for none: up to it the client
    knows of every expunge (RFC 7162 3.2.5.2).

    :param uids: those the client is told of, ascending.
    """
    for number, uid, count in reversed(matches):
        first = number - 1
        numbered = range(first, min(first + count, len(uids)))
        # A UID is never below the one before it plus 1, so UID minus index only grows: the matches are a run.
        at = bisect_right(numbered, uid - first, key=lambda index: uids[index] - index) - 1
        if at >= 0 and uids[first + at] - (first + at) == uid - first:
            return uids[first + at]
    return 0
