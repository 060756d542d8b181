"""Recording how a try ended: outcomes, the next try, and the notices the sender is owed, as one settlement."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

from mailnode.errors import StoreUnavailable
from mailnode.interfaces.log import EventLog
from mailnode.interfaces.pause import pause
from mailnode.interfaces.queue import IBouncer
from mailnode.interfaces.runtime import IClock, IHints, IMetrics
from mailnode.interfaces.sending import ISending
from mailnode.interfaces.store import IQueueStore
from mailnode.queue.schedule import Schedule
from mailnode.values.attempt import DEFERRED, REJECTED, SENT, Attempt, AttemptReport, Fate
from mailnode.values.events import EventFields, emit, moment
from mailnode.values.queue import (
    DELIVERED,
    DROPPED,
    FAILED,
    GIVEN_UP_DESTINATION,
    LOCAL_DESTINATION,
    WAITING,
    NewEnvelope,
    Outcome,
    QueuedEnvelope,
    QueuedRecipient,
    Settlement,
)
from mailnode.values.reason import WaitReason

_log = EventLog()

MAX_REPLY = 500  # characters of a reply that are kept
SETTLE_PAUSES = (1.0, 2.0, 5.0, 10.0, 20.0)  # seconds between tries to record what happened


# (envelope, recipient, failed tries, what the last came to) -> what it is queued under from now on; "": as it was.
Fallback = Callable[[QueuedEnvelope, QueuedRecipient, int, str], str]


class _Result(NamedTuple):
    recipient: QueuedRecipient
    attempt: Attempt
    outcome: Outcome
    fate: Fate | None


class Settler:
    """Turns reports of tries into settlements."""

    def __init__(
        self,
        store: IQueueStore,
        bouncer: IBouncer,
        clock: IClock,
        hints: IHints,
        schedule: Schedule,
        metrics: IMetrics,
        random: Callable[[], float],
        fallback: Fallback,
        sending: ISending | None = None,
    ) -> None:
        """:param sending: is told whom servers refuse for good."""
        self._store = store
        self._bouncer = bouncer
        self._clock = clock
        self._hints = hints
        self._schedule = schedule
        self._metrics = metrics
        self._random = random
        self._fallback = fallback
        self._sending = sending
        self.hurry = False  # the server stops: do not wait for a store that cannot

    async def settle(
        self,
        envelope: QueuedEnvelope,
        report: AttemptReport,
        tokens: Mapping[tuple[str, int], str],
        now: float,
        counts: bool = True,
    ) -> float | None:
        """Record a report; return when the first of those that wait is to be tried again, if any waits.

        :param tokens: (envelope id, index) -> the token of the lease, read only when the outcome is written.
        :param now: the queue's time. :param counts: whether this was a try; if not, the recipients are due at once again.
        """
        jitter = self._random()  # one for all: recipients tried together stay together
        attempts = {attempt.index: attempt for attempt in report.attempts}
        results = []
        for recipient in envelope.recipients:
            attempt = attempts.get(recipient.index)
            if attempt is None:
                attempt = Attempt(
                    recipient.index, DEFERRED, "4.3.0", "trouble inside this server", reason=WaitReason.LOCAL
                )
            results.append(self._judge(envelope, recipient, attempt, now, jitter, counts))
        results, bounces = await self._with_notices(envelope, results, now)
        wall = self._clock.seconds()
        results = [
            one._replace(outcome=replace(one.outcome, tried_at=wall, given_up=one.recipient.given_up))
            for one in results
        ]
        if not await self._record(envelope.id, results, bounces, tokens):
            _log.warn("the lease of {envelope} was lost; its outcome is not recorded", envelope=envelope.id)
            return None
        self._tell(envelope, results, bounces)
        await self._note_bounces(envelope, results)
        waiting = [result.outcome.next_try for result in results if result.outcome.state == WAITING]
        return min(waiting, default=None)

    def _judge(
        self,
        envelope: QueuedEnvelope,
        recipient: QueuedRecipient,
        attempt: Attempt,
        now: float,
        jitter: float,
        counts: bool,
    ) -> _Result:
        if recipient.given_up == DROPPED:
            return _Result(recipient, attempt, _outcome(envelope, attempt, FAILED), None)
        if attempt.result == SENT:
            return _Result(recipient, attempt, _outcome(envelope, attempt, DELIVERED), _success(recipient, attempt))
        moved = self._moved(envelope, recipient, attempt) if counts else None
        if attempt.result == REJECTED and moved is None:
            return _failed(envelope, recipient, attempt)
        tries, wall = recipient.attempts + 1, self._clock.seconds()
        expired = self._schedule.is_expired(wall, envelope.created, envelope.expires, tries)
        if counts and (expired or recipient.given_up):
            return _failed(envelope, recipient, attempt)
        if not counts:
            return _Result(recipient, attempt, _outcome(envelope, attempt, WAITING, now, counts=False), None)
        told, fate = recipient.delay_told, None
        if self._schedule.is_delay_due(wall, envelope.created, told):
            told, fate = True, _fate(recipient, attempt, "delayed", envelope.expires)
        if moved is not None:
            outcome = replace(_outcome(envelope, attempt, WAITING, now, told), moved=moved)
            return _Result(recipient, attempt, outcome, fate)
        next_try = self._schedule.next_try(now, tries, envelope.expires, lambda: jitter)
        return _Result(recipient, attempt, _outcome(envelope, attempt, WAITING, next_try, told), fate)

    def _moved(self, envelope: QueuedEnvelope, recipient: QueuedRecipient, attempt: Attempt) -> tuple[str, str] | None:
        """Return what a recipient was queued under and what it is now, when a fallback takes it: after a refusal only by
        what was said."""
        if recipient.given_up or recipient.destination in (LOCAL_DESTINATION, GIVEN_UP_DESTINATION):
            return None
        tries = recipient.attempts + 1 if attempt.result == DEFERRED else 0
        instead = self._fallback(envelope, recipient, tries, attempt.reply[:MAX_REPLY])
        return (recipient.destination, instead) if instead else None

    async def _with_notices(
        self, envelope: QueuedEnvelope, results: list[_Result], now: float
    ) -> tuple[list[_Result], tuple[NewEnvelope, ...]]:
        """Compose the DSN. When that fails, nothing is given up for good: failures wait and are found again; what was
        sent stays sent, without a notice."""
        fates = [result.fate for result in results if result.fate is not None]
        if not fates:
            return results, ()
        try:
            return results, await self._bouncer.compose(envelope, fates)
        except Exception:
            _log.failure("no notice could be written for {envelope}", envelope=envelope.id)
        next_try = now + self._schedule.interval(1, self._random)
        kept = []
        for result in results:
            outcome = result.outcome
            if outcome.state == FAILED:
                outcome = _outcome(envelope, result.attempt, WAITING, next_try, result.recipient.delay_told)
            elif outcome.state == WAITING:
                told = result.recipient.delay_told
                outcome = replace(outcome, delay_told=told)
            kept.append(result._replace(outcome=outcome, fate=None))
        return kept, ()

    async def _record(
        self,
        envelope_id: str,
        results: list[_Result],
        bounces: tuple[NewEnvelope, ...],
        tokens: Mapping[tuple[str, int], str],
    ) -> bool:
        """Write the settlement, again and again while the store cannot: a message that was taken must not go twice."""
        for seconds in (*SETTLE_PAUSES, None):
            by_token: dict[str, list[Outcome]] = {}
            for result in results:
                token = tokens.get((envelope_id, result.outcome.index), "")
                by_token.setdefault(token, []).append(result.outcome)
            try:
                done, carried = False, bounces
                for token, outcomes in by_token.items():
                    if await self._store.settle(Settlement(token, tuple(outcomes), carried)):
                        done, carried = True, ()
                return done
            except StoreUnavailable:
                if seconds is None or self.hurry:
                    raise
            await pause(self._clock, seconds)
        return False

    async def _note_bounces(self, envelope: QueuedEnvelope, results: list[_Result]) -> None:
        """Have it known whom servers, or their domains, refused for good."""
        if self._sending is None or not envelope.account_id:
            return
        for recipient, attempt, outcome, _ in results:
            if outcome.state == FAILED and recipient.destination != LOCAL_DESTINATION:
                await self._sending.bounced(envelope.account_id, recipient.address, attempt.status, outcome.reply)

    def _tell(self, envelope: QueuedEnvelope, results: list[_Result], bounces: tuple[NewEnvelope, ...]) -> None:
        """Log, count and hint, after the commit."""
        for recipient, attempt, outcome, _ in results:
            self._metrics.count("queue_results", result=outcome.state)
            about: EventFields = {"envelope": envelope.id, "recipient": recipient.address, "host": attempt.host}
            about["ip"] = attempt.address
            if outcome.state == DELIVERED:
                if recipient.destination != LOCAL_DESTINATION:
                    about |= {"tls": attempt.tls, "verified": "yes" if attempt.verified else "no"}
                    about["delay"] = max(0.0, round(self._clock.seconds() - envelope.created, 3))
                    emit(_log, "queue.sent", **about, reply=outcome.reply)
            elif outcome.state == FAILED:
                emit(_log, "queue.failed", **about, status=outcome.status, reason=outcome.reason, reply=outcome.reply)
            else:
                about |= {"status": outcome.status, "reason": outcome.reason, "reply": outcome.reply}
                emit(_log, "queue.deferred", **about, next_try=moment(outcome.next_try))
                if outcome.moved is not None:
                    _tell_move(envelope, recipient, *outcome.moved)
        told = {result.fate.action: result.fate for result in results if result.fate is not None}
        for bounce in bounces:
            emit(
                _log,
                "queue.bounced",
                envelope=envelope.id,
                bounce=bounce.envelope.id,
                kind="+".join(sorted(told)),
                recipient=envelope.reverse_path,
            )
        if bounces:
            self._hints.wake_queue()


def _tell_move(envelope: QueuedEnvelope, recipient: QueuedRecipient, before: str, after: str) -> None:
    emit(_log, "queue.rerouted", envelope=envelope.id, recipient=recipient.address, before=before, destination=after)


def _success(recipient: QueuedRecipient, attempt: Attempt) -> Fate | None:
    """A success is told when it was asked for and nobody further on will tell (RFC 3461 5.2.2, 5.2.3)."""
    if "SUCCESS" not in recipient.options.notify or attempt.remote_dsn:
        return None
    return _fate(recipient, attempt, "delivered" if recipient.destination == LOCAL_DESTINATION else "relayed")


def _failed(envelope: QueuedEnvelope, recipient: QueuedRecipient, attempt: Attempt) -> _Result:
    return _Result(recipient, attempt, _outcome(envelope, attempt, FAILED), _fate(recipient, attempt, "failed"))


def _fate(recipient: QueuedRecipient, attempt: Attempt, action: str, retry_until: float = 0.0) -> Fate:
    return Fate(recipient, action, attempt.status, attempt.reply, attempt.host, attempt.diagnostic, retry_until)


def _outcome(
    envelope: QueuedEnvelope,
    attempt: Attempt,
    state: str,
    next_try: float = 0.0,
    delay_told: bool = False,
    counts: bool = True,
) -> Outcome:
    reply = "".join(c if c.isprintable() else " " for c in attempt.reply[:MAX_REPLY])
    return Outcome(
        envelope.id,
        attempt.index,
        state,
        next_try,
        attempt.status,
        reply,
        attempt.host,
        delay_told,
        counts,
        address=attempt.address,
        tls=f"{attempt.tls} verified" if attempt.verified else attempt.tls,
        reason=str(attempt.reason),
    )
