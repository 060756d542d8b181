"""Relations between values and keys, and their numbers (RFC 5231)."""

from __future__ import annotations

import operator
from collections.abc import Sequence

from mailnode.sieve.constructs import ArgumentKind, CompiledMatch, MatchType, SieveExtension
from mailnode.sieve.extensions.matching import mapped_pairs
from mailnode.sieve.run import ScriptRun

RELATIONS = {
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
    "eq": operator.eq,
    "ne": operator.ne,
}


def _value(run: ScriptRun, match: CompiledMatch, values: Sequence[str], keys: Sequence[str]) -> bool:
    relation = RELATIONS[match.relation]
    return any(relation(value, key) for value, key in mapped_pairs(run, match, values, keys))


def _count(run: ScriptRun, match: CompiledMatch, values: Sequence[str], keys: Sequence[str]) -> bool:
    return _value(run, match, [str(len(values))], keys)


EXTENSIONS = (
    SieveExtension(
        "relational",
        "RFC 5231",
        "the match types :value and :count",
        match_types=(
            MatchType("value", _value, takes=ArgumentKind.STRING, relations=frozenset(RELATIONS)),
            MatchType("count", _count, takes=ArgumentKind.STRING, relations=frozenset(RELATIONS)),
        ),
    ),
)
