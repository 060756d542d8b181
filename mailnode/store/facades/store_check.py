"""Compares a store with itself, while it is in use or not: rows with rows, rows with files, the directory with mailboxes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from mailnode.errors import StoreUnavailable
from mailnode.interfaces.store import IBlobStore
from mailnode.store.facades.directory import Directory
from mailnode.store.facades.mail_store import MailStore
from mailnode.store.facades.queue import Queue
from mailnode.values.checked import StoreChecked

FAULTS = 1_000  # told at most
QUEUED = 500  # blobs of the queue that are looked at in one go


class StoreCheck:
    """Reads, a bounded piece at a time, and changes nothing."""

    def __init__(
        self,
        directory: Directory,
        mail: MailStore,
        queue: Queue,
        blobs: IBlobStore,
        databases: Callable[[], Awaitable[list[str]]],
    ) -> None:
        """:param databases: says what is wrong with the files of the database, a line each."""
        self._directory = directory
        self._mail = mail
        self._queue = queue
        self._blobs = blobs
        self._databases = databases

    async def run(self, now: float) -> StoreChecked:
        """Look at everything. :param now: UTC seconds. :raises mailnode.errors.StoreUnavailable: what is damaged cannot be read
        at all."""
        faults = await self._databases()
        faults += await self._mail.verify()
        accounts = await self._mail.account_ids()
        faults += await self._strangers(accounts)
        files = 0
        for account_id in sorted(accounts):
            files += await self._files_of(account_id, faults)
        files += await self._queued(faults)
        loose = await self._mail.loose_files(now)
        return StoreChecked(len(accounts), files, loose, tuple(faults[:FAULTS]))

    async def _strangers(self, accounts: set[str]) -> list[str]:
        """Compare the accounts of the directory with those that have mailboxes. Of what differs all is read once
        more: it may have changed meanwhile."""
        strangers = accounts ^ await self._known()
        if not strangers:
            return []
        accounts, known = await self._mail.account_ids(), await self._known()
        faults = []
        for account_id in sorted(strangers & (accounts ^ known)):
            if not self._is_served(account_id):
                continue
            if account_id in known:
                faults.append(f"{account_id}: an account without mailboxes")
            else:
                faults.append(f"{account_id}: mailboxes of an account that is not there")
        return faults

    async def _known(self) -> set[str]:
        return {account.id for account in await self._directory.accounts()}

    def _is_served(self, account_id: str) -> bool:
        try:
            self._mail.require_service(account_id)
        except StoreUnavailable:
            return False  # that was said of the file
        return True

    async def _files_of(self, account_id: str, faults: list[str]) -> int:
        count = 0
        after: int | None = -1
        while after is not None and len(faults) < FAULTS:
            found, after = await self._mail.files(account_id, after)
            messages = {blob_id: message_id for message_id, blob_id in found}
            count += len(found)
            for blob_id in await self._blobs.missing(list(messages)):
                faults.append(f"{account_id}: the file of message {messages[blob_id]} is missing: {blob_id}")
        return count

    async def _queued(self, faults: list[str]) -> int:
        count, after = 0, ""
        while len(faults) < FAULTS and (some := await self._queue.files(after, QUEUED)):
            count, after = count + len(some), some[-1]
            gone = await self._blobs.missing(some)
            # What was delivered meanwhile is not the queue's any more.
            for blob_id in await self._queue.blobs_in_use(gone) if gone else ():
                faults.append(f"queue: the file of a message is missing: {blob_id}")
        return count
