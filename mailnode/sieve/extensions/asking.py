"""Asking what is there before it is used (RFC 5463)."""

from __future__ import annotations

from mailnode.message.words import clean
from mailnode.sieve.constructs import ArgumentKind, ScriptCall, SieveArgument, SieveCommand, SieveExtension, SieveTest
from mailnode.sieve.faults import ScriptFailed
from mailnode.sieve.run import ScriptRun


def _ihave(run: ScriptRun, call: ScriptCall) -> bool:
    """Whether all of them are there; then they are in force from here on."""
    wanted = call.constants("capabilities")
    if not all(name in run.script.implied for name in wanted):
        return False
    for name in wanted:
        run.in_force |= run.script.implied[name]
    return True


def _error(run: ScriptRun, call: ScriptCall) -> None:
    raise ScriptFailed(f"the script says: {clean(run.text(call, 'message'))[:500]}")


EXTENSIONS = (
    SieveExtension(
        "ihave",
        "RFC 5463",
        "the test ihave, and error",
        commands=(SieveCommand("error", (SieveArgument("message", ArgumentKind.STRING),), run=_error),),
        tests=(
            SieveTest("ihave", (SieveArgument("capabilities", ArgumentKind.STRINGS, constant=True),), holds=_ihave),
        ),
        in_ihave=False,
    ),
)
