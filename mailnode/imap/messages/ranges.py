"""Messages of a view, a bounded number at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mailnode.imap.view.view import View

RANGE = 256  # messages whose rows are read from the store at a time


def ranges_of(spans: Iterable[Sequence[int]], size: int) -> Iterator[Sequence[int]]:
    """Yield ascending indexes ``size`` at a time at most, those of short spans together."""
    gathered: list[int] = []
    for span in spans:
        for start in range(0, len(span), size):
            piece = span[start : start + size]
            if gathered and len(gathered) + len(piece) > size:
                yield gathered
                gathered = []
            if len(piece) == size:
                yield piece
            else:
                gathered.extend(piece)
    if gathered:
        yield gathered


def at_places(spans: Iterable[range], places: range) -> list[range]:
    """Return the indexes that stand at these places of all that the spans hold, counted from 0."""
    found = []
    passed = 0
    for span in spans:
        part = span[max(places.start - passed, 0) : max(places.stop - passed, 0)]
        if part:
            found.append(part)
        passed += len(span)
    return found


def uids_of(view: View, indexes: Sequence[int]) -> Sequence[int]:
    """Return the UIDs of ascending indexes."""
    return column_of(view.uids, indexes)


def column_of(column: Sequence[int], indexes: Sequence[int]) -> Sequence[int]:
    """Return what one of a view's columns has of ascending indexes."""
    if isinstance(indexes, range):
        return column[indexes.start : indexes.stop]
    return [column[index] for index in indexes]


def numbers_of(indexes: Sequence[int]) -> Sequence[int]:
    """Return the sequence numbers of ascending indexes."""
    if isinstance(indexes, range):
        return range(indexes.start + 1, indexes.stop + 1)
    return [index + 1 for index in indexes]
