"""Identifiers: time-ordered, so that rows made together lie together, and random, so that nobody can guess them."""

from __future__ import annotations

import secrets

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [high + low for high in _ALPHABET for low in _ALPHABET]


def new_id(seconds: float) -> str:
    """Return 20 characters: 50 bits of UTC milliseconds, then 50 random bits. Sorts by time.

    :param seconds: the clock's UTC seconds since 1970.
    """
    return _base32(int(seconds * 1000) & ((1 << 50) - 1), 10) + _base32(secrets.randbits(50), 10)


def session_id() -> str:
    """Return 12 random characters, unique among the sessions of a log."""
    return _base32(secrets.randbits(60), 12)


def _base32(number: int, width: int) -> str:
    """Return an even number of digits."""
    return "".join([_PAIRS[number >> bits & 1023] for bits in range(5 * width - 10, -1, -10)])
