"""Several scripts for one message, one behind the other: those of the server, of the domain and of the account.

Each sees the message as the one before left it. The next one runs only while a keep stands, said or implicit: whoever filed,
refused or threw away the message has decided. Of all keeps the last one's flags and content hold.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

from mailnode.sieve.actions import (
    EditedContent,
    FileMessage,
    KeepMessage,
    RedirectMessage,
    SieveAction,
)
from mailnode.sieve.constructs import Script
from mailnode.sieve.facts import SieveFacts
from mailnode.sieve.faults import ScriptRefused
from mailnode.sieve.interpreter import ScriptFailure, run_script
from mailnode.sieve.limits import ScriptLimits
from mailnode.sieve.mail import end_of_header
from mailnode.sieve.questions import Question, SieveAnswer

PIECE = 1024 * 1024  # octets that are copied at a time


@dataclass(frozen=True, slots=True)
class ScriptToRun:
    """One script of a sequence. ``compiled``: why it cannot be run, where that is so: it was stored under another version."""

    name: str
    digest: str  # SHA-256 of its source, in hexadecimal digits
    compiled: Script | ScriptRefused


@dataclass(frozen=True, slots=True)
class FailedScript:
    """A script that failed, and why."""

    name: str
    digest: str
    failure: ScriptFailure


@dataclass(frozen=True, slots=True)
class SequenceOutcome:
    """What scripts together want done; a keep stands last. ``ran``: their names. ``failed``: the last of them did: the message
    is kept, as the script before it left it, and what this one said is not done (RFC 5228 2.10.6). ``logged``: lines for the
    log."""

    actions: tuple[SieveAction, ...]
    ran: tuple[str, ...] = ()
    failed: FailedScript | None = None
    logged: tuple[str, ...] = ()


def run_sequence(
    scripts: Sequence[ScriptToRun], facts: SieveFacts, limits: ScriptLimits | None = None
) -> Generator[Question, SieveAnswer, SequenceOutcome]:
    """Run scripts: yields questions, wants their answers, and returns what is to be done. It raises nothing."""
    done: list[SieveAction] = []
    ran: list[str] = []
    logged: list[str] = []
    kept = KeepMessage(facts.flags, implicit=True)
    for script in scripts:
        ran.append(script.name)
        if isinstance(script.compiled, ScriptRefused):
            first = script.compiled.mistakes[0]
            failed = FailedScript(script.name, script.digest, ScriptFailure(first.line, first.text))
            return SequenceOutcome((*done, kept), tuple(ran), failed, tuple(logged))
        seen = replace(facts, message=edited(facts.message, kept.content), flags=kept.flags)
        found = yield from run_script(script.compiled, seen, limits)
        logged += found.logged
        if found.failure is not None:
            failed = FailedScript(script.name, script.digest, found.failure)
            return SequenceOutcome((*done, kept), tuple(ran), failed, tuple(logged))
        base, keep = kept.content, None
        for action in found.actions:
            if isinstance(action, KeepMessage | FileMessage | RedirectMessage):
                action = replace(action, content=_upon(base, action.content))
            if isinstance(action, KeepMessage):
                keep = action
            elif action not in done:
                done.append(action)
        if keep is None:
            return SequenceOutcome(tuple(done), tuple(ran), None, tuple(logged))
        kept = keep
    return SequenceOutcome((*done, kept), tuple(ran), None, tuple(logged))


def edited(message: bytes, content: EditedContent | None) -> bytes:
    """Return a message as scripts changed it. :param content: of an action; None: it is as it came."""
    if content is None:
        return message
    end = end_of_header(message)
    header = message[:end] if content.header is None else content.header
    # In pieces, between which other threads run: a large slice is made by one instruction, a large join lets them run.
    body = (
        [message[at : at + PIECE] for at in range(end, len(message), PIECE)] if content.body is None else [content.body]
    )
    return b"".join([header, *body])


def _upon(base: EditedContent | None, content: EditedContent | None) -> EditedContent | None:
    """Return what a script made of what the ones before had made, as a change of the message that came."""
    if content is None or base is None:
        return content or base
    return EditedContent(
        base.header if content.header is None else content.header, base.body if content.body is None else content.body
    )
