"""EXPUNGE and UID EXPUNGE (RFC 3501 6.4.3, RFC 4315 2.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from mailnode.imap.answers import Answer
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.inprogress import going_on
from mailnode.imap.commands.mailboxes import UNIT, require_writable
from mailnode.imap.commands.message_limit import newest_uids
from mailnode.imap.commands.row import SELECTED, CommandRow, bare
from mailnode.imap.messages import needs
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
    uids: Sequence[int] = selected.view.deleted_uids(among)
    limit = b""
    if among is not None:  # EXPUNGE has no limit: a client cannot say how many it means
        uids, limit = newest_uids(context, uids)
    with going_on(context, command, len(uids)) as progress:
        for at in range(0, len(uids), UNIT):
            selected.view.vanish(await selected.mailbox.expunge(uids[at : at + UNIT], only_deleted=True))
            progress.done += UNIT
            await context.checkpoint()
    if uids and "QRESYNC" in context.enabled:  # the answer says the mod-sequence of this expunge (RFC 7162 3.2.7)
        await selected.refresh(force=True)
    return Answer(f"{command.verb} completed", limit)


def _needs_uid(command: Expunge) -> Iterator[str]:
    yield "UIDPLUS"
    if command.messages is not None:
        yield from needs.of_set(command.messages)


ROWS = (
    CommandRow(name=b"EXPUNGE", states=SELECTED, parse=bare(Expunge), run=expunge, needs_view=True, stale_after=ALWAYS),
    CommandRow(
        name=b"UID EXPUNGE",
        states=SELECTED,
        parse=_parse_uid,
        run=expunge,
        needs=_needs_uid,
        capabilities=("UIDPLUS",),
        needs_view=True,
        stale_after=ALWAYS,
    ),
)
