"""RENAME (RFC 3501 6.3.5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from mailnode.errors import MailboxExists
from mailnode.imap.answers import Answer, CommandRefused
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.list import say_normalized
from mailnode.imap.commands.mailboxes import argument_as_written
from mailnode.imap.commands.row import AFTER_LOGIN, CommandRow
from mailnode.imap.others import mail_of, named, own_place
from mailnode.imap.view.known_mailboxes import OwnChange
from mailnode.imap.wire.command import Command
from mailnode.imap.wire.lexer import Lexer
from mailnode.values.mailbox_name import INBOX


# rename = "RENAME" SP mailbox SP mailbox
@dataclass(frozen=True, slots=True)
class Rename(Command):
    """RFC 3501 6.3.5."""

    verb: ClassVar[str] = "RENAME"
    source: str
    target: str
    source_written: str = field(default="", compare=False)
    target_written: str = field(default="", compare=False)


def _parse(tag: bytes, lexer: Lexer) -> Rename:
    """Read `` mailbox mailbox``."""
    (source, old), (target, new) = argument_as_written(lexer), argument_as_written(lexer)
    return Rename(tag, source, target, old, new)


async def rename(context: Context, command: Rename) -> Answer:
    """RFC 3501 6.3.5."""
    if command.target == INBOX:
        raise MailboxExists
    info = await named(context, command.source)
    mail = mail_of(context, info.account_id)
    target = await own_place(context, command.target)
    if target.mail.account_id != mail.account_id:
        raise CommandRefused("A mailbox stays in its account", b"CANNOT")
    await target.mail.rename(info.id, target.name)
    if command.source == INBOX and context.services.scripts is not None:  # what is noted about it was copied
        await context.services.scripts.renamed()
    context.note_own(OwnChange((command.source, command.target)))
    if command.target_written != command.target or command.source_written != command.source:
        await say_normalized(context, command.target, command.source_written)
    return Answer("RENAME completed")


ROWS = (CommandRow(name=b"RENAME", states=AFTER_LOGIN, parse=_parse, run=rename, asks_after=True),)
