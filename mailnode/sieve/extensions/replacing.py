"""Changing what a message has in it (RFC 5703 5, 6 and 7): a part replaced, the whole enclosed, text taken out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from datetime import datetime

from mailnode.errors import BadAddress
from mailnode.message.lineends import without_bare
from mailnode.message.words import clean
from mailnode.message.written_text import address_field, read_addresses
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
from mailnode.sieve.extensions.dates import PARTS
from mailnode.sieve.extensions.header_editing import check_names, checked_name, header_line
from mailnode.sieve.extensions.vacation import is_mailbox, one_line
from mailnode.sieve.extensions.variables import check_variable, checked_variable, modified
from mailnode.sieve.faults import ScriptFailed
from mailnode.sieve.mail import HeaderLine, header_lines
from mailnode.sieve.parts import PartPath, part_at
from mailnode.sieve.run import ScriptRun
from mailnode.values.address import parse_address

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
        if part is None:  # the message is another one by now
            return
        _set(run, path, data[: part.header_start] + entity + data[part.end :])
    else:
        _set(run, path, _header(run, call) + entity)


def _entity(text: str, mime: bool) -> bytes:
    """An entity with its header: what is written when ``mime``, else the text."""
    written = clean(text).encode()
    if not mime:
        return _TEXT + b"\r\n" + written
    return written if b"\r\n\r\n" in written or written.startswith(b"\r\n") else b"\r\n" + written


def _header(run: ScriptRun, call: ScriptCall) -> bytes:
    """The fields of the message but those of its content, those that were said in place of others (RFC 5703 5)."""
    lines = [line for line in run.mail.lines if not line.name.lower().startswith(_OF_CONTENT)]
    sender = run.text(call, ":from")
    if sender and not is_mailbox(sender):
        raise ScriptFailed(f'replace: ":from" is no address: {sender[:80]}')
    if call.has(":subject"):
        lines = _changed(lines, header_line("Subject", one_line(run.text(call, ":subject"))))
    if sender:
        lines = _changed(lines, *header_lines(address_field("From", read_addresses(sender))))
    return _block(lines)


def _changed(lines: list[HeaderLine], line: HeaderLine) -> list[HeaderLine]:
    """A field takes the place of those of its name, which become ``Original-``."""
    name = b"Original-" + line.name
    named = line.name.lower()
    kept = [HeaderLine(name, name + b":" + one.body, one.body) if one.name.lower() == named else one for one in lines]
    return [*kept, line]


def _block(lines: Iterable[HeaderLine]) -> bytes:
    whole = [line.raw if line.raw.endswith(b"\n") else line.raw + b"\r\n" for line in lines]
    return b"".join(whole) + b"MIME-Version: 1.0\r\n"


def _enclose(run: ScriptRun, call: ScriptCall) -> None:
    """RFC 5703 6: a text, and the message as it was as a part of its own."""
    original = run.mail.whole()
    text = without_bare(clean(run.text(call, "text")).encode())
    boundary = b"=_" + hashlib.sha256(original + text).hexdigest()[:32].encode()
    encoding = b"" if original.isascii() and text.isascii() else b"Content-Transfer-Encoding: 8bit\r\n"
    run.note("enclose the message")
    _set(
        run,
        (),
        _block(_fields_around(run, call))
        + b'Content-Type: multipart/mixed; boundary="%s"\r\n%s\r\n--%s\r\n' % (boundary, encoding, boundary)
        + _TEXT
        + b"\r\n%s\r\n--%s\r\nContent-Type: message/rfc822\r\n%s\r\n" % (text, boundary, encoding)
        + original
        + b"\r\n--%s--\r\n" % boundary,
        enclosing=True,
    )


def _fields_around(run: ScriptRun, call: ScriptCall) -> Iterator[HeaderLine]:
    """The fields of what encloses a message: those of it that are named, else who it is for and now; and a subject."""
    names = {checked_name(name).lower() for name in run.texts(call, ":headers")}
    try:
        if "from" not in names:
            yield from header_lines(address_field("From", [("", parse_address(run.facts.envelope.recipient))]))
    except BadAddress:
        names.add("from")
    if "date" not in names:
        yield header_line("Date", PARTS["std11"](datetime.fromtimestamp(run.facts.now, run.facts.zone)))
    if call.has(":subject"):
        names.discard("subject")
        yield header_line("Subject", one_line(run.text(call, ":subject")))
    else:
        names.add("subject")
    for line in run.mail.lines:
        name = line.name.lower()
        if name.decode() in names and not name.startswith(_OF_CONTENT):
            yield line


def _set(run: ScriptRun, path: PartPath, data: bytes, enclosing: bool = False) -> None:
    run.step(1 + len(data) // 1024)
    if len(data) > MAX_MESSAGE:
        raise ScriptFailed(f"the message becomes larger than {MAX_MESSAGE} octets")
    if enclosing:
        run.mail.enclose(data)
    else:
        run.mail.set_data(data)
    run.replaced.append(path)


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


def _check_replace(checking: Checking, call: ScriptCall) -> None:
    for tag in (":subject", ":from"):
        if call.has(":mime") and call.has(tag):
            checking.refuse(call, tag, f"{tag} and :mime exclude each other")
    for text in call.constants(":from"):
        if not is_mailbox(text):
            checking.refuse(call, ":from", f'"{text[:80]}" is no address')


def _check_enclose(checking: Checking, call: ScriptCall) -> None:
    check_names(checking, call, ":headers")


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
            SieveCommand(
                "replace",
                (TEXT,),
                (SieveTag("mime"), SUBJECT, SieveTag("from", STRING)),
                run=_replace,
                check=_check_replace,
            ),
        ),
    ),
    SieveExtension(
        "enclose",
        "RFC 5703 6",
        "enclose: the message as a part of another",
        commands=(
            SieveCommand(
                "enclose", (TEXT,), (SUBJECT, SieveTag("headers", STRINGS)), run=_enclose, check=_check_enclose
            ),
        ),
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
