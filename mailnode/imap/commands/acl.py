"""SETACL, DELETEACL, GETACL, LISTRIGHTS and MYRIGHTS (RFC 4314): who may do what with a mailbox.

Identifiers are the addresses of accounts and ``anyone``, each also with ``-`` in front of it. A mailbox's owner has all rights
to it, whatever is said of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mailnode.errors import LimitReached, NoSuchAccount, NoSuchMailbox, NotPermitted
from mailnode.imap.answers import Answer, CommandRefused
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.mailboxes import argument
from mailnode.imap.commands.row import AFTER_LOGIN, CommandRow
from mailnode.imap.others import place
from mailnode.imap.wire import responses
from mailnode.imap.wire.command import Command
from mailnode.imap.wire.lexer import CommandFault, Lexer
from mailnode.imap.wire.text import astring
from mailnode.interfaces.store import IMailAccount
from mailnode.values.mailbox import MailboxInfo
from mailnode.values.rights import ALL, NEGATIVE, NEW, OBSOLETE, TELLING, rights_from, shown

MAX_IDENTIFIER = 512  # octets
_HOW = {"+": "add", "-": "remove"}


# setacl = "SETACL" SP mailbox SP identifier SP mod-rights
# deleteacl = "DELETEACL" SP mailbox SP identifier
# getacl = "GETACL" SP mailbox
# listrights = "LISTRIGHTS" SP mailbox SP identifier
# myrights = "MYRIGHTS" SP mailbox
# identifier, mod-rights = astring
@dataclass(frozen=True, slots=True)
class SetAcl(Command):
    """RFC 4314 3.1. ``how`` is "set", "add" or "remove"; ``rights`` letters in their order."""

    verb: ClassVar[str] = "SETACL"
    mailbox: str
    identifier: str
    how: str
    rights: str


@dataclass(frozen=True, slots=True)
class DeleteAcl(Command):
    """RFC 4314 3.2."""

    verb: ClassVar[str] = "DELETEACL"
    mailbox: str
    identifier: str


@dataclass(frozen=True, slots=True)
class GetAcl(Command):
    """RFC 4314 3.3."""

    verb: ClassVar[str] = "GETACL"
    mailbox: str


@dataclass(frozen=True, slots=True)
class ListRights(Command):
    """RFC 4314 3.4."""

    verb: ClassVar[str] = "LISTRIGHTS"
    mailbox: str
    identifier: str


@dataclass(frozen=True, slots=True)
class MyRights(Command):
    """RFC 4314 3.5."""

    verb: ClassVar[str] = "MYRIGHTS"
    mailbox: str


def _text(lexer: Lexer) -> str:
    lexer.space()
    try:
        return lexer.astring().decode("utf-8")
    except UnicodeDecodeError:
        raise CommandFault("Not UTF-8") from None


def _identifier(lexer: Lexer) -> str:
    name = _text(lexer)
    if not name.removeprefix(NEGATIVE) or len(name) > MAX_IDENTIFIER:
        raise CommandFault("Not an identifier")
    return name


def _parse_set(tag: bytes, lexer: Lexer) -> SetAcl:
    """Read `` mailbox identifier [+-]rights``."""
    mailbox, identifier, text = argument(lexer), _identifier(lexer), _text(lexer)
    how = _HOW.get(text[:1], "set")
    rights = rights_from(text if how == "set" else text[1:])
    if rights is None:
        raise CommandFault("Unknown right")
    return SetAcl(tag, mailbox, identifier, how, rights)


def _parse_delete(tag: bytes, lexer: Lexer) -> DeleteAcl:
    """Read `` mailbox identifier``."""
    return DeleteAcl(tag, argument(lexer), _identifier(lexer))


def _parse_get(tag: bytes, lexer: Lexer) -> GetAcl:
    """Read `` mailbox``."""
    return GetAcl(tag, argument(lexer))


def _parse_list(tag: bytes, lexer: Lexer) -> ListRights:
    """Read `` mailbox identifier``."""
    return ListRights(tag, argument(lexer), _identifier(lexer))


def _parse_my(tag: bytes, lexer: Lexer) -> MyRights:
    """Read `` mailbox``."""
    return MyRights(tag, argument(lexer))


async def set_acl(context: Context, command: SetAcl) -> Answer:
    """RFC 4314 3.1."""
    await _give(context, command.mailbox, command.identifier, command.how, command.rights)
    return Answer("SETACL completed")


async def delete_acl(context: Context, command: DeleteAcl) -> Answer:
    """RFC 4314 3.2."""
    await _give(context, command.mailbox, command.identifier, "set", "")
    return Answer("DELETEACL completed")


async def _give(context: Context, mailbox: str, name: str, how: str, rights: str) -> None:
    info, mail, _ = await _found(context, mailbox)
    await mail.entries(info.id)  # who may not change rights is not told who has an account here
    identifier = await _known(context, name)
    if identifier.removeprefix(NEGATIVE) == mail.account_id:
        raise CommandRefused("A mailbox's owner has all rights", b"CANNOT")
    try:
        await context.services.sharing.give_rights(mail, info.id, identifier, how, rights)
    except LimitReached:
        raise CommandRefused("Too many have rights to your mailboxes", b"LIMIT") from None


async def _found(context: Context, mailbox: str) -> tuple[MailboxInfo, IMailAccount, bool]:
    """Return a mailbox, its account, and whether that is somebody's. :raises NoSuchMailbox:"""
    where = await place(context, mailbox)
    if not where.name:
        raise NoSuchMailbox(mailbox)
    return await where.mail.named(where.name), where.mail, where.owner is None or not where.owner.nobodys


async def _known(context: Context, name: str) -> str:
    try:
        return str(await context.services.sharing.identifier(name))
    except NoSuchAccount:
        raise CommandRefused("No such account", b"NONEXISTENT") from None


async def get_acl(context: Context, command: GetAcl) -> Answer:
    """RFC 4314 3.3: the owner first, if it has one. Of accounts that are gone nothing is said."""
    info, mail, has_owner = await _found(context, command.mailbox)
    entries = await mail.entries(info.id)
    owner = [(mail.account_id, ALL)] if has_owner else []
    pairs = []
    for identifier, rights in [*owner, *entries.items()]:
        try:
            name = await context.services.sharing.shown(identifier)
        except NoSuchAccount:
            continue
        pairs += [astring(name.encode("utf-8")), shown(rights).encode("ascii")]
        await context.checkpoint()
    context.write(responses.untagged(b"ACL", responses.mailbox(command.mailbox, context.connection.utf8), *pairs))
    return Answer("GETACL completed")


async def list_rights(context: Context, command: ListRights) -> Answer:
    """RFC 4314 3.4: the owner has all, of everybody else none depends on another."""
    info, mail, _ = await _found(context, command.mailbox)
    await mail.entries(info.id)
    identifier = await _known(context, command.identifier)
    words = [responses.mailbox(command.mailbox, context.connection.utf8), astring(command.identifier.encode("utf-8"))]
    if identifier == mail.account_id:
        words.append(shown(ALL).encode("ascii"))
    else:
        words += [b'""', *[letter.encode("ascii") for letter in ALL + "".join(OBSOLETE)]]
    context.write(responses.untagged(b"LISTRIGHTS", *words))
    return Answer("LISTRIGHTS completed")


async def my_rights_command(context: Context, command: MyRights) -> Answer:
    """RFC 4314 3.5."""
    info, mail, _ = await _found(context, command.mailbox)
    rights = (await mail.rights([info.id])).get(info.id)
    if rights is None:
        raise NoSuchMailbox
    if set(TELLING).isdisjoint(rights):
        raise NotPermitted
    context.write(my_rights(command.mailbox, rights, context.connection.utf8))
    return Answer("MYRIGHTS completed")


def my_rights(mailbox: str, rights: str, utf8: bool) -> bytes:
    """Return ``* MYRIGHTS`` (RFC 4314 3.8), which LIST says too (RFC 8440 4). :param utf8: the name in UTF-8."""
    return responses.untagged(b"MYRIGHTS", responses.mailbox(mailbox, utf8), shown(rights).encode("ascii"))


_CAPABILITIES = ("ACL", f"RIGHTS={NEW}")
ROWS = (
    CommandRow(
        name=b"SETACL",
        states=AFTER_LOGIN,
        parse=_parse_set,
        run=set_acl,
        capabilities=_CAPABILITIES,
        asks_after=True,
    ),
    CommandRow(
        name=b"DELETEACL",
        states=AFTER_LOGIN,
        parse=_parse_delete,
        run=delete_acl,
        asks_after=True,
        capabilities=_CAPABILITIES,
    ),
    CommandRow(name=b"GETACL", states=AFTER_LOGIN, parse=_parse_get, run=get_acl, capabilities=_CAPABILITIES),
    CommandRow(name=b"LISTRIGHTS", states=AFTER_LOGIN, parse=_parse_list, run=list_rights, capabilities=_CAPABILITIES),
    CommandRow(
        name=b"MYRIGHTS", states=AFTER_LOGIN, parse=_parse_my, run=my_rights_command, capabilities=_CAPABILITIES
    ),
)
