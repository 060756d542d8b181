"""The queue runner: takes what is due, destination by destination, gives it to a delivery agent, records the outcome.

The states of a recipient and what a crash leaves behind are told in docs/queue.rst. Each destination has a limit of its own
(queue.destination) below the limits of all (queue.admission): one that is slow or dead holds up nothing else.

Leases are short and prolonged while a try lasts: after a crash they run out within a minute or two. A lease that ran out
under a try of our own (the clock stepped) is taken up again by that try, never started twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from random import SystemRandom

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.logger import Logger

from mailnode.errors import BlobDamaged, DomainError
from mailnode.interfaces.queue import IBouncer, IDeliveryAgent
from mailnode.interfaces.runtime import IClock, IDelayed, IHints, IMetrics
from mailnode.interfaces.sending import ISending
from mailnode.interfaces.store import IQueueStore
from mailnode.queue.admission import Admission
from mailnode.queue.allotment import Allotment
from mailnode.queue.destination import Destination, DestinationSettings
from mailnode.queue.renewal import Renewal
from mailnode.queue.schedule import QueueTime, Schedule
from mailnode.queue.settle import Fallback, Settler
from mailnode.queue.starts import Starts
from mailnode.queue.trouble import telling
from mailnode.values.attempt import DEFERRED, REJECTED, Attempt, AttemptReport
from mailnode.values.events import emit
from mailnode.values.queue import (
    GIVEN_UP_DESTINATION,
    LOCAL_DESTINATION,
    UNLIMITED,
    Claim,
    DestinationLimits,
    QueuedEnvelope,
    QueuedRecipient,
)
from mailnode.values.reason import WaitReason

_log = Logger()

_random = SystemRandom().random

SOONEST = 0.05  # seconds between two looks that nothing but the clock asks for
FRESH = 20  # destinations of one new message that are looked at by themselves
CLAIMS = 4  # claims at a time of what is not new: more of them a new message would find before it in the store
MOST_STARVED = 2_000  # destinations waiting for places, beyond which a look goes
FORGET_AFTER = 3600.0  # seconds without a try after which what was learned of a destination is forgotten


@dataclass(frozen=True, slots=True)
class RunnerSettings:
    """``total``: tries at once, not counting the first of each destination, of which there are at most ``destinations``.

    ``spare``: first tries beyond, for destinations something new came for. ``turns``: of the reactor between the beginnings
    of two tries for others. ``recipients``: of one try. ``local``: tries at once into mailboxes here. ``lease``, ``poll``
    (the longest sleep; hints may be lost) and ``drain`` (how long :meth:`QueueRunner.stop` waits for running tries) in
    seconds. ``limits``: what a destination may have by itself. ``fallback``: who goes another way after a try.
    """

    schedule: Schedule = field(default_factory=Schedule)
    destination: DestinationSettings = field(default_factory=DestinationSettings)
    total: int = 100
    destinations: int = 1000
    spare: int = 50
    turns: int = 4
    recipients: int = 50
    local: int = 10
    lease: float = 90.0
    poll: float = 30.0
    drain: float = 20.0
    limits: Callable[[str], DestinationLimits] = lambda destination: UNLIMITED
    fallback: Fallback = lambda envelope, recipient, tries, reply: ""


class QueueRunner:
    """The runner of one process. :meth:`start` and :meth:`stop` once each."""

    def __init__(
        self,
        store: IQueueStore,
        remote: IDeliveryAgent,
        local: IDeliveryAgent,
        bouncer: IBouncer,
        clock: IClock,
        hints: IHints,
        settings: RunnerSettings,
        metrics: IMetrics,
        random: Callable[[], float] = _random,
        sending: ISending | None = None,
    ) -> None:
        """:param random: yields [0, 1), for the jitter. :param sending: is told whom servers refuse for good."""
        self._store = store
        self._remote = remote
        self._local = local
        self._clock = clock
        self._hints = hints
        self._settings = settings
        self._metrics = metrics
        self._admission = Admission(settings.total, settings.destinations, settings.spare)
        self._starts = Starts(clock, settings.turns)
        self._time = QueueTime()
        self._settler = Settler(
            store, bouncer, clock, hints, settings.schedule, metrics, random, settings.fallback, sending
        )
        self._destinations: dict[str, Destination] = {}
        self._allotments: dict[str, Allotment] = {}  # by what the limits of destinations are counted under
        # Destinations that wait, in order: for the place of a first try, and for one in the total.
        self._starved: tuple[dict[str, None], dict[str, None]] = {}, {}
        self._letting_in = False
        self._more_due = False  # the last look did not see all
        self._fills: dict[Deferred[None], None] = {}
        self._ended_fills: deque[tuple[Destination, Deferred[None]]] = deque()
        self._handing_on = False
        self._to_fill: dict[str, None] = {}  # destinations that wait for a place among the claims
        self._tries: dict[Deferred[None], None] = {}
        self._attempts: dict[Deferred[AttemptReport], None] = {}  # the part of a try that may be cut off
        self._held: dict[tuple[str, int], str] = {}  # what is in our hands: (envelope id, index) -> token
        self._running = False
        self._looking: Deferred[None] | None = None
        self._look_again = False
        self._timer: IDelayed | None = None
        self._timer_at = 0.0
        self._end_hints: Callable[[], None] = lambda: None

    # Life

    def start(self) -> None:
        """Begin to take what is due."""
        self._running = True
        self._end_hints = self._hints.on_queue(self._hinted)
        self.wake()

    async def stop(self, within: float | None = None) -> None:
        """Take nothing more and wait for running tries; those that last longer are cut off and stay due.

        :param within: seconds; None: the settings' ``drain``."""
        self._running = False
        self._end_hints()
        self._stop_timer()
        if self._looking is not None:
            await self._looking
        if self._fills:  # a claim that is under way becomes a try, or it would wait for the end of its lease
            await DeferredList(list(self._fills))
        if self._tries:
            self._timer = self._clock.callLater(self._settings.drain if within is None else within, self._cut_off)
            while self._tries:
                await DeferredList(list(self._tries))
            self._stop_timer()

    def wake(self) -> None:
        """Look for due mail now."""
        if not self._running:
            return
        if self._looking is not None:
            self._look_again = True
            return
        self._stop_timer()
        self._look_again = False
        ended: Deferred[None] = Deferred()
        self._looking = ended
        looking = Deferred.fromCoroutine(self._look())
        looking.addErrback(telling("looking at the queue failed"))
        looking.addBoth(lambda _: self._looked(ended))

    def _hinted(self, destinations: Sequence[str]) -> None:
        """Something new came for these: it does not wait behind what is due for others."""
        if self._running:
            for destination in map(self._destination, destinations[:FRESH]):
                destination.fresh = True
                self._fill(destination)
        if len(destinations) != 1:
            self.wake()

    # Looking

    async def _look(self) -> None:
        now = self._now()
        busy = {name for name, one in self._destinations.items() if one.running or one.room(now) <= 0}
        limit = 100 + 2 * len(busy) + min(MOST_STARVED, self._waiting())
        due = await self._store.due(now, limit)
        further = 0
        for one in due:
            destination = self._destination(one.destination)
            waits = any(one.destination in names for names in (*self._starved, self._to_fill))
            further += not (one.destination in busy or destination.filling or waits)
            self._fill(destination)
        self._more_due = len(due) >= limit
        if self._more_due and further:
            self._look_again = True
        next_due = await self._store.next_due(now)
        if next_due is not None:
            # What is due next may be the end of a lease instead of a try.
            self._time.bring_near(next_due, now, max(self._settings.schedule.longest, self._settings.lease))
            self._wake_at(next_due)
        self._wake_at(self._now() + self._settings.poll)
        self._forget_destinations(now)

    def _looked(self, ended: Deferred[None]) -> None:
        self._looking = None
        if self._running and self._look_again:
            self.wake()
        else:
            self._wake_at(self._now() + self._settings.poll)  # also when looking failed: the store may be back later
        ended.callback(None)

    def _wake_at(self, when: float | None) -> None:
        """See that the queue is looked at no later than ``when`` (the queue's time)."""
        if when is None or not self._running or (self._looking is not None and self._look_again):
            return
        delay = max(when - self._now(), SOONEST)
        if self._timer is not None and self._timer.active():
            if self._timer_at <= when:
                return
            self._timer.cancel()
        self._timer = self._clock.callLater(delay, self.wake)
        self._timer_at = when

    def _now(self) -> float:
        return self._time.at(self._clock.seconds())

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    # Destinations

    def _destination(self, name: str) -> Destination:
        destination = self._destinations.get(name)
        if destination is None:
            if name in (LOCAL_DESTINATION, GIVEN_UP_DESTINATION):
                settings = replace(self._settings.destination, cap=self._settings.local)
                destination = Destination(name, settings, learns=False)
            else:
                destination = self._remote_destination(name)
            self._destinations[name] = destination
        return destination

    def _remote_destination(self, name: str) -> Destination:
        limits, settings = self._settings.limits(name), self._settings.destination
        if limits.concurrency:
            settings = replace(settings, cap=limits.concurrency, start=min(settings.start, limits.concurrency))
        if limits == UNLIMITED:
            return Destination(name, settings)
        allotment = self._allotments.setdefault(limits.counted_as or name, Allotment(limits))
        return Destination(name, settings, allotment=allotment)

    def _forget_destinations(self, now: float) -> None:
        for name, one in list(self._destinations.items()):
            if one.running or one.filling or one.room(now) <= 0:
                continue  # a look must know whom it has seen already, to come to those behind them
            if one.has_learned_nothing(now) or now - one.used > FORGET_AFTER:
                del self._destinations[name]

    def _fill(self, destination: Destination) -> None:
        if destination.filling:
            destination.again = True
            return
        if not destination.fresh and len(self._fills) >= CLAIMS:
            self._to_fill[destination.name] = None
            return
        self._to_fill.pop(destination.name, None)
        destination.filling = True
        ended: Deferred[None] = Deferred()
        self._fills[ended] = None
        filling = Deferred.fromCoroutine(self._claim_for(destination))
        filling.addErrback(telling("claiming from the queue failed"))
        filling.addBoth(lambda _: self._filled(destination, ended))

    def _filled(self, destination: Destination, ended: Deferred[None]) -> None:
        """Give what is left to others. Of those nearly all may find nothing, and end while they begin: one after the other."""
        destination.filling = False
        del self._fills[ended]
        self._ended_fills.append((destination, ended))
        if self._handing_on:
            return
        self._handing_on = True
        try:
            while self._ended_fills:
                self._hand_on(*self._ended_fills.popleft())
        finally:
            self._handing_on = False

    def _hand_on(self, destination: Destination, ended: Deferred[None]) -> None:
        if destination.again and self._running:
            destination.again = False
            self._fill(destination)
        self._let_in()
        self._let_in_by_route(destination)
        while self._to_fill and self._running and len(self._fills) < CLAIMS:
            self._fill(self._destination(next(iter(self._to_fill))))
        ended.callback(None)

    async def _claim_for(self, destination: Destination) -> None:
        await self._claim_while_there_is_room(destination)
        destination.allotment.wait(destination.name, self._now())
        self._wake_at(destination.allotment.next_at(self._now()))

    async def _claim_while_there_is_room(self, destination: Destination) -> None:
        while self._running and destination.room(self._now()) > 0:
            places = self._admission.places(destination.running, destination.fresh)
            count = min(destination.room(self._now()), places)
            if count <= 0:
                self._starved[destination.running > 0][destination.name] = None
                return
            now = self._now()
            destination.used = now
            fresh, newest = destination.fresh, destination.take_newest()
            with self._admission.promise(count, destination.running), destination.allotment.promise(count):
                claims = await self._store.claim(
                    destination.name,
                    now,
                    self._settings.lease,
                    self._settings.recipients,
                    count,
                    self._settings.schedule.intervals,
                    newest,
                )
            if not claims:
                return
            for claim in map(self._hold, claims):
                if claim.envelope.recipients:
                    self._begin(destination, claim, fresh)

    def _hold(self, claim: Claim) -> Claim:
        """Note what is in our hands; return the claim without what was there already, in a try that still runs."""
        fresh = []
        recipients = claim.envelope.recipients
        for recipient in recipients:
            key = claim.envelope.id, recipient.index
            if key not in self._held:
                fresh.append(recipient)
            self._held[key] = claim.token
        if len(fresh) == len(recipients):
            return claim
        return replace(claim, envelope=replace(claim.envelope, recipients=tuple(fresh)))

    def _let_in(self) -> None:
        """Give the places there are to those that wait for them."""
        if self._letting_in:
            return
        self._letting_in = True
        try:
            for running, names in enumerate(self._starved):
                while names and self._admission.places(running) > 0:
                    name = next(iter(names))
                    del names[name]
                    self._fill(self._destination(name))
        finally:
            self._letting_in = False

    def _let_in_by_route(self, destination: Destination) -> None:
        """Give what one destination of a route leaves to another."""
        name = destination.allotment.next_waiting(self._now()) if self._running else None
        if name is not None:
            self._fill(self._destination(name))

    # Tries

    def _begin(self, destination: Destination, claim: Claim, fresh: bool) -> None:
        first = self._admission.begin(destination.running)
        destination.running += 1
        destination.allotment.begin(self._now(), counts=not destination.is_dead(self._now()))
        ended: Deferred[None] = Deferred()
        self._tries[ended] = None
        trial = Deferred.fromCoroutine(self._try(destination, claim, fresh))
        trial.addErrback(telling("recording a try failed"))
        trial.addBoth(lambda _: self._ended(ended, destination, first, claim))

    def _ended(self, ended: Deferred[None], destination: Destination, first: bool, claim: Claim) -> None:
        del self._tries[ended]
        destination.running -= 1
        destination.allotment.end()
        self._admission.end(first)
        for recipient in claim.envelope.recipients:
            self._held.pop((claim.envelope.id, recipient.index), None)
        self._let_in()
        self._let_in_by_route(destination)
        self._fill(destination)
        if self._more_due and self._waiting() < MOST_STARVED // 2:
            self._wake_at(self._now())
        ended.callback(None)

    def _waiting(self) -> int:
        """How many destinations wait for a place."""
        return sum(map(len, (*self._starved, self._to_fill)))

    async def _try(self, destination: Destination, claim: Claim, fresh: bool) -> None:
        """One try, from the claim to the settlement. :param fresh: of something new: it begins at once."""
        # From now on: the turns of very many may last longer than a lease, and another server would try as well.
        renewal = Renewal(lambda: self._renew(claim.envelope), self._clock, self._settings.lease / 3)
        try:
            if not fresh:
                await self._starts.wait()
            await self._try_now(destination, claim)
        finally:
            renewal.end()

    async def _try_now(self, destination: Destination, claim: Claim) -> None:
        now = began = self._now()
        if destination.is_dead(now) and destination.why is not None:
            report = _put_off(claim.envelope.recipients, destination.why)
            self._wake_at(await self._settler.settle(claim.envelope, report, self._held, now))
            return
        started = self._clock.seconds()
        report, counts = await self._attempt(claim)
        now = self._now()
        if counts:
            why = next((attempt for attempt in report.attempts if attempt.result == DEFERRED), None)
            destination.learn(now, began, report.reached, report.slow_down, why)
        self._metrics.observe("queue_try_seconds", max(0.0, self._clock.seconds() - started))
        self._wake_at(await self._settler.settle(claim.envelope, report, self._held, now, counts))

    async def _attempt(self, claim: Claim) -> tuple[AttemptReport, bool]:
        """Ask the delivery agent; also return whether this was a try at all (not one that :meth:`stop` cut off)."""
        recipients = claim.envelope.recipients
        if recipients[0].destination == GIVEN_UP_DESTINATION:
            return _give_up(recipients), True
        if self._settler.hurry:  # its turn to begin came when the time for running tries was over
            return _all(recipients, "4.3.2", "the server was shut down"), False
        agent = self._local if recipients[0].destination == LOCAL_DESTINATION else self._remote
        attempt = Deferred.fromCoroutine(agent.attempt(claim))
        self._attempts[attempt] = None
        try:
            return await attempt, True
        except CancelledError:
            return _all(recipients, "4.3.2", "the server was shut down"), False
        except BlobDamaged as error:
            held = await self._hold_back(claim.envelope.id, error)
            return _all(recipients, "4.3.0", "the message cannot be read", WaitReason.DAMAGED), not held
        except DomainError as error:
            _log.warn("a try of {envelope} failed: {error!r}", envelope=claim.envelope.id, error=error)
        except Exception:  # unknown trouble is temporary
            _log.failure("a try of {envelope} failed", envelope=claim.envelope.id)
        finally:
            del self._attempts[attempt]
        return _all(recipients, "4.3.0", "trouble inside this server"), True

    async def _hold_back(self, envelope_id: str, error: BlobDamaged) -> bool:
        """Hold a message that is damaged, so that it is neither tried for ever nor returned: its file may be put back. Return
        whether that was done."""
        held = False
        if not error.passing:
            with suppress(DomainError):  # then by the next try
                held = await self._store.hold(envelope_id, True)
        emit(
            _log, "queue.unreadable", warning=True, envelope=envelope_id, held="yes" if held else "no", error=str(error)
        )
        return held

    async def _renew(self, envelope: QueuedEnvelope) -> None:
        tokens = {self._held.get((envelope.id, recipient.index)) for recipient in envelope.recipients}
        for token in tokens - {None}:
            assert token is not None
            await self._store.renew(token, self._now() + self._settings.lease)

    def _cut_off(self) -> None:
        self._settler.hurry = True
        # What swallows the cancellation, as libraries may, meets it again at its next wait.
        self._timer = self._clock.callLater(1.0, self._cut_off)
        for attempt in list(self._attempts):
            attempt.cancel()


def _all(
    recipients: Iterable[QueuedRecipient], status: str, text: str, reason: WaitReason = WaitReason.LOCAL
) -> AttemptReport:
    return AttemptReport(tuple(Attempt(one.index, DEFERRED, status, text, reason=reason) for one in recipients))


def _give_up(recipients: Iterable[QueuedRecipient]) -> AttemptReport:
    """What an operator gave up ends without a connection; its sender is told what the last try came to. What nobody gave up
    had come to its end when it was queued."""
    attempts = []
    for recipient in recipients:
        if not recipient.given_up:
            attempts.append(
                Attempt(recipient.index, REJECTED, recipient.last_status, recipient.last_reply, reason=recipient.reason)
            )
            continue
        last = f"; the last try: {recipient.last_reply}" if recipient.last_reply else ""
        text = f"given up by the administrator of this server{last}"
        attempts.append(Attempt(recipient.index, REJECTED, "5.0.0", text, reason=WaitReason.GIVEN_UP))
    return AttemptReport(tuple(attempts))


def _put_off(recipients: Iterable[QueuedRecipient], why: Attempt) -> AttemptReport:
    """What is due for a dead destination fails as the last real try did, without a connection."""
    untried = replace(why, address="", tls="")
    return AttemptReport(tuple(replace(untried, index=recipient.index) for recipient in recipients), reached=False)
