"""What is read of a small message in one go, in another process, where many come at once."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import NamedTuple

from mailnode.values.authentication import AuthenticationResult
from mailnode.values.blob import EncodedContent
from mailnode.values.facts import EncodedFacts

NOTHING: Mapping[int, tuple[int, int]] = {}


class PackedWords(NamedTuple):
    """The words of a message that a filter counts, by their numbers: one behind the other, as they travel between processes at a
    fifth of the cost of a dictionary. ``numbers`` and ``ends`` have 32 bits for each; the latter are offsets in ``text``."""

    numbers: bytes
    ends: bytes
    text: bytes

    def unpacked(self) -> list[int]:
        """Return the numbers."""
        return array("I", self.numbers).tolist()

    def named(self, numbers: Iterable[int]) -> list[bytes]:
        """Return some of the words. :raises ValueError: there is none of a number."""
        ends = array("I", self.ends)
        places = [self._place(number) for number in numbers]
        return [self.text[ends[at - 1] if at else 0 : ends[at]] for at in places]

    def _place(self, number: int) -> int:
        """Return which one of them a number is; looked for as octets, which makes no object of any other."""
        octets, at = array("I", (number,)).tobytes(), -1
        while (at := self.numbers.index(octets, at + 1)) % len(octets):
            pass  # the end of one and the beginning of another
        return at // len(octets)


def packed(words: Mapping[int, bytes]) -> PackedWords:
    """Return words as they travel."""
    texts = list(words.values())
    numbers, ends = array("I", list(words)), array("I", list(accumulate(map(len, texts))))  # of lists: half the time
    return PackedWords(numbers.tobytes(), ends.tobytes(), b"".join(texts))


class AskedFilter(NamedTuple):
    """An account whose filter is asked in the other process. ``number``: of what this process knows of it; 0: nothing.
    ``junk``, ``good``: messages it has learnt. ``fresh``: what is known since it was asked there before, by words: in how many of
    those messages they were."""

    account_id: str
    number: int = 0
    junk: int = 0
    good: int = 0
    fresh: Mapping[int, tuple[int, int]] = NOTHING


class ToldChance(NamedTuple):
    """What it says: how likely the message is junk, and the words that say most, those in ASCII."""

    junk: float
    telling: tuple[str, ...]


def shown(words: Iterable[bytes]) -> tuple[str, ...]:
    """Return words that can be shown everywhere: those in ASCII."""
    return tuple([word.decode("ascii") for word in words if word.isascii()])


class ReadMessage(NamedTuple):
    """``facts``, ``encoded``: as the store keeps them. ``chances``: what filters say, by account. ``words``: those a filter counts;
    None, where all that were asked know all of them. ``authors``: the domains in From, and what is wrong there, as
    :func:`mailnode.message.dmarc.author_domains` has them. ``signatures``: what came of those of DKIM; None: the records of other
    keys are needed."""

    facts: EncodedFacts
    encoded: EncodedContent
    chances: Mapping[str, ToldChance]
    words: PackedWords | None
    authors: tuple[tuple[str, ...], str]
    signatures: tuple[AuthenticationResult, ...] | None
