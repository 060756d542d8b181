"""Telling somebody of a message by other means (RFC 5435), of which mail is the one there is (RFC 5436)."""

from __future__ import annotations

import re

from mailnode.message.words import clean
from mailnode.sieve.actions import NotifySomebody
from mailnode.sieve.addresses import field_addresses
from mailnode.sieve.constructs import (
    ArgumentKind,
    Checking,
    ScriptCall,
    SieveArgument,
    SieveCommand,
    SieveExtension,
    SieveTag,
    SieveTest,
)
from mailnode.sieve.copies import check_copy, filed_copy
from mailnode.sieve.extensions.looking import KEYS
from mailnode.sieve.extensions.vacation import is_mailbox, one_line
from mailnode.sieve.extensions.variables import modifier_tags
from mailnode.sieve.faults import ScriptFailed, ValueRefused
from mailnode.sieve.mailto import SCHEME, MailtoUri, parse_mailto
from mailnode.sieve.run import ScriptRun

IMPORTANCE = ("1", "2", "3")
MAX_OPTIONS = 20
_OPTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}=[^\x00\r\n]{0,500}\Z")  # RFC 5435 3.5


def _notify(run: ScriptRun, call: ScriptCall) -> None:
    written = run.text(call, "method")
    try:
        method = parse_mailto(written)
    except ValueRefused as error:
        raise ScriptFailed(f"notify: {error}") from None
    importance = run.text(call, ":importance", "2")
    if importance not in IMPORTANCE:
        raise ScriptFailed(f'importance is "1", "2" or "3", not "{importance[:20]}"')
    sender = run.text(call, ":from")
    options = run.texts(call, ":options")
    if len(options) > MAX_OPTIONS or not all(_OPTION.match(option) for option in options):
        raise ScriptFailed("an option is written as name=value, in one line")
    if any(value.partition(";")[0].strip().lower() != "no" for value in run.mail.values("auto-submitted")):
        run.note("nobody is told: it is an automatic message")  # RFC 5436 2.7
        return
    run.note(f"tell {', '.join(method.recipients)}")
    run.act(
        NotifySomebody(
            written,
            method.recipients,
            _subject(run, call, method),
            method.body,
            sender if is_mailbox(sender) else "",
            int(importance),
            tuple(options),
            filed_copy(run, call),
        )
    )


def _subject(run: ScriptRun, call: ScriptCall, method: MailtoUri) -> str:
    """RFC 5436 2.7: the message given, what the URI says, or the subject of the message."""
    if call.has(":message"):
        return one_line(run.text(call, ":message"))
    if method.subject:
        return one_line(method.subject)
    subject = next(iter(run.mail.values("subject")), "")
    if subject:
        return one_line(subject)
    sender = next((f"{local}@{domain}" for local, domain in field_addresses(run.mail.named("from"))), "")
    return one_line(f"New message from {sender}" if sender else "New message")


def _valid(run: ScriptRun, call: ScriptCall) -> bool:
    try:
        for uri in run.texts(call, "uris"):
            parse_mailto(uri)
    except ValueRefused:
        return False
    return True


def _capability(run: ScriptRun, call: ScriptCall) -> list[str]:
    """RFC 5436 2.2: nobody knows who is online. RFC 8580 6.1: of what goes by mail a copy can be filed, whoever it is for; the
    URI may be no more than its scheme. Of anything else nothing is known (RFC 5435 5)."""
    uri, capability = run.text(call, "uri"), run.text(call, "capability").lower()
    if capability == "fcc":
        return ["yes"] if uri.lower().startswith(SCHEME) else []
    try:
        parse_mailto(uri)
    except ValueRefused:
        return []
    return ["maybe"] if capability == "online" else []


def _check(checking: Checking, call: ScriptCall) -> None:
    check_copy(checking, call)
    for uri in call.constants("method"):
        try:
            parse_mailto(uri)
        except ValueRefused as error:
            checking.refuse(call, "method", str(error))
    for importance in call.constants(":importance"):
        if importance not in IMPORTANCE:
            checking.refuse(call, ":importance", f'importance is "1", "2" or "3", not "{clean(importance)[:20]}"')


STRING, STRINGS = ArgumentKind.STRING, ArgumentKind.STRINGS
EXTENSIONS = (
    SieveExtension(
        "enotify",
        "RFC 5435, RFC 5436",
        "notify by mailto, valid_notify_method, notify_method_capability; :encodeurl of set",
        commands=(
            SieveCommand(
                "notify",
                (SieveArgument("method", STRING),),
                (
                    SieveTag("from", STRING),
                    SieveTag("importance", STRING),
                    SieveTag("options", STRINGS),
                    SieveTag("message", STRING),
                ),
                run=_notify,
                check=_check,
            ),
        ),
        tests=(
            SieveTest("valid_notify_method", (SieveArgument("uris", STRINGS),), holds=_valid),
            SieveTest(
                "notify_method_capability",
                (SieveArgument("uri", STRING), SieveArgument("capability", STRING), KEYS),
                values=_capability,
            ),
        ),
        tags=modifier_tags("encodeurl"),
    ),
)
