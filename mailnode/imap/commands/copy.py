"""COPY and UID COPY (RFC 3501 6.4.7), with COPYUID (RFC 4315 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from mailnode.errors import NoSuchMailbox, NoSuchMessage
from mailnode.imap.answers import Answer, CommandRefused
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.mailboxes import argument, find, find_target
from mailnode.imap.commands.row import SELECTED, CommandRow
from mailnode.imap.wire.command import Command, MessageSet
from mailnode.imap.wire.lexer import Lexer
from mailnode.values.mailbox import Copied, MailboxInfo
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
    target = await find_target(context, command.mailbox)
    if not uids:
        return Answer("COPY completed, no messages")
    try:
        copied = await context.mailbox.mailbox.copy(uids, target.id)
    except NoSuchMailbox:
        raise await which_is_gone(context, target) from None
    code = copyuid([copied])
    if not code and not command.uid:
        raise NoSuchMessage
    return Answer("COPY completed", code)


def picked(context: Context, messages: MessageSet) -> list[int]:
    """Return the UIDs of what COPY or MOVE names."""
    view = context.mailbox.view
    return [view.uids[index] for span in view.pick(messages) for index in span]


def copyuid(parts: Sequence[Copied]) -> bytes:
    """Return the response code, empty when nothing of what was named is there any more; messages that another session
    expunged are left out of it."""
    source = compress(uid for part in parts for uid in part.source)
    target = compress(uid for part in parts for uid in part.target)
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
