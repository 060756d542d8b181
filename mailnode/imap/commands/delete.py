"""DELETE (RFC 3501 6.3.4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from mailnode.errors import MailboxRefused
from mailnode.imap.answers import Answer, CommandRefused
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.list import say_normalized
from mailnode.imap.commands.mailboxes import argument_as_written
from mailnode.imap.commands.row import AFTER_LOGIN, CommandRow
from mailnode.imap.others import mail_of, named
from mailnode.imap.view.known_mailboxes import OwnChange
from mailnode.imap.wire.command import Command
from mailnode.imap.wire.lexer import Lexer


# delete = "DELETE" SP mailbox
@dataclass(frozen=True, slots=True)
class Delete(Command):
    """RFC 3501 6.3.4."""

    verb: ClassVar[str] = "DELETE"
    mailbox: str
    written: str = field(default="", compare=False)


def _parse(tag: bytes, lexer: Lexer) -> Delete:
    """Read `` mailbox``."""
    return Delete(tag, *argument_as_written(lexer))


async def delete(context: Context, command: Delete) -> Answer:
    """RFC 3501 6.3.4, RFC 9051 6.3.5. A client that deletes what it has selected is in the authenticated state afterwards."""
    info = await named(context, command.mailbox)
    mail = mail_of(context, info.account_id)
    try:
        await mail.delete(info.id)
    except MailboxRefused:
        if info.selectable:
            raise
        raise CommandRefused("Mailbox has inferiors", b"HASCHILDREN") from None  # RFC 9051 6.3.5
    context.note_own(OwnChange((command.mailbox, "")))
    if context.selected is not None and context.selected.is_of(mail.account_id, info.id):
        context.deselect()
    await say_normalized(context, command.mailbox, command.written)
    return Answer("DELETE completed")


ROWS = (CommandRow(name=b"DELETE", states=AFTER_LOGIN, parse=_parse, run=delete),)
