"""Parts converted to another type (RFC 6558), as far as that is text: HTML to plain text, and any text to UTF-8."""

from __future__ import annotations

from mailnode.message.text import part_text
from mailnode.sieve.constructs import (
    ArgumentKind,
    ScriptCall,
    SieveArgument,
    SieveCommand,
    SieveExtension,
    SieveTest,
)
from mailnode.sieve.extensions.body import leaf_text
from mailnode.sieve.parts import part_at, paths_below
from mailnode.sieve.run import ScriptRun

PLAIN_TEXT = "text/plain"
HTML = "text/html"
_HEADER = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"


def _convert(run: ScriptRun, call: ScriptCall) -> bool:
    """Whether parts were converted and none that should have been was not (RFC 6558 2)."""
    wanted, made = run.text(call, "from").lower(), run.text(call, "to").lower()
    run.mail.settled()
    start = run.parts[-1].path if run.parts else ()
    part = part_at(run.mail.root, start)
    if part is None:  # the message is another one by now
        return False
    found = False
    for path in reversed(paths_below(part, start)):  # from the last on, so that the ways to the others stay
        one = part_at(run.mail.root, path)
        if one is None or one.kind != "leaf" or one.to_part().content_type != wanted:
            continue
        if made != PLAIN_TEXT or wanted not in (HTML, PLAIN_TEXT):
            return False
        data = run.mail.data
        raw = data[one.body_start : one.end]
        text = part_text(one.to_part(), raw) if wanted == HTML else leaf_text(one, data)
        body = text.replace("\r\n", "\n").replace("\n", "\r\n").encode("utf-8", "replace")
        run.step(1 + len(data) // 1024)
        _put(run, path, data, one.header_start, one.end, body)
        found = True
    if found:
        run.note(f"convert {wanted} to {made}")
    return found


def _put(run: ScriptRun, path: tuple[int, ...], data: bytes, start: int, end: int, body: bytes) -> None:
    if path:
        run.mail.set_data(data[:start] + _HEADER + body + data[end:])
        return
    kept = [line.raw for line in run.mail.lines if not line.name.lower().startswith(b"content-")]
    run.mail.set_data(b"".join(kept) + _HEADER + body)


def _run(run: ScriptRun, call: ScriptCall) -> None:
    _convert(run, call)


ARGUMENTS = (
    SieveArgument("from", ArgumentKind.STRING),
    SieveArgument("to", ArgumentKind.STRING),
    SieveArgument("parameters", ArgumentKind.STRINGS),
)
EXTENSIONS = (
    SieveExtension(
        "convert",
        "RFC 6558",
        "convert, as an action and as a test: HTML to plain text, text to UTF-8",
        commands=(SieveCommand("convert", ARGUMENTS, run=_run),),
        tests=(SieveTest("convert", ARGUMENTS, holds=_convert),),
    ),
)
