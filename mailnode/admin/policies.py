"""Operations on policies: which there are, and what they answered."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TypedDict

from mailnode.admin.administration import Administration
from mailnode.admin.operations import Seconds, operation
from mailnode.values.policy import ListedPolicy, PolicyTotal

A_DAY = Seconds(86_400)


class PolicyRecord(TypedDict):
    """One policy of the chain."""

    name: str
    place: str  # the key of the configuration that names it
    stages: list[str]
    asked_about: str  # "strangers" or "everybody"
    on_failure: str
    options: str  # those that the configuration gives, as JSON
    origin: str  # the module it comes from
    help: str


class PolicyStatsRecord(TypedDict):
    """How often a policy answered what; how often a score spoke for junk or against it, and what those came to."""

    policy: str
    asked: int
    refused: int
    deferred: int
    quarantined: int
    accepted: int
    suspected: int
    suspected_score: float
    trusted: int
    trusted_score: float
    failed: int
    milliseconds: float  # that one answer took, on average
    stages: dict[str, int]  # how often it was asked at each


@operation("policy.list")
async def policy_list(admin: Administration) -> list[PolicyRecord]:
    """The policies that judge mail, in the order in which they are asked."""
    return [_record(one) for one in admin.policies()]


@operation("policy.stats")
async def policy_stats(admin: Administration, since: Seconds = A_DAY) -> list[PolicyStatsRecord]:
    """How often each policy refused, deferred or scored, of late, by whole hours. :param since: how far back."""
    await admin.write_counts()
    totals = await admin.policy_tally.totals(admin.clock.seconds() - since)
    names = sorted({one.policy for one in totals})
    stats = [_stats(name, [one for one in totals if one.policy == name]) for name in names]
    return sorted(stats, key=lambda one: (-one["refused"] - one["deferred"], -one["asked"], one["policy"]))


def _record(one: ListedPolicy) -> PolicyRecord:
    return {
        "name": one.name,
        "place": one.place,
        "stages": list(one.stages),
        "asked_about": "strangers" if one.only_strangers else "everybody",
        "on_failure": one.on_failure,
        "options": json.dumps(one.options, default=str) if one.options else "",
        "origin": one.origin,
        "help": one.help,
    }


def _stats(name: str, totals: Sequence[PolicyTotal]) -> PolicyStatsRecord:
    asked = sum(one.times for one in totals)
    stages = sorted({one.stage for one in totals})

    def times(answer: str) -> int:
        return sum(one.times for one in totals if one.answer == answer)

    def score(answer: str) -> float:
        return round(sum(one.score for one in totals if one.answer == answer), 1)

    return {
        "policy": name,
        "asked": asked,
        "refused": times("refuse"),
        "deferred": times("defer"),
        "quarantined": times("quarantine"),
        "accepted": times("accept"),
        "suspected": times("suspect"),
        "suspected_score": score("suspect"),
        "trusted": times("trust"),
        "trusted_score": score("trust"),
        "failed": times("failed"),
        "milliseconds": round(1000 * sum(one.seconds for one in totals) / asked, 3) if asked else 0.0,
        "stages": {stage: sum(one.times for one in totals if one.stage == stage) for stage in stages},
    }
