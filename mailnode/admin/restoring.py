"""Bringing mail of one account back from a backup, into the mailboxes of a running server or a store without one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Container
from typing import TypedDict

from mailnode.admin.administration import Administration
from mailnode.admin.finding import about, find_account, moment
from mailnode.admin.operations import operation
from mailnode.admin.undelete import TOLD, digests, one_of, says, standing
from mailnode.errors import BlobDamaged, KeywordLimit
from mailnode.interfaces.backups import IBackupMail
from mailnode.interfaces.store import IMailAccount, IMailbox
from mailnode.message.scanner import read_facts
from mailnode.values.address import parse_address
from mailnode.values.backed_up import BackedUpMessage
from mailnode.values.mailbox import NewMessage
from mailnode.values.mailbox_name import mailbox_name

TOGETHER = 32  # messages that are placed in one step
OCTETS = 4 * 1024 * 1024  # of these, after which no other is added


class BackupMessageRecord(TypedDict):
    """A message that the account had when the backup was made, and has not."""

    mailbox: str
    subject: str
    sender: str
    date: str  # when it arrived, UTC
    message_id: str
    size: int  # octets


class MailRestored(TypedDict):
    """What was found in a backup, and what came back."""

    backup: str
    found: int  # messages that were looked for
    present: int  # of these, that the account has, wherever
    restored: int  # of the others, that it has again
    damaged: int  # of the others, that the backup does not have as they were
    messages: list[BackupMessageRecord]  # the first 1,000 of those that were not there


@operation("backup.restore-mail", changes=True, long=True)
async def restore_mail(
    admin: Administration,
    directory: str,
    address: str,
    backup: str = "",
    mailbox: str | None = None,
    search: str | None = None,
    into: str | None = None,
    was: str | None = None,
    only_list: bool = False,
) -> MailRestored:
    """Bring back what an account had when a backup was made, and has not now."""
    account = await find_account(admin, address)
    kept = admin.open_backup(directory, backup)
    with about(was or address):
        source, boxes = await kept.mailboxes(parse_address(was or address))
    wanted = one_of(mailbox, (name for _, name in boxes))
    target = mailbox_name(into) if into is not None else None
    here = await digests(admin, account.id)
    told: MailRestored = {"backup": kept.name, "found": 0, "present": 0, "restored": 0, "damaged": 0, "messages": []}
    for mailbox_id, name in boxes:
        if wanted is not None and name != wanted:
            continue
        restoring = KeptMail(admin, kept, source, admin.mail.account(account.id), target or name)
        async for one in messages_of(kept, source, mailbox_id):
            if says(one.keys, search, one.internaldate) and _is_missed(told, name, one, here) and not only_list:
                with about(address):
                    await restoring.add(one)
        with about(address):
            await restoring.place()
        told["restored"] += restoring.placed
        told["damaged"] += restoring.damaged
    return told


async def messages_of(kept: IBackupMail, source: str, mailbox_id: int) -> AsyncIterator[BackedUpMessage]:
    """Yield the messages of a mailbox, ascending by UID."""
    after = 0
    while some := await kept.messages(source, mailbox_id, after):
        for one in some:
            yield one
        after = some[-1].uid


def _is_missed(told: MailRestored, mailbox: str, one: BackedUpMessage, here: Container[bytes]) -> bool:
    """Whether the account has not what was looked for and found; it is counted either way."""
    told["found"] += 1
    if one.blob.digest in here:
        told["present"] += 1
        return False
    if len(told["messages"]) < TOLD:
        told["messages"].append(_record(mailbox, one))
    return True


class KeptMail:
    """Messages on their way into one mailbox, some at a time."""

    def __init__(self, admin: Administration, kept: IBackupMail, source: str, mail: IMailAccount, name: str) -> None:
        self._admin = admin
        self._kept = kept
        self._source = source
        self._mail = mail
        self._name = name
        self.placed = 0
        self.damaged = 0  # that the backup does not have as they were
        self._waiting: list[NewMessage] = []

    async def add(self, one: BackedUpMessage, uidl: str | None = None) -> None:
        """Take one; it is placed with others. :param uidl: the POP3 unique-id it is to have. :raises OverQuota:"""
        try:
            content = await self._kept.read(self._source, one.blob)
        except BlobDamaged:
            self.damaged += 1
            return
        facts = await self._admin.threads.run("cpu", read_facts, content)
        staged = await self._mail.blobs().put(content)
        dates = one.internaldate, one.internaldate_offset
        self._waiting.append(NewMessage(staged, facts, *dates, one.prefix, one.flags, one.keywords, uidl=uidl))
        if len(self._waiting) >= TOGETHER or sum(new.blob.ref.size for new in self._waiting) >= OCTETS:
            await self.place()

    async def place(self) -> None:
        """Place what waits, all or none. :raises OverQuota:"""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        box: IMailbox = self._mail.open(await standing(self._mail, self._name))
        try:
            await box.append(waiting)
        except KeywordLimit:  # the account has other keywords by now
            await box.append([new._replace(keywords=()) for new in waiting])
        self.placed += len(waiting)


def _record(mailbox: str, one: BackedUpMessage) -> BackupMessageRecord:
    return {
        "mailbox": mailbox,
        "subject": one.keys.subject,
        "sender": one.keys.from_display or one.keys.from_mailbox,
        "date": moment(one.internaldate / 1_000_000),
        "message_id": one.keys.message_id,
        "size": one.size,
    }
