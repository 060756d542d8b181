"""Parts converted to another type (RFC 6558), as far as that is text: HTML to plain text, and any text to UTF-8."""

from __future__ import annotations

from mailnode.message.text import MAX_TEXT, part_text
from mailnode.message.transfer import decode_transfer
from mailnode.message.words import codec_for
from mailnode.sieve.constructs import (
    ArgumentKind,
    ScriptCall,
    SieveArgument,
    SieveCommand,
    SieveExtension,
    SieveTest,
)
from mailnode.sieve.mail import header_lines
from mailnode.sieve.parts import part_at, paths_below
from mailnode.sieve.run import ScriptRun
from mailnode.values.facts import Part

PLAIN_TEXT = "text/plain"
HTML = "text/html"
_VERSION = b"MIME-Version: 1.0\r\n"
_TYPE = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
_REPLACED = (b"content-type", b"content-transfer-encoding", b"content-md5", b"content-length")
# What a list says that has to be there, though nothing is to be said (RFC 5228 8.2); what is made anyway (RFC 5259).
_PARAMETERS = frozenset({"", "charset=utf-8"})


def _convert(run: ScriptRun, call: ScriptCall) -> bool:
    """Convert all parts of a type, or the one of the loop; nothing where one of them cannot be (RFC 6558 2).

    Return whether none failed (2.2): it holds where there is no such part."""
    wanted, made = run.text(call, "from").lower(), run.text(call, "to").lower()
    known = made == PLAIN_TEXT and wanted in (HTML, PLAIN_TEXT)
    known = known and _PARAMETERS.issuperset(one.lower() for one in run.texts(call, "parameters"))
    data = run.mail.settled()
    found: list[tuple[int, int, bytes]] = []
    for path in [run.parts[-1].path] if run.parts else paths_below(run.mail.root, ()):
        one = part_at(run.mail.root, path)
        if one is None or one.kind != "leaf" or one.to_part().content_type != wanted:
            continue
        part, raw = one.to_part(), data[one.body_start : one.end]
        if not known or not _is_readable(part, raw):
            return False
        run.step(1 + len(raw) // 1024)
        lines = header_lines(data[one.header_start : one.body_start])
        head = [line.raw for line in lines if line.name.lower() not in _REPLACED]
        if not path and not run.mail.named("mime-version"):
            head.append(_VERSION)
        body = part_text(part, raw).replace("\r\n", "\n").replace("\n", "\r\n").encode("utf-8", "replace")
        found.append((one.header_start, one.end, b"".join(head) + _TYPE + body))
    if found:
        pieces, at = [], 0
        for start, end, changed in found:
            pieces += [data[at:start], changed]
            at = end
        run.mail.set_data(b"".join(pieces) + data[at:])
        run.note(f"convert {wanted} to {made}")
    return True


def _is_readable(part: Part, raw: bytes) -> bool:
    """Whether all of a part's text is what it was meant to be."""
    encoded = decode_transfer(b"", part.encoding) is not None
    return encoded and len(raw) <= MAX_TEXT and (not part.charset or codec_for(part.charset) is not None)


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
        "RFC 6558 2",
        "convert, as an action and as a test: HTML to plain text, text to UTF-8",
        commands=(SieveCommand("convert", ARGUMENTS, run=_run),),
        tests=(SieveTest("convert", ARGUMENTS, holds=_convert),),
    ),
)
