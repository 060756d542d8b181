"""Messages that came before (RFC 7352)."""

from __future__ import annotations

from mailnode.sieve.actions import RememberDuplicate
from mailnode.sieve.constructs import ArgumentKind, ScriptCall, SieveExtension, SieveTag, SieveTest
from mailnode.sieve.questions import DuplicateSeen
from mailnode.sieve.run import ScriptRun

DEFAULT_SECONDS = 7 * 86_400
MAX_SECONDS = 30 * 86_400
MAX_ID = 1024  # characters


def _question(run: ScriptRun, call: ScriptCall) -> DuplicateSeen | None:
    """What is asked; None where there is nothing to know a message by, or for no time."""
    if call.has(":uniqueid"):
        unique = run.text(call, ":uniqueid")
    else:
        values = run.mail.values(run.text(call, ":header", "message-id"))
        unique = values[0] if values else ""
    if not unique or call.number(":seconds", DEFAULT_SECONDS) == 0:
        return None
    return DuplicateSeen(run.text(call, ":handle")[:MAX_ID], unique[:MAX_ID])


def _asks(run: ScriptRun, call: ScriptCall) -> list[DuplicateSeen]:
    question = _question(run, call)
    return [question] if question is not None else []


def _duplicate(run: ScriptRun, call: ScriptCall) -> bool:
    question = _question(run, call)
    if question is None:
        return False
    seen = bool(run.answer(question))
    if not seen or call.has(":last"):
        seconds = min(call.number(":seconds", DEFAULT_SECONDS), MAX_SECONDS)
        run.act(RememberDuplicate(question.handle, question.id, seconds))
    return seen


TAGS = (
    SieveTag("handle", ArgumentKind.STRING),
    SieveTag("header", ArgumentKind.STRING, group="id"),
    SieveTag("uniqueid", ArgumentKind.STRING, group="id"),
    SieveTag("seconds", ArgumentKind.NUMBER),
    SieveTag("last"),
)
EXTENSIONS = (
    SieveExtension(
        "duplicate",
        "RFC 7352",
        "the test duplicate",
        tests=(SieveTest("duplicate", (), TAGS, holds=_duplicate, asks=_asks),),
    ),
    SieveExtension(
        "vnd.dovecot.duplicate", "Pigeonhole", "the test duplicate by an older name", implies=("duplicate",)
    ),
)
