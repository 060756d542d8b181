"""Commands about mailboxes as a whole: CREATE, DELETE, RENAME, SUBSCRIBE, LIST, LSUB, NAMESPACE, STATUS (RFC 3501 6.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mailnode.errors import MailboxExists, NoSuchMailbox
from mailnode.imap.answers import Answer, Refusal
from mailnode.imap.command_types import (
    Create,
    Delete,
    List,
    Lsub,
    Namespace,
    Rename,
    Status,
    Subscribe,
    Unsubscribe,
)
from mailnode.imap.listing import asks_separator, list_matches, lsub_matches, only_name
from mailnode.imap.wire import responses
from mailnode.values.flags import SEEN
from mailnode.values.mailbox import MailboxInfo, MailboxStatus
from mailnode.values.mailbox_name import INBOX

if TYPE_CHECKING:
    from mailnode.imap.session import ImapSession

_BATCH = 100  # mailboxes whose counts are asked for at a time


async def find(session: ImapSession, name: str) -> MailboxInfo:
    """Return a mailbox that messages can be in, by its canonical name.

    :raises NoSuchMailbox: there is none, or it is not selectable.
    """
    info = await session.mail.named(name)
    if not info.selectable:
        raise NoSuchMailbox
    return info


async def find_target(session: ImapSession, name: str) -> MailboxInfo:
    """Return the mailbox that APPEND, COPY or MOVE names; NO [TRYCREATE] where there is none (RFC 3501 6.3.11, 6.4.7)."""
    try:
        return await find(session, name)
    except NoSuchMailbox:
        raise Refusal("No such mailbox", b"TRYCREATE") from None


async def create(session: ImapSession, command: Create) -> Answer:
    """RFC 3501 6.3.3, RFC 6154 3."""
    if command.mailbox == INBOX:
        raise MailboxExists
    if len(command.special_use) > 1:
        raise Refusal("Only one special use for a mailbox", b"USEATTR")
    await session.mail.create(command.mailbox, *command.special_use)
    return Answer("CREATE completed")


async def delete(session: ImapSession, command: Delete) -> Answer:
    """RFC 3501 6.3.4. A client that deletes what it has selected is in the authenticated state afterwards."""
    info = await session.mail.named(command.mailbox)
    await session.mail.delete(info.id)
    if session.selected is not None and session.selected.mailbox.id == info.id:
        session.deselect()
    return Answer("DELETE completed")


async def rename(session: ImapSession, command: Rename) -> Answer:
    """RFC 3501 6.3.5."""
    if command.target == INBOX:
        raise MailboxExists
    info = await session.mail.named(command.source)
    await session.mail.rename(info.id, command.target)
    return Answer("RENAME completed")


async def subscribe(session: ImapSession, command: Subscribe) -> Answer:
    """RFC 3501 6.3.6. The name need not exist: it may come back."""
    await session.mail.subscribe(command.mailbox, True)
    return Answer("SUBSCRIBE completed")


async def unsubscribe(session: ImapSession, command: Unsubscribe) -> Answer:
    """RFC 3501 6.3.7."""
    await session.mail.subscribe(command.mailbox, False)
    return Answer("UNSUBSCRIBE completed")


async def list_mailboxes(session: ImapSession, command: List) -> Answer:
    """RFC 3501 6.3.8, RFC 5258; with counts RFC 5819."""
    known = await _known(session, command)
    asked = "SUBSCRIBED" in command.selection | command.returns
    rows = list_matches(command, known, await session.mail.subscriptions() if asked else ())
    for at in range(0, len(rows), _BATCH):
        batch = rows[at : at + _BATCH]
        countable = [row.mailbox for row in batch if row.mailbox is not None and row.mailbox.selectable]
        counts = await _counts(session, countable) if command.status else {}
        for row in batch:
            session.write(responses.list_response(row))
            if row.mailbox is not None and row.mailbox.id in counts:
                session.write(_status_line(row.name, command.status, counts[row.mailbox.id]))
        await session.pause()
    if "HIGHESTMODSEQ" in command.status:
        session.enable_condstore()
    return Answer("LIST completed")


async def _known(session: ImapSession, command: List) -> Sequence[MailboxInfo]:
    """Return as few mailboxes as the rows of this LIST are made of."""
    if asks_separator(command):
        return ()
    name = only_name(command)
    return await (session.mail.mailboxes() if name is None else session.mail.with_inferior(name))


async def lsub(session: ImapSession, command: Lsub) -> Answer:
    """RFC 3501 6.3.9."""
    for row in lsub_matches(command, await session.mail.subscriptions()):
        session.write(responses.list_response(row, b"LSUB"))
    return Answer("LSUB completed")


async def namespace(session: ImapSession, command: Namespace) -> Answer:
    """RFC 2342 5."""
    session.write(responses.namespace())
    return Answer("NAMESPACE completed")


async def status(session: ImapSession, command: Status) -> Answer:
    """RFC 3501 6.3.10."""
    counts = await _as_viewed(session, await session.mail.status_of(command.mailbox))
    session.write(_status_line(command.mailbox, command.items, counts))
    if "HIGHESTMODSEQ" in command.items:
        session.enable_condstore()
    return Answer("STATUS completed")


async def _counts(session: ImapSession, mailboxes: Sequence[MailboxInfo]) -> dict[int, MailboxStatus]:
    """Return counts by mailbox id; those of the selected mailbox are the view's, told before they are used."""
    found = await session.mail.status([info.id for info in mailboxes])
    return {counts.mailbox_id: await _as_viewed(session, counts) for counts in found}


async def _as_viewed(session: ImapSession, counts: MailboxStatus) -> MailboxStatus:
    """Return counts as they are; of the selected mailbox those of its view, which is told of before they are used."""
    selected = session.selected
    if selected is None or selected.mailbox.id != counts.mailbox_id:
        return counts
    await selected.refresh(force=True)
    await session.announce(expunge=True, uid=False)
    await selected.unpack()
    view = selected.view
    return MailboxStatus(
        mailbox_id=view.mailbox_id,
        messages=view.exists,
        recent=view.recent,
        unseen=view.count_without(SEEN),
        deleted=len(view.deleted_uids()),
        size=counts.size,
        uidnext=view.uidnext,
        uidvalidity=view.uidvalidity,
        highest_modseq=view.highest_modseq,
    )


def _status_line(name: str, items: Sequence[str], counts: MailboxStatus) -> bytes:
    values = {
        "MESSAGES": counts.messages,
        "RECENT": counts.recent,
        "UIDNEXT": counts.uidnext,
        "UIDVALIDITY": counts.uidvalidity,
        "UNSEEN": counts.unseen,
        "HIGHESTMODSEQ": max(counts.highest_modseq, 1),
    }
    return responses.mailbox_status(name, [(item, values[item]) for item in items])
