"""The line of the log that says how a message was judged: one for each, also for those that were refused at any stage."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from mailnode.interfaces.log import EventLog
from mailnode.smtp.wire.replies import Rejected
from mailnode.values.events import EventFields, emit
from mailnode.values.policy import PolicyAnswer, Verdict

MAX_SAID = 4000  # characters of all answers together: of every policy that comes with the server two at length
MAX_REASON = 80  # of the words of one

_log = EventLog()
_RANK = ("pass", "trust", "suspect", "failed", "accept", "quarantine", "defer", "refuse")


@dataclass(slots=True)
class Judged:
    """What policies answered about one message: of a stage that comes once for each recipient, the worst of each policy."""

    answers: dict[tuple[str, str], PolicyAnswer] = field(default_factory=dict)  # by policy and stage
    refused: Rejected | None = None  # what a recipient was refused with
    told: bool = False

    def hear(self, verdict: Verdict) -> None:
        """Take in what was answered at a stage."""
        for one in verdict.answers:
            before = self.answers.get((one.policy, one.stage))
            self.answers[one.policy, one.stage] = one if before is None else _together(before, one)

    def tell(self, about: dict[str, str], outcome: str, refusal: Rejected | None = None) -> None:
        """Log, once, what became of the message, unless nobody was asked. :param about: fields of ``message.judged`` that say
        which message that is."""
        if self.told or not self.answers:
            return
        self.told = True
        answers = list(self.answers.values())
        told: EventFields = about | (refusal.about if refusal is not None else {})
        emit(
            _log,
            "message.judged",
            **told,
            outcome=outcome,
            score=common_score(answers),
            verdicts="; ".join(map(_said, answers))[:MAX_SAID],
            seconds=round(sum([one.seconds for one in answers]), 3),
        )

    def tell_refused(self, about: dict[str, str], refusal: Rejected) -> None:
        """Log that the message was refused, or put off, if it was a policy that did."""
        if refusal.stage:
            self.tell(about, "defer" if refusal.reply.code < 500 else "refuse", refusal)


def _together(before: PolicyAnswer, now: PolicyAnswer) -> PolicyAnswer:
    worst = max(before, now, key=lambda one: (_RANK.index(one.answer), abs(one.score)))
    return worst._replace(seconds=before.seconds + now.seconds)


def common_score(answers: Iterable[PolicyAnswer]) -> float:
    """Return what counts for all recipients."""
    return round(sum([one.score for one in answers if _is_common(one)]), 2)


def _is_common(answer: PolicyAnswer) -> bool:
    """Whether it is about the message, whoever gets it, and no sum of others."""
    return not answer.own and answer.stage != "rcpt" and answer.policy != "judgement"


def _said(answer: PolicyAnswer) -> str:
    score = f" {answer.score:+.1f}" if answer.score else ""
    reason = f" ({answer.reason[:MAX_REASON]})" if answer.reason else ""
    return f"{answer.policy}@{answer.stage} {answer.answer}{score}{reason}"
