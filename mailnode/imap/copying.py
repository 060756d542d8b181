"""COPY and MOVE (RFC 3501 6.4.7, RFC 6851), with COPYUID (RFC 4315 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mailnode.errors import NoSuchMailbox, NoSuchMessage
from mailnode.imap.answers import Answer, Refusal
from mailnode.imap.command_types import Copy, Move
from mailnode.imap.mailboxes import find, find_target
from mailnode.imap.selecting import UNIT, require_writable
from mailnode.imap.wire import responses
from mailnode.values.mailbox import Copied, MailboxInfo
from mailnode.values.sets import compress

if TYPE_CHECKING:
    from mailnode.imap.session import ImapSession


async def copy(session: ImapSession, command: Copy) -> Answer:
    """RFC 3501 6.4.7: all or nothing, however many."""
    uids = _picked(session, command)
    target = await find_target(session, command.mailbox)
    if not uids:
        return Answer("COPY completed, no messages")
    try:
        copied = await session.mailbox.mailbox.copy(uids, target.id)
    except NoSuchMailbox:
        raise await _which_is_gone(session, target) from None
    code = _copyuid([copied])
    if not code and not command.uid:
        raise NoSuchMessage
    return Answer("COPY completed", code)


async def move(session: ImapSession, command: Move) -> Answer:
    """RFC 6851 3: COPYUID comes in an untagged OK, because it must stand before the EXPUNGEs (4.3).

    Each message is in one of the two mailboxes at any time. Up to 1,000 are moved all or none; more go in units of so
    many (3.3 allows that), so that nobody else's change waits for all of them, and what failed in between is told with
    what was moved before.
    """
    selected = session.mailbox
    require_writable(selected)
    uids = _picked(session, command)
    target = await find_target(session, command.mailbox)
    if not uids:
        return Answer("MOVE completed, no messages")
    parts: list[Copied] = []
    try:
        for at in range(0, len(uids), UNIT):
            parts.append(await selected.mailbox.move(uids[at : at + UNIT], target.id))
            selected.view.vanish(parts[-1].source)
            await session.breathe()
    except NoSuchMailbox:
        raise await _which_is_gone(session, target) from None
    finally:
        code = _copyuid(parts)
        if code:
            session.write(responses.ok(b"*", "Moved", code))
    if not code and not command.uid:
        raise NoSuchMessage
    return Answer("MOVE completed")


def _picked(session: ImapSession, command: Copy | Move) -> list[int]:
    view = session.mailbox.view
    return [view.uids[index] for span in view.pick(command.messages) for index in span]


def _copyuid(parts: Sequence[Copied]) -> bytes:
    """Return the response code, empty when nothing of what was named is there any more; messages that another session
    expunged are left out of it."""
    source = compress(uid for part in parts for uid in part.source)
    target = compress(uid for part in parts for uid in part.target)
    return f"COPYUID {parts[0].uidvalidity} {source} {target}".encode() if source else b""


async def _which_is_gone(session: ImapSession, target: MailboxInfo) -> Exception:
    """The target, which may be made again, or the selected mailbox?"""
    try:
        await find(session, target.name)
    except NoSuchMailbox:
        return Refusal("No such mailbox", b"TRYCREATE")
    return NoSuchMailbox()
