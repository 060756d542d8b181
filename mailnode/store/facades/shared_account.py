"""Mailboxes of somebody else, as a reader may see and use them (RFC 4314)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from zope.interface import implementer

from mailnode.errors import NotPermitted
from mailnode.interfaces.store import IMailAccount
from mailnode.store.facades.mail_account import MailAccount
from mailnode.store.facades.maildrop import Maildrop
from mailnode.store.facades.partition import Partition
from mailnode.store.facades.shared_mailbox import SharedMailbox, own_hints
from mailnode.store.units import mailbox_rights, metadata, shared_tree
from mailnode.store.units.accounts import INBOX_ID
from mailnode.values.mailbox import AccountChanges, MailboxInfo, MailboxStatus, Placed
from mailnode.values.mailbox_name import SEPARATOR, mailbox_name
from mailnode.values.rights import ADMINISTER, READ, WRITE


@implementer(IMailAccount)
class SharedAccount(MailAccount):
    """Every method raises NoSuchMailbox where the reader may not look a mailbox up, NotPermitted where another right is
    lacking. Names are the owner's; subscriptions are none of theirs."""

    def __init__(self, partition: Partition, account_id: str, reader: str, nobodys: bool = False) -> None:
        super().__init__(partition, account_id)
        self._reader = reader
        self.hints = (account_id, own_hints(account_id, reader))
        self._top = INBOX_ID if nobodys else 0

    async def mailboxes(self) -> list[MailboxInfo]:
        """All that the reader may look up, by name; INBOX first."""
        return await self._partition.read(shared_tree.listing, self.account_id, self._reader)

    async def with_inferior(self, name: str) -> list[MailboxInfo]:
        """The mailbox with this canonical name, and those below it."""
        below = name + SEPARATOR
        return [info for info in await self.mailboxes() if info.name == name or info.name.startswith(below)]

    async def named(self, name: str) -> MailboxInfo:
        """The mailbox with this canonical name, selectable or not."""
        return await self._partition.read(shared_tree.named, self.account_id, self._reader, name)

    async def create(self, name: str, special_use: str = "") -> MailboxInfo:
        """Create a mailbox and missing superiors; it has no special use."""
        info, modseq = await self._write(shared_tree.create, self._reader, mailbox_name(name), self._top)
        self._partition.publish(self.account_id, modseq)
        return info

    async def delete(self, mailbox_id: int) -> None:
        """Delete a mailbox and its messages."""
        modseq = await self._write(shared_tree.delete, mailbox_id, self._reader, self._partition.now())
        self._partition.recent.forget(self.account_id, mailbox_id)
        self._partition.snapshots.forget(self.account_id, mailbox_id)
        self._partition.publish(self.account_id, modseq)

    async def rename(self, mailbox_id: int, name: str) -> None:
        """Rename with all inferiors; INBOX is the owner's to rename."""
        modseq = await self._write(shared_tree.rename, mailbox_id, self._reader, mailbox_name(name), self._top)
        self._partition.publish(self.account_id, modseq)

    async def subscriptions(self) -> list[str]:
        """:raises NotPermitted: these are the owner's."""
        raise NotPermitted

    async def subscribe(self, name: str, on: bool) -> None:
        """:raises NotPermitted: subscriptions are the owner's."""
        raise NotPermitted

    async def status(self, mailbox_ids: Sequence[int]) -> list[MailboxStatus]:
        """Counts of those that the reader may read, in one snapshot."""
        return await self._partition.read(shared_tree.status, self.account_id, mailbox_ids, self._reader)

    async def status_of(self, name: str) -> MailboxStatus:
        """Counts of the mailbox with this canonical name."""
        return await self._partition.read(shared_tree.status_of, self.account_id, self._reader, name)

    def open(self, mailbox_id: int) -> SharedMailbox:
        """Return the mailbox object; whether it exists shows at the first call."""
        return SharedMailbox(self._partition, self.account_id, mailbox_id, self._reader)

    async def placements(self, message_ids: Sequence[int]) -> dict[int, tuple[Placed, ...]]:
        """:raises NotPermitted: the account as a whole is the owner's."""
        raise NotPermitted

    async def changes(self, since: int, limit: int = 0) -> AccountChanges:
        """:raises NotPermitted: the account as a whole is the owner's."""
        raise NotPermitted

    async def maildrop(self, mailbox_id: int, lease_seconds: float) -> Maildrop:
        """:raises NotPermitted: POP3 is the owner's."""
        raise NotPermitted

    async def changed_mailboxes(self, since: int) -> tuple[int, frozenset[int]]:
        """The account's modseq, and where something happened after another that the reader may know of."""
        return await self._partition.read(shared_tree.changed_mailboxes, self.account_id, since, self._reader)

    async def annotated_at(self, mailbox_ids: Sequence[int], reader: str) -> dict[int, dict[str, int]]:
        """Modseqs by entry, by mailbox, where the reader may know them."""
        return await self._partition.read(shared_tree.noted_at, self.account_id, mailbox_ids, self._reader)

    async def annotations(self, mailbox_ids: Sequence[int], reader: str) -> dict[int, dict[str, bytes]]:
        """Values by entry, by mailbox, where the reader may know them."""
        return await self._partition.read(shared_tree.noted, self.account_id, mailbox_ids, self._reader)

    async def annotate(self, mailbox_id: int, values: Sequence[tuple[str, str, bytes | None]]) -> int:
        """Set or remove entries: what all share needs the right to write. :raises LimitReached:"""
        own = all(reader for reader, _, _ in values)
        needed = READ if own else WRITE
        modseq, altered = await self._write(
            mailbox_rights.permitted_to_add, mailbox_id, self._reader, needed, metadata.write, values
        )
        if altered:
            self._partition.publish(self.hints[1] if own else self.account_id, modseq)
        return modseq

    async def rights(self, mailbox_ids: Sequence[int]) -> dict[int, str]:
        """What the reader may do, by mailbox; those without any right are left out."""
        return await self._partition.read(mailbox_rights.rights, self.account_id, mailbox_ids, self._reader)

    async def entries(self, mailbox_id: int) -> Mapping[str, str]:
        """Rights by identifier, for those who may change them."""
        return await self._partition.read(
            mailbox_rights.permitted, self.account_id, mailbox_id, self._reader, ADMINISTER, mailbox_rights.entries
        )

    async def give_rights(self, mailbox_id: int, identifier: str, how: str, letters: str) -> bool:
        """Change the rights of an identifier. :raises LimitReached:"""
        modseq, without = await self._write(
            mailbox_rights.permitted_to_add,
            mailbox_id,
            self._reader,
            ADMINISTER,
            mailbox_rights.change,
            identifier,
            how,
            letters,
        )
        self._partition.publish(self.account_id, modseq)
        return without
