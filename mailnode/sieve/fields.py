"""The header fields a test looks at: of the message or of its parts, all of a name or one of them."""

from __future__ import annotations

from collections.abc import Iterable

from mailnode.sieve.constructs import Checking, ScriptCall
from mailnode.sieve.mail import HeaderLine
from mailnode.sieve.parts import field_aspects, has_type, part_at, walk
from mailnode.sieve.run import ScriptRun

TYPES = ("type", "subtype", "contenttype")  # aspects of a field


def named_lines(run: ScriptRun, call: ScriptCall, names: Iterable[str]) -> list[HeaderLine]:
    """Return the fields of some names, those of the first name first: all of them, or the one that ``:index`` means."""
    lines = [line for name in names for line in fields_of(run, call, name)]
    for line in lines:
        run.looked_at(line.raw)
    return indexed(call, lines)


def fields_of(run: ScriptRun, call: ScriptCall, name: str) -> list[HeaderLine]:
    """Return the fields of a name, in their order: of the message, or with ``:mime`` of the part a loop is at, and with
    ``:anychild`` of all parts in it (RFC 5703 4)."""
    if not call.has(":mime"):
        return run.mail.named(name)
    part = part_at(run.mail.root, run.parts[-1].path if run.parts else ())
    if part is None:
        return []
    wanted = name.lower().encode("utf-8", "replace")
    looked_at = walk(part) if call.has(":anychild") else [part]
    return [line for one in looked_at for line in run.mail.part_lines(one) if line.name.lower() == wanted]


def field_values(run: ScriptRun, call: ScriptCall, names: Iterable[str]) -> list[str]:
    """Return what a test compares of some fields: all that stands in them, or an aspect of it (RFC 5703 4.1)."""
    lines = named_lines(run, call, names)
    if any(call.has(f":{aspect}") for aspect in TYPES) and call.match is not None and call.match.type.name == "count":
        lines = [line for line in lines if has_type(line)]  # RFC 5703 4.1: those that could be read
    for aspect in (*TYPES, "param"):
        if call.has(f":{aspect}"):
            named = run.texts(call, ":param") if aspect == "param" else ()
            return [value for line in lines for value in field_aspects(line, aspect, named)]
    return [line.value for line in lines]


def check_mime(checking: Checking, call: ScriptCall) -> None:
    """Note tags that need ``:mime`` (RFC 5703 4)."""
    for tag in (":anychild", ":type", ":subtype", ":contenttype", ":param"):
        if call.has(tag) and not call.has(":mime"):
            checking.refuse(call, tag, f"{tag} needs :mime")


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
