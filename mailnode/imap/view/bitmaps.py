"""One flag of many messages at a time: a few passes in C over the one octet of each bitmap that has the bit, instead of a
call for each message."""

from __future__ import annotations

from array import array
from functools import lru_cache
from sys import byteorder

WIDTH = 8  # octets of a bitmap; arrays of typecode "Q"


def carriers(flags: array[int], bit: int, on: bool = True) -> bytes:
    """Return an octet for each bitmap: 1 where a bit is set (or is not, for ``on`` False), else 0."""
    octet, place = _where(bit)
    return flags.tobytes()[place::WIDTH].translate(_found(bit >> 8 * octet, on))


def with_bit(flags: array[int], bit: int, on: bool = True) -> array[int]:
    """Return the bitmaps with a bit set in all of them, or in none."""
    octet, place = _where(bit)
    octets = bytearray(flags.tobytes())
    octets[place::WIDTH] = octets[place::WIDTH].translate(_set(bit >> 8 * octet, on))
    return array("Q", bytes(octets))


def _where(bit: int) -> tuple[int, int]:
    """Return which octet of a bitmap has a bit, the least significant being 0, and its place in memory."""
    octet = (bit.bit_length() - 1) // 8
    return octet, octet if byteorder == "little" else WIDTH - 1 - octet


@lru_cache(maxsize=32)
def _found(bit: int, on: bool) -> bytes:
    return bytes(bool(octet & bit) == on for octet in range(256))


@lru_cache(maxsize=8)
def _set(bit: int, on: bool) -> bytes:
    return bytes(octet | bit if on else octet & ~bit for octet in range(256))
