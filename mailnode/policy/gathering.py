"""What the policies of one stage say, together."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from mailnode.values.address import Address
from mailnode.values.authentication import AuthenticationResult
from mailnode.values.plan import AS_IT_IS, RecipientPlan
from mailnode.values.policy import PolicyAnswer, ScoredReason, Verdict


@dataclass(slots=True)
class Gathered:
    """``ended``: the refusal after which nobody is asked any more. ``own``: by recipient, with who said it in ``reasons``.
    ``asking``: the policy that is being asked."""

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

    def add(self, policy: str, verdict: Verdict) -> Verdict:
        """Take a verdict in; return it with its reasons."""
        reasons = _reasons(policy, verdict)
        said = replace(verdict, reasons=reasons) if reasons or verdict.reasons else verdict
        self.tags.update(said.tags)
        self.headers += said.headers
        self.plan = self.plan.then(said.plan)
        self.hold = self.hold or said.hold
        self.results += said.results
        self.reasons += said.reasons
        for address, own in said.own.items():
            self.own[address] = _together(self.own.get(address), replace(own, reasons=_reasons(policy, own)))
        if said.action in ("refuse", "defer"):
            self.ended = replace(
                said,
                tags=dict(self.tags),
                headers=self.headers,
                results=self.results,
                reasons=self.reasons,
                by=policy,
            )
        elif said.action != "pass" and self.action != "quarantine":
            self.action = said.action
        return said

    def verdict(self) -> Verdict:
        """Return what all of them come to."""
        if self.ended is not None:
            return replace(self.ended, answers=tuple(self.answers))
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
    worst = max(before, now, key=lambda one: ("pass", "accept", "quarantine", "defer", "refuse").index(one.action))
    return replace(worst, plan=before.plan.then(now.plan), reasons=before.reasons + now.reasons)
