"""Parts of a message: tests of them, and a loop over all (RFC 5703 3 and 4)."""

from __future__ import annotations

from mailnode.sieve.constructs import ArgumentKind, Checking, ScriptCall, SieveCommand, SieveExtension, SieveTag
from mailnode.sieve.faults import ScriptFailed
from mailnode.sieve.interpreter import Interpreter, Steps
from mailnode.sieve.limits import MAX_LOOPS
from mailnode.sieve.parts import PartPath, is_below, part_at, paths_below
from mailnode.sieve.run import BrokenLoop, LoopPart, ScriptRun

WITH_PARTS = ("header", "address", "exists")
ASPECT = "what of the field"


def _foreverypart(interpreter: Interpreter, call: ScriptCall) -> Steps:
    """RFC 5703 3: the message and all parts in it, or in a loop all parts in the one it is at; depth first."""
    run = interpreter.run
    known = len(run.replaced)
    if len(run.parts) >= MAX_LOOPS:
        raise ScriptFailed(f"more than {MAX_LOOPS} loops stand in each other")
    start: PartPath = run.parts[-1].path if run.parts else ()
    name = run.text(call, ":name")
    root = part_at(run.mail.root, start)
    if root is None:  # the message is another one by now
        return
    paths = paths_below(root, start)
    for path in paths[1:] if run.parts else paths:
        if part_at(run.mail.root, path) is None or any(
            is_below(path, gone) for gone in run.replaced[known:]
        ):  # RFC 5703 5
            continue
        run.step()
        run.parts.append(LoopPart(name, path))
        try:
            yield from interpreter.block(call.block)
        except BrokenLoop as broken:
            if broken.name and broken.name != name:
                raise
            return
        finally:
            run.parts.pop()


def _break(run: ScriptRun, call: ScriptCall) -> None:
    run.note("break")
    raise BrokenLoop(run.text(call, ":name"))


def _check_break(checking: Checking, call: ScriptCall) -> None:
    if not checking.is_in("foreverypart"):
        checking.refuse(call, "", "break should stand in a foreverypart")
        return
    known = [name for around in checking.around() for name in around.constants(":name")]
    for name in call.constants(":name"):
        if name not in known:
            checking.refuse(call, ":name", f'no loop around this break is named "{name[:40]}"')


NAME = SieveTag("name", ArgumentKind.STRING, constant=True)
EXTENSIONS = (
    SieveExtension(
        "foreverypart",
        "RFC 5703 3",
        "foreverypart and break",
        commands=(
            SieveCommand("foreverypart", (), (NAME,), control=_foreverypart, block=True),
            SieveCommand("break", (), (NAME,), run=_break, check=_check_break),
        ),
    ),
    SieveExtension(
        "mime",
        "RFC 5703 4",
        ":mime, :anychild, :type, :subtype, :contenttype and :param of header, address and exists",
        tags=(
            SieveTag("mime", on=WITH_PARTS),
            SieveTag("anychild", on=WITH_PARTS),
            SieveTag("type", group=ASPECT, on=("header",)),
            SieveTag("subtype", group=ASPECT, on=("header",)),
            SieveTag("contenttype", group=ASPECT, on=("header",)),
            SieveTag("param", ArgumentKind.STRINGS, group=ASPECT, on=("header",)),
        ),
    ),
)
