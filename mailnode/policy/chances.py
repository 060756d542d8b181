"""How likely a message is junk, by the words in it: Bayes for each word, Fisher's method for all of them.

Of a word that was in ``j`` of the ``J`` messages learnt as junk and in ``g`` of the ``G`` others, ``p = (j/J) / (j/J + g/G)`` is
how likely a message with it is junk, if both kinds were equally frequent. Seen in few messages it says little: with
``n = j + g``, ``f = (s x + n p) / (s + n)`` begins at ``x = 1/2`` and moves to ``p`` with a strength ``s`` of less than a message.

The words that say most are taken together. Were they all meaningless, their ``f`` would be spread evenly, and
``-2 sum(ln f)`` would be of a chi-square distribution with two degrees of freedom a word (Fisher). ``S``, the chance to find as
much or more for junk by accident, and ``H``, the same against it, become ``(1 + H - S) / 2``: near 1 where there is much for junk
and little against it, near 0 the other way round, and 1/2 where both is the case or neither.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import exp, log

from mailnode.values.learning import WordCounts

STRENGTH = 0.45  # messages
UNKNOWN = 0.5
SAYS = 0.1  # words whose f is closer to 1/2 than this are not asked
MOST_WORDS = 150
NAMED = 5


@dataclass(frozen=True, slots=True)
class Chance:
    """How likely it is, from 0.0 to 1.0, and which words speak most for what is likely, by their numbers."""

    junk: float = UNKNOWN
    telling: tuple[int, ...] = ()


def chance(counts: WordCounts, words: Iterable[int]) -> Chance:
    """Return how likely a message with these words is junk to an account that has learnt both kinds."""
    known, of_junk, of_good = counts.words, 1 / max(1, counts.junk), 1 / max(1, counts.good)
    asked = []
    for word in words:
        seen = known.get(word)
        if seen is not None:
            f = _likely(seen[0], seen[1], of_junk, of_good)
            if not -SAYS < f - UNKNOWN < SAYS:
                asked.append((-abs(f - UNKNOWN), word, f))
    if not asked:
        return Chance()
    asked.sort()
    del asked[MOST_WORDS:]
    for_junk = _by_accident(-sum([log(1 - f) for _, _, f in asked]), len(asked))
    against = _by_accident(-sum([log(f) for _, _, f in asked]), len(asked))
    junk = (1 + against - for_junk) / 2
    telling = [word for _, word, f in asked if (f > UNKNOWN) == (junk > UNKNOWN)]
    return Chance(junk, tuple(telling[:NAMED]))


def likely(counts: WordCounts, junk: int, good: int) -> float:
    """Return how likely a message with one word is junk, above 0 and below 1."""
    return _likely(junk, good, 1 / max(1, counts.junk), 1 / max(1, counts.good))


def _likely(junk: int, good: int, of_junk: float, of_good: float) -> float:
    seen = junk + good
    if not seen:
        return UNKNOWN
    in_junk = junk * of_junk
    return (STRENGTH * UNKNOWN + seen * in_junk / (in_junk + good * of_good)) / (STRENGTH + seen)


def _by_accident(half: float, count: int) -> float:
    """The chance that a chi-square variable of 2 ``count`` degrees of freedom is ``2 half`` or more."""
    term = total = exp(-half)
    for number in range(1, count):
        term *= half / number
        total += term
    return min(1.0, total)
