"""Identifiers: time-ordered, so that rows made together lie together, and random, so that nobody can guess them."""

from __future__ import annotations

import os
from functools import lru_cache

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [high + low for high in _ALPHABET for low in _ALPHABET]


def new_id(seconds: float) -> str:
    """Return 20 characters: 50 bits of UTC milliseconds, then 50 random bits. Sorts by time.

    :param seconds: the clock's UTC seconds since 1970.
    """
    milliseconds = int(seconds * 1000) & ((1 << 50) - 1)
    return _era(milliseconds >> 10) + _PAIRS[milliseconds & 1023] + _random()[:10]


def session_id() -> str:
    """Return 12 random characters, unique among the sessions of a log."""
    return _random()


@lru_cache(maxsize=2)  # it changes once a second
def _era(number: int) -> str:
    """Return the last eight digits of a number."""
    return "".join([_PAIRS[number >> bits & 1023] for bits in (30, 20, 10, 0)])


# The kernel's random numbers, taken and written down many at a time: a system call for each would cost more than all else
# of an id.
_RANDOM = 12  # characters that are taken together
_OCTETS = 4096 // _RANDOM * _RANDOM
_DIGITS = bytes(ord(_ALPHABET[octet % 32]) for octet in range(256))  # by octet: all equally often
_fresh: list[str] = []
os.register_at_fork(after_in_child=_fresh.clear)


def _random() -> str:
    """Return 12 random characters that nobody had before. From any thread."""
    while True:
        try:
            return _fresh.pop()
        except IndexError:
            text = os.urandom(_OCTETS).translate(_DIGITS).decode("ascii")
            _fresh.extend([text[at : at + _RANDOM] for at in range(0, _OCTETS, _RANDOM)])
