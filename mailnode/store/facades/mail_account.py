"""All mailboxes of one account."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Concatenate, ParamSpec, TypeVar

from zope.interface import implementer

from mailnode.errors import LimitReached, NoSuchAccount, NoSuchMailbox, NoSuchMessage, StoreUnavailable
from mailnode.interfaces.store import IBlobs, IMailAccount
from mailnode.store.engines.engine import Transaction
from mailnode.store.facades.mailbox import ROWS_UIDS, UNIT_UIDS, StoredMailbox
from mailnode.store.facades.maildrop import Maildrop
from mailnode.store.facades.partition import Partition
from mailnode.store.units import (
    account_changes,
    accounts,
    mailbox_rights,
    mailbox_tree,
    maildrop_leases,
    messages,
    metadata,
)
from mailnode.store.units.accounts import INBOX_ID
from mailnode.values.mailbox import AccountChanges, MailboxInfo, MailboxStatus, Placed, Usage
from mailnode.values.mailbox_name import mailbox_name
from mailnode.values.rights import ALL
from mailnode.values.rows import StoredRow

P = ParamSpec("P")
T = TypeVar("T")


@implementer(IMailAccount)
class MailAccount:
    """Holds nothing but the account's id."""

    def __init__(self, partition: Partition, account_id: str) -> None:
        self.account_id = account_id
        self.hints: tuple[str, ...] = (account_id,)
        self._partition = partition

    async def mailboxes(self) -> list[MailboxInfo]:
        """All mailboxes, by name; INBOX first."""
        return await self._partition.read(mailbox_tree.listing, self.account_id)

    async def with_inferior(self, name: str) -> list[MailboxInfo]:
        """The mailbox with this canonical name and, if it has any, one directly below it; nothing if there is none."""
        return await self._partition.read(mailbox_tree.with_inferior, self.account_id, name)

    async def named(self, name: str) -> MailboxInfo:
        """The mailbox with this canonical name, selectable or not. :raises NoSuchMailbox:"""
        return await self._partition.read(mailbox_tree.named, self.account_id, name)

    async def create(self, name: str, special_use: str = "") -> MailboxInfo:
        """Create a mailbox and missing superiors. :raises MailboxExists, BadMailboxName, LimitReached:"""
        info, modseq = await self._write(mailbox_tree.create, mailbox_name(name), special_use)
        self._partition.publish(self.account_id, modseq)
        return info

    async def delete(self, mailbox_id: int) -> None:
        """Delete a mailbox and its messages. :raises NoSuchMailbox, MailboxRefused:"""
        modseq = await self._write(mailbox_tree.delete, mailbox_id, self._partition.now())
        self._partition.recent.forget(self.account_id, mailbox_id)
        self._partition.snapshots.forget(self.account_id, mailbox_id)
        self._partition.publish(self.account_id, modseq)

    async def rename(self, mailbox_id: int, name: str) -> None:
        """Rename with all inferiors; INBOX: its messages move to a new mailbox of that name.

        :raises MailboxExists, MailboxRefused, BadMailboxName, NoSuchMailbox:
        """
        if mailbox_id == INBOX_ID:
            target = await self.create(name)
            await self._write(metadata.copy, INBOX_ID, target.id)  # the messages move behind it, and tell of it
            await self._move_inbox(target.id)
            return
        modseq = await self._write(mailbox_tree.rename, mailbox_id, mailbox_name(name))
        self._partition.publish(self.account_id, modseq)

    async def _move_inbox(self, target: int) -> None:
        """Move what stands in INBOX now, unit by unit: what a crash leaves is in one of the two mailboxes."""
        inbox = self.open(INBOX_ID)
        uids = (await inbox.snapshot()).uids.tolist()
        for start in range(0, len(uids), UNIT_UIDS):
            await inbox.move(uids[start : start + UNIT_UIDS], target)

    async def subscriptions(self) -> list[str]:
        """Subscribed names, whether or not such mailboxes exist."""
        return await self._partition.read(mailbox_tree.subscriptions, self.account_id)

    async def subscribe(self, name: str, on: bool) -> None:
        """Add or remove one name. :raises BadMailboxName, LimitReached:"""
        modseq = await self._write(mailbox_tree.subscribe, mailbox_name(name), on)
        self._partition.publish(self.account_id, modseq)

    async def status(self, mailbox_ids: Sequence[int]) -> list[MailboxStatus]:
        """Counts of several mailboxes in one snapshot."""
        return await self._partition.read(mailbox_tree.status, self.account_id, mailbox_ids)

    async def status_of(self, name: str) -> MailboxStatus:
        """Counts of the mailbox with this canonical name. :raises NoSuchMailbox: none, or not selectable."""
        return await self._partition.status_of(self.account_id, name)

    def open(self, mailbox_id: int) -> StoredMailbox:
        """Return the mailbox object; whether it exists shows at the first call."""
        return StoredMailbox(self._partition, self.account_id, mailbox_id)

    async def modseq(self) -> int:
        """The account's highest modseq. :raises NoSuchMailbox: the account is gone."""
        return await self._partition.read(messages.modseq_of, self.account_id)

    async def placements(self, message_ids: Sequence[int]) -> dict[int, tuple[Placed, ...]]:
        """Where messages stand. :raises LimitReached: over 256 ids."""
        if len(message_ids) > ROWS_UIDS:
            raise LimitReached("messages")
        return await self._partition.read(account_changes.placements, self.account_id, message_ids)

    async def message(self, message_id: int, columns: Sequence[str]) -> StoredRow:
        """Columns of one message. :raises NoSuchMessage, RowsDamaged:"""
        for where in (await self.placements([message_id])).get(message_id, ()):
            rows = await self.open(where.mailbox_id).rows([where.uid], columns)
            if rows:
                return rows[0][1:]
        raise NoSuchMessage(str(message_id))

    async def changes(self, since: int, limit: int = ROWS_UIDS) -> AccountChanges:
        """What happened after a modseq. :raises ChangesForgotten: :raises NoSuchMailbox: the account is gone."""
        return await self._partition.read(account_changes.changes, self.account_id, since, limit)

    async def changed_mailboxes(self, since: int) -> tuple[int, frozenset[int]]:
        """The account's modseq, and where something happened after another. :raises NoSuchMailbox: the account is gone."""
        return await self._partition.read(account_changes.changed_mailboxes, self.account_id, since)

    async def annotations(self, mailbox_ids: Sequence[int], reader: str) -> dict[int, dict[str, bytes]]:
        """Values by entry, by mailbox; 0 is the account."""
        return await self._partition.read(metadata.read, self.account_id, mailbox_ids, reader)

    async def annotated_at(self, mailbox_ids: Sequence[int], reader: str) -> dict[int, dict[str, int]]:
        """Modseqs by entry, by mailbox; 0 is the account."""
        return await self._partition.read(metadata.modseqs, self.account_id, mailbox_ids, reader)

    async def annotate(self, mailbox_id: int, values: Sequence[tuple[str, str, bytes | None]]) -> int:
        """Set or remove entries. :raises NoSuchMailbox, LimitReached:"""
        modseq, altered = await self._write(metadata.write, mailbox_id, values)
        if altered:
            self._partition.publish(self.account_id, modseq)
        return modseq

    async def rights(self, mailbox_ids: Sequence[int]) -> dict[int, str]:
        """What the owner may do, by mailbox: everything."""
        return dict.fromkeys(mailbox_ids, ALL)

    async def entries(self, mailbox_id: int) -> Mapping[str, str]:
        """Rights of others by identifier. :raises NoSuchMailbox:"""
        return await self._partition.read(mailbox_rights.entries, self.account_id, mailbox_id)

    async def give_rights(self, mailbox_id: int, identifier: str, how: str, letters: str) -> bool:
        """Change the rights of an identifier. :raises NoSuchMailbox, LimitReached:"""
        modseq, without = await self._write(mailbox_rights.change, mailbox_id, identifier, how, letters)
        self._partition.publish(self.account_id, modseq)
        return without

    async def has_reader(self, identifier: str) -> bool:
        """Whether an identifier has a right in any mailbox."""
        return await self._partition.read(mailbox_rights.has_entries, self.account_id, identifier)

    async def usage(self) -> Usage:
        """Quota limits and usage. :raises NoSuchMailbox: the account is gone."""
        found = await self._partition.read(accounts.usage, (self.account_id,))
        if self.account_id not in found:
            raise NoSuchMailbox(self.account_id)
        return found[self.account_id]

    def blobs(self) -> IBlobs:
        """Where APPEND writes."""
        return self._partition.blobs

    async def maildrop(self, mailbox_id: int, lease_seconds: float) -> Maildrop:
        """Open a mailbox for POP3 under an exclusive lease. :raises Busy: another session holds it.

        A store that cannot write keeps nobody from reading: then there is no lease, and nothing can be deleted."""
        token = secrets.token_hex(16)
        now = self._partition.clock.seconds()
        try:
            found = await self._write(maildrop_leases.open_maildrop, mailbox_id, token, now, lease_seconds)
        except StoreUnavailable:
            found = await self._partition.read(maildrop_leases.look_into, self.account_id, mailbox_id, now)
            token = ""
        return Maildrop(self._partition, self.account_id, mailbox_id, token, lease_seconds, found)

    async def _write(self, unit: Callable[Concatenate[Transaction, str, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await self._partition.write(unit, self.account_id, *args, **kwargs)
        except NoSuchAccount as error:
            raise NoSuchMailbox(self.account_id) from error
