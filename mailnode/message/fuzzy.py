"""What SEARCH FUZZY takes for nearly the same (RFC 6203 3): words, in any order, without regard to case and accents.

A word stands in a text when it does so as a word, as a part of a longer one, or with one letter put in, left out, changed or two
swapped; from eight letters on with two of these. The rule knows of nothing but the word and the text: no index, no history.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cached_property

WHOLE, PART, ONE_EDIT, TWO_EDITS = 100, 75, 50, 25  # how nearly a word stands there, of 100
LEAST_FOR_ONE, LEAST_FOR_TWO, MOST = 4, 8, 32  # letters of a word that may be written otherwise
DIFFERENT = 20_000  # words of one text, the first different ones, that are looked at for one that is nearly another
COMPARED = 2000  # of these that are compared with one word letter by letter

_WORD = re.compile(r"\w+")
_NOT_ASCII = re.compile("[^\x00-\x7f]+")


def bare(folded: str) -> str:
    """Return text that was folded by ``search_text.fold``, which takes letters apart from their accents, without these."""
    return folded if folded.isascii() else _NOT_ASCII.sub(_without_marks, folded)


def _without_marks(run: re.Match[str]) -> str:
    return "".join([character for character in run[0] if not unicodedata.combining(character)])


def words_of(folded: str) -> tuple[str, ...]:
    """Return the different words of folded text, in order."""
    return tuple(dict.fromkeys(_WORD.findall(bare(folded))))


def edits_allowed(word: str) -> int:
    """Return how many letters of a word may be otherwise."""
    if not LEAST_FOR_ONE <= len(word) <= MOST:
        return 0
    return 1 if len(word) < LEAST_FOR_TWO else 2


class LookedInto:
    """A text that words are looked for in."""

    def __init__(self, folded: str) -> None:
        self._text = bare(folded)

    def has(self, word: str) -> bool:
        """Whether a word stands there, or nearly."""
        return word in self._text or self._edits(word) <= edits_allowed(word)

    def nearness(self, word: str) -> int:
        """Return how nearly it stands there, 0 to 100."""
        if word in self._text:
            return WHOLE if self._has_whole(word) else PART
        edits = self._edits(word)
        if edits > edits_allowed(word):
            return 0
        return ONE_EDIT if edits == 1 else TWO_EDITS

    def _has_whole(self, word: str) -> bool:
        # By one expression: the text may have the word, as a part of others, millions of times.
        return re.search(rf"\b{re.escape(word)}\b", self._text) is not None

    @cached_property
    def _by_length(self) -> dict[int, list[str]]:
        different: dict[str, None] = {}
        for found in _WORD.finditer(self._text):
            different[found[0]] = None
            if len(different) >= DIFFERENT:
                break
        lengths: dict[int, list[str]] = {}
        for word in different:
            if len(word) <= MOST + 2:
                lengths.setdefault(len(word), []).append(word)
        return lengths

    def _edits(self, word: str) -> int:
        """Return by how many edits the nearest word differs; more than are allowed: none is near."""
        most = edits_allowed(word)
        best = most + 1
        if not most:
            return best
        pieces, compared = _pieces(word, most), 0
        for length in range(len(word) - most, len(word) + most + 1):
            for other in self._by_length.get(length, ()):
                if any([piece in other for piece in pieces]):  # noqa: C419 (a list is quicker here)
                    best = min(best, edits(word, other, most))
                    compared += 1
                    if best == 1 or compared >= COMPARED:
                        return best
        return best


def _pieces(word: str, most: int) -> list[str]:
    """Return pieces of which one is left by so many edits: each touches one at most, as there is a letter between them."""
    size = (len(word) - most) // (most + 1)
    starts = [number * (size + 1) for number in range(most + 1)]
    return [*[word[at : at + size] for at in starts[:-1]], word[starts[-1] :]]


def edits(one: str, other: str, most: int) -> int:
    """Return how many letters must be put in, taken out, changed or swapped with the next, up to ``most``; more, when these
    are not enough."""
    at = 0
    while at < len(one) and at < len(other) and one[at] == other[at]:
        at += 1
    one, other = one[at:], other[at:]
    if not one or not other:
        return len(one) + len(other)
    if not most:
        return 1
    ways = [edits(one[1:], other[1:], most - 1), edits(one[1:], other, most - 1), edits(one, other[1:], most - 1)]
    if one[:2] == other[1::-1]:
        ways.append(edits(one[2:], other[2:], most - 1))
    return 1 + min(ways)
