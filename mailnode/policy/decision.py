"""What becomes of a message: all that policies have found adds up, and is told to the person whose mail it is.

For each recipient the score is what all stages found about the message, and what was found about that recipient. Where one reply
is all there is (RFC 5321 4.2.5), a refusal has to be everybody's; else what one recipient would refuse goes into its junk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mailnode.policy.answers import total
from mailnode.policy.explanation import authentication_results, reason_field
from mailnode.values.address import Address
from mailnode.values.plan import JUNK, RecipientPlan
from mailnode.values.policy import PASS, Findings, PolicyRequest, ScoredReason, Verdict

REFUSAL = Verdict("refuse", "5.7.1", "Message looks like junk and was not taken")
TO_JUNK = RecipientPlan(special_use=JUNK, keywords=("$Junk",))


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From which scores on a message is junk, and is refused; 0: never."""

    junk: float = 5.0
    refuse: float = 15.0

    def outcome(self, found: Findings, own: Sequence[ScoredReason] = (), action: str = "pass") -> str:
        """Return "inbox", "junk" or "refuse". :param own: what was found about one recipient. :param action: and is wanted."""
        score = found.score + total(own)
        if action == "refuse" or 0 < self.refuse <= score:
            return "refuse"
        return "junk" if found.quarantine or action == "quarantine" or 0 < self.junk <= score else "inbox"


DEFAULT_THRESHOLDS = Thresholds()


def decide(verdict: Verdict, request: PolicyRequest, thresholds: Thresholds, hostname: str) -> Verdict:
    """Return the verdict on a message of which everything is known. :param verdict: of the policies of the last stage.
    :param hostname: who says so."""
    found = request.found.then(verdict)
    if not (found.results or found.reasons or found.quarantine or verdict.own or request.own):
        return verdict
    headers = (authentication_results(hostname, found.results), *verdict.headers)
    if verdict.own or request.own:
        own = _by_recipient(found, verdict, request, thresholds)
        outcomes = {one.outcome for one in own.values()}
        if outcomes == {"refuse"}:
            return _refusal_of_all(tuple(own.values()), found, thresholds)
        return verdict.decided(outcomes.pop() if len(outcomes) == 1 else "mixed", headers, verdict.plan, own)
    outcome = thresholds.outcome(found)
    if outcome == "refuse":
        return _refusal(found.reasons, thresholds)
    plan = TO_JUNK.then(verdict.plan) if outcome == "junk" else verdict.plan
    headers = (*headers, reason_field(outcome, found.reasons, thresholds.junk))
    return verdict.decided(outcome, headers, plan, verdict.own)


def _refusal(reasons: tuple[ScoredReason, ...], thresholds: Thresholds) -> Verdict:
    why = f"score {total(reasons):.1f} of {thresholds.refuse:.1f}"
    return replace(REFUSAL, reasons=reasons, reason=why, by="judgement", outcome="refuse")


def _refusal_of_all(own: Sequence[Verdict], found: Findings, thresholds: Thresholds) -> Verdict:
    """Return the refusal of a message that nobody takes: in the words of the policy, where it is one for all of them."""
    first = own[0]
    if first.by == "judgement" or any((one.by, one.text) != (first.by, first.text) for one in own):
        return _refusal(found.reasons, thresholds)
    return replace(first, reasons=found.reasons + first.reasons)


def _by_recipient(
    found: Findings, verdict: Verdict, request: PolicyRequest, thresholds: Thresholds
) -> dict[Address, Verdict]:
    envelope = request.envelope
    assert envelope is not None
    wanted: dict[Address, tuple[str, Verdict, tuple[ScoredReason, ...]]] = {}
    for recipient in envelope.recipients:
        address = recipient.address
        own = verdict.own.get(address, PASS)
        reasons = request.own.get(address, ()) + own.reasons
        wanted[address] = thresholds.outcome(found, reasons, own.action), own, reasons
    everybody = {outcome for outcome, _, _ in wanted.values()} == {"refuse"}
    decided = {}
    for address, (outcome, own, reasons) in wanted.items():
        if outcome == "refuse" and (everybody or request.answers_each):
            decided[address] = replace(
                REFUSAL,
                text=own.text or REFUSAL.text,
                reason=own.reason,
                reasons=reasons,
                by=own.reasons[-1].policy if own.action == "refuse" and own.reasons else "judgement",
                outcome=outcome,
            )
            continue
        plan = own.plan if outcome == "inbox" else TO_JUNK.then(own.plan)
        prefix = reason_field(outcome, found.reasons + reasons, thresholds.junk)
        decided[address] = Verdict(
            plan=RecipientPlan(prefix=prefix).then(plan), outcome="inbox" if outcome == "inbox" else "junk"
        )
    return decided
