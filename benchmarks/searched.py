"""Texts that a known share of the large mailbox's bodies hold."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterator
from functools import lru_cache

from benchmarks.messages import Messages


def words(count: int, rare: bool = False) -> list[bytes]:
    """Return words of the text of as many messages as any word stands in, a fifth; or of few, a fifteenth."""
    ranked = _ranked()
    return ranked[:count][::-1] if rare else ranked[-count:]


@lru_cache(maxsize=1)
def _ranked() -> list[bytes]:
    counts: dict[bytes, int] = {}
    for message in itertools.islice(_sample(), 200):
        header, _, body = message.partition(b"\r\n\r\n")
        if b"multipart" not in header:  # what is around its parts is not looked into
            for word in set(re.findall(rb"(?<![^\s])(?:[b-z][aeiou]){3,4}(?![^\s])", body)):
                counts[word] = counts.get(word, 0) + 1
    return sorted(counts, key=lambda word: (counts[word], word))


def _sample() -> Iterator[bytes]:
    source = Messages(7)
    while True:
        yield source.message(3000)


def rare_texts(count: int) -> list[bytes]:
    """Return texts that about a thousandth of the bodies hold: four letters that no word has, in what is like noise."""
    chance = random.Random(17)
    return ["".join(chance.choices("bcdfghjklmnpqrstvwxz", k=4)).encode() for _ in range(count)]
