"""Operations on the mailboxes of an account."""

from __future__ import annotations

from typing import TypedDict

from mailnode.admin.administration import Administration
from mailnode.admin.finding import about, find_account
from mailnode.admin.operations import OperationFailed, Reason, operation
from mailnode.errors import NoSuchMailbox
from mailnode.interfaces.store import IMailAccount
from mailnode.values.mailbox import MailboxInfo, MailboxStatus
from mailnode.values.mailbox_name import mailbox_name


class MailboxRecord(TypedDict):
    """A mailbox with its counts."""

    name: str
    special_use: str
    subscribed: bool
    messages: int
    unseen: int
    size: int  # octets
    uidvalidity: int
    uidnext: int


@operation("mailbox.list")
async def mailbox_list(admin: Administration, address: str) -> list[MailboxRecord]:
    """All mailboxes of an account with their counts."""
    mail = await _mail(admin, address)
    infos = await mail.mailboxes()
    counts = {status.mailbox_id: status for status in await mail.status([info.id for info in infos])}
    return [_mailbox(info, counts.get(info.id)) for info in infos]


@operation("mailbox.show")
async def mailbox_show(admin: Administration, address: str, name: str) -> MailboxRecord:
    """One mailbox with its counts."""
    with about(name):
        wanted = mailbox_name(name)
    mail = await _mail(admin, address)
    try:
        info = await mail.named(wanted)
    except NoSuchMailbox:
        raise OperationFailed(Reason.NOT_FOUND, f"{name}: no such mailbox") from None
    counts = await mail.status([info.id])
    return _mailbox(info, counts[0] if counts else None)


@operation("mailbox.create", changes=True)
async def mailbox_create(admin: Administration, address: str, name: str) -> MailboxRecord:
    """Make a mailbox, and those above it."""
    mail = await _mail(admin, address)
    with about(name):
        return _mailbox(await mail.create(mailbox_name(name)), None)


async def _mail(admin: Administration, address: str) -> IMailAccount:
    return admin.mail.account((await find_account(admin, address)).id)


def _mailbox(info: MailboxInfo, status: MailboxStatus | None) -> MailboxRecord:
    return {
        "name": info.name,
        "special_use": info.special_use,
        "subscribed": info.subscribed,
        "messages": status.messages if status else 0,
        "unseen": status.unseen if status else 0,
        "size": status.size if status else 0,
        "uidvalidity": info.uidvalidity,
        "uidnext": status.uidnext if status else 1,
    }
