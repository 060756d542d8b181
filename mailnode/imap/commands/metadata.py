"""GETMETADATA and SETMETADATA, and the values that LIST returns (RFC 5464, RFC 9590): what people note about mailboxes.

An entry under ``/private`` is its reader's own, one under ``/shared`` is for all who see the mailbox. Entries about the
server are those of the mailbox "": private ones are the account's. Of shared ones there is but one, the script for all
mailboxes of the account that have none of their own (RFC 6785 2.3.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from mailnode.errors import BadMailboxName, LimitReached, NotPermitted
from mailnode.imap.answers import Answer, CommandRefused
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.row import AFTER_LOGIN, CommandRow
from mailnode.imap.others import mail_of, named
from mailnode.imap.view.known_mailboxes import OwnChange
from mailnode.imap.wire import responses
from mailnode.imap.wire.command import Command
from mailnode.imap.wire.lexer import CommandFault, Lexer
from mailnode.imap.wire.text import astring, literal8, string
from mailnode.interfaces.store import IMailAccount
from mailnode.values.mailbox_event import SCRIPT_ENTRY
from mailnode.values.mailbox_name import mailbox_name
from mailnode.values.rights import ADMINISTER, NOTING

MAX_VALUE = 16 * 1024  # octets
MAX_ENTRY = 255  # octets of an entry's name
MAX_ASKED = 100  # entries in one command
ACCOUNT = 0  # in the place of a mailbox's id: the mailbox ""

_ENTRY = re.compile(rb"/(?:private|shared)(?:/[^\x00-\x1f\x7f-\xff*%/]+)+", re.IGNORECASE)
_DEPTHS = {"0": 0, "1": 1, "INFINITY": MAX_ENTRY}


# getmetadata = "GETMETADATA" [SP options] SP mailbox SP entries
# options = "(" option *(SP option) ")"; option = "MAXSIZE" SP number / "DEPTH" SP ("0" / "1" / "infinity")
# entries = entry / "(" entry *(SP entry) ")"
# setmetadata = "SETMETADATA" SP mailbox SP "(" entry SP value *(SP entry SP value) ")"
@dataclass(frozen=True, slots=True)
class GetMetadata(Command):
    """RFC 5464 4.2. ``mailbox`` "" is the server; ``largest``: octets, None: any; ``depth``: levels below each entry."""

    verb: ClassVar[str] = "GETMETADATA"
    mailbox: str
    entries: tuple[bytes, ...]
    largest: int | None = None
    depth: int = 0


@dataclass(frozen=True, slots=True)
class SetMetadata(Command):
    """RFC 5464 4.3. ``values`` are (entry in lower case, value), None: to be removed."""

    verb: ClassVar[str] = "SETMETADATA"
    mailbox: str
    values: tuple[tuple[str, bytes | None], ...]


def _parse_get(tag: bytes, lexer: Lexer) -> GetMetadata:
    """Read `` [options] mailbox [options] entries``: the grammar has options in front, the examples behind."""
    options: dict[str, int] = {}
    lexer.space()
    if lexer.peek() == b"(":
        _options(lexer, options)
        lexer.space()
    mailbox = _mailbox(lexer)
    lexer.space()
    if lexer.follows(b"(MAXSIZE ") or lexer.follows(b"(DEPTH "):
        _options(lexer, options)
        lexer.space()
    return GetMetadata(tag, mailbox, entries(lexer), options.get("MAXSIZE"), options.get("DEPTH", 0))


def _options(lexer: Lexer, options: dict[str, int]) -> None:
    def option() -> None:
        name = lexer.word()
        lexer.space()
        if name == "MAXSIZE":
            options[name] = lexer.number()
        elif name == "DEPTH" and (depth := _DEPTHS.get(lexer.word())) is not None:
            options[name] = depth
        else:
            raise CommandFault("Unknown option")

    lexer.parenthesized(option)


def entries(lexer: Lexer) -> tuple[bytes, ...]:
    """Read one entry or a list of them, as they are written."""
    if lexer.peek() != b"(":
        return (_entry(lexer),)
    found = tuple(dict.fromkeys(lexer.parenthesized(lambda: _entry(lexer))))
    if len(found) > MAX_ASKED:
        raise CommandFault("Too many entries", status=b"NO", code=b"LIMIT")
    return found


def _entry(lexer: Lexer) -> bytes:
    name = lexer.astring()
    if len(name) > MAX_ENTRY or not _ENTRY.fullmatch(name):
        raise CommandFault("Not the name of an entry")
    return name


def _mailbox(lexer: Lexer) -> str:
    """Read a mailbox name; "" stays that."""
    name = lexer.encoded_name()
    try:
        if name is not None:
            return mailbox_name(name) if name else ""
    except BadMailboxName:
        pass
    raise CommandFault("Mailbox name is not allowed", status=b"NO", code=b"CANNOT")


def _parse_set(tag: bytes, lexer: Lexer) -> SetMetadata:
    """Read `` mailbox (entry value ...)``."""
    lexer.space()
    mailbox = _mailbox(lexer)
    lexer.space()

    def value() -> tuple[str, bytes | None]:
        entry = _entry(lexer).decode("ascii").lower()
        lexer.space()
        return entry, lexer.nstring8()

    values = dict(lexer.parenthesized(value))
    if len(values) > MAX_ASKED:
        raise CommandFault("Too many entries", status=b"NO", code=b"LIMIT")
    return SetMetadata(tag, mailbox, tuple(values.items()))


async def get_metadata(context: Context, command: GetMetadata) -> Answer:
    """RFC 5464 4.2."""
    values = await _values(context, command.mailbox)
    chosen = dict(_chosen(values, command.entries, command.depth))
    longest = 0
    if command.largest is not None:
        longest = max((len(value) for value in chosen.values() if len(value) > command.largest), default=0)
        chosen = {entry: value for entry, value in chosen.items() if len(value) <= command.largest}
    if chosen:
        context.write(response(command.mailbox, chosen, context.connection.utf8))
    return Answer("GETMETADATA completed", b"METADATA LONGENTRIES %d" % longest if longest else b"")


async def _values(context: Context, mailbox: str) -> dict[str, bytes]:
    """Return all values a mailbox has for this reader, by entry."""
    reader = context.mail.account_id
    if not mailbox:
        return (await context.mail.annotations([ACCOUNT], reader)).get(ACCOUNT, {})
    info = await named(context, mailbox)
    mail = mail_of(context, info.account_id)
    if set(NOTING).isdisjoint((await mail.rights([info.id])).get(info.id, "")):
        raise NotPermitted
    return (await mail.annotations([info.id], reader)).get(info.id, {})


def _chosen(values: Mapping[str, bytes], asked: Sequence[bytes], depth: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield the values of entries, and of those so many levels below them; an entry keeps the form it was asked for in."""
    for name in asked:
        entry = name.decode("ascii").lower()
        if entry in values:
            yield name, values[entry]
        if depth:
            for other, value in values.items():
                if other.startswith(entry + "/") and other.count("/", len(entry)) <= depth:
                    yield other.encode("ascii"), value


def response(mailbox: str, values: Mapping[bytes, bytes | None], utf8: bool = False) -> bytes:
    """Return ``* METADATA`` with values (RFC 5464 4.4.1). :param utf8: the name in UTF-8."""
    name = responses.mailbox(mailbox, utf8) if mailbox else b'""'
    pairs = (b"%b %b" % (astring(entry), _value(value)) for entry, value in values.items())
    return responses.untagged(b"METADATA", name, responses.parenthesized(pairs))


def changed_entries(mailbox: str, names: Sequence[str], utf8: bool) -> bytes:
    """Return ``* METADATA`` without values (RFC 5464 4.4.2). :param mailbox: "" is the server."""
    name = responses.mailbox(mailbox, utf8) if mailbox else b'""'
    return responses.untagged(b"METADATA", name, *[astring(entry.encode("ascii")) for entry in names])


def _value(value: bytes | None) -> bytes:
    if value is None:
        return b"NIL"
    return literal8(value) if b"\0" in value else string(value)


async def listed_values(
    context: Context, mail: IMailAccount, mailboxes: Mapping[int, str], asked: Sequence[bytes]
) -> dict[int, bytes]:
    """Return ``* METADATA`` for each of these mailboxes, which are names by id; NIL where there is no value (RFC 9590 3)."""
    found = await mail.annotations(list(mailboxes), context.mail.account_id)
    return {
        mailbox_id: response(
            name,
            {entry: found.get(mailbox_id, {}).get(entry.decode("ascii").lower()) for entry in asked},
            context.connection.utf8,
        )
        for mailbox_id, name in mailboxes.items()
    }


async def set_metadata(context: Context, command: SetMetadata) -> Answer:
    """RFC 5464 4.3: all or none."""
    mail = context.mail
    if any(value is not None and len(value) > MAX_VALUE for _, value in command.values):
        raise CommandRefused("A value is too long", b"METADATA MAXSIZE %d" % MAX_VALUE)
    scripts = context.services.scripts
    names_script = any(entry == SCRIPT_ENTRY for entry, _ in command.values)
    for_all = {SCRIPT_ENTRY} if scripts is not None else set()
    if not command.mailbox and any(
        entry.startswith("/shared/") and entry not in for_all for entry, _ in command.values
    ):
        raise CommandRefused("Not yours to change", b"NOPERM")
    own, mailbox_id = mail.account_id, ACCOUNT
    if command.mailbox:
        info = await named(context, command.mailbox)
        mail, mailbox_id = mail_of(context, info.account_id), info.id
        # The script is the owner's, and acts for the owner.
        if names_script and ADMINISTER not in (await mail.rights([mailbox_id])).get(mailbox_id, ""):
            raise NotPermitted(ADMINISTER)
    values = [(own if entry.startswith("/private/") else "", entry, value) for entry, value in command.values]
    try:
        modseq = await mail.annotate(mailbox_id, values)
    except LimitReached:
        raise CommandRefused("No more entries can be added", b"METADATA TOOMANY") from None
    if names_script and scripts is not None:
        await scripts.renamed()
    set_at = {(mail.account_id, mailbox_id, entry): 0 if value is None else modseq for _, entry, value in values}
    context.note_own(OwnChange(entries=set_at))
    return Answer("SETMETADATA completed")


ROWS = (
    CommandRow(name=b"GETMETADATA", states=AFTER_LOGIN, parse=_parse_get, run=get_metadata, capabilities=("METADATA",)),
    CommandRow(
        name=b"SETMETADATA",
        states=AFTER_LOGIN,
        parse=_parse_set,
        run=set_metadata,
        capabilities=("METADATA",),
        binary=True,
    ),
)
