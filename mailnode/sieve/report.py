"""What is to be told of a script to whoever hands it in: what is wrong with it, and what may not be meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mailnode.sieve.checker import compile_script
from mailnode.sieve.constructs import ScriptCall
from mailnode.sieve.faults import ScriptMistake, ScriptRefused
from mailnode.sieve.limits import MAX_MISTAKES, ScriptLimits

ENDING = ("stop", "return", "break")  # nothing behind one of these is reached


def script_report(source: bytes) -> tuple[list[str], list[str]]:
    """Return the mistakes of a script, and where it has none its warnings, each with its line and column."""
    try:
        script = compile_script(source)
    except ScriptRefused as refused:
        return list(map(str, refused.mistakes)), []
    return [], list(map(str, warnings(script.commands)))


def warnings(commands: Sequence[ScriptCall]) -> list[ScriptMistake]:
    """Return what of a compiled script is probably not meant, up to :data:`MAX_MISTAKES`."""
    found: list[ScriptMistake] = []
    redirects, most = 0, ScriptLimits().redirects
    for block in _blocks(commands):
        for index, call in enumerate(block):
            redirects += call.row.name == "redirect"
            if call.row.name == "redirect" and redirects == most + 1:
                text = (
                    f"more than {most} redirects: a script that carries out all of them fails, and the message is kept"
                )
                found.append(ScriptMistake(call.line, call.column, text))
            if call.row.name in ENDING and index + 1 < len(block):
                after = block[index + 1]
                found.append(ScriptMistake(after.line, after.column, f"nothing behind {call.row.name} is reached"))
    return sorted(found)[:MAX_MISTAKES]


def _blocks(commands: Sequence[ScriptCall]) -> Iterator[Sequence[ScriptCall]]:
    """All blocks of a script, in the order in which they stand."""
    yield commands
    for call in commands:
        branch: ScriptCall | None = call
        while branch is not None:
            if branch.block:
                yield from _blocks(branch.block)
            branch = branch.otherwise
