"""Changing what a message has in it (RFC 5703 5, 6 and 7): a part replaced, the whole enclosed, text taken out."""

from __future__ import annotations

import hashlib

from mailnode.message.words import clean
from mailnode.sieve.constructs import (
    ArgumentKind,
    Checking,
    ScriptCall,
    SieveArgument,
    SieveCommand,
    SieveExtension,
    SieveTag,
)
from mailnode.sieve.extensions.body import readable_text
from mailnode.sieve.extensions.header_editing import header_line
from mailnode.sieve.extensions.vacation import one_line
from mailnode.sieve.extensions.variables import check_variable, checked_variable, modified
from mailnode.sieve.faults import ScriptFailed
from mailnode.sieve.mail import HeaderLine
from mailnode.sieve.parts import part_at
from mailnode.sieve.run import ScriptRun

MAX_MESSAGE = 64 * 1024 * 1024  # octets that a message may become
_OF_CONTENT = (b"content-", b"mime-version")
_TEXT = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"


def _replace(run: ScriptRun, call: ScriptCall) -> None:
    entity = _entity(run.text(call, "text"), call.has(":mime"))
    path = run.parts[-1].path if run.parts else ()
    run.note("replace the part" if path else "replace the message")
    if path:
        data = run.mail.settled()
        part = part_at(run.mail.root, path)
        assert part is not None
        _set(run, data[: part.header_start] + entity + data[part.end :])
    else:
        _set(run, _header(run, call, entity) + entity)


def _entity(text: str, mime: bool) -> bytes:
    """An entity with its header: what is written when ``mime``, else the text."""
    written = clean(text).encode()
    if not mime:
        return _TEXT + b"\r\n" + written
    return written if b"\r\n\r\n" in written or written.startswith(b"\r\n") else b"\r\n" + written


def _header(run: ScriptRun, call: ScriptCall, entity: bytes) -> bytes:
    """The fields of the message but those of its content, those that were said in place of others (RFC 5703 5.1)."""
    lines = [line for line in run.mail.lines if not line.name.lower().startswith(_OF_CONTENT)]
    for tag, name in ((":subject", "Subject"), (":from", "From")):
        if call.has(tag):
            lines = _changed(lines, name, one_line(run.text(call, tag)))
    return (
        b"".join([line.raw if line.raw.endswith(b"\n") else line.raw + b"\r\n" for line in lines])
        + b"MIME-Version: 1.0\r\n"
    )


def _changed(lines: list[HeaderLine], name: str, value: str) -> list[HeaderLine]:
    """Fields of a name become ``Original-``, and one takes their place."""
    kept = [
        header_line(f"Original-{name}", line.value) if line.name.lower() == name.lower().encode() else line
        for line in lines
    ]
    return [*kept, header_line(name, value)]


def _enclose(run: ScriptRun, call: ScriptCall) -> None:
    """RFC 5703 6: a text, and the message as it was as a part of its own."""
    original = run.mail.whole()
    text = clean(run.text(call, "text")).encode()
    boundary = b"=_" + hashlib.sha256(original + text).hexdigest()[:32].encode()
    top = _header(run, call, original)
    for field in run.texts(call, ":headers"):
        name, colon, value = field.partition(":")
        if not colon:
            raise ScriptFailed(f'"{field[:80]}" is no header field')
        top = header_line(name.strip(), value).raw + top
    run.note("enclose the message")
    _set(
        run,
        top
        + b'Content-Type: multipart/mixed; boundary="'
        + boundary
        + b'"\r\n\r\n--'
        + boundary
        + b"\r\n"
        + _TEXT
        + b"\r\n"
        + text
        + b"\r\n--"
        + boundary
        + b"\r\nContent-Type: message/rfc822\r\n\r\n"
        + original
        + b"\r\n--"
        + boundary
        + b"--\r\n",
    )


def _set(run: ScriptRun, data: bytes) -> None:
    run.step(1 + len(data) // 1024)
    if len(data) > MAX_MESSAGE:
        raise ScriptFailed(f"the message becomes larger than {MAX_MESSAGE} octets")
    run.mail.set_data(data)


def _extracttext(run: ScriptRun, call: ScriptCall) -> None:
    if not run.parts:
        raise ScriptFailed("extracttext is for a foreverypart")
    part = part_at(run.mail.root, run.parts[-1].path)
    text = ""
    if part is not None and part.kind == "leaf" and part.media.type == b"text":
        text = readable_text(part, run.mail.data)
        run.looked_at(text)
    if call.has(":first"):
        text = text[: call.number(":first")]
    run.set_variable(checked_variable(run.text(call, "name"), run.in_force), modified(call, text))


def _check_extracttext(checking: Checking, call: ScriptCall) -> None:
    if not checking.is_in("foreverypart"):
        checking.refuse(call, "name", "extracttext should stand in a foreverypart")
    if "variables" not in checking.required:
        checking.refuse(call, "name", 'extracttext needs require "variables"')
    check_variable(checking, call)


STRING, STRINGS = ArgumentKind.STRING, ArgumentKind.STRINGS
SUBJECT = SieveTag("subject", STRING)
TEXT = SieveArgument("text", STRING)
EXTENSIONS = (
    SieveExtension(
        "replace",
        "RFC 5703 5",
        "replace: another part in place of one, or of all",
        commands=(
            SieveCommand("replace", (TEXT,), (SieveTag("mime"), SUBJECT, SieveTag("from", STRING)), run=_replace),
        ),
    ),
    SieveExtension(
        "enclose",
        "RFC 5703 6",
        "enclose: the message as a part of another",
        commands=(SieveCommand("enclose", (TEXT,), (SUBJECT, SieveTag("headers", STRINGS)), run=_enclose),),
    ),
    SieveExtension(
        "extracttext",
        "RFC 5703 7",
        "extracttext: the text of a part in a variable",
        commands=(
            SieveCommand(
                "extracttext",
                (SieveArgument("name", STRING, constant=True),),
                (SieveTag("first", ArgumentKind.NUMBER),),
                run=_extracttext,
                check=_check_extracttext,
            ),
        ),
    ),
)
