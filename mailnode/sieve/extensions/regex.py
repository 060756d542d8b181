"""The match type ``:regex``: extended regular expressions of POSIX (draft-murchison-sieve-regex), by an engine whose work grows
with the text alone. Where the engine is not installed, the extension is not there."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

from mailnode.sieve.constructs import CompiledMatch, MatchType, SieveExtension
from mailnode.sieve.extensions.matching import pairs
from mailnode.sieve.extensions.variables import modifier_tags
from mailnode.sieve.faults import ScriptFailed, ValueRefused
from mailnode.sieve.run import ScriptRun

if TYPE_CHECKING:
    from re2 import _Regexp as Expression

MAX_EXPRESSION = 1024  # characters
MEMORY = 1024 * 1024  # octets that one compiled expression may take
OCTET = "i;octet"


@lru_cache(maxsize=128)
def compiled(expression: str, any_case: bool) -> Expression:
    """Return an expression that can be matched. :raises ValueRefused: it is none, or too large."""
    import re2

    if len(expression) > MAX_EXPRESSION:
        raise ValueRefused(f"the expression is longer than {MAX_EXPRESSION} characters")
    options = re2.Options()
    options.posix_syntax = options.longest_match = options.one_line = options.dot_nl = True
    options.log_errors = False
    options.case_sensitive = not any_case
    options.max_mem = MEMORY
    try:
        return re2.compile(expression, options)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        raise ValueRefused(f"this is no expression: {text[:200]}") from None


def _regex(run: ScriptRun, match: CompiledMatch, values: Sequence[str], keys: Sequence[str]) -> bool:
    any_case = match.comparator.name != OCTET
    for value, key in pairs(run, values, keys):
        try:
            found = compiled(key, any_case).search(value)
        except ValueRefused as error:
            raise ScriptFailed(str(error)) from None
        if found is not None:
            run.capture([found.group(0), *(text or "" for text in found.groups())])
            return True
    return False


def _check(key: str) -> None:
    compiled(key, False)


EXTENSIONS = (
    (
        SieveExtension(
            "regex",
            "draft-murchison-sieve-regex-07",
            "the match type :regex; :quoteregex of set",
            match_types=(MatchType("regex", _regex, substrings=True, check=_check),),
            tags=modifier_tags("quoteregex"),
        ),
    )
    if find_spec("re2") is not None
    else ()
)
