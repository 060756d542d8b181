"""How many tries may begin: a total, beside which the first try of every destination has a place of its own.

So no number of stuck tries keeps another destination waiting.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Admission:
    """Counts tries that run and those that claims under way may become."""

    def __init__(self, total: int, destinations: int, spare: int = 0) -> None:
        """:param total: tries at once, not counting the first of each destination. :param destinations: of those.
        :param spare: more of those, for destinations something new came for."""
        self._total = total
        self._destinations = destinations
        self._spare = spare
        self._first = 0  # begun or promised, as the others
        self._further = 0

    def places(self, running: int, fresh: bool = False) -> int:
        """How many tries of a destination may begin now. :param running: how many of it run. :param fresh: something new
        came for it."""
        places = max(0, self._total - self._further)
        if running:
            return places
        return places + 1 if self._first < self._destinations + (self._spare if fresh else 0) else 0

    @contextmanager
    def promise(self, count: int, running: int = 0) -> Iterator[None]:
        """Keep places for a claim that is under way. :param running: how many of its destination run."""
        first = running == 0
        self._first += first
        self._further += count - first
        try:
            yield
        finally:
            self._first -= first
            self._further -= count - first

    def begin(self, running: int) -> bool:
        """Count a try that begins. :param running: how many of its destination run already. :return: for :meth:`end`."""
        first = running == 0
        self._first += first
        self._further += not first
        return first

    def end(self, first: bool) -> None:
        """Count a try that ended. :param first: as :meth:`begin` said."""
        self._first -= first
        self._further -= not first
