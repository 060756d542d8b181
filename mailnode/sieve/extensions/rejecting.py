"""Refusing a message (RFC 5429)."""

from __future__ import annotations

from mailnode.message.words import clean
from mailnode.sieve.actions import (
    FileMessage,
    KeepMessage,
    RedirectMessage,
    RejectMessage,
)
from mailnode.sieve.constructs import ArgumentKind, ScriptCall, SieveArgument, SieveCommand, SieveExtension
from mailnode.sieve.faults import ScriptFailed
from mailnode.sieve.run import ScriptRun

MAX_REASON = 4096  # characters
# RFC 5429 2.4: who is told that a message was refused is not to find it delivered, or answered.
_EXCLUDED = (KeepMessage, FileMessage, RedirectMessage, RejectMessage)


def _reject(run: ScriptRun, call: ScriptCall) -> None:
    name = call.row.name
    if run.vacations or any(isinstance(one, _EXCLUDED) for one in run.actions):
        raise ScriptFailed(f"{name} does not go together with what the script did before")
    if not run.facts.is_delivery:
        raise ScriptFailed(f"{name} is for messages that are being delivered")
    run.note(name)
    run.keeps = False
    run.act(RejectMessage(clean(run.text(call, "reason"))[:MAX_REASON], name == "ereject"))


REASON = SieveArgument("reason", ArgumentKind.STRING)
EXTENSIONS = (
    SieveExtension("reject", "RFC 5429 2.2", "reject", commands=(SieveCommand("reject", (REASON,), run=_reject),)),
    SieveExtension("ereject", "RFC 5429 2.1", "ereject", commands=(SieveCommand("ereject", (REASON,), run=_reject),)),
)
