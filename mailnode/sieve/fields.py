"""The header fields a test looks at: of the message or of its parts, all of a name or one of them."""

from __future__ import annotations

from collections.abc import Iterable

from mailnode.sieve.constructs import Checking, ScriptCall
from mailnode.sieve.mail import HeaderLine
from mailnode.sieve.run import ScriptRun


def named_lines(run: ScriptRun, call: ScriptCall, names: Iterable[str]) -> list[HeaderLine]:
    """Return the fields of some names, those of the first name first: all of them, or the one that ``:index`` means."""
    lines = [line for name in names for line in fields_of(run, call, name)]
    for line in lines:
        run.looked_at(line.raw)
    return indexed(call, lines)


def fields_of(run: ScriptRun, call: ScriptCall, name: str) -> list[HeaderLine]:
    """Return the fields of a name, in their order."""
    return run.mail.named(name)


def indexed(call: ScriptCall, lines: list[HeaderLine]) -> list[HeaderLine]:
    """Return the field that ``:index`` means, counted from the end with ``:last`` (RFC 5260 6); all without it."""
    if not call.has(":index"):
        return lines
    number = call.number(":index")
    if not 1 <= number <= len(lines):
        return []
    return [lines[-number] if call.has(":last") else lines[number - 1]]


def check_last(checking: Checking, call: ScriptCall) -> None:
    """Note ``:last`` without ``:index`` (RFC 5260 6)."""
    if call.has(":last") and not call.has(":index"):
        checking.refuse(call, ":last", ":last needs :index")
