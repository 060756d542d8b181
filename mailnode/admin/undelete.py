"""Operations on mail that was deleted and is still kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

from mailnode.admin.administration import Administration
from mailnode.admin.finding import about, find_account, moment
from mailnode.admin.operations import Seconds, operation
from mailnode.errors import MailboxExists, NoSuchMailbox
from mailnode.interfaces.store import IMailAccount
from mailnode.values.deleted import DeletedMessage
from mailnode.values.facts import SortKeys
from mailnode.values.mailbox_name import mailbox_name

TOLD = 1_000  # messages of one answer


class DeletedRecord(TypedDict):
    """A message that was deleted."""

    mailbox: str  # where it was last
    deleted: str  # when, UTC
    subject: str
    sender: str
    date: str  # when it arrived, UTC
    message_id: str
    size: int  # octets


class Undeleted(TypedDict):
    """What was found, and whether it is there again."""

    undeleted: int  # messages that are there again
    found: int
    octets: int  # of those that were found
    messages: list[DeletedRecord]  # the first 1,000


@operation("mail.undelete", changes=True, long=True)
async def mail_undelete(
    admin: Administration,
    address: str,
    mailbox: str | None = None,
    since: Seconds | None = None,
    search: str | None = None,
    into: str | None = None,
    only_list: bool = False,
) -> Undeleted:
    """Place again what an account has deleted."""
    account = await find_account(admin, address)
    boxes = await admin.deleted.mailboxes(account.id)
    wanted = one_of(mailbox, (box.name for box in boxes))
    target = mailbox_name(into) if into is not None else None
    not_before = int((admin.clock.seconds() - since) * 1_000_000) if since is not None else 0
    here = await digests(admin, account.id)
    told: Undeleted = {"undeleted": 0, "found": 0, "octets": 0, "messages": []}
    for box in boxes:
        if wanted is not None and box.name != wanted:
            continue
        uids: list[int] = []
        after = 0
        while some := await admin.deleted.messages(account.id, box.mailbox_id, after):
            after = some[-1].uid
            for one in some:
                if one.deleted_at < not_before or one.digest in here:
                    continue
                if says(one.keys, search, one.internaldate):
                    uids.append(one.uid)
                    told["octets"] += one.size
                    if len(told["messages"]) < TOLD:
                        told["messages"].append(_record(box.name, one))
        told["found"] += len(uids)
        if uids and not only_list:
            with about(address):
                placed = await standing(admin.mail.account(account.id), target or box.name)
                told["undeleted"] += await admin.deleted.place(account.id, box.mailbox_id, uids, placed)
    return told


def one_of(mailbox: str | None, names: Iterable[str]) -> str | None:
    """Return the name as mailboxes have it; None: all are meant. :raises NoSuchMailbox: none has it."""
    if mailbox is None:
        return None
    wanted = mailbox_name(mailbox)
    if wanted not in names:
        with about(mailbox):
            raise NoSuchMailbox
    return wanted


async def digests(admin: Administration, account_id: str) -> set[bytes]:
    """Return the SHA-256 of all messages that stand in an account. One that came back from a backup is another message with
    the same octets."""
    found: set[bytes] = set()
    after: int | None = 0
    while after is not None:
        some, after = await admin.deleted.digests(account_id, after)
        found.update(some)
    return found


def says(keys: SortKeys, search: str | None, arrived: int) -> bool:
    """Whether a message is looked for: by its subject, who wrote it, to whom, its Message-ID, or when it arrived
    (``2026-11-30``, UTC). Upper and lower case are the same.

    :param search: None: all are. :param arrived: UTC microseconds.
    """
    if search is None:
        return True
    people = (keys.from_display, keys.from_mailbox, keys.to_display, keys.to_mailbox)
    fields = (keys.subject, *people, keys.message_id, moment(arrived / 1_000_000))
    return any(search.strip("<>").casefold() in field.casefold() for field in fields)


async def standing(mail: IMailAccount, name: str) -> int:
    """Return the id of a mailbox, which is made when it is not there."""
    for info in await mail.with_inferior(name):
        if info.name == name and info.selectable:
            return info.id
    try:
        return (await mail.create(name)).id
    except MailboxExists:  # made meanwhile
        return (await mail.named(name)).id


def _record(mailbox: str, one: DeletedMessage) -> DeletedRecord:
    return {
        "mailbox": mailbox,
        "deleted": moment(one.deleted_at / 1_000_000),
        "subject": one.keys.subject,
        "sender": one.keys.from_display or one.keys.from_mailbox,
        "date": moment(one.internaldate / 1_000_000),
        "message_id": one.keys.message_id,
        "size": one.size,
    }
