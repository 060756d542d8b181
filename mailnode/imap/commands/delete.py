"""DELETE (RFC 3501 6.3.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mailnode.imap.answers import Answer
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.mailboxes import argument
from mailnode.imap.commands.row import AFTER_LOGIN, CommandRow
from mailnode.imap.wire.command import Command
from mailnode.imap.wire.lexer import Lexer


# delete = "DELETE" SP mailbox
@dataclass(frozen=True, slots=True)
class Delete(Command):
    """RFC 3501 6.3.4."""

    verb: ClassVar[str] = "DELETE"
    mailbox: str


def _parse(tag: bytes, lexer: Lexer) -> Delete:
    """Read `` mailbox``."""
    return Delete(tag, argument(lexer))


async def delete(context: Context, command: Delete) -> Answer:
    """RFC 3501 6.3.4. A client that deletes what it has selected is in the authenticated state afterwards."""
    info = await context.mail.named(command.mailbox)
    await context.mail.delete(info.id)
    if context.selected is not None and context.selected.mailbox.id == info.id:
        context.deselect()
    return Answer("DELETE completed")


ROWS = (CommandRow(name=b"DELETE", states=AFTER_LOGIN, parse=_parse, run=delete),)
