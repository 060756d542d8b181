"""Comparators (RFC 4790): each as a key that is equal and in order as the texts are."""

from __future__ import annotations

import re

from mailnode.values.casemap import casemap

_DIGITS = re.compile(r"0*([0-9]*)")
_CAPITALS = {ord(letter): letter.upper() for letter in "abcdefghijklmnopqrstuvwxyz"}
_ENDLESS = "~"


def octet(text: str) -> str:
    """i;octet: code points are in the order of their UTF-8."""
    return text


def ascii_casemap(text: str) -> str:
    """i;ascii-casemap: ASCII letters alone are put into capitals."""
    return text.upper() if text.isascii() else text.translate(_CAPITALS)


def ascii_numeric(text: str) -> str:
    """i;ascii-numeric: digits at the start; a text without any is more than every number, and equal to others without."""
    if not text[:1].isdecimal() or not text[0].isascii():
        return _ENDLESS
    found = _DIGITS.match(text)
    assert found is not None
    return f"{len(found[1]):09d}{found[1]}"


def unicode_casemap(text: str) -> str:
    """i;unicode-casemap (RFC 5051)."""
    return casemap(text)
