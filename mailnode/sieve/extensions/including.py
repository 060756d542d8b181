"""Scripts within scripts (RFC 6609)."""

from __future__ import annotations

import re

from mailnode.sieve.constructs import (
    ArgumentKind,
    Checking,
    Script,
    ScriptCall,
    SieveArgument,
    SieveCommand,
    SieveExtension,
    SieveTag,
)
from mailnode.sieve.extensions.variables import checked_variable, variable_fault
from mailnode.sieve.faults import ScriptFailed
from mailnode.sieve.interpreter import Interpreter, Steps
from mailnode.sieve.limits import MAX_INCLUDE_DEPTH, MAX_INCLUDED, MAX_VARIABLES
from mailnode.sieve.questions import IncludedScript
from mailnode.sieve.run import Returned, ScriptRun

# RFC 5804 1.6: no control characters, no line separators; and nothing that leads out of a folder.
_NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029/]{1,128}\Z")


def _question(run: ScriptRun, call: ScriptCall) -> IncludedScript:
    return IncludedScript("global" if call.has(":global") else "personal", run.text(call, "script"))


def _asks(run: ScriptRun, call: ScriptCall) -> list[IncludedScript]:
    return [_question(run, call)]


def _include(interpreter: Interpreter, call: ScriptCall) -> Steps:
    run = interpreter.run
    wanted = _question(run, call)
    if call.has(":once") and wanted in run.included:
        return
    script = run.answer(wanted)
    if wanted in run.around:
        raise ScriptFailed(f'the script "{wanted.name}" includes itself')
    if isinstance(script, str):
        raise ScriptFailed(f'the included script "{wanted.name}" cannot be run: {script[:200]}')
    if not isinstance(script, Script):
        if call.has(":optional"):
            return
        raise ScriptFailed(f'there is no script "{wanted.name}" to include')
    run.included.append(wanted)
    if len(run.included) > MAX_INCLUDED or len(run.around) >= MAX_INCLUDE_DEPTH:
        raise ScriptFailed(f"scripts include more than {MAX_INCLUDED} others, or {MAX_INCLUDE_DEPTH} in each other")
    run.note(f'include "{wanted.name}"')
    yield from _within(interpreter, wanted, script)
    run.line = call.line
    run.note(f'end of "{wanted.name}"')  # until then lines are those of the other script


def _within(interpreter: Interpreter, wanted: IncludedScript, script: Script) -> Steps:
    """Run a script in a scope of its own (RFC 6609 3.4): variables, and what is in force."""
    run = interpreter.run
    outside = run.script, run.in_force, run.variables, run.shared_names, run.captured
    run.script, run.in_force = script, set(script.required)
    run.variables, run.shared_names, run.captured = {}, set(), []
    run.around.append(wanted)
    try:
        yield from interpreter.block(script.commands)
    except Returned:
        pass
    run.around.pop()
    run.script, run.in_force, run.variables, run.shared_names, run.captured = outside


def _return(run: ScriptRun, call: ScriptCall) -> None:
    run.note("return")
    raise Returned


def _global(run: ScriptRun, call: ScriptCall) -> None:
    for name in run.texts(call, "names"):
        run.shared_names.add(checked_variable(name, run.in_force).lower())
        if len(run.shared_names) > MAX_VARIABLES:
            raise ScriptFailed(f"the script has more than {MAX_VARIABLES} variables")


def _check_include(checking: Checking, call: ScriptCall) -> None:
    for name in call.constants("script"):
        if not _NAME.match(name) or name in (".", ".."):
            checking.refuse(call, "script", f'no script can be named "{name[:80]}"')


def _check_global(checking: Checking, call: ScriptCall) -> None:
    if "variables" not in checking.required:
        checking.refuse(call, "names", 'global needs require "variables"')
    for name in call.constants("names"):
        if "." in name or variable_fault(name, frozenset(checking.required)):
            checking.refuse(call, "names", f'"{name[:40]}" is no name of a variable')


EXTENSIONS = (
    SieveExtension(
        "include",
        "RFC 6609",
        "include, return and global; ${global.name} in strings",
        commands=(
            SieveCommand(
                "include",
                (SieveArgument("script", ArgumentKind.STRING, constant=True),),
                (
                    SieveTag("personal", group="location"),
                    SieveTag("global", group="location"),
                    SieveTag("once"),
                    SieveTag("optional"),
                ),
                control=_include,
                check=_check_include,
                asks=_asks,
            ),
            SieveCommand("return", run=_return),
            SieveCommand(
                "global",
                (SieveArgument("names", ArgumentKind.STRINGS, constant=True),),
                run=_global,
                check=_check_global,
            ),
        ),
        in_ihave=False,
    ),
)
