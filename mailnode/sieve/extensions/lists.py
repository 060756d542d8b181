"""Lists that are kept outside of scripts (RFC 6134)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote

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
from mailnode.sieve.faults import ScriptFailed, ValueRefused
from mailnode.sieve.questions import ListKnown, ListMember
from mailnode.sieve.run import ScriptRun

DEFAULT = "urn:ietf:params:sieve:addrbook:default"  # which there always is, even with nobody in it
_REGISTERED = "urn:ietf:params:sieve:"
_ADDRESS_BOOK = _REGISTERED + "addrbook:"
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,40}:[^\x00-\x20\x7f]{1,1000}\Z")  # RFC 3986 4.3


def list_name(text: str) -> str:
    """Return the URI of a list, what is short for one written out (RFC 6134 2.5). :raises ValueRefused: it is none."""
    uri = _REGISTERED + text[1:] if text.startswith(":") else text
    if not _URI.match(uri):
        raise ValueRefused(f'a list is named by a URI, such as ":addrbook:default", not by "{text[:80]}"')
    start = len(_ADDRESS_BOOK)
    if uri[:start].lower() != _ADDRESS_BOOK:
        return uri
    book = unquote(uri[start:], errors="replace")
    return DEFAULT if book.lower() == "default" else _ADDRESS_BOOK + book


def check_list(name: str) -> None:
    """:raises ValueRefused: no list can be named so."""
    list_name(name)


def named_list(text: str) -> str:
    """As :func:`list_name`. :raises ScriptFailed:"""
    try:
        return list_name(text)
    except ValueRefused as error:
        raise ScriptFailed(str(error)) from None


def _questions(run: ScriptRun, values: Sequence[str], keys: Sequence[str]) -> list[ListMember]:
    """RFC 6134 2.2: white space around a value counts for nothing."""
    return [ListMember(named_list(key), value.strip()) for value, key in pairs(run, values, keys)]


def _list(run: ScriptRun, match: CompiledMatch, values: Sequence[str], keys: Sequence[str]) -> bool:
    """Whether a value stands in a list; it becomes ${0} (RFC 6134 2.2). :raises ScriptFailed: there is no such list."""
    for question in _questions(run, values, keys):
        found = run.answer(question)
        if found is None and question.list != DEFAULT:
            raise no_list(question.list)
        if found:
            run.capture([question.value])
            return True
    return False


def no_list(name: str) -> ScriptFailed:
    """What is said of a list that is not there."""
    return ScriptFailed(f'there is no list "{name[:80]}"')


def _asks_lists(run: ScriptRun, call: ScriptCall) -> list[ListKnown]:
    found = []
    for text in run.texts(call, "lists"):
        try:
            found.append(ListKnown(list_name(text)))
        except ValueRefused:
            pass
    return found


def _valid(run: ScriptRun, call: ScriptCall) -> bool:
    questions = _asks_lists(run, call)
    known = [one.list == DEFAULT or run.answer(one) for one in questions]
    return len(questions) == len(run.texts(call, "lists")) and all(known)


EXTENSIONS = (
    SieveExtension(
        "extlists",
        "RFC 6134",
        "the match type :list, :list of redirect, the test valid_ext_list",
        match_types=(MatchType("list", _list, check=check_list, asks=_questions, compares=False),),
        tests=(
            SieveTest(
                "valid_ext_list", (SieveArgument("lists", ArgumentKind.STRINGS),), holds=_valid, asks=_asks_lists
            ),
        ),
        tags=(SieveTag("list", on=("redirect",)),),
    ),
)
