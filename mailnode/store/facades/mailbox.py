"""One mailbox of one account, as IMAP, POP3 and delivery see it: runs units, publishes hints after their commit."""

from __future__ import annotations

import secrets
from array import array
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from operator import itemgetter
from typing import Concatenate, ParamSpec, TypeVar

from zope.interface import implementer

from mailnode.errors import (
    BlobDamaged,
    Busy,
    LimitReached,
    NoSuchAccount,
    NoSuchMailbox,
    RowsDamaged,
    StoreDamaged,
    StoreUnavailable,
)
from mailnode.interfaces.store import IMailbox
from mailnode.store.engines.engine import Transaction
from mailnode.store.facades.newer_facts import with_newer_facts
from mailnode.store.facades.partition import Partition
from mailnode.store.facades.recent_snapshots import copied, later
from mailnode.store.units import arrivals, copies, flag_changes, messages, replacing, stored_facts
from mailnode.values.blob import BlobRef
from mailnode.values.facts import FACTS_VERSION
from mailnode.values.mailbox import (
    Appended,
    Copied,
    FlagsStored,
    MailboxChanges,
    MailboxSnapshot,
    NewMessage,
)
from mailnode.values.rights import ALL
from mailnode.values.rows import StoredRow

P = ParamSpec("P")
T = TypeVar("T")

UNIT_UIDS = 1_000  # UIDs a changing unit takes, where the contract lets a change be several units
ROWS_UIDS = 256
RENDERED_UIDS, RENDERED_NUMBERS = 512, 8192  # UIDs of which all kinds of columns are said, or only numbers

_LAST = itemgetter(-1)


@implementer(IMailbox)
class StoredMailbox:
    """Holds nothing but its name in the store."""

    def __init__(self, partition: Partition, account_id: str, mailbox_id: int) -> None:
        self.account_id = account_id
        self.id = mailbox_id
        self.hints: tuple[str, ...] = (account_id,)
        self._partition = partition

    async def snapshot(self, claim_recent: bool = False) -> MailboxSnapshot:
        """All live messages."""
        snapshot = await self._snapshot()
        if claim_recent and snapshot.recent_from < snapshot.uidnext:
            return replace(snapshot, recent_from=await self._claim(snapshot.uidnext, snapshot.recent_from))
        return snapshot

    async def _snapshot(self) -> MailboxSnapshot:
        kept = self._partition.snapshots
        before, snapshot = kept.get(self.account_id, self.id), None
        if before is not None:
            changes = await self._partition.read(
                messages.changes_since, self.account_id, self.id, before.uidvalidity, before.highest_modseq
            )
            snapshot = None if changes is None else later(before, changes)
        if snapshot is None:
            snapshot = await self._partition.read(messages.snapshot, self.account_id, self.id)
        kept.keep(self.account_id, snapshot)
        return copied(snapshot)  # the caller may alter it

    async def changes(self, since: int, claim_recent: bool = False, heard: int | None = None) -> MailboxChanges:
        """What happened after a modseq."""
        if heard is not None:
            known = self._partition.flag_news.since(self.account_id, self.id, since, heard)
            if known is not None:
                return known
        changes = await self._partition.read(messages.changes, self.account_id, self.id, since)
        if claim_recent and changes.recent_from < changes.uidnext:
            return replace(changes, recent_from=await self._claim(changes.uidnext, changes.recent_from))
        return changes

    async def expunged(self, since: int) -> array[int] | None:
        """UIDs of what was expunged after a modseq; None where some of it is kept no more."""
        return await self._partition.read(messages.expunged, self.account_id, self.id, since)

    async def _claim(self, uidnext: int, recent_from: int) -> int:
        """Claim after looking, and only what was seen: so a message is recent to one session at most, and that one
        knows of it. A store that cannot write keeps nobody from reading: then nothing is claimed, as by EXAMINE."""
        try:
            return await self._partition.write(messages.claim_recent, self.account_id, self.id, uidnext)
        except StoreUnavailable:
            return recent_from

    async def rows(self, uids: Sequence[int], columns: Sequence[str], keep: bool = False) -> list[StoredRow]:
        """Return ``(uid, *columns)`` for those of the UIDs that exist. :raises LimitReached: over 256 UIDs.
        :raises RowsDamaged: some messages cannot be read; it has the rows of the others."""
        if len(uids) > ROWS_UIDS:
            raise LimitReached("rows")
        recent = self._partition.recent
        known = recent.rows(self.account_id, self.id, uids, columns)
        if known is not None:
            self._partition.require_service()
            return known
        forgotten, current = recent.forgotten, True
        version = 0 if self._partition.scan is None or messages.SCANNED.isdisjoint(columns) else FACTS_VERSION
        rows, damaged = await self._readable(uids, columns, version)
        if version and len(rows) + len(damaged) < len(uids):  # facts of some are older, or they are kept no more
            rows, damaged = await self._readable(uids, (*columns, "facts_version"))
            current = min(map(_LAST, rows), default=FACTS_VERSION) >= FACTS_VERSION
            rows = await with_newer_facts(self._partition, self.account_id, self.id, rows, columns)
        if len(rows) + len(damaged) < len(uids):  # they were swept meanwhile, or their messages' rows are lost
            there = {row[0] for row in rows}.union(damaged)
            others = [uid for uid in uids if uid not in there]
            damaged = [
                *damaged,
                *await self._partition.read(messages.without_message, self.account_id, self.id, others),
            ]
        rows = await self._with_large_facts(rows, columns)
        if damaged:
            raise RowsDamaged(f"{self._partition.file}: {len(damaged)} messages", rows)
        if keep and current and forgotten == recent.forgotten:
            recent.remember(self.account_id, self.id, rows, columns)
        return rows

    async def _readable(
        self, uids: Sequence[int], columns: Sequence[str], version: int = 0
    ) -> tuple[list[StoredRow], Sequence[int]]:
        """Return the rows that can be read, and the UIDs of the others. Where only content cannot, it is its error.

        :param version: as for :func:`messages.rows`."""
        rows, damaged = await self._partition.read_each(messages.rows, self.account_id, self.id, uids, columns, version)
        if not damaged or "content" not in columns:
            return rows, damaged
        without = [name for name in columns if name != "content"]
        lacking, damaged = await self._partition.read_each(
            messages.rows, self.account_id, self.id, damaged, without, version
        )
        at = columns.index("content") + 1
        rows += [
            (*row[:at], BlobDamaged(f"{self._partition.file}: content of UID {row[0]}"), *row[at:]) for row in lacking
        ]
        return sorted(rows, key=lambda row: row[0]), damaged

    async def _with_large_facts(self, rows: list[StoredRow], columns: Sequence[str]) -> list[StoredRow]:
        facts = [number for number, name in enumerate(columns, 1) if name in arrivals.FACTS_COLUMNS]
        if facts:
            first = facts[0]
            if None in map(itemgetter(first), rows):
                absent = [row[0] for row in rows if row[first] is None]
                return await self._with_facts(rows, absent, columns, facts)
        return rows

    async def rendered(self, uids: Sequence[int], number: int, pieces: Sequence[bytes | str]) -> bytes | None:
        """Return what live messages say, one after another. :raises LimitReached: too many UIDs."""
        if len(uids) > (RENDERED_UIDS if messages.SCANNED.intersection(pieces) else RENDERED_NUMBERS):
            raise LimitReached("rows")
        try:
            return await self._partition.read(
                messages.rendered,
                self.account_id,
                self.id,
                uids[0],
                uids[-1],
                len(uids),
                number,
                pieces,
                FACTS_VERSION if self._partition.scan is not None else 0,
            )
        except StoreDamaged:
            return None  # what can be read is found by rows()

    async def _with_facts(
        self, rows: list[StoredRow], absent: Sequence[int], columns: Sequence[str], facts: Sequence[int]
    ) -> list[StoredRow]:
        """Fill in the facts that were too large for their row."""
        refs = await self._partition.read(messages.facts_blobs, self.account_id, self.id, absent)
        filled = []
        damaged: list[BlobDamaged] = []
        for row in rows:
            if row[facts[0]] is None:
                if row[0] not in refs:
                    continue  # swept between the two reads
                try:
                    stored = stored_facts.decode_facts(await self.read(arrivals.decode_ref(refs[row[0]])))
                except BlobDamaged as error:
                    damaged.append(error)
                    continue
                values = dict(zip(arrivals.FACTS_COLUMNS, arrivals.facts_row(stored), strict=True))
                full = list(row)
                for number in facts:
                    full[number] = values[columns[number - 1]]
                row = tuple(full)
            filled.append(row)
        if damaged:
            raise RowsDamaged(str(damaged[0]), filled) from damaged[0]
        return filled

    async def read(self, blob: BlobRef, offset: int = 0, length: int | None = None) -> bytes:
        """Return content octets of a message. :raises BlobDamaged:"""
        content = self._partition.recent.content(blob)
        if content is not None:
            return content[offset : None if length is None else offset + length]
        return await self._partition.read_blob(blob, offset, length)

    async def read_several(self, blobs: Sequence[BlobRef], keep: bool = False) -> list[bytes | BlobDamaged]:
        """Return messages whole, the error in place of a damaged one."""
        recent = self._partition.recent
        kept = [(blob, recent.content(blob)) for blob in blobs]
        found: dict[str, bytes | BlobDamaged] = {blob.blob_id: it for blob, it in kept if it is not None}
        missing = [blob for blob, content in kept if content is None]
        if missing:
            for blob, content in zip(missing, await self._partition.read_blobs(missing), strict=True):
                found[blob.blob_id] = content
                if keep and isinstance(content, bytes):
                    recent.remember_content(blob, content)
        return [found[blob.blob_id] for blob in blobs]

    async def append(self, messages: Sequence[NewMessage]) -> Appended:
        """Place new messages, all or none. :raises OverQuota, KeywordLimit:"""
        prepared = [(message, await self._partition.prepare(message)) for message in messages]
        forgotten = self._partition.recent.forgotten
        appended = await self._write(arrivals.append, prepared, self._partition.now())
        if forgotten == self._partition.recent.forgotten:
            for uid, message in zip(appended.uids, messages, strict=True):
                self._partition.recent.arrived((self.account_id, self.id, uid), message, message.prefix)
        self._partition.publish(self.account_id, appended.modseq)
        return appended

    async def replace(self, uid: int, target: int, message: NewMessage) -> Appended:
        """Place a new message and expunge another. :raises NoSuchMessage, OverQuota, KeywordLimit:"""
        prepared = await self._partition.prepare(message)
        forgotten = self._partition.recent.forgotten
        appended = await self._write(replacing.replace, uid, target, message, prepared, self._partition.now())
        if forgotten == self._partition.recent.forgotten:
            self._partition.recent.arrived((self.account_id, target, appended.uids[0]), message, message.prefix)
        self._partition.publish(self.account_id, appended.modseq)
        return appended

    async def store_flags(
        self,
        uids: Sequence[int],
        mode: str,
        flags: int,
        keywords: Sequence[str] = (),
        unchanged_since: int | None = None,
    ) -> FlagsStored:
        """Change flags of live messages. :raises KeywordLimit:"""
        if mode not in ("set", "add", "remove"):
            raise ValueError(mode)
        if len(uids) <= UNIT_UIDS:
            return await self._store_flags(uids, mode, flags, tuple(keywords), unchanged_since)
        changed: list[tuple[int, int, int]] = []
        modified: list[int] = []
        before: list[int] = []
        for chunk in _chunks(uids):
            stored = await self._store_flags(chunk, mode, flags, tuple(keywords), unchanged_since)
            changed += stored.changed
            modified += stored.modified
            before += stored.before
        return replace(stored, changed=tuple(changed), modified=tuple(modified), before=tuple(before))

    async def _store_flags(
        self, uids: Sequence[int], mode: str, flags: int, keywords: tuple[str, ...], unchanged_since: int | None
    ) -> FlagsStored:
        stored, altered = await self._write(flag_changes.store_flags, uids, mode, flags, keywords, unchanged_since)
        if altered:
            own = [row for row in stored.changed if row[2] == stored.modseq]
            self._partition.flag_news.add(self.account_id, self.id, stored.modseq, own, stored.keywords)
        self._publish_if(altered, stored.modseq)
        return stored

    async def copy(self, uids: Sequence[int], target: int) -> Copied:
        """Place the live ones of these messages in another mailbox too. :raises OverQuota: :raises Busy: another process
        copies much in this account."""
        if len(uids) <= UNIT_UIDS:
            return await self._copy(uids, target, False)
        async with self._partition.copying.of(self.account_id):
            return await self._copy_staged(uids, target)

    async def _copy_staged(self, uids: Sequence[int], target: int) -> Copied:
        """COPY in several units, of which the last makes all copies seen."""
        token = secrets.token_hex(16)
        now = self._partition.now()
        stage = await self._write(copies.begin, target, len(uids), token, now)
        if stage is None:  # what another left stands in the way
            await self._discard()
            stage = await self._write(copies.begin, target, len(uids), token, now)
        if stage is None:
            raise Busy("copy")
        source: list[int] = []
        totals = copies.Totals()
        try:
            for chunk in _chunks(uids):
                copied, totals = await self._write(copies.copy_some, chunk, stage, totals, self._partition.now())
                source += copied
            if source:
                await self._write(copies.finish, stage, totals)
        except Exception:
            await self._abandon(token)
            raise
        if not source:
            await self._abandon(token)
            return Copied(stage.uidvalidity, (), (), stage.modseq_before)
        self._partition.publish(self.account_id, stage.modseq)
        first = stage.first_uid
        return Copied(stage.uidvalidity, tuple(source), tuple(range(first, first + len(source))), stage.modseq)

    async def _abandon(self, token: str) -> None:
        with suppress(StoreUnavailable):  # then the sweep does it
            await self._partition.write(copies.abandon, self.account_id, token)
            await self._discard()

    async def _discard(self) -> None:
        while await self._partition.write(copies.discard_some, self.account_id):
            pass

    async def move(self, uids: Sequence[int], target: int) -> Copied:
        """COPY and expunge in one atomic step."""
        return await self._copy(uids, target, True)

    async def _copy(self, uids: Sequence[int], target: int, move: bool) -> Copied:
        copied = await self._write(messages.copy, uids, target, move, self._partition.now())
        self._publish_if(bool(copied.source), copied.modseq)
        return copied

    async def expunge(self, uids: Sequence[int], only_deleted: bool) -> tuple[int, ...]:
        """Expunge the live ones of these UIDs; return which."""
        expunged: list[int] = []
        for chunk in _chunks(uids):
            gone, modseq = await self._expunge(chunk, only_deleted)
            expunged += gone
            self._publish_if(bool(gone), modseq)
        return tuple(expunged)

    async def _expunge(self, uids: Sequence[int], only_deleted: bool) -> tuple[tuple[int, ...], int]:
        return await self._write(messages.expunge, uids, only_deleted, self._partition.now())

    async def _write(
        self, unit: Callable[Concatenate[Transaction, str, int, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        try:
            return await self._partition.write(unit, self.account_id, self.id, *args, **kwargs)
        except NoSuchAccount as error:
            raise NoSuchMailbox(str(self.id)) from error

    async def rights(self) -> str:
        """What the owner may do: everything."""
        return ALL

    def _publish_if(self, changed: bool, modseq: int) -> None:
        if changed:
            self._partition.publish(self.account_id, modseq)


def _chunks(uids: Sequence[int]) -> list[Sequence[int]]:
    """Cut into units; one, empty, when there are no UIDs: it still says whether the mailbox is there."""
    return [uids[start : start + UNIT_UIDS] for start in range(0, len(uids) or 1, UNIT_UIDS)]
