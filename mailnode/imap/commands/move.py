"""MOVE and UID MOVE (RFC 6851), with COPYUID (RFC 4315 3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from mailnode.errors import NoSuchMailbox, NoSuchMessage, NotPermitted
from mailnode.imap.answers import Answer
from mailnode.imap.carrying import carry
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.copy import copyuid, crosses, picked, which_is_gone
from mailnode.imap.commands.inprogress import going_on
from mailnode.imap.commands.mailboxes import UNIT, argument, find_target, require_writable
from mailnode.imap.commands.message_limit import newest_uids
from mailnode.imap.commands.row import SELECTED, CommandRow
from mailnode.imap.mailbox_scripts import after_arrival
from mailnode.imap.messages import needs
from mailnode.imap.others import may_read
from mailnode.imap.wire import responses
from mailnode.imap.wire.command import Command, MessageSet
from mailnode.imap.wire.lexer import Lexer
from mailnode.values.mailbox import Copied, MailboxInfo
from mailnode.values.mailbox_event import COPY
from mailnode.values.rights import DELETE_MESSAGES, EXPUNGE
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
    uids, limit = newest_uids(context, picked(context, command.messages))
    target = await find_target(context, command.mailbox)
    if not uids:
        return Answer("MOVE completed, no messages")
    tells = await may_read(context, target)
    parts: list[Copied] = []
    try:
        with going_on(context, command, len(uids)) as progress:
            for at in range(0, len(uids), UNIT):
                parts.append(await _moved(context, uids[at : at + UNIT], target))
                selected.view.vanish(parts[-1].source)
                await after_arrival(context, COPY, target.account_id, target.id, parts[-1].target)  # RFC 6851 4.5
                progress.done += UNIT
                await context.checkpoint()
    except NoSuchMailbox:
        raise await which_is_gone(context, target) from None
    finally:
        code = copyuid(context, parts)
        if code and tells:
            context.write(responses.ok(b"*", "Moved", code))
    if not any(part.source for part in parts) and not command.uid:
        raise NoSuchMessage
    return Answer("MOVE completed", limit)


async def _moved(context: Context, uids: Sequence[int], target: MailboxInfo) -> Copied:
    """Move some messages. Into another account each is in both for a moment: what a crash leaves there twice is not lost."""
    mailbox = context.mailbox.mailbox
    if not crosses(context, target):
        return await mailbox.move(uids, target.id)
    if not {DELETE_MESSAGES, EXPUNGE} <= set(await mailbox.rights()):
        raise NotPermitted
    copied = await carry(context, uids, target)
    await mailbox.expunge(copied.source, only_deleted=False)
    return copied


def _needs(command: Move) -> Iterator[str]:
    yield "MOVE"
    yield from needs.of_set(command.messages)


ROWS = (
    CommandRow(
        name=b"MOVE",
        states=SELECTED,
        parse=partial(_parse, kind=SeqSet),
        run=move,
        needs=_needs,
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
