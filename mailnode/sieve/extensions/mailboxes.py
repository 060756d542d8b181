"""Mailboxes that are there, or are made (RFC 5490), found by their use (RFC 8579) or by their id (RFC 9042); annotations."""

from __future__ import annotations

from mailnode.errors import BadMailboxName
from mailnode.sieve.constructs import (
    ArgumentKind,
    ScriptCall,
    SieveArgument,
    SieveExtension,
    SieveTag,
    SieveTest,
)
from mailnode.sieve.extensions.looking import KEYS
from mailnode.sieve.places import check_use, checked_mailbox
from mailnode.sieve.questions import MailboxIdExists, MailboxPresent, MetadataValue, SpecialUseExists
from mailnode.sieve.run import ScriptRun
from mailnode.values.mailbox_name import mailbox_name

SERVER = ""
PLACE = "what a mailbox is found by"  # RFC 9042 4.2 and 5: one of them


def _names(run: ScriptRun, call: ScriptCall) -> list[str] | None:
    """The mailboxes a test names; None where one of them can be no mailbox."""
    try:
        return [mailbox_name(name) for name in run.texts(call, "mailboxes")]
    except BadMailboxName:
        return None


def _ask_mailboxes(run: ScriptRun, call: ScriptCall) -> list[MailboxPresent]:
    return [MailboxPresent(name) for name in _names(run, call) or ()]


def _mailboxexists(run: ScriptRun, call: ScriptCall) -> bool:
    names = _names(run, call)
    return names is not None and all(run.answer(MailboxPresent(name)) for name in names)


def _ask_ids(run: ScriptRun, call: ScriptCall) -> list[MailboxIdExists]:
    return [MailboxIdExists(id) for id in run.texts(call, "ids")]


def _mailboxidexists(run: ScriptRun, call: ScriptCall) -> bool:
    return all(run.answer(MailboxIdExists(id)) for id in run.texts(call, "ids"))


def _mailbox_of(run: ScriptRun, call: ScriptCall) -> str:
    return checked_mailbox(run.text(call, "mailbox")) if call.has("mailbox") else SERVER


def _ask_metadata(run: ScriptRun, call: ScriptCall) -> list[MetadataValue]:
    names = run.texts(call, "annotations") if call.has("annotations") else (run.text(call, "annotation"),)
    mailbox = _mailbox_of(run, call)
    return [MetadataValue(mailbox, name) for name in names]


def _metadata(run: ScriptRun, call: ScriptCall) -> list[str]:
    values = [run.answer(question) for question in _ask_metadata(run, call)]
    return [value for value in values if isinstance(value, str)]


def _metadataexists(run: ScriptRun, call: ScriptCall) -> bool:
    return all(isinstance(run.answer(question), str) for question in _ask_metadata(run, call))


def _uses(run: ScriptRun, call: ScriptCall) -> list[SpecialUseExists] | None:
    """What a test of uses asks; None where it names what can be no mailbox."""
    try:
        mailbox = mailbox_name(run.text(call, "mailbox")) if call.has("mailbox") else ""
    except BadMailboxName:
        return None
    return [SpecialUseExists(mailbox, use) for use in run.texts(call, "uses")]


def _ask_uses(run: ScriptRun, call: ScriptCall) -> list[SpecialUseExists]:
    return _uses(run, call) or []


def _specialuse_exists(run: ScriptRun, call: ScriptCall) -> bool:
    """RFC 8579 3."""
    asked = _uses(run, call)
    return asked is not None and all(run.answer(question) for question in asked)


MAILBOX = SieveArgument("mailbox", ArgumentKind.STRING)
ANNOTATION = SieveArgument("annotation", ArgumentKind.STRING)
ANNOTATIONS = SieveArgument("annotations", ArgumentKind.STRINGS)
EXTENSIONS = (
    SieveExtension(
        "mailbox",
        "RFC 5490 3",
        "the test mailboxexists; :create of fileinto",
        tests=(
            SieveTest(
                "mailboxexists",
                (SieveArgument("mailboxes", ArgumentKind.STRINGS),),
                holds=_mailboxexists,
                asks=_ask_mailboxes,
            ),
        ),
        tags=(SieveTag("create", on=("fileinto", "vacation", "notify")),),
    ),
    SieveExtension(
        "mboxmetadata",
        "RFC 5490 3",
        "annotations of a mailbox: metadata and metadataexists",
        tests=(
            SieveTest("metadata", (MAILBOX, ANNOTATION, KEYS), values=_metadata, asks=_ask_metadata),
            SieveTest("metadataexists", (MAILBOX, ANNOTATIONS), holds=_metadataexists, asks=_ask_metadata),
        ),
    ),
    SieveExtension(
        "servermetadata",
        "RFC 5490 4",
        "annotations of the server: servermetadata and servermetadataexists",
        tests=(
            SieveTest("servermetadata", (ANNOTATION, KEYS), values=_metadata, asks=_ask_metadata),
            SieveTest("servermetadataexists", (ANNOTATIONS,), holds=_metadataexists, asks=_ask_metadata),
        ),
    ),
    SieveExtension(
        "special-use",
        "RFC 8579 3 and 4",
        "the test specialuse_exists; :specialuse of fileinto",
        tests=(
            SieveTest(
                "specialuse_exists",
                (
                    SieveArgument("mailbox", ArgumentKind.STRING, optional=True),
                    SieveArgument("uses", ArgumentKind.STRINGS),
                ),
                holds=_specialuse_exists,
                asks=_ask_uses,
                check=check_use,
            ),
        ),
        tags=(SieveTag("specialuse", ArgumentKind.STRING, group=PLACE, on=("fileinto", "vacation", "notify")),),
    ),
    SieveExtension(
        "mailboxid",
        "RFC 9042 4 to 6",
        "the test mailboxidexists; :mailboxid of fileinto",
        tests=(
            SieveTest(
                "mailboxidexists", (SieveArgument("ids", ArgumentKind.STRINGS),), holds=_mailboxidexists, asks=_ask_ids
            ),
        ),
        tags=(SieveTag("mailboxid", ArgumentKind.STRING, group=PLACE, on=("fileinto", "vacation", "notify")),),
    ),
    SieveExtension(
        "fcc",
        "RFC 8580 3",
        ":fcc of vacation and notify: a copy of what is sent",
        tags=(
            SieveTag("fcc", ArgumentKind.STRING, on=("vacation", "notify")),
            SieveTag("flags", ArgumentKind.STRINGS, extension="imap4flags", on=("vacation", "notify")),
        ),
    ),
)
