"""The order of messages by sort criteria (RFC 5256 3). May run in another process, and loads little."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import NamedTuple

from mailnode.imap.messages.columns import NUMBERS, Column, numbers_of, texts_of

RELEVANCY = "RELEVANCY"  # which only a search with FUZZY keys has


class Criterion(NamedTuple):
    """One sort-criterion. ``key`` is one of :data:`.sort_order.KEYS`, or :data:`RELEVANCY`."""

    key: str
    reverse: bool = False


def ordered(
    columns: Mapping[str, Column], uids: array[int], criteria: tuple[Criterion, ...], scores: array[int]
) -> array[int]:
    """Return the places of messages, counted from 0, in their order; those that are alike as they stand (RFC 5256 3).

    :param scores: by place, for RELEVANCY: the highest comes first (RFC 6203 6).
    """
    places = list(range(len(uids)))
    for criterion in reversed(criteria):
        if criterion.key == RELEVANCY:
            places.sort(key=scores.__getitem__, reverse=not criterion.reverse)
            continue
        column = columns[criterion.key]
        if criterion.key in NUMBERS:
            places.sort(key=list(numbers_of(column, uids)).__getitem__, reverse=criterion.reverse)  # made once each
        else:
            places.sort(key=texts_of(column, uids).__getitem__, reverse=criterion.reverse)
    return array("I", places)
