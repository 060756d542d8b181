"""What filters say of a message in the process that reads it, which is told their counts of words as they become known."""

from __future__ import annotations

from collections.abc import Mapping

from mailnode.policy.chances import Pair, chance_of
from mailnode.values.reading import AskedFilter, ToldChance, shown

KNOWN = 200_000  # words, of all filters together


class SharedCounts:
    """Counts of words, by the number under which a process knows a filter; those unused for longest go first. With each number all
    begins anew: what has changed has another."""

    def __init__(self, most: int = KNOWN) -> None:
        self._filters: dict[int, dict[int, Pair]] = {}  # what was asked last stands last
        self._held = 0  # words
        self._most = most

    def tell(self, asked: AskedFilter, words: Mapping[int, bytes]) -> ToldChance | None:
        """Return what a filter says. :param words: by their numbers. None: it is not known of all of them."""
        known = self._filters.pop(asked.number, {})
        if asked.number:
            self._filters[asked.number] = known
            if asked.fresh:
                self._learn(known, asked.fresh)
        numbers = list(words)
        pairs = list(map(known.get, numbers))
        if None in pairs:
            return None
        chance = chance_of(asked.junk, asked.good, numbers, pairs)
        return ToldChance(chance.junk, shown([words[number] for number in chance.telling]))

    def _learn(self, known: dict[int, Pair], fresh: Mapping[int, Pair]) -> None:
        before = len(known)
        known.update(fresh)
        self._held += len(known) - before
        while self._held > self._most:
            self._held -= len(self._filters.pop(next(iter(self._filters))))
