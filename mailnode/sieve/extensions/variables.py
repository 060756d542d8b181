"""Variables (RFC 5229): set, what is made of a value on the way, and the test string."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote

from mailnode.sieve.constructs import (
    ArgumentKind,
    Checking,
    ScriptCall,
    SieveArgument,
    SieveCommand,
    SieveExtension,
    SieveTag,
    SieveTest,
)
from mailnode.sieve.extensions.looking import KEYS
from mailnode.sieve.faults import ScriptFailed
from mailnode.sieve.limits import MAX_VARIABLE_NAME
from mailnode.sieve.run import ScriptRun

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_NAMESPACES = {"global": "include"}  # in which a script may set variables
_UPPER = {ord(letter): letter.upper() for letter in "abcdefghijklmnopqrstuvwxyz"}
_LOWER = {ord(letter): letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_WILD = re.compile(r"[*?\\]")


def _quote_wildcards(text: str) -> str:
    return _WILD.sub(lambda found: "\\" + found[0], text)


# RFC 5229 4.1: in the order they are done, each of a precedence, of which one may stand.
MODIFIERS: dict[str, tuple[int, Callable[[str], str]]] = {
    "lower": (40, lambda text: text.translate(_LOWER)),
    "upper": (40, lambda text: text.translate(_UPPER)),
    "lowerfirst": (30, lambda text: text[:1].translate(_LOWER) + text[1:]),
    "upperfirst": (30, lambda text: text[:1].translate(_UPPER) + text[1:]),
    "quotewildcard": (20, _quote_wildcards),
    "quoteregex": (20, lambda text: re.sub(r"[\\^$.*+?()\[\]{}|]", lambda found: "\\" + found[0], text)),
    "encodeurl": (15, lambda text: quote(text, safe="-._~")),  # RFC 5435 6
    "length": (10, lambda text: str(len(text))),
}


def modifier_tags(*names: str) -> tuple[SieveTag, ...]:
    """Return tags of ``set``; those of one precedence exclude each other."""
    return tuple(
        [SieveTag(name, group=f"precedence {MODIFIERS[name][0]}", on=("set", "extracttext")) for name in names]
    )


def modified(call: ScriptCall, value: str) -> str:
    """Return a value with all modifiers of a call applied."""
    for name, (_, change) in MODIFIERS.items():
        if call.has(f":{name}"):
            value = change(value)
    return value


def variable_fault(name: str, required: frozenset[str] | set[str]) -> str:
    """Return why no variable of this name can be set; "" for nothing."""
    namespace, dot, short = name.rpartition(".")
    if dot and (namespace.lower() not in _NAMESPACES or _NAMESPACES[namespace.lower()] not in required):
        return f'no variable can be set in the namespace "{namespace[:40]}"'
    if not _NAME.match(short):
        return f'"{name[:40]}" is no name of a variable'
    return "" if len(short) <= MAX_VARIABLE_NAME else f"a name is longer than {MAX_VARIABLE_NAME} characters"


def _set(run: ScriptRun, call: ScriptCall) -> None:
    name = run.text(call, "name")
    value = modified(call, run.text(call, "value"))
    run.note(f'set {name} to "{value[:80]}"')
    run.set_variable(name, value)


def check_variable(checking: Checking, call: ScriptCall) -> None:
    """Note a name that no variable can have."""
    for name in call.constants("name"):
        if fault := variable_fault(name, frozenset(checking.required)):
            checking.refuse(call, "name", fault)


def _string(run: ScriptRun, call: ScriptCall) -> list[str]:
    found = run.texts(call, "source")
    if call.match is not None and call.match.type.name == "count":  # RFC 5229 5
        return [text for text in found if text]
    return list(found)


def checked_variable(name: str, required: frozenset[str] | set[str]) -> str:
    """Return a name of a variable. :raises ScriptFailed: it is none."""
    if fault := variable_fault(name, required):
        raise ScriptFailed(fault)
    return name


EXTENSIONS = (
    SieveExtension(
        "variables",
        "RFC 5229",
        "set and string; ${name} in strings, ${1} for what wildcards stood for",
        commands=(
            SieveCommand(
                "set",
                (
                    SieveArgument("name", ArgumentKind.STRING, constant=True),
                    SieveArgument("value", ArgumentKind.STRING),
                ),
                run=_set,
                check=check_variable,
            ),
        ),
        tests=(SieveTest("string", (SieveArgument("source", ArgumentKind.STRINGS), KEYS), values=_string),),
        tags=modifier_tags("lower", "upper", "lowerfirst", "upperfirst", "quotewildcard", "length"),
        in_ihave=False,
    ),
)
