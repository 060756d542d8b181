"""Verdicts of policies and what a policy is shown. Verdicts are data: the chain decides, nobody replies on the spot."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from mailnode.values.address import Address
from mailnode.values.authentication import AuthenticationResult, BodyDigest
from mailnode.values.directory import Resolved
from mailnode.values.envelope import Envelope, Origin, Recipient
from mailnode.values.plan import AS_IT_IS, RecipientPlan
from mailnode.values.reading import ReadMessage

ReadAhead: TypeAlias = Callable[[Mapping[str, Sequence[bytes] | None]], Awaitable[ReadMessage | None]]

STAGES = ("connect", "helo", "mail", "rcpt", "data", "end")


class ScoredReason(NamedTuple):
    """What a policy found, in words, for the person whose mail it is. ``score``: how much that speaks for junk; below 0: against
    it."""

    policy: str
    text: str
    score: float = 0.0


class PolicyAnswer(NamedTuple):
    """What one policy answered at a stage, in short.

    ``answer``: the action of its verdict, or, where that is "pass", "suspect" for a score above 0 and "trust" for one below;
    "failed" when it gave none. ``own``: it is about one recipient, that of whom it says most. ``seconds``: how long that took. The
    score of all together answers as the policy "judgement", where it decides.
    """

    policy: str
    stage: str
    answer: str
    score: float = 0.0
    reason: str = ""
    own: bool = False
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class PolicyTotal:
    """How often a policy gave an answer of a kind at a stage; scores and seconds added up."""

    policy: str
    stage: str
    answer: str
    times: int
    score: float
    seconds: float


@dataclass(frozen=True, slots=True)
class ListedPolicy:
    """One policy of the chain. ``place``: where the configuration names it, with ``options``. ``origin``: the module of the
    plug-in."""

    name: str
    place: str
    stages: tuple[str, ...]
    only_strangers: bool
    on_failure: str
    options: Mapping[str, object]
    origin: str
    help: str


# Not frozen, though nobody changes one: to make a frozen one takes three times as long, and a message has a dozen.
@dataclass(slots=True)
class Verdict:
    """``action``: "pass" (no opinion), "accept" (skip later policies of this stage), "quarantine" (take it, as junk), "defer"
    (4xx), "refuse" (5xx).

    ``status`` is an RFC 3463 code; ``text`` one line for the peer; ``tags`` are added to the envelope;
    ``headers`` are complete field lines with CRLF to stand on top of the message. ``plan`` is what is to become of the
    copies: at stage "rcpt" of that recipient's, else of everybody's. ``hold``: the message waits in the queue, for all its
    recipients, until an operator releases it.

    ``score`` and ``reason``: how much speaks for junk, and why in words, ASCII; at stage "rcpt" it counts for that recipient. What
    all of them add up to decides. ``results``: what was found out about who it is from; they stand in Authentication-Results.
    ``own``: at stage "end", verdicts about single recipients: of these action (pass, quarantine, refuse), text, score, reason and
    plan count.

    The chain fills in ``reasons``, out of ``score`` and ``reason`` of each policy; ``by``, the policy that refused or deferred;
    ``outcome``, what was decided at stage "end": "inbox", "junk", "mixed" or "refuse"; ``answers``, of all that were asked.
    """

    action: str = "pass"
    status: str = ""
    text: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    headers: tuple[bytes, ...] = ()
    plan: RecipientPlan = AS_IT_IS
    hold: bool = False
    score: float = 0.0
    reason: str = ""
    results: tuple[AuthenticationResult, ...] = ()
    own: Mapping[Address, Verdict] = field(default_factory=dict)
    reasons: tuple[ScoredReason, ...] = ()
    by: str = field(default="", compare=False)
    outcome: str = field(default="", compare=False)
    answers: tuple[PolicyAnswer, ...] = field(default=(), compare=False)

    def because(self, reasons: tuple[ScoredReason, ...]) -> Verdict:
        """Return the same for these reasons."""
        return self._with(self.headers, self.plan, self.own, reasons, self.outcome, self.answers)

    def with_others(self, plan: RecipientPlan, reasons: tuple[ScoredReason, ...]) -> Verdict:
        """Return the same with what others said besides."""
        return self._with(self.headers, plan, self.own, reasons, self.outcome, self.answers)

    def decided(
        self, outcome: str, headers: tuple[bytes, ...], plan: RecipientPlan, own: Mapping[Address, Verdict]
    ) -> Verdict:
        """Return the same with what was decided."""
        return self._with(headers, plan, own, self.reasons, outcome, self.answers)

    def answered(self, answers: tuple[PolicyAnswer, ...]) -> Verdict:
        """Return the same with the answers of all that were asked."""
        return self._with(self.headers, self.plan, self.own, self.reasons, self.outcome, answers)

    def _with(
        self,
        headers: tuple[bytes, ...],
        plan: RecipientPlan,
        own: Mapping[Address, Verdict],
        reasons: tuple[ScoredReason, ...],
        outcome: str,
        answers: tuple[PolicyAnswer, ...],
    ) -> Verdict:
        return Verdict(
            self.action,
            self.status,
            self.text,
            self.tags,
            headers,
            plan,
            self.hold,
            self.score,
            self.reason,
            self.results,
            own,
            reasons,
            self.by,
            outcome,
            answers,
        )


PASS = Verdict()


@dataclass(frozen=True, slots=True)
class Findings:
    """What policies have found about a message so far. ``quarantine``: one of them takes it for junk, whatever the score."""

    results: tuple[AuthenticationResult, ...] = ()
    reasons: tuple[ScoredReason, ...] = ()
    quarantine: bool = False

    @property
    def score(self) -> float:
        """How much speaks for junk."""
        return sum([reason.score for reason in self.reasons])

    def then(self, verdict: Verdict) -> Findings:
        """Return these with what a verdict of the chain adds."""
        if not (verdict.results or verdict.reasons or verdict.action == "quarantine"):
            return self
        return Findings(
            self.results + verdict.results,
            self.reasons + verdict.reasons,
            self.quarantine or verdict.action == "quarantine",
        )

    def result(self, method: str) -> str:
        """Return the first result of a method, "" without any."""
        return next((one.result for one in self.results if one.method == method), "")


NOTHING_FOUND = Findings()


def _no_limit() -> float:
    return inf


class PolicyRequest(NamedTuple):
    """What is known at a stage. ``header`` is the message's header block at stage "end" (CRLF, limit 1 MiB), ``size``
    the octets of the message there, before that what the client says, and ``read`` returns octets of it, by offset and
    length; fewer only at its end.

    ``found``: what was found before, by earlier stages and by the policies before this one. ``own``: what was found about single
    recipients at stage "rcpt". ``routes``: where each recipient leads, at "data" and "end". ``known``: the client is a user, a
    server of ours, or one that may relay: nothing is to be found out about who it is. ``answers_each``: at "end" each recipient
    gets a reply of its own. ``digests``: the hashes of the body, by form, where it has signatures and was hashed as it came.
    ``ahead``: reads the message in another process, where that pays, once for all who ask; given the records of the keys of its
    signatures, by name, None for one of which nobody can say just now. It returns None where that could not be done.
    ``dns_left``: returns how many seconds more the policy that is asked may wait for DNS about this message, at "end".
    """

    stage: str
    origin: Origin
    reverse_path: Address | None = None
    recipient: Recipient | None = None
    envelope: Envelope | None = None
    header: bytes = b""
    size: int = 0
    submission: bool = False  # an authenticated user's message
    read: Callable[[int, int], Awaitable[bytes]] | None = None  # at stage "end"
    found: Findings = NOTHING_FOUND
    own: Mapping[Address, tuple[ScoredReason, ...]] = MappingProxyType({})
    routes: Mapping[Address, Resolved] = MappingProxyType({})
    known: bool = False
    answers_each: bool = False
    digests: Mapping[bytes, BodyDigest] = MappingProxyType({})
    ahead: ReadAhead | None = None
    dns_left: Callable[[], float] = _no_limit

    def with_found(self, found: Findings) -> PolicyRequest:
        """Return the same with what else was found."""
        return PolicyRequest._make((*self[:_FOUND], found, *self[_FOUND + 1 :]))

    def with_time(self, dns_left: Callable[[], float]) -> PolicyRequest:
        """Return the same with the time that there is for DNS."""
        return PolicyRequest._make((*self[:-1], dns_left))


_FOUND = PolicyRequest._fields.index("found")
