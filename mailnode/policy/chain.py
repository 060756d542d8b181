"""The chain: every policy in order, one verdict. The only place that decides.

A policy that raises, or gives what is no verdict, has no opinion (``on_failure`` "pass") or defers the message ("defer");
it never refuses. All policies of one stage together have 30 seconds; after that the verdict is defer. What they have found in all
stages adds up, and at "end" becomes what happens to the message (:mod:`mailnode.policy.decision`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from twisted.internet.defer import CancelledError, ensureDeferred
from twisted.logger import Logger
from zope.interface import implementer

from mailnode.interfaces.policy import IHearsSessions, IPolicy, IPolicyChain
from mailnode.interfaces.programs import FailedBefore
from mailnode.interfaces.runtime import IClock
from mailnode.policy.answers import answer_of, failure, summed
from mailnode.policy.decision import DEFAULT_THRESHOLDS, Thresholds, decide
from mailnode.policy.gathering import Gathered
from mailnode.policy.timely import DnsTime
from mailnode.policy.verdicts import check
from mailnode.values.events import emit
from mailnode.values.policy import PASS, STAGES, PolicyAnswer, PolicyRequest, Verdict

DEADLINE = 30.0  # seconds
DNS_SECONDS = 10.0  # from the end of the message on: whoever asks DNS later has no answer

_log = Logger()
_DEFER = Verdict("defer", "4.7.1", "Message cannot be checked now, try again later")


@dataclass(frozen=True, slots=True)
class ChainedPolicy:
    """One policy in the chain. ``on_failure``: "pass" or "defer"."""

    policy: IPolicy
    on_failure: str = "pass"


@implementer(IPolicyChain)
class PolicyChain:
    """Policies in the order of the configuration."""

    def __init__(
        self,
        links: Sequence[ChainedPolicy],
        clock: IClock,
        hostname: str = "localhost",
        thresholds: Thresholds = DEFAULT_THRESHOLDS,
        note: Callable[[PolicyAnswer], None] | None = None,
        *,
        past_refusals: bool = False,
    ) -> None:
        """:param hostname: who says what was found, in A-labels. :param note: is told of every answer.
        :param past_refusals: whether those behind a policy that refuses are asked too; the verdict is still its."""
        self._asked: dict[tuple[str, bool], list[ChainedPolicy]] = {}
        for stage in STAGES:
            at_stage = [link for link in links if stage in link.policy.stages]
            self._asked[stage, False] = at_stage
            self._asked[stage, True] = [link for link in at_stage if not link.policy.only_strangers]
        # What any of them found is told at the end.
        self._decides = {known: any(self._asked[stage, known] for stage in STAGES) for known in (False, True)}
        self._hearing = [link.policy for link in links if IHearsSessions.providedBy(link.policy)]
        self.hears_sessions = bool(self._hearing)
        self._clock = clock
        self._hostname = hostname
        self._thresholds = thresholds
        self._note = note
        self._past_refusals = past_refusals

    def judges(self, stage: str, known: bool) -> bool:
        """See :class:`IPolicyChain`."""
        return bool(self._asked[stage, known]) or (stage == "end" and self._decides[known])

    async def ask(self, request: PolicyRequest) -> Verdict:
        """Return one verdict: the first refuse or defer; else pass, accept or quarantine with all tags, headers and plans, to be
        held when one wants it."""
        links = self._asked[request.stage, request.known]
        gathered = Gathered()
        if links:
            await self._gather(links, request, gathered)
        verdict = gathered.verdict()
        if request.stage == "end" and gathered.ended is None:
            verdict = decide(verdict, request, self._thresholds, self._hostname)
            if verdict.outcome in ("junk", "refuse"):
                self._add(gathered, summed(verdict.outcome, request.found.reasons + gathered.reasons))
                verdict = verdict.answered(tuple(gathered.answers))
        return verdict

    def session_ended(self, session: str) -> None:
        """See :class:`IPolicyChain`."""
        for policy in self._hearing:
            policy.session_ended(session)

    async def _gather(self, links: Sequence[ChainedPolicy], request: PolicyRequest, gathered: Gathered) -> None:
        asking = ensureDeferred(self._ask_all(links, request, gathered))
        # Nearly always nobody had to wait, and there is nothing to cut off.
        deadline = None if asking.called else self._clock.callLater(DEADLINE, asking.cancel)
        try:
            await asking
        except CancelledError:
            why = "no verdict within 30 s of its stage"
            self._log_failure(request, gathered.asking, why)
            self._add(gathered, failure(gathered.asking, request.stage, DEADLINE, why))
            gathered.ended = gathered.ended or replace(_DEFER, by=gathered.asking)  # a refusal before it stands
        finally:
            if deadline is not None and deadline.active():
                deadline.cancel()

    def _add(self, gathered: Gathered, answer: PolicyAnswer) -> None:
        gathered.answers.append(answer)
        if self._note is not None:
            self._note(answer)

    async def _ask_all(self, links: Sequence[ChainedPolicy], request: PolicyRequest, gathered: Gathered) -> None:
        before, dns = request.found, None
        if request.stage == "end":
            dns = DnsTime(self._clock, DNS_SECONDS)
            request = request.with_time(dns.left)
        gathered.since = self._clock.seconds()
        for link in links:
            gathered.asking = link.policy.name
            if dns is not None:
                dns.begin(gathered.since)
            verdict = await self._ask_one(link, request, gathered)
            if verdict is PASS:
                continue
            told = gathered.add(link.policy.name, verdict)
            if verdict.action == "accept" or (gathered.ended is not None and not self._past_refusals):
                break
            if told:
                request = request.with_found(gathered.found(before))

    async def _ask_one(self, link: ChainedPolicy, request: PolicyRequest, gathered: Gathered) -> Verdict:
        try:
            verdict = check(await link.policy.judge(request))
        except CancelledError:
            raise
        except Exception as error:  # a plug-in's trouble is its own: named in the log, never the peer's
            why = f"{type(error).__name__}: {error}"
            if not isinstance(error, FailedBefore):
                self._log_failure(request, link.policy.name, why)
            self._add(gathered, failure(link.policy.name, request.stage, self._took(gathered), why))
            return _DEFER if link.on_failure == "defer" else PASS
        self._add(gathered, answer_of(link.policy.name, request.stage, verdict, self._took(gathered)))
        return verdict

    def _took(self, gathered: Gathered) -> float:
        """Return how many seconds the policy took that was asked last: the next one's begin now."""
        began, gathered.since = gathered.since, self._clock.seconds()
        return gathered.since - began

    def _log_failure(self, request: PolicyRequest, policy: str, error: str) -> None:
        emit(_log, "policy.failed", warning=True, session=request.origin.session, policy=policy, error=error)
