"""How texts become terms, and what a text that is looked for says of the terms of messages that hold it.

A term is a run of letters, digits, underscores and octets above 127 of the text in UTF-8, with anything else on both sides.
Runs end where an octet says so, whatever stands around them: a text that stands somewhere in another is cut into the same
runs there, but for its first and last, which may go on. So a message that holds "foo bar" has a term that ends with "foo" and
one that begins with "bar". Scripts without spaces make long runs; these are cut into pieces that overlap, so that all that is
short enough stands in one of them as a whole.
"""

from __future__ import annotations

from typing import NamedTuple

PIECE, OVERLAP = 64, 32  # octets of a piece of a long run, and of it that the next one has too
LEAST = 3  # octets of what is looked for among terms: less stands in most of them
MOST_PATTERNS = 6  # of one needle

_WORD = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") | frozenset(range(0x80, 0x100))
_TABLE = bytes(octet if octet in _WORD else 0x20 for octet in range(256))
_SURROGATES = "surrogatepass"


def terms_of(text: str) -> set[bytes]:
    """Return the terms of a folded text, none of which is longer than ``PIECE`` octets."""
    runs = set(text.encode("utf-8", _SURROGATES).translate(_TABLE).split())
    if max(map(len, runs), default=0) > PIECE:
        for run in [run for run in runs if len(run) > PIECE]:
            runs.remove(run)
            runs.update(run[at : at + PIECE] for at in range(0, len(run) - OVERLAP, OVERLAP))
    return runs


class Pattern(NamedTuple):
    """What stands among terms, each of which has a line end before and behind it; ``begins``: with such a line end."""

    octets: bytes
    begins: bool


def patterns_of(text: str) -> list[Pattern]:
    """Return what must stand among the terms of a text that holds this one, folded; longest first. None: it may be any."""
    runs = text.encode("utf-8", _SURROGATES).translate(_TABLE).split(b" ")
    found: set[Pattern] = set()
    for number, run in enumerate(runs):
        begins, ends = number > 0, number < len(runs) - 1
        if len(run) > OVERLAP:
            found.add(_pattern(run[:OVERLAP], begins, False))
            found.add(_pattern(run[-OVERLAP:], False, ends))
        elif run:
            found.add(_pattern(run, begins, ends))
    usable = [one for one in found if len(one.octets) >= LEAST]
    return sorted(usable, key=lambda one: (-len(one.octets), one))[:MOST_PATTERNS]


def decides(text: str) -> bool:
    """Whether a text has one pattern, and stands in each text that has a term with it: a run that is not cut."""
    octets = text.encode("utf-8", _SURROGATES)
    return LEAST <= len(octets) <= OVERLAP and b" " not in octets.translate(_TABLE)


def _pattern(run: bytes, begins: bool, ends: bool) -> Pattern:
    return Pattern(b"\n" * begins + run + b"\n" * ends, begins)
