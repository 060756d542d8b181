"""Compares one account's mail with itself, and mends it: rows with rows, content with digests, facts with content, the index.

A piece is what one call reads: some messages, some MiB. Others have their turns between the pieces.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from mailnode.errors import BlobDamaged, StoreDamaged
from mailnode.store.facades.newer_facts import scan_again
from mailnode.store.facades.partition import Partition
from mailnode.store.facades.runs import runs_of
from mailnode.store.units import arrivals, repair, search_index, stored_facts, verify
from mailnode.store.units.newer_facts import NewerFacts
from mailnode.store.units.verify import StoredMessage
from mailnode.values.blob import BlobRef
from mailnode.values.facts import FACTS_VERSION

ROWS = 100  # messages of one piece
OCTETS = 8 * 1024 * 1024  # of content that one call reads, or one blob
MENDINGS = 100_000  # units of one account at most: what is wrong again and again is a mistake of ours


@dataclass(slots=True)
class Looked:
    """What was found of some messages."""

    after: int | None  # behind which message to go on; None: that were all
    messages: int  # that were read
    files: int  # of messages, that were looked at
    damaged: dict[int, str] = field(default_factory=dict)  # what is wrong, by message id
    sound: list[int] = field(default_factory=list)
    facts: list[NewerFacts] = field(default_factory=list)  # of those that are kept otherwise than they should be

    def faults(self, known: set[int]) -> list[str]:
        """Say what is wrong, a line each. :param known: messages that were set aside."""
        damaged = sorted((one, what) for one, what in self.damaged.items() if one not in known)
        return [f"message {one}: {what}" for one, what in damaged] + [
            f"message {one.message_id}: its facts are not what it says" for one in self.facts
        ]


class AccountCheck:
    """Of one account."""

    def __init__(self, partition: Partition, account_id: str) -> None:
        self._partition = partition
        self._account_id = account_id

    async def rows(self) -> list[str]:
        """Say what is wrong with rows and counts, a line each."""
        return await self._partition.read(verify.account, self._account_id)

    async def set_aside(self) -> list[str]:
        """Say which messages were set aside, a line each."""
        found = await self._partition.read(verify.set_aside, self._account_id)
        return [f"message {message_id}{_places(places)}: {what}" for message_id, what, places in found]

    async def known(self) -> set[int]:
        """The ids of the messages that were set aside."""
        return {row[0] for row in await self._partition.read(verify.set_aside, self._account_id)}

    async def mend(self) -> list[str]:
        """Mend rows and counts; return a line for each thing that was mended."""
        mended: list[str] = []
        for _ in range(MENDINGS):
            some = await self._partition.write(repair.mend, self._account_id, self._partition.now())
            if not some:
                break
            mended += some
        if mended:
            self._forget()
        return mended

    async def look(self, after: int) -> Looked:
        """Read the content of the messages behind one, some of them."""
        partition = self._partition
        ids = await partition.read(verify.message_ids, self._account_id, after, ROWS)
        rows, lost = await self._stored(ids)
        piece = Looked(ids[-1] if len(ids) == ROWS else None, len(ids), sum(row.blob.place == "file" for row in rows))
        piece.damaged = dict.fromkeys(lost, f"its row cannot be read, in {partition.file}")
        wrong = await self._wrong([blob for row in rows for blob in (row.blob, row.facts_blob) if blob is not None])
        for row in rows:
            if row.blob.blob_id in wrong:
                piece.damaged[row.message_id] = wrong[row.blob.blob_id]
                continue
            piece.sound.append(row.message_id)
            facts_lost = row.facts_blob is not None and row.facts_blob.blob_id in wrong
            if (newer := await self._other_facts(row, facts_lost)) is not None:
                piece.facts.append(newer)
        return piece

    async def look_for_files(self, after: int) -> Looked:
        """Look whether the files of the messages behind one, some of them, are there."""
        found, more = await self._partition.read(verify.files, self._account_id, after)
        messages = {blob_id: message_id for message_id, blob_id in found}
        gone = await self._partition.blobs.missing(list(messages))
        return Looked(more, 0, len(found), {messages[blob_id]: f"its file is missing: {blob_id}" for blob_id in gone})

    async def keep(self, piece: Looked) -> list[str]:
        """Set aside what is damaged, take back what is not, put facts right; return a line for each."""
        kept = await self._partition.write(
            repair.set_aside, self._account_id, piece.damaged, piece.sound, self._partition.now()
        )
        if piece.facts:
            await self._partition.write(repair.facts, self._account_id, piece.facts)
            kept += [f"the facts of message {one.message_id} are what it says" for one in piece.facts]
        if kept:
            self._forget()
        return kept

    async def index(self) -> bool:
        """Whether the search index is what was written."""
        for place in await self._partition.read(search_index.places, self._account_id):
            if not await self._partition.read(verify.index_is_sound, self._account_id, place):
                return False
        return True

    async def forget_index(self) -> None:
        """Have the search index made anew."""
        while await self._partition.write(search_index.forget, self._account_id):
            pass
        self._partition.publish(self._account_id, 0)

    def _forget(self) -> None:
        self._partition.recent.clear()
        self._partition.snapshots.forget(self._account_id)
        self._partition.flag_news.forget(self._account_id)
        self._partition.publish(self._account_id, 0)

    async def _stored(self, ids: Sequence[int]) -> tuple[list[StoredMessage], list[int]]:
        """Read rows; where the file is damaged, fewer and fewer. Return also the ids of which nothing can be read."""
        if not ids:
            return [], []
        try:
            return await self._partition.read(verify.stored, self._account_id, ids), []
        except StoreDamaged:
            if len(ids) == 1:
                return [], list(ids)
        middle = len(ids) // 2
        halves = [await self._stored(half) for half in (ids[:middle], ids[middle:])]
        return halves[0][0] + halves[1][0], halves[0][1] + halves[1][1]

    async def _wrong(self, blobs: Sequence[BlobRef]) -> dict[str, str]:
        """Say what is wrong with which of these blobs."""
        wrong: dict[str, str] = {}
        for some in gathered([blob for blob in blobs if blob.place == "file"]):
            wrong.update(await self._partition.blobs.what_is_wrong(some))
        for some in gathered([blob for blob in blobs if blob.place != "file"]):
            for blob, content in zip(some, await self._partition.read_blobs(some), strict=True):
                if isinstance(content, BlobDamaged):
                    wrong[blob.blob_id] = f"its content is lost or changed, in {self._partition.file}"
        return wrong

    async def _other_facts(self, row: StoredMessage, lost: bool) -> NewerFacts | None:
        """Return the facts of a message where it is kept otherwise; those of an older scanner are found anew when they are read."""
        partition = self._partition
        if partition.scan is None or (row.facts_version != FACTS_VERSION and not lost):
            return None
        try:
            facts = await scan_again(partition, row.blob)
            kept = row.facts
            if row.facts_blob is not None and not lost:
                kept = arrivals.facts_row(stored_facts.decode_facts(await partition.read_blob(row.facts_blob)))
        except BlobDamaged:  # by now: the next time it is said
            return None
        if not lost and (row.header_size, kept) == (facts.header_size, arrivals.facts_row(facts)):
            return None
        return NewerFacts(row.message_id, facts.header_size, *await partition.facts_row(facts))


def _places(places: Sequence[Sequence[object]]) -> str:
    return "".join(f", UID {uid} of mailbox {mailbox_id}" for mailbox_id, uid in places)


def gathered(blobs: Iterable[BlobRef]) -> Iterator[list[BlobRef]]:
    """Cut blobs into runs of which one call reads all."""
    return runs_of(blobs, lambda blob: blob.size, OCTETS)
