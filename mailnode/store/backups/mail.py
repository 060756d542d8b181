"""The mail that is in a backup, read where it lies, whatever version wrote it: what is asked for, every schema has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import apsw
from zope.interface import implementer

from mailnode.errors import BackupRefused, BlobDamaged, NoSuchAccount
from mailnode.interfaces.backups import IBackupMail
from mailnode.interfaces.runtime import IClock, IThreads
from mailnode.store.backups.databases import opened
from mailnode.store.backups.directory import BackupDirectory
from mailnode.store.blobs.local import LocalBlobs
from mailnode.store.engines.engine import DIRECTORY, Transaction, mail_tenancy, partition_of
from mailnode.store.engines.sqlite_transaction import SqliteTransaction
from mailnode.store.units import backup_rows, mailbox_tree, messages, undelete
from mailnode.store.units.accounts import keyword_table
from mailnode.store.units.arrivals import decode_ref
from mailnode.store.units.stored_facts import decode_facts
from mailnode.values.address import Address
from mailnode.values.backed_up import BackedUpMessage
from mailnode.values.blob import BlobRef
from mailnode.values.facts import SortKeys, decode_sort_keys
from mailnode.values.flags import DELETED, SYSTEM_MASK
from mailnode.values.scripts import BackedUpScript

P = ParamSpec("P")
T = TypeVar("T")

AT_ONCE = 200  # messages that are read in one go


@implementer(IBackupMail)
class BackupMail:
    """One backup. It holds nothing open between two calls."""

    def __init__(self, directory: Path, name: str, threads: IThreads, clock: IClock) -> None:
        """:param name: "": the latest."""
        self._kept = BackupDirectory(directory)
        self.name = name
        self._partitions = 0
        self._threads = threads
        self._blobs = LocalBlobs(self._kept.blobs, threads, clock)

    async def mailboxes(self, address: Address) -> tuple[str, list[tuple[int, str]]]:
        """See :class:`IBackupMail`."""
        await self._threads.run("disk", self._find)
        found = await self._read(DIRECTORY, backup_rows.account_at, address.key)
        if found is None:
            raise NoSuchAccount(str(address))
        boxes = await self._read(self._tenancy(found), undelete.mailboxes, found)
        return found, [(box.mailbox_id, box.name) for box in boxes if box.stands]

    async def subscriptions(self, account_id: str) -> list[str]:
        """See :class:`IBackupMail`."""
        return await self._read(self._tenancy(account_id), mailbox_tree.subscriptions, account_id)

    async def scripts(self, account_id: str) -> list[BackedUpScript]:
        """See :class:`IBackupMail`."""
        return await self._read(self._tenancy(account_id), backup_rows.scripts, account_id)

    def _find(self) -> None:
        try:
            self._kept.require()
            self.name = self._kept.chosen(self.name)
            manifest = self._kept.manifest(self.name)
        except OSError as error:
            raise BackupRefused(f"{error.filename}: {error.strerror}") from error
        if not manifest.databases:
            raise BackupRefused("it has no databases")
        self._partitions = manifest.partitions

    def _tenancy(self, account_id: str) -> str:
        return mail_tenancy(partition_of(account_id, self._partitions))

    async def _read(
        self, tenancy: str, unit: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        def work() -> T:
            try:
                connection = opened(self._kept.path / self.name / f"{tenancy}.db")
                try:
                    return unit(SqliteTransaction(connection), *args, **kwargs)
                finally:
                    connection.close()
            except apsw.Error as error:
                raise BackupRefused(f"{tenancy}.db: {error}") from error

        return await self._threads.run("disk", work)

    async def messages(self, account_id: str, mailbox_id: int, after: int) -> Sequence[BackedUpMessage]:
        """See :class:`IBackupMail`."""
        keywords, rows = await self._read(
            self._tenancy(account_id), backup_rows.messages, account_id, mailbox_id, after, AT_ONCE
        )
        table = keyword_table(keywords)
        found = []
        for uid, flags, size, date, offset, prefix, *blob, sort, facts_blob, uidvalidity, uidl in rows:
            system = flags & SYSTEM_MASK & ~DELETED
            names = table.flag_names(flags & ~SYSTEM_MASK)
            keys = await self._keys(account_id, sort, facts_blob)
            ref = BlobRef(*blob)
            found.append(BackedUpMessage(uid, system, names, size, date, offset, prefix, ref, keys, uidvalidity, uidl))
        return found

    async def _keys(self, account_id: str, sort: bytes | None, facts_blob: str | None) -> SortKeys:
        """What a message says of itself: nothing, where that cannot be read."""
        try:
            if sort is not None:
                return decode_sort_keys(sort)
            if facts_blob is not None:
                return decode_sort_keys(decode_facts(await self.read(account_id, decode_ref(facts_blob))).sort)
        except (BlobDamaged, ValueError, TypeError):
            pass
        return SortKeys()

    async def read(self, account_id: str, blob: BlobRef) -> bytes:
        """See :class:`IBackupMail`."""
        stored = None
        if blob.place == "inline":
            stored = await self._read(self._tenancy(account_id), messages.inline_blob, blob.blob_id)
        return await self._blobs.read(blob, stored)
