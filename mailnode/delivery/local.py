"""The delivery agent for mailboxes here: applies the plans that wait in the queue, each at most once.

A plan is known by (envelope id, recipient). When the server dies between placing a copy and recording it, the next try
finds the copy and records that.
"""

from __future__ import annotations

from collections.abc import Sequence

from zope.interface import implementer

from mailnode.delivery.plans import decode_plan
from mailnode.delivery.router import has_room
from mailnode.errors import NoSuchAccount, OverQuota
from mailnode.interfaces.accounts import IDirectory
from mailnode.interfaces.log import EventLog
from mailnode.interfaces.queue import IDeliveryAgent
from mailnode.interfaces.store import IMailStore, IQueueStore
from mailnode.values.attempt import DEFERRED, REJECTED, SENT, Attempt, AttemptReport
from mailnode.values.blob import StagedBlob
from mailnode.values.events import emit
from mailnode.values.mailbox import Delivered, DeliveryPlan, NewMessage
from mailnode.values.queue import Claim
from mailnode.values.reason import WaitReason

_REASONS: dict[type[Exception], tuple[str, str, str]] = {
    NoSuchAccount: (REJECTED, "5.1.1", "no such user here"),
    OverQuota: (DEFERRED, "4.2.2", "mailbox is full"),
}
_MISSING = (DEFERRED, "4.3.0", "mailbox cannot be reached at the moment")

_log = EventLog()


@implementer(IDeliveryAgent)
class LocalAgent:
    """Applies plans."""

    def __init__(self, directory: IDirectory, mail: IMailStore, queue: IQueueStore) -> None:
        self._directory = directory
        self._mail = mail
        self._queue = queue

    async def attempt(self, claim: Claim) -> AttemptReport:
        """Place the copies of a claim, a partition at a time. :raises BlobDamaged: the message cannot be read."""
        envelope = claim.envelope
        if claim.facts is None:
            raise ValueError("a local plan without facts")
        if claim.stored is None:
            blob = await self._queue.staged(envelope.blob)
        else:
            blob = StagedBlob(envelope.blob, claim.stored)
        message = NewMessage(blob, claim.facts, envelope.internaldate)
        attempts: list[Attempt] = []
        by_partition: dict[int, list[tuple[int, DeliveryPlan]]] = {}
        for row in envelope.recipients:
            plan, wait_for_room = decode_plan(row)
            if wait_for_room and not await self._has_room(plan.account_id, envelope.blob.size):
                attempts.append(Attempt(row.index, *_REASONS[OverQuota], reason=WaitReason.FULL))
            else:
                partition = self._mail.partition(plan.account_id)
                by_partition.setdefault(partition, []).append((row.index, plan))
        for plans in by_partition.values():
            attempts += await self._apply(envelope.id, plans, message)
        return AttemptReport(tuple(attempts))

    async def _has_room(self, account_id: str, size: int) -> bool:
        usage = await self._mail.usage([account_id])
        return account_id not in usage or has_room(usage[account_id], size)

    async def _apply(
        self, envelope_id: str, plans: list[tuple[int, DeliveryPlan]], message: NewMessage
    ) -> list[Attempt]:
        """Place copies in one partition by one unit; when an account of several is gone or full, one by one."""
        try:
            delivered = await self._mail.deliver(envelope_id, [plan for _, plan in plans], message, applied_once=True)
        except (NoSuchAccount, OverQuota) as error:
            if len(plans) == 1:
                [(index, plan)] = plans
                missing = isinstance(error, NoSuchAccount) and await self._is_missing(plan.account_id)
                if missing:
                    return [Attempt(index, *_MISSING, reason=WaitReason.LOCAL)]
                reason = WaitReason.FULL if isinstance(error, OverQuota) else WaitReason.REFUSED
                return [Attempt(index, *_REASONS[type(error)], reason=reason)]
            return [attempt for plan in plans for attempt in await self._apply(envelope_id, [plan], message)]
        log_delivered(envelope_id, [plan for _, plan in plans], delivered)
        return [Attempt(index, SENT, "2.0.0", "delivered") for index, _ in plans]

    async def _is_missing(self, account_id: str) -> bool:
        """Whether an account that its partition does not have is there all the same: then the partition is damaged or older
        than the directory, and nothing may be returned for that."""
        try:
            await self._directory.account(account_id)
        except NoSuchAccount:
            return False
        emit(_log, "store.account_missing", warning=True, account=account_id)
        return True


def log_delivered(envelope_id: str, plans: Sequence[DeliveryPlan], delivered: Sequence[Delivered]) -> None:
    """Say where the copies of a message are: ``delivered`` is what the store made of the plans, in their order."""
    for plan, copy in zip(plans, delivered, strict=True):
        emit(
            _log,
            "message.delivered",
            envelope=envelope_id,
            recipient=copy.recipient,
            account=copy.account_id,
            mailbox=", ".join([place.mailbox for place in plan.wanted]),
            uid=copy.uid,
        )
