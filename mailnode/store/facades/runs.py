"""What is worked on in bounded steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def runs_of(items: Iterable[T], octets_of: Callable[[T], int], most: int) -> Iterator[list[T]]:
    """Cut items into runs of up to ``most`` octets; one that has more is a run of its own."""
    some: list[T] = []
    octets = 0
    for item in items:
        size = octets_of(item)
        if some and octets + size > most:
            yield some
            some, octets = [], 0
        some.append(item)
        octets += size
    if some:
        yield some
