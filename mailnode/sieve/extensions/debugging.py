"""Lines for the log (Pigeonhole's ``vnd.dovecot.debug``)."""

from __future__ import annotations

from mailnode.sieve.constructs import ArgumentKind, ScriptCall, SieveArgument, SieveCommand, SieveExtension
from mailnode.sieve.run import ScriptRun


def _debug_log(run: ScriptRun, call: ScriptCall) -> None:
    run.log(run.text(call, "message"))


EXTENSIONS = (
    SieveExtension(
        "vnd.dovecot.debug",
        "Pigeonhole",
        "debug_log: a line for the log",
        commands=(SieveCommand("debug_log", (SieveArgument("message", ArgumentKind.STRING),), run=_debug_log),),
    ),
)
