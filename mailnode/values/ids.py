"""Identifiers: time-ordered, so that rows made together lie together, and random, so that nobody can guess them."""

from __future__ import annotations

import os
import struct
from functools import lru_cache

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_BITS = {width: range(5 * width - 10, -1, -10) for width in (8, 10, 12)}
_PAIRS = [high + low for high in _ALPHABET for low in _ALPHABET]


def new_id(seconds: float) -> str:
    """Return 20 characters: 50 bits of UTC milliseconds, then 50 random bits. Sorts by time.

    :param seconds: the clock's UTC seconds since 1970.
    """
    milliseconds = int(seconds * 1000) & ((1 << 50) - 1)
    return _era(milliseconds >> 10) + _PAIRS[milliseconds & 1023] + _base32(_random_bits(), 10)


def session_id() -> str:
    """Return 12 random characters, unique among the sessions of a log."""
    return _base32(_random_bits(), 12)


@lru_cache(maxsize=2)  # it changes once a second
def _era(number: int) -> str:
    return _base32(number, 8)


# The kernel's random numbers, taken many at a time: a system call for each would cost more than all else of an id.
_FRESH = struct.Struct("512Q")
_fresh: list[int] = []
os.register_at_fork(after_in_child=_fresh.clear)


def _random_bits() -> int:
    """Return 64 random bits that nobody had before. From any thread."""
    while True:
        try:
            return _fresh.pop()
        except IndexError:
            _fresh.extend(_FRESH.unpack(os.urandom(_FRESH.size)))


def _base32(number: int, width: int) -> str:
    """Return the last digits of a number, an even number of them."""
    pairs = _PAIRS
    return "".join([pairs[number >> bits & 1023] for bits in _BITS[width]])
