"""COPY and UID COPY (RFC 3501 6.4.7), with COPYUID (RFC 4315 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import ClassVar

from mailnode.errors import NoSuchMailbox, NoSuchMessage
from mailnode.imap.answers import Answer, CommandRefused
from mailnode.imap.carrying import carry
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.inprogress import going_on
from mailnode.imap.commands.mailboxes import argument, find, find_target
from mailnode.imap.commands.message_limit import require_few
from mailnode.imap.commands.row import SELECTED, CommandRow
from mailnode.imap.mailbox_scripts import after_arrival
from mailnode.imap.messages import needs
from mailnode.imap.others import may_read
from mailnode.imap.wire.command import Command, MessageSet
from mailnode.imap.wire.lexer import Lexer
from mailnode.values.mailbox import Copied, MailboxInfo
from mailnode.values.mailbox_event import COPY
from mailnode.values.sets import SeqSet, UidSet, compress


# copy = ["UID" SP] "COPY" SP sequence-set SP mailbox
@dataclass(frozen=True, slots=True)
class Copy(Command):
    """RFC 3501 6.4.7."""

    verb: ClassVar[str] = "COPY"
    messages: MessageSet
    mailbox: str


def _parse(tag: bytes, lexer: Lexer, kind: type[SeqSet] | type[UidSet]) -> Copy:
    """Read `` set mailbox``."""
    lexer.space()
    messages = lexer.sequence_set(kind)
    return Copy(tag, messages, argument(lexer))


async def copy(context: Context, command: Copy) -> Answer:
    """RFC 3501 6.4.7: all or nothing, however many."""
    uids = picked(context, command.messages)
    require_few(context, len(uids))
    target = await find_target(context, command.mailbox)
    if not uids:
        return Answer("COPY completed, no messages")
    tells = await may_read(context, target)
    try:
        with going_on(context, command):
            copied = await _copied(context, uids, target)
            await after_arrival(context, COPY, target.account_id, target.id, copied.target)
    except NoSuchMailbox:
        raise await which_is_gone(context, target) from None
    if not copied.source and not command.uid:
        raise NoSuchMessage
    return Answer("COPY completed", copyuid(context, [copied]) if tells else b"")


async def _copied(context: Context, uids: Sequence[int], target: MailboxInfo) -> Copied:
    if crosses(context, target):
        return await carry(context, uids, target)
    return await context.mailbox.mailbox.copy(uids, target.id)


def crosses(context: Context, target: MailboxInfo) -> bool:
    """Whether a mailbox is in another account than the selected one."""
    return bool((target.account_id or context.mail.account_id) != context.mailbox.mailbox.account_id)


def picked(context: Context, messages: MessageSet) -> list[int]:
    """Return the UIDs of what COPY or MOVE names."""
    view = context.mailbox.view
    return [view.uids[index] for span in view.pick(messages) for index in span]


def copyuid(context: Context, parts: Sequence[Copied]) -> bytes:
    """Return the response code, empty when nothing of what was named is there any more, or it is not to be said; messages
    that another session expunged are left out of it."""
    if "UIDPLUS" in context.hidden:
        return b""
    source = compress(chain.from_iterable([part.source for part in parts]))
    target = compress(chain.from_iterable([part.target for part in parts]))
    return f"COPYUID {parts[0].uidvalidity} {source} {target}".encode() if source else b""


async def which_is_gone(context: Context, target: MailboxInfo) -> Exception:
    """The target, which may be made again, or the selected mailbox?"""
    try:
        await find(context, target.name)
    except NoSuchMailbox:
        return CommandRefused("No such mailbox", b"TRYCREATE")
    return NoSuchMailbox()


ROWS = (
    CommandRow(
        name=b"COPY",
        states=SELECTED,
        parse=partial(_parse, kind=SeqSet),
        run=copy,
        needs=lambda command: needs.of_set(command.messages),
        sequence_numbers=True,
        needs_view=True,
        asks_after=True,
    ),
    CommandRow(
        name=b"UID COPY",
        states=SELECTED,
        parse=partial(_parse, kind=UidSet),
        run=copy,
        needs_view=True,
        asks_after=True,
    ),
)
