"""What each policy answered, in short, for the log and the counts."""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.values.policy import PolicyAnswer, ScoredReason, Verdict

FAILED = "failed"
MAX_WHY = 200  # characters of why a policy failed
_RANK = ("pass", "accept", "quarantine", "defer", "refuse")


def answer_of(policy: str, stage: str, verdict: Verdict, seconds: float) -> PolicyAnswer:
    """Return a verdict in short. Of one about single recipients alone it is what weighs most of that."""
    said, own = verdict, False
    if verdict.own and verdict.action == "pass" and not verdict.score:
        said, own = max(verdict.own.values(), key=_weight), True
    return PolicyAnswer(policy, stage, _word(said), said.score, said.reason or said.text, own, seconds)


def failure(policy: str, stage: str, seconds: float, why: str) -> PolicyAnswer:
    """Return that a policy gave no verdict. :param why: whatever words; some are a program's."""
    shown = "".join(one if one.isascii() and one.isprintable() else "?" for one in why[:MAX_WHY])
    return PolicyAnswer(policy, stage, FAILED, reason=shown, seconds=seconds)


def summed(outcome: str, reasons: tuple[ScoredReason, ...]) -> PolicyAnswer:
    """Return that the score of all together decided. :param outcome: "junk" or "refuse"."""
    return PolicyAnswer("judgement", "end", "quarantine" if outcome == "junk" else outcome, total(reasons))


def total(reasons: Sequence[ScoredReason]) -> float:
    """Return what reasons add up to."""
    return sum([reason.score for reason in reasons])


def _word(verdict: Verdict) -> str:
    if verdict.action != "pass" or not verdict.score:
        return verdict.action
    return "suspect" if verdict.score > 0 else "trust"


def _weight(verdict: Verdict) -> tuple[int, float]:
    return _RANK.index(verdict.action), abs(verdict.score)
