"""What the policies of one stage say, together."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from mailnode.values.address import Address
from mailnode.values.authentication import AuthenticationResult
from mailnode.values.plan import AS_IT_IS, RecipientPlan
from mailnode.values.policy import Findings, PolicyAnswer, ScoredReason, Verdict


@dataclass(slots=True)
class Gathered:
    """``ended``: the refusal, the first one. ``own``: by recipient, with who said it in ``reasons``.
    ``asking``: the policy that is being asked, ``since`` when."""

    ended: Verdict | None = None
    action: str = "pass"
    tags: dict[str, str] = field(default_factory=dict)
    headers: tuple[bytes, ...] = ()
    plan: RecipientPlan = AS_IT_IS
    hold: bool = False
    results: tuple[AuthenticationResult, ...] = ()
    reasons: tuple[ScoredReason, ...] = ()
    own: dict[Address, Verdict] = field(default_factory=dict)
    answers: list[PolicyAnswer] = field(default_factory=list)
    asking: str = ""
    since: float = 0.0

    def add(self, policy: str, verdict: Verdict) -> bool:
        """Take a verdict in; return whether it found anything about the message."""
        reasons = _reasons(policy, verdict)
        if verdict.tags:
            self.tags.update(verdict.tags)
        if verdict.headers:
            self.headers += verdict.headers
        if verdict.plan is not AS_IT_IS:
            self.plan = self.plan.then(verdict.plan)
        self.hold = self.hold or verdict.hold
        self.results += verdict.results
        self.reasons += reasons
        if verdict.own:
            for address, own in verdict.own.items():
                self.own[address] = _together(self.own.get(address), own.because(_reasons(policy, own)))
        if verdict.action != "pass":
            self._act(policy, verdict)
        return bool(verdict.results or reasons or verdict.action == "quarantine")

    def _act(self, policy: str, verdict: Verdict) -> None:
        if self.ended is None and verdict.action in ("refuse", "defer"):
            self.ended = replace(verdict, by=policy)
        elif verdict.action in ("accept", "quarantine") and self.action != "quarantine":
            self.action = verdict.action

    def found(self, before: Findings) -> Findings:
        """Return what was found before, with what these have."""
        quarantine = self.action == "quarantine"
        if not (self.results or self.reasons or quarantine):
            return before
        return Findings(before.results + self.results, before.reasons + self.reasons, before.quarantine or quarantine)

    def verdict(self) -> Verdict:
        """Return what all of them come to."""
        if self.ended is not None:
            return replace(
                self.ended,
                tags=dict(self.tags),
                headers=self.headers,
                results=self.results,
                reasons=self.reasons,
                answers=tuple(self.answers),
            )
        return Verdict(
            self.action,
            tags=self.tags,
            headers=self.headers,
            plan=self.plan,
            hold=self.hold,
            results=self.results,
            own=self.own,
            reasons=self.reasons,
            answers=tuple(self.answers),
        )


def _reasons(policy: str, verdict: Verdict) -> tuple[ScoredReason, ...]:
    """Return why, in words; a refusal and a quarantine always have some."""
    if not (verdict.score or verdict.reason or verdict.action in ("refuse", "defer", "quarantine")):
        return ()
    return (ScoredReason(policy, verdict.reason or verdict.text, verdict.score),)


def _together(before: Verdict | None, now: Verdict) -> Verdict:
    if before is None:
        return now
    worst = max(before, now, key=_rank) if before.action != now.action else before
    return worst.with_others(before.plan.then(now.plan), before.reasons + now.reasons)


def _rank(verdict: Verdict) -> int:
    return ("pass", "accept", "quarantine", "defer", "refuse").index(verdict.action)
