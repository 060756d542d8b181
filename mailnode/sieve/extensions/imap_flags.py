"""IMAP flags of what is filed (RFC 5232)."""

from __future__ import annotations

from mailnode.sieve.constructs import (
    ArgumentKind,
    Checking,
    ScriptCall,
    SieveArgument,
    SieveCommand,
    SieveExtension,
    SieveTag,
    SieveTest,
    VariableName,
)
from mailnode.sieve.extensions.variables import checked_variable, variable_fault
from mailnode.sieve.flag_lists import flag_list
from mailnode.sieve.run import ScriptRun

FLAGS = SieveArgument("flags", ArgumentKind.STRINGS)
VARIABLE = SieveArgument("name", ArgumentKind.STRING, optional=True, constant=True)


def _now(run: ScriptRun, call: ScriptCall) -> list[str]:
    """The flags of the variable a command is about, or of the internal one."""
    return _of_variable(run, run.text(call, "name")) if call.has("name") else list(run.flags)


def _of_variable(run: ScriptRun, name: str) -> list[str]:
    namespace, _, short = name.lower().rpartition(".")
    return flag_list([run.variable(VariableName(namespace, short))])


def _store(run: ScriptRun, call: ScriptCall, flags: list[str]) -> None:
    run.note(f"flags: {' '.join(flags) or 'none'}")
    if call.has("name"):
        run.set_variable(checked_variable(run.text(call, "name"), run.in_force), " ".join(flags))
    else:
        run.flags = flags


def _setflag(run: ScriptRun, call: ScriptCall) -> None:
    _store(run, call, flag_list(run.texts(call, "flags")))


def _addflag(run: ScriptRun, call: ScriptCall) -> None:
    _store(run, call, flag_list([*_now(run, call), *run.texts(call, "flags")]))


def _removeflag(run: ScriptRun, call: ScriptCall) -> None:
    gone = {flag.lower() for flag in flag_list(run.texts(call, "flags"))}
    _store(run, call, [flag for flag in _now(run, call) if flag.lower() not in gone])


def _hasflag(run: ScriptRun, call: ScriptCall) -> list[str]:
    if not call.has("names"):
        return list(run.flags)
    return [flag for name in run.texts(call, "names") for flag in _of_variable(run, name)]


def _check(checking: Checking, call: ScriptCall) -> None:
    for argument in ("name", "names"):
        if call.has(argument) and "variables" not in checking.required:
            checking.refuse(call, argument, 'the name of a variable needs require "variables"')
        for name in call.constants(argument):
            if fault := variable_fault(name, frozenset(checking.required)):
                checking.refuse(call, argument, fault)


EXTENSIONS = (
    SieveExtension(
        "imap4flags",
        "RFC 5232",
        "setflag, addflag, removeflag, hasflag; :flags of keep and fileinto",
        commands=(
            SieveCommand("setflag", (VARIABLE, FLAGS), run=_setflag, check=_check),
            SieveCommand("addflag", (VARIABLE, FLAGS), run=_addflag, check=_check),
            SieveCommand("removeflag", (VARIABLE, FLAGS), run=_removeflag, check=_check),
        ),
        tests=(
            SieveTest(
                "hasflag",
                (
                    SieveArgument("names", ArgumentKind.STRINGS, optional=True),
                    SieveArgument("keys", ArgumentKind.STRINGS),
                ),
                values=_hasflag,
                keys=lambda match, keys: keys if match.type.name in ("count", "value") else flag_words(keys),
                check=_check,
            ),
        ),
        tags=(SieveTag("flags", ArgumentKind.STRINGS, on=("keep", "fileinto")),),
    ),
)


def flag_words(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Return each word of texts: several flags may stand in one (RFC 5232 4)."""
    return tuple([word for text in texts for word in text.split(" ") if word])
