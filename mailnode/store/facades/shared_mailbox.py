"""One mailbox of somebody else, as a reader may use it: each unit asks for the rights it needs (RFC 4314 4)."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from mailnode.errors import LimitReached, NotPermitted
from mailnode.store.facades.mailbox import UNIT_UIDS, StoredMailbox
from mailnode.store.facades.partition import Partition
from mailnode.store.units import mailbox_rights, messages, shared_flags, shared_messages
from mailnode.values.mailbox import Appended, Copied, FlagsStored, MailboxChanges, MailboxSnapshot, NewMessage
from mailnode.values.rights import EXPUNGE, READ
from mailnode.values.rows import StoredRow


def own_hints(account_id: str, reader: str) -> str:
    """Return what hints are published for about what a reader alone is to see in an owner's mailboxes."""
    return f"{account_id}/{reader}"


class SharedMailbox(StoredMailbox):
    """Every method raises NoSuchMailbox where the reader may not look the mailbox up, NotPermitted where another right is
    lacking. What was shown once is not asked for again: a session that may read no more ends with its next look."""

    def __init__(self, partition: Partition, account_id: str, mailbox_id: int, reader: str) -> None:
        super().__init__(partition, account_id, mailbox_id)
        self._reader = reader
        self.hints = (account_id, own_hints(account_id, reader))

    async def snapshot(self, claim_recent: bool = False) -> MailboxSnapshot:
        """All live messages; none is recent, that is the owner's to be told."""
        return await self._partition.read(shared_flags.snapshot, self.account_id, self.id, self._reader)

    async def changes(self, since: int, claim_recent: bool = False, heard: int | None = None) -> MailboxChanges:
        """What happened after a modseq, what the reader has seen among it."""
        return await self._partition.read(shared_flags.changes, self.account_id, self.id, self._reader, since)

    async def expunged(self, since: int) -> array[int] | None:
        """UIDs of what was expunged after a modseq."""
        await self._require_read()
        return await super().expunged(since)

    async def rows(self, uids: Sequence[int], columns: Sequence[str], keep: bool = False) -> list[StoredRow]:
        """Return rows of those of the UIDs that exist; flags and modseq are the owner's."""
        await self._require_read()
        return await super().rows(uids, columns, keep)

    async def rendered(self, uids: Sequence[int], number: int, pieces: Sequence[bytes | str]) -> bytes | None:
        """Return what live messages say, one after another."""
        await self._require_read()
        return await super().rendered(uids, number, pieces)

    async def _require_read(self) -> None:
        await self._partition.read(mailbox_rights.require, self.account_id, self.id, self._reader, READ)

    async def append(self, messages: Sequence[NewMessage]) -> Appended:
        """Place new messages, all or none, with the flags that the reader may set. :raises OverQuota, KeywordLimit:"""
        prepared = [(message, await self._partition.prepare(message)) for message in messages]
        appended = await self._write(shared_messages.append, self._reader, prepared, self._partition.now())
        self._partition.publish(self.account_id, appended.modseq)
        return appended

    async def replace(self, uid: int, target: int, message: NewMessage) -> Appended:
        """:raises NotPermitted: only the owner's messages take each other's place in one step."""
        raise NotPermitted

    async def _store_flags(
        self, uids: Sequence[int], mode: str, flags: int, keywords: tuple[str, ...], unchanged_since: int | None
    ) -> FlagsStored:
        stored, altered = await self._write(
            shared_flags.store_flags, self._reader, uids, mode, flags, keywords, unchanged_since
        )
        if altered.shared:
            self._partition.publish(self.account_id, stored.modseq)
        elif altered.own:
            self._partition.publish(self.hints[1], stored.modseq)
        return stored

    async def _copy(self, uids: Sequence[int], target: int, move: bool) -> Copied:
        copied = await self._write(shared_messages.copy, self._reader, uids, target, move, self._partition.now())
        self._publish_if(bool(copied.source), copied.modseq)
        return copied

    async def _copy_staged(self, uids: Sequence[int], target: int) -> Copied:
        raise LimitReached(f"more than {UNIT_UIDS} messages")

    async def _expunge(self, uids: Sequence[int], only_deleted: bool) -> tuple[tuple[int, ...], int]:
        now = self._partition.now()
        return await self._write(
            mailbox_rights.permitted, self._reader, EXPUNGE, messages.expunge, uids, only_deleted, now
        )

    async def rights(self) -> str:
        """What the reader may do now. :raises NoSuchMailbox:"""
        try:
            return await self._partition.read(mailbox_rights.require, self.account_id, self.id, self._reader, "")
        except NotPermitted:  # of no right at all
            return ""
