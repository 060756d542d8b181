"""EXPUNGE and UID EXPUNGE (RFC 3501 6.4.3, RFC 4315 2.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mailnode.imap.answers import Answer
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.mailboxes import UNIT, require_writable
from mailnode.imap.commands.row import SELECTED, CommandRow, bare
from mailnode.imap.selected import ALWAYS
from mailnode.imap.wire.command import Command
from mailnode.imap.wire.lexer import Lexer
from mailnode.values.sets import UidSet


# expunge = "EXPUNGE"
# uid-expunge = "UID EXPUNGE" SP sequence-set
@dataclass(frozen=True, slots=True)
class Expunge(Command):
    """RFC 3501 6.4.3; with ``messages`` UID EXPUNGE (RFC 4315 2.1)."""

    verb: ClassVar[str] = "EXPUNGE"
    messages: UidSet | None = None


def _parse_uid(tag: bytes, lexer: Lexer) -> Expunge:
    """Read `` set`` (RFC 4315 2.1)."""
    lexer.space()
    return Expunge(tag, lexer.sequence_set(UidSet))


async def expunge(context: Context, command: Expunge) -> Answer:
    """RFC 3501 6.4.3; UID EXPUNGE: RFC 4315 2.1."""
    selected = context.mailbox
    require_writable(selected)
    among = None if command.messages is None else selected.view.pick(command.messages)
    uids = selected.view.deleted_uids(among)
    for at in range(0, len(uids), UNIT):
        selected.view.vanish(await selected.mailbox.expunge(uids[at : at + UNIT], only_deleted=True))
        await context.checkpoint()
    return Answer(f"{command.verb} completed")


ROWS = (
    CommandRow(name=b"EXPUNGE", states=SELECTED, parse=bare(Expunge), run=expunge, needs_view=True, stale_after=ALWAYS),
    CommandRow(
        name=b"UID EXPUNGE",
        states=SELECTED,
        parse=_parse_uid,
        run=expunge,
        capabilities=("UIDPLUS",),
        needs_view=True,
        stale_after=ALWAYS,
    ),
)
