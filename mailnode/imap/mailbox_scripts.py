"""What commands tell the scripts of mailboxes (RFC 6785 2.2): right behind the commit, whether or not the client is still there,
and before the tagged OK."""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.imap.commands.context import Context
from mailnode.interfaces.store import IMailbox
from mailnode.values.flags import SEEN
from mailnode.values.mailbox import FlagsStored
from mailnode.values.mailbox_event import FLAG, MailboxEvent


async def after_arrival(context: Context, cause: str, account_id: str, mailbox_id: int, uids: Sequence[int]) -> None:
    """Messages came into a mailbox. :param account_id: as :class:`MailboxInfo` has it."""
    scripts = context.services.scripts
    if scripts is not None and uids:
        actor = context.account_id
        event = MailboxEvent(cause, account_id or actor, mailbox_id, uids, actor, context.session)
        await scripts.run(event)


async def after_flags(context: Context, mailbox: IMailbox, stored: FlagsStored) -> bool:
    """Flags were stored; return whether scripts ran, which may have stored others. What somebody else than the owner has seen
    is theirs alone, and no change of the message."""
    scripts = context.services.scripts
    if scripts is None:
        return False
    actor, owner = context.account_id, mailbox.account_id
    mask = -1 if actor == owner else ~SEEN
    rows = zip(stored.changed, stored.before, strict=True)
    altered = {uid: changed for (uid, flags, _), before in rows if (changed := (flags ^ before) & mask)}
    if not altered:
        return False
    event = MailboxEvent(
        FLAG, owner, mailbox.id, list(altered), actor, context.session, list(altered.values()), stored.keywords
    )
    return bool(await scripts.run(event))
