"""Who may send for a domain, asked of DNS: SPF (RFC 7208), within the time it allows, remembered as long as the records allow."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable

from twisted.internet.defer import CancelledError, ensureDeferred

from mailnode.errors import NoSuchName, ResolverFailure
from mailnode.interfaces.outbound import IResolver, MxRecord, Records
from mailnode.interfaces.runtime import IClock, IThreads
from mailnode.policy.spf_query import (
    Answer,
    Question,
    SpfIdentity,
    SpfOutcome,
    depends_on_more,
    evaluate,
    is_domain,
)

SECONDS = 20.0  # for all look-ups of an identity (RFC 7208 4.6.4)
MAX_QUESTIONS = 150  # of an identity; the limits of RFC 7208 4.6.4 leave room for fewer
LARGE = 1024  # octets of records from which on they are evaluated in a thread
RECORD = 20  # octets of one that is no TXT
MAX_REMEMBERED = 5_000  # results
MAX_REMEMBERED_SECONDS = 300.0

TOO_LATE = SpfOutcome("temperror", "DNS did not answer in time")


class SpfCheck:
    """Evaluates identities."""

    def __init__(self, resolver: IResolver, threads: IThreads, clock: IClock, receiver: str) -> None:
        """:param receiver: this server's name, which records may ask for."""
        self._threads = threads
        self._clock = clock
        self._receiver = receiver
        self._ask: dict[str, Callable[[str], Awaitable[Records[str] | Records[bytes] | Records[MxRecord]]]] = {
            "A": resolver.a,
            "AAAA": resolver.aaaa,
            "MX": resolver.mx,
            "PTR": resolver.ptr,
            "TXT": resolver.txt,
        }
        self._remembered: OrderedDict[tuple[str, str], tuple[float, SpfOutcome]] = OrderedDict()

    async def find(self, who: SpfIdentity) -> SpfOutcome:
        """Return the result for an identity."""
        if not is_domain(who.domain):
            return SpfOutcome("none")
        known = self._recall(who)
        if known is not None:
            return known
        finding = ensureDeferred(self._find(who))
        deadline = self._clock.callLater(SECONDS, finding.cancel)
        try:
            return await finding
        except CancelledError:
            if deadline.active():  # whoever waits for this has been cut off
                raise
            return TOO_LATE
        finally:
            if deadline.active():
                deadline.cancel()

    async def _find(self, who: SpfIdentity) -> SpfOutcome:
        answers: dict[Question, Answer] = {}
        seconds: list[float] = []  # for which each answer may be remembered
        while True:
            outcome = await self._evaluate(who, answers)
            if not outcome.missing:
                break
            if len(answers) + len(outcome.missing) > MAX_QUESTIONS:
                return SpfOutcome("permerror", "Too many DNS lookups")
            asked = [ensureDeferred(self._answer(question)) for question in outcome.missing]
            for question, answering in zip(outcome.missing, asked, strict=True):
                answers[question], ttl = await answering
                seconds.append(ttl)
        self._remember(who, outcome, min(seconds, default=0.0), answers)
        return outcome

    async def _evaluate(self, who: SpfIdentity, answers: dict[Question, Answer]) -> SpfOutcome:
        now = self._clock.seconds()
        records = [one for answer in answers.values() for one in answer or ()]
        octets = sum(len(one) if isinstance(one, bytes) else RECORD for one in records)
        if octets < LARGE:
            return evaluate(who, answers, self._receiver, now)
        return await self._threads.run("cpu", evaluate, who, dict(answers), self._receiver, now)

    async def _answer(self, question: Question) -> tuple[Answer, float]:
        """Return what DNS says, and for how many seconds it may be remembered. Never fails."""
        name, kind = question
        try:
            records = await self._ask[kind](name)
        except NoSuchName:
            return (), 0.0
        except ResolverFailure:
            return None, 0.0
        return tuple(records), records.ttl

    def _recall(self, who: SpfIdentity) -> SpfOutcome | None:
        until, outcome = self._remembered.get((who.address, who.domain), (0.0, None))
        # A clock that was set back makes nothing stay.
        return outcome if 0.0 < until - self._clock.seconds() <= MAX_REMEMBERED_SECONDS else None

    def _remember(self, who: SpfIdentity, outcome: SpfOutcome, seconds: float, answers: dict[Question, Answer]) -> None:
        if seconds <= 0.0 or depends_on_more(answers):
            return
        key = who.address, who.domain
        self._remembered[key] = self._clock.seconds() + min(seconds, MAX_REMEMBERED_SECONDS), outcome
        self._remembered.move_to_end(key)
        if len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)
