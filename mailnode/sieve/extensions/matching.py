"""Comparators and match types of the base language (RFC 5228 2.7)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mailnode.sieve.comparators import ascii_casemap, ascii_numeric, octet, unicode_casemap
from mailnode.sieve.constructs import (
    COMPARE,
    ArgumentKind,
    Comparator,
    CompiledMatch,
    MatchType,
    SieveExtension,
    SieveTag,
)
from mailnode.sieve.run import ScriptRun
from mailnode.sieve.wildcards import match_wildcards


def pairs(run: ScriptRun, values: Sequence[str], keys: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each value with each key, and count them as work."""
    for value in values:
        for key in keys:
            run.looked_at(value)
            yield value, key


def _is(run: ScriptRun, match: CompiledMatch, values: Sequence[str], keys: Sequence[str]) -> bool:
    made = match.comparator.key
    return any(made(value) == made(key) for value, key in pairs(run, values, keys))


def _contains(run: ScriptRun, match: CompiledMatch, values: Sequence[str], keys: Sequence[str]) -> bool:
    made = match.comparator.key
    return any(made(key) in made(value) for value, key in pairs(run, values, keys))


def _matches(run: ScriptRun, match: CompiledMatch, values: Sequence[str], keys: Sequence[str]) -> bool:
    for value, key in pairs(run, values, keys):
        captured = match_wildcards(key, value, match.comparator.key)
        if captured is not None:
            run.capture(captured)
            return True
    return False


EXTENSIONS = (
    SieveExtension(
        "",
        "RFC 5228 2.7",
        "match types, comparators",
        comparators=(Comparator("i;octet", octet), Comparator("i;ascii-casemap", ascii_casemap)),
        match_types=(
            MatchType("is", _is),
            MatchType("contains", _contains, substrings=True),
            MatchType("matches", _matches, substrings=True),
        ),
        tags=(SieveTag("comparator", ArgumentKind.STRING, on=(COMPARE,), constant=True),),
    ),
    SieveExtension("comparator-i;octet", "RFC 4790 9.3", "nothing: it is always there"),
    SieveExtension("comparator-i;ascii-casemap", "RFC 4790 9.2", "nothing: it is always there"),
    SieveExtension(
        "comparator-i;ascii-numeric",
        "RFC 4790 9.1",
        "comparison as numbers",
        comparators=(Comparator("i;ascii-numeric", ascii_numeric, substrings=False),),
    ),
    SieveExtension(
        "comparator-i;unicode-casemap",
        "RFC 5051",
        "comparison whatever the case, in any script",
        comparators=(Comparator("i;unicode-casemap", unicode_casemap),),
    ),
)
