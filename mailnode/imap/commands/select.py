"""SELECT and EXAMINE (RFC 3501 6.3.1 and 6.3.2)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from mailnode.imap.answers import Answer
from mailnode.imap.commands import condstore
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.mailboxes import argument, find
from mailnode.imap.commands.row import AFTER_LOGIN, CommandRow
from mailnode.imap.selected import Selected
from mailnode.imap.view.view import View
from mailnode.imap.wire import responses
from mailnode.imap.wire.command import Command
from mailnode.imap.wire.lexer import CommandFault, Lexer


# select = "SELECT" SP mailbox [SP "(CONDSTORE)"]
# examine = "EXAMINE" SP mailbox [SP "(CONDSTORE)"]
@dataclass(frozen=True, slots=True)
class Select(Command):
    """RFC 3501 6.3.1; with ``(CONDSTORE)`` RFC 7162 3.1.8. Mailbox names everywhere are canonical
    (``values.mailbox_name``)."""

    verb: ClassVar[str] = "SELECT"
    mailbox: str
    condstore: bool = False


@dataclass(frozen=True, slots=True)
class Examine(Select):
    """RFC 3501 6.3.2."""

    verb: ClassVar[str] = "EXAMINE"


def _parse(tag: bytes, lexer: Lexer, kind: type[Select]) -> Select:
    """Read `` mailbox [(CONDSTORE)]``."""
    mailbox = argument(lexer)
    return kind(tag, mailbox, _condstore(lexer))


def _condstore(lexer: Lexer) -> bool:
    if not lexer.accept(b" "):
        return False
    if set(lexer.parenthesized(lexer.word)) != {"CONDSTORE"}:
        raise CommandFault("Unknown parameter")
    return True


async def select(context: Context, command: Select) -> Answer:
    """RFC 3501 6.3.1 and 6.3.2, RFC 7162 3.1.2. Whatever was selected is left, also when this fails."""
    context.deselect()
    read_only = isinstance(command, Examine)
    info = await find(context, command.mailbox)
    mailbox = context.mail.open(info.id)
    view = View(await mailbox.snapshot(claim_recent=not read_only))
    services = context.services
    selected = Selected(mailbox, view, read_only, services.clock.seconds, context.checkpoint, services.threads)
    if command.condstore:
        condstore.enable(context)
    context.write(selected.flags_lines())
    context.write(b"* %d EXISTS\r\n* %d RECENT\r\n" % (view.exists, view.recent))
    if view.first_unseen is not None:
        context.write(responses.ok(b"*", "First unseen message", b"UNSEEN %d" % view.first_unseen))
    context.write(responses.ok(b"*", "UIDs valid", b"UIDVALIDITY %d" % view.uidvalidity))
    context.write(responses.ok(b"*", "Predicted next UID", b"UIDNEXT %d" % view.uidnext))
    context.write(selected.highest_modseq_line())
    context.select(selected)
    return Answer(f"{command.verb} completed", b"READ-ONLY" if read_only else b"READ-WRITE")


ROWS = (
    CommandRow(name=b"SELECT", states=AFTER_LOGIN, parse=partial(_parse, kind=Select), run=select),
    CommandRow(name=b"EXAMINE", states=AFTER_LOGIN, parse=partial(_parse, kind=Examine), run=select),
)
