"""Mailboxes that commands name and change."""

from __future__ import annotations

from mailnode.errors import NoSuchMailbox
from mailnode.imap.answers import CommandRefused
from mailnode.imap.commands.context import Context
from mailnode.imap.others import named
from mailnode.imap.selected import Selected
from mailnode.imap.wire.lexer import Lexer
from mailnode.values.mailbox import MailboxInfo

UNIT = 1000  # messages changed by one unit of the store


def argument(lexer: Lexer) -> str:
    """Read `` mailbox``."""
    lexer.space()
    return lexer.mailbox()


def argument_as_written(lexer: Lexer) -> tuple[str, str]:
    """Read `` mailbox``; also return the name as it is written (RFC 9051 6.3.9.7)."""
    lexer.space()
    return lexer.mailbox_as_written()


async def find(context: Context, name: str) -> MailboxInfo:
    """Return a mailbox that messages can be in, by its canonical name.

    :raises NoSuchMailbox: there is none, or it is not selectable.
    """
    info = await named(context, name)
    if not info.selectable:
        raise NoSuchMailbox
    return info


async def find_target(context: Context, name: str) -> MailboxInfo:
    """Return the mailbox that APPEND, COPY or MOVE names; NO [TRYCREATE] where there is none (RFC 3501 6.3.11, 6.4.7)."""
    try:
        return await find(context, name)
    except NoSuchMailbox:
        raise CommandRefused("No such mailbox", b"TRYCREATE") from None


def require_writable(selected: Selected) -> None:
    """Refuse a change of a mailbox that EXAMINE opened."""
    if selected.examined:
        raise CommandRefused("Mailbox is open read-only", b"CANNOT")
