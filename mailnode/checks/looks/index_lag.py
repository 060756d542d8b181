"""How far the search index is behind."""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.checks.row import DOCTOR_ONLY, Check, Surroundings, done, skipped, to_do
from mailnode.values.item import Item

NAME = "index-lag"
HOUR = 3600.0
LATE = 6 * HOUR  # seconds


async def _look(world: Surroundings) -> Sequence[Item]:
    store = world.facts.store
    if store is None or not world.facts.running:
        return [skipped(NAME, "nobody indexes while no server runs")]
    if store.index_since is None:
        return [done(NAME, "all messages are indexed")]
    behind = world.clock.seconds() - store.index_since
    if behind > LATE:
        mend = "See what keeps the machine busy, and whether the log tells of the indexer."
        return [to_do(NAME, f"messages have waited for more than {LATE / HOUR:.0f} h to be indexed", mend)]
    return [done(NAME, f"{store.unindexed} messages wait to be indexed")]


CHECKS = (
    Check(
        name=NAME,
        about="The search index follows",
        why="What is not indexed yet is found all the same, by reading it, which takes longer.",
        look=_look,
        occasions=DOCTOR_ONLY,
    ),
)
