"""What the facades of one mail partition share: its units, blobs, clock and hints."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Concatenate, ParamSpec, TypeVar

from twisted.logger import Logger

from mailnode.errors import BlobDamaged, StoreDamaged, StoreUnavailable
from mailnode.interfaces.runtime import IClock, IHints
from mailnode.interfaces.store import IBlobStore
from mailnode.interfaces.turns import Places, Turns
from mailnode.store.engines.engine import Engine, Transaction, mail_tenancy
from mailnode.store.facades.flag_news import FlagNews
from mailnode.store.facades.recent_messages import RecentMessages
from mailnode.store.facades.recent_snapshots import RecentSnapshots
from mailnode.store.units import arrivals, mailbox_tree, messages, stored_facts
from mailnode.values.blob import BlobRef, StagedBlob
from mailnode.values.events import emit
from mailnode.values.facts import MAX_INLINE_FACTS, EncodedFacts
from mailnode.values.mailbox import MailboxStatus, NewMessage

P = ParamSpec("P")
T = TypeVar("T")
# Finds the facts of a message: its octets, and what reads some of them by offset and length.
Scan = Callable[[int, Callable[[int, int], Awaitable[bytes]]], Awaitable[EncodedFacts]]

DAMAGED_TOLD = 1_000  # messages that cannot be read, of which the log tells, in the life of a process
STATUSES = 1_000  # of mailboxes, remembered until somebody writes

_log = Logger()


class Partition:
    """One mail partition."""

    def __init__(
        self,
        number: int,
        engine: Engine,
        blobs: IBlobStore,
        hints: IHints,
        clock: IClock,
        scanning: Places,
        recent: RecentMessages,
        snapshots: RecentSnapshots,
    ) -> None:
        """:param scanning: held while a message is scanned again, one in the process. :param recent, snapshots: of all
        partitions."""
        self.number = number
        self.blobs = blobs
        self.clock = clock
        self.flag_news = FlagNews()
        self.recent = recent
        self.snapshots = snapshots
        self._statuses: dict[tuple[str, str], MailboxStatus] = {}  # by account and name of the mailbox
        self._statuses_of: int | None = None  # what was written when they were read
        self.scan: Scan | None = None  # without one, facts of an older scanner are told as they are
        self.scanning = scanning
        self.copying = Turns()  # accounts with a COPY of many messages under way in this process
        self._damaged: set[tuple[str, int, int]] = set()  # told: account, mailbox, UID
        self.file = f"{mail_tenancy(number)}.db"  # for messages about it
        self._tenancy = mail_tenancy(number)
        self._engine = engine
        self._hints = hints

    # These two are the engine's: a coroutine of their own would be one more for each unit.

    def read(self, unit: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """Run a reading unit."""
        return self._engine.read(self._tenancy, unit, *args, **kwargs)

    def write(self, unit: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """Run a changing unit; durable when this returns."""
        return self._engine.write(self._tenancy, unit, *args, **kwargs)

    async def read_each(
        self,
        unit: Callable[Concatenate[Transaction, str, int, Sequence[int], P], list[T]],
        account_id: str,
        mailbox_id: int,
        uids: Sequence[int],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> tuple[list[T], list[int]]:
        """Run a reading unit over UIDs; where the file is damaged, over fewer and fewer. Return its rows and the UIDs of
        which nothing can be read, both in order."""
        try:
            return await self.read(unit, account_id, mailbox_id, uids, *args, **kwargs), []
        except StoreDamaged:
            if len(uids) == 1:
                self._tell_damaged(account_id, mailbox_id, uids[0])
                return [], [uids[0]]
        rows, damaged = [], []
        middle = len(uids) // 2
        for half in (uids[:middle], uids[middle:]):
            found, lost = await self.read_each(unit, account_id, mailbox_id, half, *args, **kwargs)
            rows += found
            damaged += lost
        return rows, damaged

    def _tell_damaged(self, account_id: str, mailbox_id: int, uid: int) -> None:
        key = account_id, mailbox_id, uid
        if key not in self._damaged and len(self._damaged) < DAMAGED_TOLD:
            self._damaged.add(key)
            emit(_log, "store.row_damaged", warning=True, account=account_id, mailbox=mailbox_id, uid=uid)

    def require_service(self) -> None:
        """:raises StoreUnavailable: this partition is not served."""
        if self._tenancy in self._engine.out_of_service:
            raise StoreUnavailable(self._tenancy)

    async def prepare(self, message: NewMessage) -> arrivals.Prepared:
        """Encode what all copies of a message have in common; large facts are staged as a blob."""
        row = arrivals.facts_row(message.facts)
        if sum(map(len, row)) <= MAX_INLINE_FACTS:
            return arrivals.prepare(message.blob, message.facts, row, None)
        return arrivals.prepare(message.blob, message.facts, *await self.facts_row(message.facts))

    async def facts_row(self, facts: EncodedFacts) -> tuple[tuple[bytes | None, ...], StagedBlob | None]:
        """Return the values of FACTS_COLUMNS, or the blob that holds them instead."""
        row = arrivals.facts_row(facts)
        if sum(map(len, row)) <= MAX_INLINE_FACTS:
            return row, None
        return arrivals.NO_FACTS, await self.blobs.put(stored_facts.encode_facts(facts))

    async def read_blob(self, blob: BlobRef, offset: int = 0, length: int | None = None) -> bytes:
        """Return content octets; fewer than asked only at the end. :raises BlobDamaged:"""
        if blob.place != "inline":
            return await self.blobs.read(blob, None, offset, length)
        try:
            return await self.blobs.read(blob, await self.read(messages.inline_blob, blob.blob_id), offset, length)
        except (StoreDamaged, BlobDamaged) as error:
            raise self._inline_damaged(blob.blob_id) from error

    def _inline_damaged(self, blob_id: str) -> BlobDamaged:
        words = f"{self.file}: blob {blob_id}"
        self.blobs.tell_damaged(blob_id, words)
        return BlobDamaged(words)

    async def read_blobs(self, blobs: Sequence[BlobRef]) -> list[bytes | BlobDamaged]:
        """Return whole contents, the error in place of a damaged one: one hop to the store and one to a disk thread."""
        inline = [blob for blob in blobs if blob.place == "inline"]
        files = [blob for blob in blobs if blob.place != "inline"]
        found = await self._read_inline(inline) if inline else {}
        if files:
            found.update(await self.blobs.read_whole(files))
        return [found[blob.blob_id] for blob in blobs]

    async def _read_inline(self, blobs: Sequence[BlobRef]) -> dict[str, bytes | BlobDamaged]:
        try:
            found = await self.read(messages.inline_contents, blobs)
        except StoreDamaged:
            if len(blobs) == 1:
                return {blobs[0].blob_id: self._inline_damaged(blobs[0].blob_id)}
        else:
            for blob_id, content in found.items():
                if isinstance(content, BlobDamaged):
                    found[blob_id] = self._inline_damaged(blob_id)
            return found
        middle = len(blobs) // 2
        return {**await self._read_inline(blobs[:middle]), **await self._read_inline(blobs[middle:])}

    async def status_of(self, account_id: str, name: str) -> MailboxStatus:
        """Counts of a mailbox by its canonical name: those read before, as long as nobody has written since.

        :raises NoSuchMailbox: none, or not selectable.
        """
        written = self._engine.written(self._tenancy)
        if written != self._statuses_of or len(self._statuses) >= STATUSES:
            self._statuses.clear()
            self._statuses_of = written
        known = self._statuses.get((account_id, name))
        if known is not None:
            self.require_service()
            return known
        found = await self.read(mailbox_tree.status_of, account_id, name)
        if written is not None and written == self._statuses_of == self._engine.written(self._tenancy):
            self._statuses[account_id, name] = found
        return found

    def now(self) -> int:
        """UTC microseconds."""
        return int(self.clock.seconds() * 1_000_000)

    def has_listener(self, account_id: str) -> bool:
        """Whether a session of the account is open in this process."""
        return self._hints.has_listener(account_id)

    def publish(self, account_id: str, modseq: int) -> None:
        """Hint at a change that is committed."""
        self._hints.publish(account_id, modseq)
