"""The account partitions: delivery, provisioning, and the sweep."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Concatenate, ParamSpec

from twisted.logger import Logger
from zope.interface import implementer

from mailnode.errors import NoSuchAccount, NoSuchMailbox, StoreUnavailable
from mailnode.interfaces.runtime import IClock, IHints
from mailnode.interfaces.store import IBlobStore, IMailStore
from mailnode.interfaces.turns import Places
from mailnode.store.engines.engine import Engine, Transaction, partition_of
from mailnode.store.facades.account_check import AccountCheck
from mailnode.store.facades.flag_news import FlagNews
from mailnode.store.facades.mail_account import MailAccount
from mailnode.store.facades.partition import Partition, Scan
from mailnode.store.facades.recent_messages import RecentMessages
from mailnode.store.facades.recent_snapshots import RecentSnapshots
from mailnode.store.facades.shared_account import SharedAccount
from mailnode.store.units import (
    accounts,
    arrivals,
    copies,
    kept_mailboxes,
    mailbox_rights,
    mailbox_tree,
    maildrop_leases,
    messages,
    repair,
    sweeping,
    verify,
)
from mailnode.values.events import emit
from mailnode.values.mailbox import Delivered, DeliveryPlan, NewMessage, Usage

P = ParamSpec("P")

UNLIMITED_KNOWN = 1.0  # seconds for which the usage of an account without limits need not be looked up

_log = Logger()


@implementer(IMailStore)
class MailStore:
    """The mail of all accounts."""

    def __init__(
        self,
        engine: Engine,
        blobs: IBlobStore,
        hints: IHints,
        clock: IClock,
        partitions: int = 1,
        blobs_elsewhere: Callable[[Sequence[str]], Awaitable[set[str]]] | None = None,
        keep_deleted: float = sweeping.RETENTION,
    ) -> None:
        """:param partitions: as the engine has them. :param blobs_elsewhere: says which of these blob ids are in use
        outside of the mail partitions (``QueueStore.blobs_in_use``); without it no blob file is ever swept.
        :param keep_deleted: seconds what was deleted is kept."""
        self._blobs = blobs
        self._clock = clock
        self._blobs_elsewhere = blobs_elsewhere
        self._keep_deleted = keep_deleted
        self._unlimited: dict[str, Usage] = {}
        self._unlimited_since = 0.0
        scanning = Places()
        self.recent = RecentMessages()  # of all partitions
        self.snapshots = RecentSnapshots()  # the same
        self._partitions = [
            Partition(number, engine, blobs, hints, clock, scanning, self.recent, self.snapshots)
            for number in range(partitions)
        ]

    def scan_older(self, scan: Scan) -> None:
        """From now on, find facts of an older scanner anew when they are read, by this one."""
        for partition in self._partitions:
            partition.scan = scan

    def partition(self, account_id: str) -> int:
        """The number of the partition an account lives in."""
        return partition_of(account_id, len(self._partitions))

    def account(self, account_id: str) -> MailAccount:
        """Return the account's object."""
        return MailAccount(self._of(account_id), account_id)

    def shared(self, account_id: str, reader: str, nobodys: bool = False) -> SharedAccount:
        """Return an account's object as another account may use it."""
        return SharedAccount(self._of(account_id), account_id, reader, nobodys)

    async def forget_reader(self, account_id: str, reader: str) -> None:
        """Take all rights in an account's mailboxes from a reader who is gone."""
        while await self._of(account_id).write(mailbox_rights.forget_reader, account_id, reader):
            pass

    def _of(self, account_id: str) -> Partition:
        return self._partitions[self.partition(account_id)]

    def require_service(self, account_id: str) -> None:
        """:raises StoreUnavailable: the partition an account lives in is not served."""
        self._of(account_id).require_service()

    def _served(self) -> list[Partition]:
        served = []
        for partition in self._partitions:
            with suppress(StoreUnavailable):
                partition.require_service()
                served.append(partition)
        return served

    async def provision(self, account_id: str, quota_bytes: int = 0, quota_count: int = 0) -> None:
        """Make an account's row, INBOX and special-use mailboxes (subscribed); no error if they exist."""
        await self._of(account_id).write(accounts.provision, account_id, quota_bytes, quota_count)
        self.forget_usage()

    async def remove(self, account_id: str) -> None:
        """Delete everything of an account, in units of bounded size; no error if there is none."""
        self.forget_usage()
        partition = self._of(account_id)
        partition.flag_news.forget(account_id)
        try:
            await partition.write(sweeping.begin_removal, account_id, partition.now())
        except NoSuchAccount:
            pass  # begun before, perhaps not finished
        self.recent.forget(account_id)
        self.snapshots.forget(account_id)
        await self._finish_removal(partition, account_id)

    async def _finish_removal(self, partition: Partition, account_id: str) -> None:
        while await partition.write(sweeping.remove_some, account_id):
            pass

    async def set_quota(self, account_id: str, quota_bytes: int, quota_count: int, quota_mailboxes: int = 0) -> None:
        """Set limits; 0 is none. :raises NoSuchAccount:"""
        await self._of(account_id).write(accounts.set_quota, account_id, quota_bytes, quota_count, quota_mailboxes)
        self.forget_usage()

    async def usage(self, account_ids: Sequence[str]) -> dict[str, Usage]:
        """Usage of those of several accounts that exist. For one without limits, it is up to a second old."""
        now = self._clock.seconds()
        if not 0 <= now - self._unlimited_since < UNLIMITED_KNOWN:
            self._unlimited.clear()
            self._unlimited_since = now
        unlimited = self._unlimited
        found = {account_id: unlimited[account_id] for account_id in account_ids if account_id in unlimited}
        if len(found) == len(account_ids):
            return found
        for partition, ids in self._by_partition([name for name in account_ids if name not in found]):
            found.update(await partition.read(accounts.usage, ids))
        if unlimited is self._unlimited:
            unlimited.update({name: one for name, one in found.items() if not one.bytes_limit and not one.count_limit})
        return found

    def forget_usage(self) -> None:
        """Look up everybody's usage again."""
        self._unlimited = {}

    async def modseqs(self, account_ids: Sequence[str]) -> dict[str, int]:
        """The modseqs of those of several accounts that exist."""
        found: dict[str, int] = {}
        for partition, ids in self._by_partition(account_ids):
            found.update(await partition.read(accounts.modseqs, ids))
        return found

    def _by_partition(self, account_ids: Sequence[str]) -> list[tuple[Partition, list[str]]]:
        groups: dict[int, list[str]] = {}
        for account_id in account_ids:
            groups.setdefault(self.partition(account_id), []).append(account_id)
        return [(self._partitions[number], ids) for number, ids in sorted(groups.items())]

    async def end_maildrops(self) -> None:
        """End every POP3 lease. For the start of the only process of a store: nobody who holds one is alive."""
        for partition in self._served():
            await partition.write(maildrop_leases.end_all)

    async def begin_again(self, number: int, account_ids: Sequence[str]) -> int:
        """Have a partition, which is older than what was acknowledged, give out nothing a second time: no UID under the
        same UIDVALIDITY, no id of a message or mailbox. Return how many accounts it has.

        :param account_ids: those that live in it; the ones it does not know are made.
        """
        partition = self._partitions[number]
        for account_id in account_ids:
            await partition.write(accounts.provision, account_id, 0, 0)
        found = await partition.read(verify.account_ids)
        for account_id in found:
            await partition.write(mailbox_tree.begin_again, account_id)
        self.forget_usage()
        return len(found)

    def forget(self) -> None:
        """Forget all that this process remembers of mail: rows may be otherwise than units have made them."""
        self.forget_usage()
        self.recent.clear()
        self.snapshots.clear()
        for partition in self._partitions:
            partition.flag_news = FlagNews()

    async def end_copies(self) -> None:
        """Let nobody go on with a COPY that a crash interrupted. For the start of the only process of a store."""
        for partition in self._served():
            await partition.write(copies.abandon_all)

    async def has_files(self) -> bool:
        """Whether the octets of some message are in a file. Looks through all, unless one is found."""
        return any([await partition.read(sweeping.has_files) for partition in self._served()])

    async def deliver(
        self, envelope_id: str, plans: Sequence[DeliveryPlan], message: NewMessage, applied_once: bool
    ) -> list[Delivered]:
        """Place one message for several accounts of ONE partition, all or none, in one unit.

        :raises NoSuchAccount: an account is gone. :raises OverQuota: one is full.
        :raises ValueError: accounts of several partitions.
        """
        if not plans:
            return []
        partition = self._of(plans[0].account_id)
        if len(plans) > 1 and any(self._of(plan.account_id) is not partition for plan in plans[1:]):
            raise ValueError("plans for more than one partition")
        prepared = await partition.prepare(message)
        forgotten = self.recent.forgotten
        placed = await partition.write(
            arrivals.deliver, envelope_id, plans, message, prepared, applied_once, partition.now()
        )
        if not applied_once and forgotten == self.recent.forgotten:  # what was applied before may have another prefix
            for plan, one in zip(plans, placed, strict=True):
                if partition.has_listener(one.account_id):
                    key = one.account_id, one.mailbox_id, one.uid
                    self.recent.arrived(key, message, plan.prefix or message.prefix)
        for delivered in placed:
            partition.publish(delivered.account_id, delivered.modseq)
        return placed

    async def keep_some(self, account_id: str, name: str, message: NewMessage, most: int, seconds: float) -> None:
        """See :class:`IMailStore`."""
        partition = self._of(account_id)
        prepared = await partition.prepare(message)
        modseq = await partition.write(
            kept_mailboxes.place, account_id, name, message, prepared, most, int(seconds), partition.now()
        )
        partition.publish(account_id, modseq)

    def check(self, account_id: str) -> AccountCheck:
        """Return what compares an account's mail with itself."""
        return AccountCheck(self._of(account_id), account_id)

    async def verify(self) -> list[str]:
        """Compare all rows with each other; return a line for each thing that is wrong. Changes nothing."""
        faults = []
        for partition in self._served():
            for account_id in await partition.read(verify.account_ids):
                faults += [f"{account_id}: {fault}" for fault in await self.check(account_id).rows()]
        for number, blob_ids in (await self.unneeded()).items():
            faults += [f"partition {number}: an inline blob nobody needs: {blob_id}" for blob_id in blob_ids]
        return faults

    async def unneeded(self) -> dict[int, list[str]]:
        """Return some of the inline blobs that no message needs, by partition."""
        return {partition.number: await partition.read(verify.unreferenced_inline) for partition in self._served()}

    async def remove_unneeded(self, number: int) -> int:
        """Remove all of these of one partition; return how many."""
        return await _until_none(self._partitions[number], repair.unneeded)

    async def account_ids(self) -> set[str]:
        """Return all accounts that have rows, but those whose removal was begun."""
        found: set[str] = set()
        for partition in self._served():
            found |= set(await partition.read(verify.account_ids))
            found -= set(await partition.read(sweeping.unfinished_removals))
        return found

    async def loose_files(self, now: float) -> int:
        """Count the files that nothing refers to for longer than the grace time: the sweep's, as long as all is well."""
        if self._blobs_elsewhere is None or len(self._served()) < len(self._partitions):
            return 0  # which files a partition needs that is not served, nobody knows
        count = 0
        for number in range(self._blobs.shares):
            found = await self._blobs.listing(number, now - sweeping.GRACE)
            for start in range(0, len(found), sweeping.ROWS):
                blob_ids = found[start : start + sweeping.ROWS]
                count += len(set(blob_ids) - await self._held(blob_ids, self._blobs_elsewhere))
        return count

    async def _held(
        self, blob_ids: Sequence[str], elsewhere: Callable[[Sequence[str]], Awaitable[set[str]]]
    ) -> set[str]:
        """Return which of these blobs something refers to. A blob goes from the queue into a partition, never back: asked in
        that order, one on its way is always seen."""
        held = set(await elsewhere(blob_ids))
        for partition in self._partitions:
            held.update(await partition.read(sweeping.referenced, blob_ids))
        return held

    # the sweep

    async def sweep(self, now: float) -> dict[str, int]:
        """Remove for good what was given up long enough ago; return how many of what. Called by upkeep.

        :param now: UTC seconds.
        """
        counts = {"messages": 0, "applied": 0, "blobs": 0}
        kept = int((now - self._keep_deleted) * 1_000_000)
        for partition in self._served():
            await self._expunge_kept(partition, int(now * 1_000_000))
            for account_id in await partition.read(sweeping.unfinished_removals):
                await self._finish_removal(partition, account_id)
            for account_id in await partition.write(copies.abandon_stale, int(now * 1_000_000)):
                await _until_none(partition, copies.discard_some, account_id)
            counts["messages"] += await _until_none(partition, sweeping.expired, kept)
            counts["messages"] += await _until_none(partition, sweeping.in_deleted_mailboxes, kept)
            applied = int((now - sweeping.APPLIED_RETENTION) * 1_000_000)
            if counts["messages"]:
                self.recent.clear()
            counts["applied"] += await _until_none(partition, sweeping.old_notes, applied, now)
        # Which files a partition needs that is not served, nobody knows.
        if self._blobs_elsewhere is not None and len(self._served()) == len(self._partitions):
            for number in range(self._blobs.shares):
                counts["blobs"] += await self._sweep_files(number, now, self._blobs_elsewhere)
        for what, count in counts.items():
            if count:
                emit(_log, "upkeep.swept", what=what, count=count)
        return counts

    async def _expunge_kept(self, partition: Partition, now: int) -> None:
        """Expunge what stands for long enough in mailboxes that keep messages for a time."""
        after = ""
        while found := await partition.read(kept_mailboxes.kept, after, now):
            for account_id, mailbox_id, uids in found:
                with suppress(NoSuchAccount, NoSuchMailbox):
                    if uids:
                        _, modseq = await partition.write(messages.expunge, account_id, mailbox_id, uids, False, now)
                        partition.publish(account_id, modseq)
            after = found[-1][0]

    async def _sweep_files(
        self, number: int, now: float, elsewhere: Callable[[Sequence[str]], Awaitable[set[str]]]
    ) -> int:
        """Remove the files of one directory that were found without reference longer than the grace time ago."""
        removed = 0
        found = await self._blobs.listing(number, now - sweeping.GRACE)
        for start in range(0, len(found), sweeping.ROWS):
            blob_ids = found[start : start + sweeping.ROWS]
            removed += await self._remove_loose(blob_ids, await self._held(blob_ids, elsewhere), now)
        return removed

    async def _remove_loose(self, blob_ids: Sequence[str], held: set[str], now: float) -> int:
        book = self._partitions[0]
        loose = [blob_id for blob_id in blob_ids if blob_id not in held]
        mistaken = await book.read(sweeping.noted, sorted(held))
        if not loose and not mistaken:
            return 0
        grace_until = int((now - sweeping.GRACE) * 1_000_000)
        await book.write(sweeping.forget_loose, mistaken)
        ripe = await book.write(sweeping.note_loose, loose, int(now * 1_000_000), grace_until)
        if ripe:
            await self._blobs.remove(ripe)
            await book.write(sweeping.forget_loose, ripe)
        return len(ripe)


async def _until_none(
    partition: Partition, unit: Callable[Concatenate[Transaction, P], int], *args: P.args, **kwargs: P.kwargs
) -> int:
    total = 0
    while count := await partition.write(unit, *args, **kwargs):
        total += count
    return total
