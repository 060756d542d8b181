"""Lists that are kept outside of scripts (RFC 6134)."""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.sieve.constructs import (
    ArgumentKind,
    CompiledMatch,
    MatchType,
    ScriptCall,
    SieveArgument,
    SieveExtension,
    SieveTag,
    SieveTest,
)
from mailnode.sieve.extensions.matching import pairs
from mailnode.sieve.questions import ListKnown, ListMember
from mailnode.sieve.run import ScriptRun


def _asks_members(run: ScriptRun, values: Sequence[str], keys: Sequence[str]) -> list[ListMember]:
    return [ListMember(key, value) for value, key in pairs(run, values, keys)]


def _list(run: ScriptRun, match: CompiledMatch, values: Sequence[str], keys: Sequence[str]) -> bool:
    """Whether a value stands in a list; it becomes ${0} (RFC 6134 2.2)."""
    for value, key in pairs(run, values, keys):
        if run.answer(ListMember(key, value)):
            run.capture([value])
            return True
    return False


def _asks_lists(run: ScriptRun, call: ScriptCall) -> list[ListKnown]:
    return [ListKnown(name) for name in run.texts(call, "lists")]


def _valid(run: ScriptRun, call: ScriptCall) -> bool:
    return all(run.answer(question) for question in _asks_lists(run, call))


EXTENSIONS = (
    SieveExtension(
        "extlists",
        "RFC 6134",
        "the match type :list, :list of redirect, the test valid_ext_list",
        match_types=(MatchType("list", _list, asks=_asks_members),),
        tests=(
            SieveTest(
                "valid_ext_list", (SieveArgument("lists", ArgumentKind.STRINGS),), holds=_valid, asks=_asks_lists
            ),
        ),
        tags=(SieveTag("list", on=("redirect",)),),
    ),
)
