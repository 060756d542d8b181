"""COPY and MOVE (RFC 3501 6.4.7, RFC 6851), with COPYUID (RFC 4315 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailnode.errors import NoSuchMailbox, NoSuchMessage
from mailnode.imap import responses
from mailnode.imap.answers import Answer, Refusal
from mailnode.imap.command_types import Copy, Move
from mailnode.imap.mailboxes import find, find_target
from mailnode.imap.selecting import require_writable
from mailnode.values.mailbox import Copied, MailboxInfo
from mailnode.values.sets import compress

if TYPE_CHECKING:
    from mailnode.imap.session import ImapSession


async def copy(session: ImapSession, command: Copy) -> Answer:
    """RFC 3501 6.4.7: all or nothing."""
    uids = _picked(session, command)
    target = await find_target(session, command.mailbox)
    if not uids:
        return Answer("COPY completed, no messages")
    try:
        copied = await session.mailbox.mailbox.copy(uids, target.id)
    except NoSuchMailbox:
        raise await _which_is_gone(session, target) from None
    return Answer("COPY completed", _copyuid(command, copied))


async def move(session: ImapSession, command: Move) -> Answer:
    """RFC 6851 3: COPYUID comes in an untagged OK, because it must stand before the EXPUNGEs (4.3)."""
    selected = session.mailbox
    require_writable(selected)
    uids = _picked(session, command)
    target = await find_target(session, command.mailbox)
    if not uids:
        return Answer("MOVE completed, no messages")
    try:
        moved = await selected.mailbox.move(uids, target.id)
    except NoSuchMailbox:
        raise await _which_is_gone(session, target) from None
    code = _copyuid(command, moved)
    if code:
        session.write(responses.ok(b"*", "Moved", code))
    selected.view.vanish(moved.source)
    return Answer("MOVE completed")


def _picked(session: ImapSession, command: Copy | Move) -> list[int]:
    view = session.mailbox.view
    return [view.uids[index] for span in view.pick(command.messages) for index in span]


def _copyuid(command: Copy | Move, copied: Copied) -> bytes:
    """Return the response code; messages that another session expunged are left out of it.

    :raises NoSuchMessage: nothing of what sequence numbers name is there any more.
    """
    if copied.source:
        source, target = compress(copied.source), compress(copied.target)
        return f"COPYUID {copied.uidvalidity} {source} {target}".encode()
    if not command.uid:
        raise NoSuchMessage
    return b""


async def _which_is_gone(session: ImapSession, target: MailboxInfo) -> Exception:
    """The target, which may be made again, or the selected mailbox?"""
    try:
        await find(session, target.name)
    except NoSuchMailbox:
        return Refusal("No such mailbox", b"TRYCREATE")
    return NoSuchMailbox()
