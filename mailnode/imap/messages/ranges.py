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


def uids_of(view: View, indexes: Sequence[int]) -> Sequence[int]:
    """Return the UIDs of ascending indexes."""
    held = view.uids
    if isinstance(indexes, range):
        return held[indexes.start : indexes.stop]
    return [held[index] for index in indexes]
