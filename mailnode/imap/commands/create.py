"""CREATE (RFC 3501 6.3.3, RFC 6154 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mailnode.errors import MailboxExists
from mailnode.imap.answers import Answer, CommandRefused
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.mailboxes import argument
from mailnode.imap.commands.row import AFTER_LOGIN, CommandRow
from mailnode.imap.wire.command import Command
from mailnode.imap.wire.lexer import CommandFault, Lexer
from mailnode.values.mailbox_name import INBOX

# RFC 6154 2, by capitals.
SPECIAL_USES = {
    name.upper(): name for name in ("\\All", "\\Archive", "\\Drafts", "\\Flagged", "\\Junk", "\\Sent", "\\Trash")
}


# create = "CREATE" SP mailbox [SP "(USE (" [use-attr *(SP use-attr)] "))"]
@dataclass(frozen=True, slots=True)
class Create(Command):
    """RFC 3501 6.3.3; ``special_use`` are the attributes of RFC 6154 3, canonical case (``\\Sent``)."""

    verb: ClassVar[str] = "CREATE"
    mailbox: str
    special_use: tuple[str, ...] = ()


def _parse(tag: bytes, lexer: Lexer) -> Create:
    """Read `` mailbox [(USE (\\Sent ...))]`` (RFC 6154 3)."""
    mailbox = argument(lexer)
    uses: tuple[str, ...] = ()
    if lexer.accept(b" "):
        lexer.expect(b"(")
        if lexer.word() != "USE":
            raise CommandFault("Unknown parameter")
        lexer.space()
        uses = tuple(dict.fromkeys(lexer.parenthesized(lambda: _special_use(lexer), minimum=0)))
        lexer.expect(b")")
    return Create(tag, mailbox, uses)


def _special_use(lexer: Lexer) -> str:
    name = SPECIAL_USES.get(lexer.flag().decode("ascii").upper())
    if name is None:
        raise CommandFault("Unknown special use", status=b"NO", code=b"USEATTR")
    return name


async def create(context: Context, command: Create) -> Answer:
    """RFC 3501 6.3.3, RFC 6154 3."""
    if command.mailbox == INBOX:
        raise MailboxExists
    if len(command.special_use) > 1:
        raise CommandRefused("Only one special use for a mailbox", b"USEATTR")
    await context.mail.create(command.mailbox, *command.special_use)
    return Answer("CREATE completed")


ROWS = (CommandRow(name=b"CREATE", states=AFTER_LOGIN, parse=_parse, run=create, capabilities=("CREATE-SPECIAL-USE",)),)
