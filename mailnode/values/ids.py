"""Identifiers: time-ordered, so that rows made together lie together, and random, so that nobody can guess them."""

from __future__ import annotations

import secrets

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id(seconds: float) -> str:
    """Return 20 characters: 50 bits of UTC milliseconds, then 50 random bits. Sorts by time.

    :param seconds: the clock's UTC seconds since 1970.
    """
    return _base32(int(seconds * 1000) & ((1 << 50) - 1), 10) + _base32(secrets.randbits(50), 10)


def session_id() -> str:
    """Return 12 random characters, unique among the sessions of a log."""
    return _base32(secrets.randbits(60), 12)


def _base32(number: int, width: int) -> str:
    return "".join(_ALPHABET[number >> 5 * i & 31] for i in reversed(range(width)))
