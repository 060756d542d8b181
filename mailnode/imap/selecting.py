"""Opening and leaving a mailbox, and emptying it: SELECT, EXAMINE, CLOSE, UNSELECT, EXPUNGE, ENABLE (RFC 3501 6.3, 6.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailnode.imap.answers import Answer, Refusal
from mailnode.imap.capabilities import ENABLEABLE
from mailnode.imap.command_types import Close, Enable, Examine, Expunge, Select, Unselect
from mailnode.imap.mailboxes import find
from mailnode.imap.selected import Selected
from mailnode.imap.view.view import View
from mailnode.imap.wire import responses

if TYPE_CHECKING:
    from mailnode.imap.session import ImapSession

UNIT = 1000  # messages changed by one unit of the store


async def enable(session: ImapSession, command: Enable) -> Answer:
    """RFC 5161 3.1: unknown names, and what is enabled already, are passed over."""
    new = [name for name in command.capabilities if name in ENABLEABLE and not session.condstore]
    session.write(responses.enabled(new))
    if new:
        session.enable_condstore()
    return Answer("ENABLE completed")


async def select(session: ImapSession, command: Select) -> Answer:
    """RFC 3501 6.3.1 and 6.3.2, RFC 7162 3.1.2. Whatever was selected is left, also when this fails."""
    session.deselect()
    read_only = isinstance(command, Examine)
    info = await find(session, command.mailbox)
    mailbox = session.mail.open(info.id)
    view = View(await mailbox.snapshot(claim_recent=not read_only))
    services = session.services
    selected = Selected(mailbox, view, read_only, services.clock.seconds, session.breathe, services.threads)
    if command.condstore:
        session.enable_condstore()
    session.write(selected.flags_lines())
    session.write(b"* %d EXISTS\r\n* %d RECENT\r\n" % (view.exists, view.recent))
    if view.first_unseen is not None:
        session.write(responses.ok(b"*", "First unseen message", b"UNSEEN %d" % view.first_unseen))
    session.write(responses.ok(b"*", "UIDs valid", b"UIDVALIDITY %d" % view.uidvalidity))
    session.write(responses.ok(b"*", "Predicted next UID", b"UIDNEXT %d" % view.uidnext))
    session.write(selected.highest_modseq_line())
    session.select(selected)
    return Answer(f"{command.verb} completed", b"READ-ONLY" if read_only else b"READ-WRITE")


async def close(session: ImapSession, command: Close) -> Answer:
    """RFC 3501 6.4.2: expunge without a word, then leave."""
    selected = session.mailbox
    if not selected.read_only:
        await selected.refresh(force=True)
        uids = selected.view.deleted_uids()
        for at in range(0, len(uids), UNIT):
            await selected.mailbox.expunge(uids[at : at + UNIT], only_deleted=True)
    session.deselect()
    return Answer("CLOSE completed")


async def unselect(session: ImapSession, command: Unselect) -> Answer:
    """RFC 3691 2."""
    session.deselect()
    return Answer("UNSELECT completed")


async def expunge(session: ImapSession, command: Expunge) -> Answer:
    """RFC 3501 6.4.3; UID EXPUNGE: RFC 4315 2.1."""
    selected = session.mailbox
    require_writable(selected)
    among = None if command.messages is None else selected.view.pick(command.messages)
    uids = selected.view.deleted_uids(among)
    for at in range(0, len(uids), UNIT):
        selected.view.vanish(await selected.mailbox.expunge(uids[at : at + UNIT], only_deleted=True))
        await session.breathe()
    return Answer(f"{command.verb} completed")


def require_writable(selected: Selected) -> None:
    """Refuse a change of a mailbox that EXAMINE opened."""
    if selected.read_only:
        raise Refusal("Mailbox is open read-only", b"CANNOT")
