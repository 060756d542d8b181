"""RENAME (RFC 3501 6.3.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mailnode.errors import MailboxExists
from mailnode.imap.answers import Answer
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.mailboxes import argument
from mailnode.imap.commands.row import AFTER_LOGIN, CommandRow
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


def _parse(tag: bytes, lexer: Lexer) -> Rename:
    """Read `` mailbox mailbox``."""
    return Rename(tag, argument(lexer), argument(lexer))


async def rename(context: Context, command: Rename) -> Answer:
    """RFC 3501 6.3.5."""
    if command.target == INBOX:
        raise MailboxExists
    info = await context.mail.named(command.source)
    await context.mail.rename(info.id, command.target)
    return Answer("RENAME completed")


ROWS = (CommandRow(name=b"RENAME", states=AFTER_LOGIN, parse=_parse, run=rename, asks_after=True),)
