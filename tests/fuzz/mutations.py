"""Inputs made of other inputs: what is changed depends on a seed alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

LONGEST = 4096  # octets
_ODD = (0, 1, 9, 10, 13, 32, 34, 37, 39, 40, 41, 43, 58, 60, 61, 62, 92, 123, 127, 128, 191, 194, 224, 237, 255)
_NUMBERS = (b"0", b"-1", b"1", b"255", b"65536", b"2147483648", b"4294967295", b"4294967296", b"9" * 19, b"9" * 30)
_DIGITS = re.compile(rb"[0-9]+")


class Mutator:
    """Makes inputs of one target."""

    def __init__(self, seed: int, words: Sequence[bytes]) -> None:
        self._random = Random(seed)
        self._words = tuple(words) or (b"\r\n",)
        self._ways: Sequence[Callable[[bytes, Sequence[bytes]], bytes]] = (
            self._flip,
            self._put,
            self._cut,
            self._double,
            self._word,
            self._word,
            self._number,
            self._splice,
            self._move,
        )

    def make(self, known: Sequence[bytes]) -> bytes:
        """Return an input made of known ones."""
        data = self._random.choice(known)
        for _ in range(self._random.choice((1, 1, 2, 3, 6))):
            data = self._random.choice(self._ways)(data, known)[:LONGEST]
        return data

    def pumped(self, known: Sequence[bytes]) -> Callable[[int], bytes]:
        """Return what makes inputs of a size, all alike: some octets of a known one again and again."""
        data = self._random.choice(known)
        start, end = self._slice(data)
        begin, middle, rest = data[:start], data[start:end] or self._random.choice(self._words), data[end:]

        def make(size: int) -> bytes:
            return begin + middle * max(1, (size - len(begin) - len(rest)) // len(middle)) + rest

        return make

    def _at(self, data: bytes) -> int:
        return self._random.randint(0, len(data))

    def _slice(self, data: bytes) -> tuple[int, int]:
        start = self._at(data)
        return start, min(len(data), start + self._random.choice((1, 2, 3, 5, 8, 20, 100)))

    def _flip(self, data: bytes, known: Sequence[bytes]) -> bytes:
        if not data:
            return data
        at = self._random.randrange(len(data))
        return data[:at] + bytes([data[at] ^ 1 << self._random.randrange(8)]) + data[at + 1 :]

    def _put(self, data: bytes, known: Sequence[bytes]) -> bytes:
        at = self._at(data)
        return data[:at] + bytes([self._random.choice(_ODD)]) + data[at + self._random.randint(0, 1) :]

    def _cut(self, data: bytes, known: Sequence[bytes]) -> bytes:
        start, end = self._slice(data)
        return data[:start] + data[end:]

    def _double(self, data: bytes, known: Sequence[bytes]) -> bytes:
        start, end = self._slice(data)
        return data[:start] + data[start:end] * self._random.choice((2, 3, 10, 200)) + data[end:]

    def _word(self, data: bytes, known: Sequence[bytes]) -> bytes:
        at = self._at(data)
        return data[:at] + self._random.choice(self._words) + data[at + self._random.choice((0, 0, 1, 4)) :]

    def _number(self, data: bytes, known: Sequence[bytes]) -> bytes:
        found = list(_DIGITS.finditer(data))
        if not found:
            return self._put(data, known)
        one = self._random.choice(found)
        return data[: one.start()] + self._random.choice(_NUMBERS) + data[one.end() :]

    def _splice(self, data: bytes, known: Sequence[bytes]) -> bytes:
        other = self._random.choice(known)
        return data[: self._at(data)] + other[self._at(other) :]

    def _move(self, data: bytes, known: Sequence[bytes]) -> bytes:
        start, end = self._slice(data)
        rest = data[:start] + data[end:]
        at = self._at(rest)
        return rest[:at] + data[start:end] + rest[at:]
