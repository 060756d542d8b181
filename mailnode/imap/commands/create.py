"""CREATE (RFC 3501 6.3.3, RFC 6154 3, RFC 8474 4.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from mailnode.errors import MailboxExists
from mailnode.imap.answers import Answer, CommandRefused
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.list import say_normalized
from mailnode.imap.commands.mailboxes import argument_as_written
from mailnode.imap.commands.row import AFTER_LOGIN, CommandRow
from mailnode.imap.others import own_place
from mailnode.imap.view.known_mailboxes import OwnChange
from mailnode.imap.wire.command import Command
from mailnode.imap.wire.lexer import CommandFault, Lexer
from mailnode.values.mailbox import SPECIAL_USES
from mailnode.values.mailbox_name import INBOX
from mailnode.values.object_ids import mailbox_id_code


# create = "CREATE" SP mailbox [SP "(USE (" [use-attr *(SP use-attr)] "))"]
@dataclass(frozen=True, slots=True)
class Create(Command):
    """RFC 3501 6.3.3; ``special_use`` are the attributes of RFC 6154 3, canonical case (``\\Sent``)."""

    verb: ClassVar[str] = "CREATE"
    mailbox: str
    special_use: tuple[str, ...] = ()
    written: str = field(default="", compare=False)


def _parse(tag: bytes, lexer: Lexer) -> Create:
    """Read `` mailbox [(USE (\\Sent ...))]`` (RFC 6154 3)."""
    mailbox, written = argument_as_written(lexer)
    uses: tuple[str, ...] = ()
    if lexer.accept(b" "):
        lexer.expect(b"(")
        if lexer.word() != "USE":
            raise CommandFault("Unknown parameter")
        lexer.space()
        uses = tuple(dict.fromkeys(lexer.parenthesized(lambda: _special_use(lexer), minimum=0)))
        lexer.expect(b")")
    return Create(tag, mailbox, uses, written)


def _special_use(lexer: Lexer) -> str:
    name = SPECIAL_USES.get(lexer.flag().decode("ascii").upper())
    if name is None:
        raise CommandFault("Unknown special use", status=b"NO", code=b"USEATTR")
    return name


async def create(context: Context, command: Create) -> Answer:
    """RFC 3501 6.3.3, RFC 6154 3, RFC 8474 4.1."""
    if command.mailbox == INBOX:
        raise MailboxExists
    if len(command.special_use) > 1:
        raise CommandRefused("Only one special use for a mailbox", b"USEATTR")
    where = await own_place(context, command.mailbox)
    if where.shared and command.special_use:
        raise CommandRefused("No special use for a mailbox of somebody else", b"USEATTR")
    made = await where.mail.create(where.name, *command.special_use)
    context.note_own(OwnChange(("", command.mailbox)))
    await say_normalized(context, command.mailbox, command.written)
    shown = "OBJECTID" not in context.hidden
    return Answer("CREATE completed", mailbox_id_code(where.mail.account_id, made.id) if shown else b"")


ROWS = (
    CommandRow(
        name=b"CREATE",
        states=AFTER_LOGIN,
        parse=_parse,
        run=create,
        needs=lambda command: ("CREATE-SPECIAL-USE",) if command.special_use else (),
        capabilities=("CREATE-SPECIAL-USE",),
    ),
)
