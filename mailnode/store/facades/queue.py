"""The queue on disk, behind its interface. One object owns one shard; docs/queue.rst tells the states."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from mailnode.errors import BlobDamaged, StoreDamaged, StoreUnavailable
from mailnode.interfaces.store import IBlobStore, IQueueStore
from mailnode.interfaces.turns import Places
from mailnode.store.engines.engine import QUEUE, Engine
from mailnode.store.units import (
    queue_history,
    queue_leases,
    queue_past,
    queue_pauses,
    queue_repair,
    queue_rows,
    queue_search,
    queue_steering,
    queue_together,
    verify_queue,
)
from mailnode.store.units.queue_leases import LeaseLost
from mailnode.store.units.queue_rows import GONE, SPREAD, STAGED, UNIT_ROWS
from mailnode.store.units.statements import pieces
from mailnode.values.blob import BlobRef, StagedBlob
from mailnode.values.events import emit
from mailnode.values.ids import session_id
from mailnode.values.queue import (
    EVERY_DESTINATION,
    EVERYTHING,
    TALLY_AGES,
    Claim,
    DueDestination,
    EnqueuedTogether,
    GuardedEnvelope,
    NewEnvelope,
    Outcome,
    PastAttempt,
    PastRecipient,
    QueuedEnvelope,
    QueueFilter,
    QueueTally,
    Settlement,
    Steered,
    Steering,
)

_log = Logger()

T = TypeVar("T")

PAGE = 1_000  # envelopes listed at once at most
MAX_PAST = 1_000_000  # recipients that are gone and stay findable
GOOD_FOR = 0.001  # seconds for each recipient that was counted: a few are counted anew each time
LOOKED_AT = (
    200  # recipients due longest, of a destination where the file is damaged, besides those known to be unreadable
)
MAX_UNREADABLE = 1_000  # envelopes that are known to be
MAX_NAMES = 10_000  # destinations, and reasons, that are counted by name


@implementer(IQueueStore)
class Queue:
    """Envelopes with their recipients, leases and bytes.

    Work that a crash or a full disk interrupted half-way is finished by the first :meth:`due` that can.
    """

    def __init__(self, engine: Engine, blobs: IBlobStore, shard: int = 0, sent_history: float = 0.0) -> None:
        """:param shard: of the queue's rows; one process at a time owns it. :param sent_history: seconds for which what
        became of mail stays findable."""
        self._sent_history = sent_history
        self._engine = engine
        self._blobs = blobs
        self._shard = shard
        self._unfinished = True  # something may have been interrupted
        self._staging: set[str] = set()  # envelopes that enqueue() is writing
        self._paused: dict[str, float] | None = None  # None: to be read anew
        self._pauses = 0  # how often that changed
        self._unreadable: dict[str, set[str]] = {}  # envelopes on damaged pages, by destination
        self._tallying = Places()
        self._tally: QueueTally | None = None
        self._tallied_at = 0.0
        self._spreading = Places()  # one envelope at a time changes its recipients' due_at piece by piece

    # into the queue

    async def enqueue(self, submission: NewEnvelope) -> None:
        """See :class:`IQueueStore`. More than ``UNIT_ROWS`` recipients are staged, invisible, in several units; the
        last of them makes the envelope exist."""
        if len(submission.envelope.recipients) <= UNIT_ROWS:
            await self._engine.write(QUEUE, queue_rows.add, self._shard, submission)
        else:
            await self._enqueue_staged(EnqueuedTogether((GuardedEnvelope(submission),), (), 0.0))

    async def enqueue_together(self, together: EnqueuedTogether) -> frozenset[str]:
        """See :class:`IQueueStore`. What is more than ``UNIT_ROWS`` is staged, as by :meth:`enqueue`."""
        if together.rows <= UNIT_ROWS:
            return await self._engine.write(QUEUE, queue_together.add, self._shard, together)
        return await self._enqueue_staged(together)

    async def _enqueue_staged(self, together: EnqueuedTogether) -> frozenset[str]:
        ids = {one.submission.envelope.id: None for one in together.envelopes}
        self._staging.update(ids)
        try:
            for one in together.envelopes:
                await self._stage(one.submission)
            left = await self._engine.write(
                QUEUE,
                queue_together.publish_together,
                self._shard,
                [(one.submission.envelope.id, one.once) for one in together.envelopes],
                together.remembered,
                together.now,
            )
        except StoreUnavailable:
            self._unfinished = True
            raise
        finally:
            self._staging.difference_update(ids)
        for envelope_id in ids:
            await (self._delete if envelope_id in left else self._spread)(envelope_id)
        return left

    async def _stage(self, submission: NewEnvelope) -> None:
        recipients = submission.envelope.recipients
        if await self._engine.write(QUEUE, queue_rows.stage, self._shard, submission):
            bare, owners = replace(submission.envelope, recipients=()), queue_rows.plan_owners(recipients)
            for start in range(0, len(recipients), UNIT_ROWS):
                some = slice(start, start + UNIT_ROWS)
                await self._engine.write(
                    QUEUE, queue_rows.stage_recipients, self._shard, bare, recipients[some], owners[some]
                )

    # what scripts must not do twice

    async def is_remembered(self, account_id: str, kind: str, key: str, now: float) -> bool:
        """See :class:`IQueueStore`."""
        return await self._engine.read(QUEUE, queue_together.is_remembered, self._shard, account_id, kind, key, now)

    async def forget_remembered(self, now: float) -> int:
        """Forget what holds no more; return how much. :param now: UTC seconds."""
        total = 0
        while count := await self._engine.write(QUEUE, queue_together.forget_some, self._shard, now):
            total += count
        return total

    # what was interrupted

    async def _spread(self, envelope_id: str) -> None:
        """Make an envelope's recipients due, or not; what cannot be done now is done later."""
        after: int | None = -(1 << 62)
        async with self._spreading:
            try:
                while after is not None:
                    after = await self._engine.write(QUEUE, queue_rows.spread, self._shard, envelope_id, after)
            except StoreUnavailable:
                self._unfinished = True

    async def _delete(self, envelope_id: str) -> None:
        """Delete the rows of an envelope that is gone; what cannot be done now is done later."""
        try:
            while await self._engine.write(QUEUE, queue_rows.delete_some, self._shard, envelope_id):
                pass
        except StoreDamaged:
            pass  # until the file is made anew
        except StoreUnavailable:
            self._unfinished = True

    async def _finish_interrupted(self) -> None:
        self._unfinished = False
        for envelope_id, phase in await self._engine.read(QUEUE, queue_rows.interrupted, self._shard):
            if phase == STAGED and envelope_id not in self._staging:
                await self._engine.write(QUEUE, queue_rows.remove, self._shard, envelope_id)
                await self._delete(envelope_id)
            elif phase == GONE:
                await self._delete(envelope_id)
            elif phase == SPREAD:
                await self._spread(envelope_id)

    # what is due

    async def due(self, now: float, limit: int) -> list[DueDestination]:
        """See :class:`IQueueStore`."""
        if self._unfinished:
            try:
                await self._finish_interrupted()
            except StoreUnavailable:
                self._unfinished = True
        paused = await self.paused()
        if EVERY_DESTINATION in paused:
            return []
        found = await self._engine.read(QUEUE, queue_leases.due, self._shard, now, limit + len(paused))
        return [one for one in found if one.destination not in paused][:limit]

    async def next_due(self, now: float) -> float | None:
        """See :class:`IQueueStore`."""
        return await self._engine.read(QUEUE, queue_leases.next_due, self._shard, now)

    async def claim(
        self,
        destination: str,
        now: float,
        lease_seconds: float,
        limit: int,
        count: int = 1,
        waits: Sequence[float] = (),
        newest: bool = False,
    ) -> list[Claim]:
        """See :class:`IQueueStore`. At most ``UNIT_ROWS`` at once, whatever the limit."""
        paused = await self.paused()
        if EVERY_DESTINATION in paused or destination in paused:
            return []
        until = now + lease_seconds
        claim = queue_leases.claim_newest if newest else queue_leases.claim
        if destination not in self._unreadable:
            with suppress(StoreDamaged):
                return await self._engine.write(
                    QUEUE, claim, self._shard, destination, now, until, limit, count, session_id(), tuple(waits)
                )
        return await self._claim_each(destination, now, until, limit, count, tuple(waits))

    async def _claim_each(
        self, destination: str, now: float, until: float, limit: int, count: int, waits: tuple[float, ...]
    ) -> list[Claim]:
        """Claim envelopes one by one, those due longest: a damaged page costs what stands on it."""
        claims: list[Claim] = []
        known = sum(map(len, self._unreadable.values()))
        found = await self._engine.read(
            QUEUE, queue_leases.due_envelopes, self._shard, destination, now, LOOKED_AT + known
        )
        for envelope_id in found:
            if len(claims) == count:
                break
            if envelope_id in self._unreadable.get(destination, ()):
                continue
            try:
                claims += await self._engine.write(
                    QUEUE,
                    queue_leases.claim_one,
                    self._shard,
                    destination,
                    now,
                    until,
                    limit,
                    envelope_id,
                    session_id(),
                    waits,
                )
            except StoreDamaged as error:
                if known < MAX_UNREADABLE:
                    known += 1
                    self._unreadable.setdefault(destination, set()).add(envelope_id)
                    emit(
                        _log,
                        "queue.unreadable",
                        warning=True,
                        envelope=envelope_id,
                        held="no",
                        error=f"queue.db: {error}",
                    )
        return claims

    def file_is_new(self, held: Sequence[str]) -> None:
        """The file was made anew. :param held: envelopes of which something is lost."""
        self._unreadable.clear()
        for envelope_id in held:
            emit(
                _log,
                "queue.unreadable",
                warning=True,
                envelope=envelope_id,
                held="yes",
                error="queue.db: rows are lost",
            )
        self._unfinished = True

    async def renew(self, token: str, lease_until: float) -> bool:
        """See :class:`IQueueStore`."""
        return await self._engine.write(QUEUE, queue_leases.renew, self._shard, token, lease_until)

    async def end_leases(self) -> None:
        """End every lease: whoever held one is dead."""
        while await self._engine.write(QUEUE, queue_leases.end_some, self._shard, UNIT_ROWS) == UNIT_ROWS:
            pass

    async def settle(self, settlement: Settlement) -> bool:
        """See :class:`IQueueStore`. Outcomes without status and reply leave the last ones standing."""
        if any(len(bounce.envelope.recipients) > UNIT_ROWS for bounce in settlement.bounces):
            raise ValueError("a bounce with more recipients than fit into one unit")
        kept = self._sent_history > 0
        clean = replace(settlement, outcomes=tuple(_clean(outcome, kept) for outcome in settlement.outcomes))
        try:
            try:
                done = await self._engine.write(QUEUE, queue_leases.settle, self._shard, clean)
            except StoreDamaged:  # it was sent, and is not to be sent again
                done = await self._engine.write(QUEUE, queue_leases.settle_in_place, self._shard, clean)
        except LeaseLost:
            return False
        for envelope_id, more in done.items():
            emit(_log, "queue.removed", envelope=envelope_id)
            if more:
                await self._delete(envelope_id)
        return True

    # bytes

    async def read(
        self, blob: BlobRef, offset: int = 0, length: int | None = None, stored: bytes | None = None
    ) -> bytes:
        """See :class:`IQueueStore`."""
        if blob.place == "inline" and stored is None:
            staged = await self._staged(blob)
            stored = staged.data if staged is not None else None
        return await self._blobs.read(blob, stored, offset, length)

    async def staged(self, blob: BlobRef) -> StagedBlob:
        """See :class:`IQueueStore`. :raises BlobDamaged: it is not in the queue, or its file cannot be read."""
        staged = await self._staged(blob)
        if staged is None:
            raise BlobDamaged(blob.blob_id)
        if blob.place != "inline":
            await self._blobs.read(blob, None, 0, 1)
        return staged

    async def _staged(self, blob: BlobRef) -> StagedBlob | None:
        try:
            return await self._engine.read(QUEUE, queue_rows.staged_blob, self._shard, blob)
        except StoreDamaged as error:
            words = f"queue.db: blob {blob.blob_id}"
            self._blobs.tell_damaged(blob.blob_id, words)
            raise BlobDamaged(words) from error

    async def blobs_in_use(self, blob_ids: Sequence[str]) -> set[str]:
        """Return which of these (at most 500) the queue refers to: what the sweep must leave."""
        return await self._engine.read(QUEUE, queue_rows.blobs_in_use, tuple(blob_ids))

    async def files(self, after: str, limit: int) -> list[str]:
        """Return the ids of blobs in files that the queue refers to, in order, those behind one."""
        return await self._engine.read(QUEUE, queue_rows.files, after, limit)

    async def contents(self, after: str, limit: int) -> list[tuple[BlobRef, bytes | None]]:
        """Return what the queue's messages should hold, in the order of blob ids, those behind one; and the stored form of
        those that are inline."""
        return await self._engine.read(QUEUE, verify_queue.contents, after, limit)

    async def using(self, blob_ids: Sequence[str]) -> list[tuple[str, str, bool]]:
        """Return which envelopes need some of these blobs: id, blob, and whether it is held."""
        found = []
        for some in pieces(blob_ids):
            found += await self._engine.read(QUEUE, verify_queue.using, self._shard, some)
        return found

    # commands and metrics

    async def envelopes(
        self, after: str = "", limit: int = 100, which: QueueFilter = EVERYTHING
    ) -> list[QueuedEnvelope]:
        """See :class:`IQueueStore`. At most ``PAGE`` at once, whatever the limit."""
        found: list[QueuedEnvelope] = []
        limit, last = min(limit, PAGE), after or None
        while True:
            some, last = await self._engine.read(
                QUEUE, queue_search.envelopes, self._shard, last or "", limit - len(found), which
            )
            found += some
            if last is None or len(found) >= limit:
                return found

    async def envelope(self, envelope_id: str) -> QueuedEnvelope | None:
        """See :class:`IQueueStore`."""
        return await self._engine.read(QUEUE, queue_rows.envelope, self._shard, envelope_id)

    async def tally(self, now: float, age: float = 0.0) -> QueueTally:
        """See :class:`IQueueStore`. Who asks meanwhile gets the same one."""
        async with self._tallying:
            if self._tally is not None:
                age = min(age, self._tally.recipients * GOOD_FOR)
            if self._tally is None or not now - age <= self._tallied_at <= now:
                self._tally, self._tallied_at = await self._count_all(now), now
            return self._tally

    async def _count_all(self, now: float) -> QueueTally:
        made = QueueTally()
        after: tuple[str, int] | None = ("", 0)
        last = ""
        while after is not None:
            some, after = await self._engine.read(QUEUE, queue_search.tally, self._shard, after)
            for envelope_id, state, destination, reason, created in some:
                made.recipients += 1
                made.envelopes += envelope_id != last
                made.by_state[state] += 1
                last = envelope_id
                made.oldest = created if made.oldest is None else min(made.oldest, created)
                age = bisect_right(TALLY_AGES, now - created)
                for counts, name in ((made.by_destination, destination), (made.by_reason, reason)):
                    if name not in counts and len(counts) >= MAX_NAMES:
                        name = "other"
                    counts.setdefault(name, [0] * (len(TALLY_AGES) + 1))[age] += 1
        return made

    async def history(self, envelope_id: str, limit: int) -> list[PastAttempt]:
        """See :class:`IQueueStore`."""
        return await self._engine.read(QUEUE, queue_history.history, self._shard, envelope_id, limit)

    async def past(self, before: str, limit: int, which: QueueFilter) -> list[PastRecipient]:
        """See :class:`IQueueStore`."""
        found: list[PastRecipient] = []
        last: str | None = before
        while last is not None:
            some, last = await self._engine.read(QUEUE, queue_past.recipients, self._shard, last, which)
            found += some
            if len({one.envelope_id for one in found}) >= limit:
                break
        return found

    async def past_of(self, envelope_id: str, limit: int) -> list[PastRecipient]:
        """See :class:`IQueueStore`."""
        return await self._engine.read(QUEUE, queue_past.of_envelope, self._shard, envelope_id, limit)

    async def forget_past(self, now: float) -> int:
        """Forget what ended longer ago than it is to be kept, and more than ``MAX_PAST``. Return how many recipients.

        :param now: UTC seconds."""
        total = 0
        beyond = await self._engine.read(QUEUE, queue_past.end_beyond, self._shard, MAX_PAST)
        until = max(now - self._sent_history, beyond or 0.0)
        while count := await self._engine.write(QUEUE, queue_past.forget_some, self._shard, until):
            total += count
        return total

    async def retry(self, destination: str | None, now: float) -> int:
        """See :class:`IQueueStore`. Those that are due already, leased or held are not counted and stay as they are."""
        total = 0
        while True:
            moved = await self._engine.write(QUEUE, queue_rows.retry, self._shard, destination, now)
            total += moved
            if moved < UNIT_ROWS:
                return total

    async def pause(self, destination: str, since: float) -> None:
        """See :class:`IQueueStore`."""
        await self._engine.write(QUEUE, queue_pauses.pause, self._shard, destination, since)
        self._paused, self._pauses = None, self._pauses + 1

    async def resume(self, destination: str) -> bool:
        """See :class:`IQueueStore`."""
        there = await self._engine.write(QUEUE, queue_pauses.resume, self._shard, destination)
        self._paused, self._pauses = None, self._pauses + 1
        return there

    async def paused(self) -> dict[str, float]:
        """See :class:`IQueueStore`. Read once, for one process owns the shard."""
        while self._paused is None:
            pauses = self._pauses
            found = await self._engine.read(QUEUE, queue_pauses.paused, self._shard)
            if pauses == self._pauses:  # nobody paused or resumed meanwhile
                self._paused = found
        return self._paused

    async def hold(self, envelope_id: str, held: bool) -> bool:
        """See :class:`IQueueStore`. What a runner has leased already it finishes."""
        there, more = await self._engine.write(QUEUE, queue_rows.hold, self._shard, envelope_id, held)
        if more:
            await self._spread(envelope_id)
        return there

    async def hold_damaged(self, envelope_id: str) -> bool:
        """Hold an envelope whose content was found damaged before its try did; False: it is gone."""
        held = await self.hold(envelope_id, True)
        if held:
            await self._engine.write(QUEUE, queue_repair.note_damaged, self._shard, envelope_id)
        return held

    async def hold_several(self, envelope_ids: Sequence[str], held: bool) -> int:
        """See :class:`IQueueStore`. What one unit cannot do is told when all have ended."""
        return sum(await _side_by_side([self.hold(envelope_id, held) for envelope_id in envelope_ids]))

    async def steer(self, envelope_id: str, indexes: Sequence[int], how: Steering) -> Steered:
        """See :class:`IQueueStore`."""
        steered = Steered()
        for some in pieces(indexes):
            done, gone, more = await self._engine.write(
                QUEUE, queue_steering.steer, self._shard, envelope_id, some, how
            )
            steered += done
            if done.recipients:
                emit(
                    _log,
                    "queue.steered",
                    envelope=envelope_id,
                    recipients=done.recipients,
                    destination=how.destination,
                    given_up=how.given_up,
                )
            if gone:
                emit(_log, "queue.dropped", envelope=envelope_id)
            if more:
                await self._delete(envelope_id)
        return steered

    async def steer_several(self, steps: Sequence[tuple[str, Sequence[int], Steering]]) -> list[Steered]:
        """See :class:`IQueueStore`. What one unit cannot do is told when all have ended."""
        return await _side_by_side([self.steer(*step) for step in steps])

    async def drop(self, envelope_id: str) -> bool:
        """See :class:`IQueueStore`. A settlement of what is leased then finds its lease lost."""
        there, more = await self._engine.write(QUEUE, queue_rows.drop, self._shard, envelope_id)
        if there:
            emit(_log, "queue.dropped", envelope=envelope_id)
        if more:
            await self._delete(envelope_id)
        return there


async def _side_by_side(coroutines: Sequence[Coroutine[Deferred[object], object, T]]) -> list[T]:
    """Start all, and wait for the end of all; what one raised is raised then."""
    found: list[T] = []
    started: list[Deferred[object]] = [Deferred.fromCoroutine(one).addCallback(found.append) for one in coroutines]
    results: Sequence[tuple[bool, object]] = await DeferredList(started, consumeErrors=True)
    for _, result in results:
        if isinstance(result, Failure):
            result.raiseException()
    return found


def _clean(outcome: Outcome, is_kept: bool) -> Outcome:
    """Return an outcome whose texts any engine takes: an outcome that cannot be written would be tried for ever."""
    return replace(
        outcome,
        is_kept=is_kept,
        status=_text(outcome.status),
        reply=_text(outcome.reply),
        host=_text(outcome.host),
        address=_text(outcome.address),
        tls=_text(outcome.tls),
    )


def _text(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "?")
