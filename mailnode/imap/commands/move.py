"""MOVE and UID MOVE (RFC 6851), with COPYUID (RFC 4315 3)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from mailnode.errors import NoSuchMailbox, NoSuchMessage
from mailnode.imap.answers import Answer
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.copy import copyuid, picked, which_is_gone
from mailnode.imap.commands.mailboxes import UNIT, argument, find_target, require_writable
from mailnode.imap.commands.row import SELECTED, CommandRow
from mailnode.imap.wire import responses
from mailnode.imap.wire.command import Command, MessageSet
from mailnode.imap.wire.lexer import Lexer
from mailnode.values.mailbox import Copied
from mailnode.values.sets import SeqSet, UidSet


# move = ["UID" SP] "MOVE" SP sequence-set SP mailbox
@dataclass(frozen=True, slots=True)
class Move(Command):
    """RFC 6851 3."""

    verb: ClassVar[str] = "MOVE"
    messages: MessageSet
    mailbox: str


def _parse(tag: bytes, lexer: Lexer, kind: type[SeqSet] | type[UidSet]) -> Move:
    """Read `` set mailbox``."""
    lexer.space()
    messages = lexer.sequence_set(kind)
    return Move(tag, messages, argument(lexer))


async def move(context: Context, command: Move) -> Answer:
    """RFC 6851 3: COPYUID comes in an untagged OK, because it must stand before the EXPUNGEs (4.3).

    Each message is in one of the two mailboxes at any time. Up to 1,000 are moved all or none; more go in units of so
    many (3.3 allows that), so that nobody else's change waits for all of them, and what failed in between is told with
    what was moved before.
    """
    selected = context.mailbox
    require_writable(selected)
    uids = picked(context, command.messages)
    target = await find_target(context, command.mailbox)
    if not uids:
        return Answer("MOVE completed, no messages")
    parts: list[Copied] = []
    try:
        for at in range(0, len(uids), UNIT):
            parts.append(await selected.mailbox.move(uids[at : at + UNIT], target.id))
            selected.view.vanish(parts[-1].source)
            await context.checkpoint()
    except NoSuchMailbox:
        raise await which_is_gone(context, target) from None
    finally:
        code = copyuid(parts)
        if code:
            context.write(responses.ok(b"*", "Moved", code))
    if not code and not command.uid:
        raise NoSuchMessage
    return Answer("MOVE completed")


ROWS = (
    CommandRow(
        name=b"MOVE",
        states=SELECTED,
        parse=partial(_parse, kind=SeqSet),
        run=move,
        capabilities=("MOVE",),
        sequence_numbers=True,
        needs_view=True,
        asks_after=True,
    ),
    CommandRow(
        name=b"UID MOVE",
        states=SELECTED,
        parse=partial(_parse, kind=UidSet),
        run=move,
        needs_view=True,
        asks_after=True,
    ),
)
