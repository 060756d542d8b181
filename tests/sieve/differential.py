"""Ours beside ``sieve-test``: the same scripts and messages, what is to be done compared.

``python -m tests.sieve.differential --pairs 5000`` tells each pair in which they differ.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

from mailnode.sieve.actions import (
    DiscardMessage,
    FileMessage,
    KeepMessage,
    NotifySomebody,
    RedirectMessage,
    RejectMessage,
    RememberDuplicate,
    SieveAction,
    VacationReply,
)
from mailnode.sieve.checker import compile_script
from mailnode.sieve.facts import EnvelopeFacts, SieveFacts
from mailnode.sieve.faults import ScriptRefused
from mailnode.sieve.interpreter import outcome, run_script
from mailnode.sieve.limits import ScriptLimits
from mailnode.sieve.questions import MailboxPresent
from tests.sieve.generator import MessageMaker, ScriptMaker
from tests.sieve.oracle import BROKEN, RECIPIENT, SENDER, Oracle

NOW = 1_796_000_000.0
ENVIRONMENT = {"phase": "during", "vnd.dovecot.default-mailbox": "INBOX"}
SILENT = "no answer"


def ours(script: bytes, message: bytes) -> list[str]:
    """Return what ours says that is to be done, in the oracle's words."""
    try:
        compiled = compile_script(script)
    except ScriptRefused:
        return ["refused"]
    facts = SieveFacts(message, EnvelopeFacts(SENDER, RECIPIENT), NOW, environment=ENVIRONMENT)
    found = outcome(
        run_script(compiled, facts, ScriptLimits(actions=1000), trace=True),
        lambda question: question == MailboxPresent("INBOX"),
    )
    told = sorted(word for action in found.actions for word in [_told(action)] if word)
    silent = any(step.text.startswith("no answer") for step in found.trace)
    return [*(["failed"] if found.failure else []), *([SILENT] if silent else []), *told]


def differences(mine: list[str], theirs: list[str]) -> tuple[list[str], list[str]]:
    """Return what only ours says, and what only the oracle does. Whether a sender is to be answered (RFC 5230 4.5 and 4.6) it
    looks at when it answers, which it does not do here."""
    if theirs == [BROKEN]:
        return [], []
    if SILENT in mine:
        mine = [one for one in mine if one != SILENT]
        theirs = [one for one in theirs if not one.startswith("vacation")]
    return [one for one in mine if one not in theirs], [one for one in theirs if one not in mine]


def _told(action: SieveAction) -> str:
    if isinstance(action, KeepMessage):
        return f"{'implicit ' if action.implicit else ''}file INBOX [{_flags(action.flags)}]"
    if isinstance(action, FileMessage):
        return f"file {action.mailbox} [{_flags(action.flags)}]"
    if isinstance(action, RedirectMessage):
        return f"redirect {action.address}"
    if isinstance(action, VacationReply):
        return f"vacation {action.period} {action.reason}"
    if isinstance(action, DiscardMessage):
        return "discard"
    if isinstance(action, RememberDuplicate):
        return "track duplicate"
    if isinstance(action, NotifySomebody):
        return "send notification with method 'mailto:':"
    return f"reject message with reason: {action.reason}" if isinstance(action, RejectMessage) else ""


def _flags(flags: tuple[str, ...]) -> str:
    return " ".join(sorted(flag.lower() for flag in flags))


def pairs(count: int, seed: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield scripts and messages."""
    random = Random(seed)
    messages, scripts = MessageMaker(random), ScriptMaker(random)
    for _ in range(count):
        yield scripts.script(), messages.message()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    differ = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        oracle = Oracle(folder)
        for script, message in pairs(given.pairs, given.seed):
            mine, theirs = ours(script, message), oracle.run(script, message)
            only_ours, only_theirs = differences(mine, theirs)
            if only_ours or only_theirs:
                differ += 1
                print("=" * 40, script.decode(), message.decode("utf-8", "replace"), sep="\n")
                print(f"ours:   {only_ours}\ntheirs: {only_theirs}", flush=True)
    print(f"{given.pairs} pairs, {differ} differ")


if __name__ == "__main__":
    main()
