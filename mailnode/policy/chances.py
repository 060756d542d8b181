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

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, repeat
from math import exp, lgamma, log, sqrt
from operator import mul, truediv
from typing import TypeAlias

from mailnode.values.learning import WordCounts

STRENGTH = 0.45  # messages
UNKNOWN = 0.5
SAYS = 0.1  # words whose f is closer to 1/2 than this are not asked
MOST_WORDS = 150
NAMED = 5
NOTHING = -40.0  # the natural logarithm of what is lost when it is added to 1, or taken from it
FAR, MORE = 10, 30  # standard deviations, and terms, behind which nothing comes to an amount
_NUMBERS = tuple(
    map(float, range(1, MOST_WORDS))
)  # made once: integers would be made anew for each sum, and then converted

MOST_KINDS = 20_000  # pairs of counts, of one size of filter, of which it is remembered what they say

Pair: TypeAlias = tuple[int, int]  # messages that a word was in, junk and good
_Said: TypeAlias = tuple[float, float, float, float]  # how near 1/2 f is, below 0; f; ln(1 - f), ln f


@dataclass(frozen=True, slots=True)
class Chance:
    """How likely it is, from 0.0 to 1.0, and which words speak most for what is likely, by their numbers."""

    junk: float = UNKNOWN
    telling: tuple[int, ...] = ()


def chance(counts: WordCounts, words: Iterable[int]) -> Chance:
    """Return how likely a message with these words is junk to an account that has learnt both kinds."""
    words = list(words)
    return chance_of(counts.junk, counts.good, words, list(map(counts.words.get, words)))


def chance_of(junk: int, good: int, words: Sequence[int], pairs: Sequence[Pair | None]) -> Chance:
    """The same. :param junk, good: messages learnt of each kind. :param pairs: for each word, in how many of them it was; None: it
    is not known."""
    said = _remembered(junk, good)
    asked = []
    for pair, number in Counter(pairs).items():  # most words were in as many messages as some others
        if pair is not None and (says := said(pair)) is not None:
            asked.append((says, pair, number))
    if not asked:
        return Chance()
    asked.sort()
    together = _together(asked)
    return Chance(together, _telling(asked, together, words, pairs))


def _together(asked: Sequence[tuple[_Said, Pair, int]]) -> float:
    """:param asked: what says most first; each with how many words say it."""
    for_junk = against = 0.0
    left = MOST_WORDS
    for (_, _, of_good, of_junk), _, number in asked:
        taken = min(number, left)
        left -= taken
        for_junk -= taken * of_good
        against -= taken * of_junk
    count = MOST_WORDS - left
    return (1 + _by_accident(against, count) - _by_accident(for_junk, count)) / 2


def _telling(
    asked: Sequence[tuple[_Said, Pair, int]], junk: float, words: Sequence[int], pairs: Sequence[Pair | None]
) -> tuple[int, ...]:
    """Return the words that say most for what is likely."""
    telling: list[int] = []  # those of most weight first
    for (_, f, _, _), pair, _ in asked:
        if len(telling) >= NAMED:
            break
        if (f > UNKNOWN) == (junk > UNKNOWN):
            telling += sorted([word for word, one in zip(words, pairs, strict=True) if one == pair])
    return tuple(telling[:NAMED])


def likely(counts: WordCounts, junk: int, good: int) -> float:
    """Return how likely a message with one word is junk, above 0 and below 1."""
    return _likely(junk, good, 1 / max(1, counts.junk), 1 / max(1, counts.good))


@lru_cache(maxsize=16)  # filters; each grows with the pairs it has
def _remembered(junk: int, good: int) -> Callable[[Pair], _Said | None]:
    """Return what tells, for a filter that has learnt so many messages of each kind, what words say that were in some of them;
    None, where that is not enough to be asked."""
    of_junk, of_good = 1 / max(1, junk), 1 / max(1, good)

    def says(pair: Pair) -> _Said | None:
        f = _likely(*pair, of_junk, of_good)
        return None if -SAYS < f - UNKNOWN < SAYS else (-abs(f - UNKNOWN), f, log(1 - f), log(f))

    return lru_cache(maxsize=MOST_KINDS)(says)


def _likely(junk: int, good: int, of_junk: float, of_good: float) -> float:
    seen = junk + good
    if not seen:
        return UNKNOWN
    in_junk = junk * of_junk
    return (STRENGTH * UNKNOWN + seen * in_junk / (in_junk + good * of_good)) / (STRENGTH + seen)


def _by_accident(half: float, count: int) -> float:
    """The chance that a chi-square variable of 2 ``count`` degrees of freedom is ``2 half`` or more."""
    if half > count and log(count) + (count - 1) * log(half) - lgamma(count) - half < NOTHING:
        return 0.0  # even count times the largest term would change no sum with 1
    # The terms fall from the one at ``half`` on; far behind it no further one changes the sum.
    count = min(count, int(half + FAR * sqrt(half)) + MORE)
    factors = map(truediv, repeat(half, count - 1), _NUMBERS)
    return min(1.0, sum(accumulate(factors, mul, initial=exp(-half))))
