"""Mailboxes that are there, or are made (RFC 5490), found by their use (RFC 8579) or by their id (RFC 9042); annotations."""

from __future__ import annotations

from mailnode.errors import BadMailboxName
from mailnode.sieve.constructs import Call, Checking, Kind, SieveArgument, SieveExtension, SieveTag, SieveTest
from mailnode.sieve.extensions.looking import KEYS
from mailnode.sieve.places import checked_mailbox
from mailnode.sieve.questions import MailboxExists, MailboxIdExists, MetadataValue, SpecialUseExists
from mailnode.sieve.run import Run
from mailnode.values.mailbox_name import mailbox_name

SERVER = ""


def _names(run: Run, call: Call) -> list[str] | None:
    """The mailboxes a test names; None where one of them can be no mailbox."""
    try:
        return [mailbox_name(name) for name in run.texts(call, "mailboxes")]
    except BadMailboxName:
        return None


def _ask_mailboxes(run: Run, call: Call) -> list[MailboxExists]:
    return [MailboxExists(name) for name in _names(run, call) or ()]


def _mailboxexists(run: Run, call: Call) -> bool:
    names = _names(run, call)
    return names is not None and all(run.answer(MailboxExists(name)) for name in names)


def _ask_ids(run: Run, call: Call) -> list[MailboxIdExists]:
    return [MailboxIdExists(id) for id in run.texts(call, "ids")]


def _mailboxidexists(run: Run, call: Call) -> bool:
    return all(run.answer(MailboxIdExists(id)) for id in run.texts(call, "ids"))


def _mailbox_of(run: Run, call: Call) -> str:
    return checked_mailbox(run.text(call, "mailbox")) if call.has("mailbox") else SERVER


def _ask_metadata(run: Run, call: Call) -> list[MetadataValue]:
    names = run.texts(call, "annotations") if call.has("annotations") else (run.text(call, "annotation"),)
    mailbox = _mailbox_of(run, call)
    return [MetadataValue(mailbox, name) for name in names]


def _metadata(run: Run, call: Call) -> list[str]:
    values = [run.answer(question) for question in _ask_metadata(run, call)]
    return [value for value in values if isinstance(value, str)]


def _metadataexists(run: Run, call: Call) -> bool:
    return all(isinstance(run.answer(question), str) for question in _ask_metadata(run, call))


def _ask_uses(run: Run, call: Call) -> list[SpecialUseExists]:
    mailbox = _mailbox_of(run, call)
    return [SpecialUseExists(mailbox, use) for use in run.texts(call, "uses")]


def _specialuse_exists(run: Run, call: Call) -> bool:
    return all(run.answer(question) for question in _ask_uses(run, call))


def _check_use(checking: Checking, call: Call) -> None:
    for name in ("uses", ":specialuse"):
        for use in call.constants(name):
            if not use.startswith("\\"):
                checking.refuse(call, name, f'a use is written with a backslash, such as "\\\\Junk", not "{use[:40]}"')


MAILBOX = SieveArgument("mailbox", Kind.STRING)
ANNOTATION = SieveArgument("annotation", Kind.STRING)
ANNOTATIONS = SieveArgument("annotations", Kind.STRINGS)
EXTENSIONS = (
    SieveExtension(
        "mailbox",
        "RFC 5490 3",
        "the test mailboxexists; :create of fileinto",
        tests=(
            SieveTest(
                "mailboxexists",
                (SieveArgument("mailboxes", Kind.STRINGS),),
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
        "RFC 8579",
        "the test specialuse_exists; :specialuse of fileinto",
        tests=(
            SieveTest(
                "specialuse_exists",
                (
                    SieveArgument("mailbox", Kind.STRING, optional=True),
                    SieveArgument("uses", Kind.STRINGS),
                ),
                holds=_specialuse_exists,
                asks=_ask_uses,
                check=_check_use,
            ),
        ),
        tags=(SieveTag("specialuse", Kind.STRING, on=("fileinto", "vacation", "notify")),),
    ),
    SieveExtension(
        "mailboxid",
        "RFC 9042",
        "the test mailboxidexists; :mailboxid of fileinto",
        tests=(
            SieveTest("mailboxidexists", (SieveArgument("ids", Kind.STRINGS),), holds=_mailboxidexists, asks=_ask_ids),
        ),
        tags=(SieveTag("mailboxid", Kind.STRING, on=("fileinto", "vacation", "notify")),),
    ),
    SieveExtension(
        "fcc",
        "RFC 8580",
        ":fcc of vacation and notify: a copy of what is sent",
        tags=(
            SieveTag("fcc", Kind.STRING, on=("vacation", "notify")),
            SieveTag("flags", Kind.STRINGS, extension="imap4flags", on=("vacation", "notify")),
        ),
    ),
)
