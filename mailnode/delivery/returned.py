"""Looks at notices that come for accounts here: whether they say that a recipient of theirs does not exist.

Nobody waits for it. What a notice says is believed only of mail that was sent (:mod:`mailnode.delivery.sending`): anybody may
write one.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailnode.errors import BlobDamaged, Busy, StoreUnavailable
from mailnode.interfaces.runtime import IThreads
from mailnode.interfaces.sending import ISending
from mailnode.interfaces.store import IBlobs
from mailnode.message.reports import envelope_ids, failures, locate
from mailnode.values.blob import StagedBlob
from mailnode.values.facts import EncodedFacts

AT_ONCE = 4  # notices that are looked at; others meanwhile are not

_log = Logger()


class ReturnedMail:
    """Reads notices in threads."""

    def __init__(self, blobs: IBlobs, threads: IThreads, sending: ISending) -> None:
        """:param sending: is told what they say."""
        self._blobs = blobs
        self._threads = threads
        self._sending = sending
        self._under_way = 0

    def look(self, account_ids: Sequence[str], blob: StagedBlob, facts: EncodedFacts) -> None:
        """Look at a message from the null sender that was placed for these accounts, or will be."""
        if self._under_way < AT_ONCE:
            self._under_way += 1
            Deferred.fromCoroutine(self._look(account_ids, blob, facts)).addErrback(_failed).addBoth(self._done)

    def _done(self, _: object) -> None:
        self._under_way -= 1

    async def _look(self, account_ids: Sequence[str], blob: StagedBlob, facts: EncodedFacts) -> None:
        found = await self._threads.run("cpu", locate, facts.parts)
        if found is None:
            return
        status, original = [await self._blobs.read_staged(blob, *extent) for extent in found]
        failed = await self._threads.run("cpu", failures, status)
        if failed:
            ids = await self._threads.run("cpu", envelope_ids, original)
            await self._sending.returned(account_ids, ids, failed)


def _failed(failure: Failure) -> None:
    if not isinstance(failure.value, BlobDamaged | Busy | StoreUnavailable):  # it may be gone already; nobody waits
        _log.failure("a notice could not be looked at", failure)
