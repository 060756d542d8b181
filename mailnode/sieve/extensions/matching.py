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

CHARACTERS = 64  # that count as a step where wildcards are looked for: they are looked at one by one


def pairs(run: ScriptRun, values: Sequence[str], keys: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each value with each key, and count them as work."""
    for value in values:
        for key in keys:
            run.looked_at(value)
            yield value, key


def mapped_pairs(
    run: ScriptRun, match: CompiledMatch, values: Sequence[str], keys: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """As :func:`pairs`, each text as the comparator has it."""
    mapped = [match.comparator.key(key) for key in keys]
    for value in values:
        run.looked_at(value)
        yield from pairs(run, [match.comparator.key(value)], mapped)


def _is(run: ScriptRun, match: CompiledMatch, values: Sequence[str], keys: Sequence[str]) -> bool:
    return any(value == key for value, key in mapped_pairs(run, match, values, keys))


def _contains(run: ScriptRun, match: CompiledMatch, values: Sequence[str], keys: Sequence[str]) -> bool:
    return any(key in value for value, key in mapped_pairs(run, match, values, keys))


def _matches(run: ScriptRun, match: CompiledMatch, values: Sequence[str], keys: Sequence[str]) -> bool:
    for value, key in pairs(run, values, keys):
        run.step(len(value) // CHARACTERS)
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
