"""SUBSCRIBE and UNSUBSCRIBE (RFC 3501 6.3.6 and 6.3.7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mailnode.imap.answers import Answer
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.mailboxes import argument
from mailnode.imap.commands.row import AFTER_LOGIN, CommandRow
from mailnode.imap.view.known_mailboxes import OwnChange
from mailnode.imap.wire.command import Command
from mailnode.imap.wire.lexer import Lexer


# subscribe = "SUBSCRIBE" SP mailbox
# unsubscribe = "UNSUBSCRIBE" SP mailbox
@dataclass(frozen=True, slots=True)
class Subscribe(Command):
    """RFC 3501 6.3.6."""

    verb: ClassVar[str] = "SUBSCRIBE"
    mailbox: str


@dataclass(frozen=True, slots=True)
class Unsubscribe(Command):
    """RFC 3501 6.3.7."""

    verb: ClassVar[str] = "UNSUBSCRIBE"
    mailbox: str


def _parse_subscribe(tag: bytes, lexer: Lexer) -> Subscribe:
    """Read `` mailbox``."""
    return Subscribe(tag, argument(lexer))


def _parse_unsubscribe(tag: bytes, lexer: Lexer) -> Unsubscribe:
    """Read `` mailbox``."""
    return Unsubscribe(tag, argument(lexer))


async def subscribe(context: Context, command: Subscribe) -> Answer:
    """RFC 3501 6.3.6. The name need not exist: it may come back."""
    await context.mail.subscribe(command.mailbox, True)
    context.note_own(OwnChange(subscription=(command.mailbox, True)))
    return Answer("SUBSCRIBE completed")


async def unsubscribe(context: Context, command: Unsubscribe) -> Answer:
    """RFC 3501 6.3.7."""
    await context.mail.subscribe(command.mailbox, False)
    context.note_own(OwnChange(subscription=(command.mailbox, False)))
    return Answer("UNSUBSCRIBE completed")


ROWS = (
    CommandRow(name=b"SUBSCRIBE", states=AFTER_LOGIN, parse=_parse_subscribe, run=subscribe),
    CommandRow(name=b"UNSUBSCRIBE", states=AFTER_LOGIN, parse=_parse_unsubscribe, run=unsubscribe),
)
