"""The queue as a process sees it that does not own it."""

from __future__ import annotations

from mailnode.interfaces.store import IBlobStore
from mailnode.store.engines.engine import Engine
from mailnode.store.engines.remote import Ask
from mailnode.store.facades.queue import Queue
from mailnode.store.units.queue_rows import UNIT_ROWS
from mailnode.values.queue import EnqueuedTogether, NewEnvelope


class RemoteQueue(Queue):
    """The queue of a process that does not own it: it adds envelopes, and the owner does all else.

    An envelope that takes several units is the owner's from the first one on: it knows what is being staged, and finishes
    what was interrupted.
    """

    def __init__(self, engine: Engine, blobs: IBlobStore, ask: Ask) -> None:
        super().__init__(engine, blobs)
        self._ask = ask

    async def enqueue(self, submission: NewEnvelope) -> None:
        """See :class:`mailnode.interfaces.store.IQueueStore`."""
        if len(submission.envelope.recipients) <= UNIT_ROWS:
            await super().enqueue(submission)
        else:
            await self._ask("enqueue", submission)

    async def enqueue_together(self, together: EnqueuedTogether) -> frozenset[str]:
        """See :class:`mailnode.interfaces.store.IQueueStore`."""
        if together.rows <= UNIT_ROWS:
            return await super().enqueue_together(together)
        return frozenset(await self._ask("enqueue_together", together))
