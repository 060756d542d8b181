"""CLOSE and UNSELECT (RFC 3501 6.4.2, RFC 3691)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mailnode.imap.answers import Answer
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.mailboxes import UNIT
from mailnode.imap.commands.row import SELECTED, CommandRow, bare
from mailnode.imap.wire.command import Command
from mailnode.values.rights import EXPUNGE


# close = "CLOSE"
# unselect = "UNSELECT"
@dataclass(frozen=True, slots=True)
class Close(Command):
    """RFC 3501 6.4.2."""

    verb: ClassVar[str] = "CLOSE"


@dataclass(frozen=True, slots=True)
class Unselect(Command):
    """RFC 3691 2."""

    verb: ClassVar[str] = "UNSELECT"


async def close(context: Context, command: Close) -> Answer:
    """RFC 3501 6.4.2: expunge without a word, then leave."""
    selected = context.mailbox
    if EXPUNGE in selected.rights:  # RFC 4314 4: without it, nothing is expunged and nothing said
        await selected.refresh(force=True)
        uids = selected.view.deleted_uids()
        for at in range(0, len(uids), UNIT):
            await selected.mailbox.expunge(uids[at : at + UNIT], only_deleted=True)
    context.deselect()
    return Answer("CLOSE completed")


async def unselect(context: Context, command: Unselect) -> Answer:
    """RFC 3691 2."""
    context.deselect()
    return Answer("UNSELECT completed")


ROWS = (
    CommandRow(name=b"CLOSE", states=SELECTED, parse=bare(Close), run=close, needs_view=True),
    CommandRow(name=b"UNSELECT", states=SELECTED, parse=bare(Unselect), run=unselect, capabilities=("UNSELECT",)),
)
