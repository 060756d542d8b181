"""A queue store in memory, with the contract of IQueueStore as the runner relies on it, and other stand-ins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from twisted.internet.task import Clock
from zope.interface import implementer

from mailnode.interfaces.queue import IBouncer, IDeliveryAgent
from mailnode.interfaces.runtime import IMetrics
from mailnode.interfaces.store import IQueueStore
from mailnode.values.attempt import SENT, Attempt, AttemptReport, Fate
from mailnode.values.blob import BlobRef, StagedBlob
from mailnode.values.queue import (
    DELIVERED,
    EVERYTHING,
    FAILED,
    LEASED,
    WAITING,
    Claim,
    DueDestination,
    EnqueuedTogether,
    NewEnvelope,
    Outcome,
    PastAttempt,
    PastRecipient,
    QueuedEnvelope,
    QueuedRecipient,
    QueueFilter,
    QueueTally,
    Settlement,
    Steered,
    Steering,
)

BLOB = BlobRef("blob", 5, "inline", "plain", b"")


class TurningClock(Clock):
    """A clock that can also make one turn of a reactor, which what is called for meanwhile waits for."""

    def turn(self) -> None:
        due = [call for call in self.calls if call.getTime() <= self.seconds()]
        for call in due:
            self.calls.remove(call)
            call.called = True
            call.func(*call.args, **call.kw)


@implementer(IQueueStore)
class MemoryQueue:
    """Envelopes in a dictionary. ``broken`` is raised, once each, by the next settlements, ``away`` by the next claims."""

    def __init__(self) -> None:
        self.table: dict[str, QueuedEnvelope] = {}
        self.recipients: dict[tuple[str, int], QueuedRecipient] = {}
        self.leases: dict[tuple[str, int], tuple[str, float]] = {}
        self.content = b"Subject: x\r\n\r\nx\r\n"
        self.broken: list[Exception] = []
        self.away: list[Exception] = []
        self.settlements: list[Settlement] = []
        self.added: list[NewEnvelope] = []
        self.claims = 0
        self.held: set[str] = set()

    def outcomes(self) -> list[Outcome]:
        return [outcome for settlement in self.settlements for outcome in settlement.outcomes]

    async def enqueue(self, submission: NewEnvelope) -> None:
        envelope = submission.envelope
        self.added.append(submission)
        if envelope.id not in self.table:
            self.table[envelope.id] = envelope
            for recipient in envelope.recipients:
                self.recipients[envelope.id, recipient.index] = recipient

    async def enqueue_together(self, together: EnqueuedTogether) -> frozenset[str]:
        for one in together.envelopes:
            await self.enqueue(one.submission)
        return frozenset()

    async def is_remembered(self, account_id: str, kind: str, key: str, now: float) -> bool:
        return False

    def _due(self, now: float) -> list[tuple[tuple[str, int], QueuedRecipient]]:
        found = []
        for key, recipient in self.recipients.items():
            if recipient.state == WAITING:
                when = recipient.next_try
            else:
                when = self.leases[key][1]
            if when <= now and key[0] not in self.held:
                found.append((key, recipient))
        return sorted(found, key=lambda pair: (-self.table[pair[0][0]].options.priority, pair[1].next_try))

    async def due(self, now: float, limit: int) -> list[DueDestination]:
        due: dict[str, DueDestination] = {}
        for _, recipient in self._due(now):
            due.setdefault(recipient.destination, DueDestination(recipient.destination, recipient.next_try))
        return list(due.values())[:limit]

    async def next_due(self, now: float) -> float | None:
        waits = [r.next_try for r in self.recipients.values() if r.state == WAITING]
        times = [when for when in (*waits, *(until for _, until in self.leases.values())) if when > now]
        return min(times, default=None)

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
        if self.away:
            raise self.away.pop(0)
        due = [(key, r) for key, r in self._due(now) if r.destination == destination]
        if newest:
            due.reverse()
        self.claims += bool(due)
        until = now + lease_seconds
        claims, left = [], limit
        for envelope_id in list(dict.fromkeys(key[0] for key, _ in due))[:count]:
            token = f"token{self.claims}{envelope_id}"
            chosen = [(key, recipient) for key, recipient in due if key[0] == envelope_id]
            if claims and len(chosen) > left:
                break
            chosen = chosen[:left]
            left -= len(chosen)
            for key, recipient in chosen:
                self.recipients[key] = replace(recipient, state=LEASED)
                self.leases[key] = token, until
            recipients = tuple(recipient for _, recipient in chosen)
            claims.append(Claim(token, until, replace(self.table[envelope_id], recipients=recipients)))
        return claims

    async def renew(self, token: str, lease_until: float) -> bool:
        held = [key for key, lease in self.leases.items() if lease[0] == token]
        for key in held:
            self.leases[key] = token, lease_until
        return bool(held)

    async def settle(self, settlement: Settlement) -> bool:
        if self.broken:
            raise self.broken.pop(0)
        for outcome in settlement.outcomes:
            if self.leases.get((outcome.envelope_id, outcome.index), ("",))[0] != settlement.token:
                return False
        self.settlements.append(settlement)
        for outcome in settlement.outcomes:
            key = outcome.envelope_id, outcome.index
            del self.leases[key]
            recipient = self.recipients[key]
            if outcome.state in (DELIVERED, FAILED):
                del self.recipients[key]
            else:
                self.recipients[key] = replace(
                    recipient,
                    destination=recipient.destination if outcome.moved is None else outcome.moved[1],
                    state=WAITING,
                    attempts=recipient.attempts + outcome.counts_as_attempt,
                    next_try=outcome.next_try,
                    delay_told=outcome.delay_told,
                )
        for bounce in settlement.bounces:
            await self.enqueue(bounce)
        return True

    async def read(
        self, blob: BlobRef, offset: int = 0, length: int | None = None, stored: bytes | None = None
    ) -> bytes:
        return self.content[offset:] if length is None else self.content[offset : offset + length]

    async def staged(self, blob: BlobRef) -> StagedBlob:
        return StagedBlob(blob, self.content)

    async def envelopes(
        self, after: str = "", limit: int = 100, which: QueueFilter = EVERYTHING
    ) -> list[QueuedEnvelope]:
        return list(self.table.values())

    async def envelope(self, envelope_id: str) -> QueuedEnvelope | None:
        return self.table.get(envelope_id)

    async def tally(self, now: float, age: float = 0.0) -> QueueTally:
        raise NotImplementedError

    async def history(self, envelope_id: str, limit: int) -> list[PastAttempt]:
        raise NotImplementedError

    async def past(self, before: str, limit: int, which: QueueFilter) -> list[PastRecipient]:
        raise NotImplementedError

    async def past_of(self, envelope_id: str, limit: int) -> list[PastRecipient]:
        raise NotImplementedError

    async def retry(self, destination: str | None, now: float) -> int:
        raise NotImplementedError

    async def pause(self, destination: str, since: float) -> None:
        raise NotImplementedError

    async def resume(self, destination: str) -> bool:
        raise NotImplementedError

    async def paused(self) -> dict[str, float]:
        raise NotImplementedError

    async def hold(self, envelope_id: str, held: bool) -> bool:
        (self.held.add if held else self.held.discard)(envelope_id)
        return envelope_id in self.table

    async def hold_several(self, envelope_ids: Sequence[str], held: bool) -> int:
        raise NotImplementedError

    async def steer(self, envelope_id: str, indexes: Sequence[int], how: Steering) -> Steered:
        raise NotImplementedError

    async def steer_several(self, steps: Sequence[tuple[str, Sequence[int], Steering]]) -> list[Steered]:
        raise NotImplementedError

    async def drop(self, envelope_id: str) -> bool:
        raise NotImplementedError


@implementer(IDeliveryAgent)
class Agent:
    """Delivers as ``behave`` says; by default everything is taken at once."""

    def __init__(self, behave: Callable[[Claim], Any] | None = None) -> None:
        self.behave = behave
        self.claims: list[Claim] = []

    async def attempt(self, claim: Claim) -> AttemptReport:
        self.claims.append(claim)
        if self.behave is not None:
            return await self.behave(claim)
        return report(claim, SENT, "2.0.0", "taken")


def report(claim: Claim, result: str, status: str, reply: str, **more: Any) -> AttemptReport:
    attempts = [Attempt(r.index, result, status, reply, "mx.example") for r in claim.envelope.recipients]
    return AttemptReport(tuple(attempts), **more)


@implementer(IBouncer)
class Bouncer:
    """Writes one bounce a call, or raises ``error``."""

    def __init__(self) -> None:
        self.calls: list[tuple[QueuedEnvelope, tuple[Fate, ...]]] = []
        self.error: Exception | None = None

    async def compose(self, envelope: QueuedEnvelope, fates: Sequence[Fate]) -> tuple[NewEnvelope, ...]:
        if self.error is not None:
            raise self.error
        self.calls.append((envelope, tuple(fates)))
        if not envelope.reverse_path:
            return ()
        bounce = queued(f"bounce{len(self.calls)}", envelope.created, destination="sender.example", reverse_path="")
        return (NewEnvelope(bounce, StagedBlob(BLOB)),)


@implementer(IMetrics)
class Metrics:
    def __init__(self) -> None:
        self.counted: list[tuple[str, dict[str, str]]] = []

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        self.counted.append((name, labels))

    def observe(self, name: str, value: float, **labels: str) -> None:
        pass


def queued(
    envelope_id: str,
    created: float,
    *,
    destination: str = "a.example",
    recipients: int = 1,
    reverse_path: str = "sender@here.example",
    lifetime: float = 432_000.0,
    **more: Any,
) -> QueuedEnvelope:
    rows = tuple(
        QueuedRecipient(index, f"user{index}@{destination}", destination, next_try=created, **more)
        for index in range(recipients)
    )
    return QueuedEnvelope(envelope_id, reverse_path, BLOB, created, created + lifetime, recipients=rows)
