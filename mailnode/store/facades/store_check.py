"""Compares a store with itself, while it is in use or not: rows with rows, content with digests, the directory with mailboxes.
Where it is asked to, it mends what follows from something else, and sets aside what is lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping

from mailnode.errors import BlobDamaged, DomainError, NoSuchAccount, StoreUnavailable
from mailnode.interfaces.store import IBlobStore
from mailnode.store.facades.account_check import ROWS, AccountCheck, gathered
from mailnode.store.facades.directory import Directory
from mailnode.store.facades.mail_store import MailStore
from mailnode.store.facades.queue import Queue
from mailnode.values.checked import StoreChecked

FAULTS = 1_000  # told at most, and as many of what was mended or set aside
QUEUED = 500  # blobs of the queue that are looked at in one go


class StoreCheck:
    """Reads, a bounded piece at a time. Used once."""

    def __init__(
        self,
        directory: Directory,
        mail: MailStore,
        queue: Queue,
        blobs: IBlobStore,
        databases: Callable[[bool], Awaitable[tuple[list[str], list[str]]]],
        contents: bool = False,
        repair: bool = False,
    ) -> None:
        """:param databases: says what is wrong with the files of the database, and what of it was mended, a line each; given
        whether to mend.
        :param contents: read what messages hold, too. :param repair: do that, and mend what can be mended."""
        self._directory = directory
        self._mail = mail
        self._queue = queue
        self._blobs = blobs
        self._databases = databases
        self._contents = contents or repair
        self._repair = repair
        self._faults: list[str] = []
        self._mended: list[str] = []
        self._set_aside: list[str] = []
        self._files = 0
        self._read = 0

    async def run(self, now: float) -> StoreChecked:
        """Look at everything. :param now: UTC seconds. :raises mailnode.errors.StoreUnavailable: what is damaged cannot be read
        at all."""
        self._faults, self._mended = await self._databases(self._repair)
        accounts = await self._mail.account_ids()
        if await self._strangers(accounts):
            accounts = await self._mail.account_ids()
        for account_id in sorted(accounts):
            try:
                await self._account(account_id)
            except NoSuchAccount:
                pass  # removed meanwhile
            except DomainError as error:
                words = str(error.__cause__ or error) or type(error).__name__
                self._faults.append(f"{account_id}: its mail cannot be looked at: {words}")
        await self._unneeded()
        await (self._read_queued() if self._contents else self._queued())
        loose = await self._mail.loose_files(now)
        told = (tuple(lines[:FAULTS]) for lines in (self._faults, self._mended, self._set_aside))
        return StoreChecked(len(accounts), self._files, self._read, loose, *told)

    async def _account(self, account_id: str) -> None:
        check = self._mail.check(account_id)
        await self._rows(account_id, check)
        known = await check.known()
        after: int | None = -1
        while after is not None and len(self._faults) < FAULTS:
            piece = await (check.look(after) if self._contents else check.look_for_files(after))
            after = piece.after
            self._read += piece.messages
            self._files += piece.files
            if self._repair:
                self._mended += _of(account_id, await check.keep(piece))
            else:
                self._faults += _of(account_id, piece.faults(known))
        if self._contents and not await check.index():
            await self._index(account_id, check)
        self._set_aside += _of(account_id, await check.set_aside())

    async def _rows(self, account_id: str, check: AccountCheck) -> None:
        """Where a page of the file is damaged they cannot be compared; the messages on the others can be read."""
        try:
            wrong = await check.rows()
            if wrong and self._repair:
                self._mended += _of(account_id, await check.mend())
                self._mail.forget_usage()
                wrong = await check.rows()
        except StoreUnavailable as error:
            wrong = [f"its rows cannot be compared: {error.__cause__ or error}"]
        self._faults += _of(account_id, wrong)

    async def _index(self, account_id: str, check: AccountCheck) -> None:
        if self._repair:
            await check.forget_index()
            self._mended.append(f"{account_id}: the search index is made anew")
        else:
            self._faults.append(f"{account_id}: the search index is damaged")

    async def _unneeded(self) -> None:
        # Where something could not be mended, a message may lack the reference to what it needs.
        removes = self._repair and not self._faults
        for number, blob_ids in (await self._mail.unneeded()).items():
            if removes:
                count = await self._mail.remove_unneeded(number)
                if count:
                    self._mended.append(f"partition {number}: {count} inline blobs that nobody needed are removed")
            else:
                self._faults += [f"partition {number}: an inline blob nobody needs: {blob_id}" for blob_id in blob_ids]

    async def _strangers(self, accounts: set[str]) -> bool:
        """Compare the accounts of the directory with those that have mailboxes. Of what differs all is read once
        more: it may have changed meanwhile. Return whether some have mailboxes now."""
        strangers, made = accounts ^ await self._known(), False
        if not strangers:
            return False
        found, known = await self._mail.account_ids(), await self._known()
        for account_id in sorted(strangers & (found ^ known)):
            if not self._is_served(account_id):
                continue
            if account_id not in known:
                self._faults.append(f"{account_id}: mailboxes of an account that is not there")
            elif self._repair and await self._provision(account_id):
                made = True
            else:
                self._faults.append(f"{account_id}: an account without mailboxes")
        return made

    async def _provision(self, account_id: str) -> bool:
        """Give an account its mailboxes; False: rows of some are there, and its own is lost."""
        try:
            await self._mail.provision(account_id)
        except StoreUnavailable:
            return False
        self._mended.append(f"{account_id}: an account without mailboxes has them again, empty and without quota")
        return True

    async def _known(self) -> set[str]:
        return {account.id for account in await self._directory.accounts()}

    def _is_served(self, account_id: str) -> bool:
        try:
            self._mail.require_service(account_id)
        except StoreUnavailable:
            return False  # that was said of the file
        return True

    async def _queued(self) -> None:
        after = ""
        while len(self._faults) < FAULTS and (some := await self._queue.files(after, QUEUED)):
            self._files, after = self._files + len(some), some[-1]
            gone = await self._blobs.missing(some)
            await self._damaged_in_queue({blob_id: f"its file is missing: {blob_id}" for blob_id in gone})

    async def _read_queued(self) -> None:
        after = ""
        while len(self._faults) < FAULTS and (some := await self._queue.contents(after, ROWS)):
            after = some[-1][0].blob_id
            self._read += len(some)
            files = [ref for ref, _ in some if ref.place == "file"]
            self._files += len(files)
            wrong: dict[str, str] = {}
            for few in gathered(files):
                wrong.update(await self._blobs.what_is_wrong(few))
            for ref, stored in some:
                if ref.place != "file":
                    try:
                        await self._blobs.read(ref, stored)
                    except BlobDamaged:
                        wrong[ref.blob_id] = "its content is lost or changed, in queue.db"
            await self._damaged_in_queue(wrong)

    async def _damaged_in_queue(self, wrong: Mapping[str, str]) -> None:
        """Tell of damaged messages, those that were not delivered meanwhile. What is held waits for somebody, and is no fault.

        :param wrong: what it is, by blob."""
        for envelope_id, blob_id, held in await self._queue.using(list(wrong)) if wrong else ():
            line = f"queue: message {envelope_id}: {wrong[blob_id]}"
            if self._repair and not held and await self._queue.hold_damaged(envelope_id):
                self._mended.append(f"{line}: it is held")
                held = True
            (self._set_aside if held else self._faults).append(line)


def _of(account_id: str, lines: Iterable[str]) -> list[str]:
    return [f"{account_id}: {line}" for line in lines]
