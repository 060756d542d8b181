"""Fields that are added to the header and taken out of it (RFC 5293)."""

from __future__ import annotations

import re

from mailnode.message.words import clean
from mailnode.message.written_text import field_body
from mailnode.sieve.constructs import (
    ArgumentKind,
    Checking,
    ScriptCall,
    SieveArgument,
    SieveCommand,
    SieveExtension,
    SieveTag,
)
from mailnode.sieve.faults import ScriptFailed
from mailnode.sieve.fields import check_last, indexed
from mailnode.sieve.limits import MAX_HEADER_EDITS
from mailnode.sieve.mail import HeaderLine
from mailnode.sieve.run import ScriptRun

_NAME = re.compile(r"[!-9;-~]{1,200}\Z")  # RFC 5322 2.2
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# May not be taken out: RFC 5293 6, and RFC 5703 5, which puts two of them there itself.
PROTECTED = frozenset({"received", "auto-submitted", "original-subject", "original-from"})
OURS = frozenset({"received", "return-path", "delivered-to", "authentication-results"})  # may not be added


def checked_name(name: str) -> str:
    """Return the name of a header field. :raises ScriptFailed: it is none."""
    if not _NAME.match(name):
        raise ScriptFailed(f'"{name[:80]}" is no name of a header field')
    return name


def header_line(name: str, value: str) -> HeaderLine:
    """Return a field that mail can have: folded, and encoded where it is not ASCII (RFC 2047).

    :raises ScriptFailed: a line end or another control character stands in it.
    """
    text = clean(value).strip(" \t")
    if _CONTROL.search(text):
        raise ScriptFailed(f"the value of {name} has a line end or another control character")
    body = field_body(name, text)
    raw = name.encode() + b": " + body + b"\r\n"
    return HeaderLine(name.encode(), raw, b" " + body + b"\r\n")


def _addheader(run: ScriptRun, call: ScriptCall) -> None:
    name = checked_name(run.text(call, "name"))
    line = header_line(name, run.text(call, "value"))
    run.header_edits += 1
    if run.header_edits > MAX_HEADER_EDITS:
        raise ScriptFailed(f"the script adds more than {MAX_HEADER_EDITS} header fields")
    if name.lower() in OURS:
        run.note(f"{name} is not added: it is the server's")
        return
    run.note(f"add {name}")
    lines = run.mail.lines
    run.mail.set_lines([*lines, line] if call.has(":last") else [line, *lines])


def _deleteheader(run: ScriptRun, call: ScriptCall) -> None:
    name = checked_name(run.text(call, "name"))
    if name.lower() in PROTECTED:
        return
    gone = indexed(call, run.mail.named(name))
    if call.has("keys"):
        assert call.match is not None
        match, keys = call.match, run.texts(call, "keys")
        gone = [line for line in gone if match.type.holds(run, match, [line.value], keys)]
    if gone:
        run.note(f"take out {name}")
        ids = {id(line) for line in gone}
        run.mail.set_lines([line for line in run.mail.lines if id(line) not in ids])


def check_names(checking: Checking, call: ScriptCall, argument: str) -> None:
    """Note names that no header field can have."""
    for name in call.constants(argument):
        if not _NAME.match(name):
            checking.refuse(call, argument, f'"{name[:80]}" is no name of a header field')


def _check(checking: Checking, call: ScriptCall) -> None:
    check_names(checking, call, "name")
    if call.row.name == "deleteheader":
        check_last(checking, call)


NAME = SieveArgument("name", ArgumentKind.STRING)
EXTENSIONS = (
    SieveExtension(
        "editheader",
        "RFC 5293",
        "addheader and deleteheader",
        commands=(
            SieveCommand(
                "addheader",
                (NAME, SieveArgument("value", ArgumentKind.STRING)),
                (SieveTag("last"),),
                run=_addheader,
                check=_check,
            ),
            SieveCommand(
                "deleteheader",
                (NAME, SieveArgument("keys", ArgumentKind.STRINGS, optional=True)),
                (SieveTag("index", ArgumentKind.NUMBER), SieveTag("last")),
                run=_deleteheader,
                check=_check,
                matching=True,
            ),
        ),
    ),
)
