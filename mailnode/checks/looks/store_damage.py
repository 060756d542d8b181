"""Damage in the store that nobody has acknowledged."""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.checks.row import DOCTOR_ONLY, Check, Surroundings, done, failed, skipped
from mailnode.values.item import Item

NAME = "store-damage"
MAX_LINES = 5


async def _look(world: Surroundings) -> Sequence[Item]:
    if world.facts.store_trouble:
        return [failed(NAME, world.facts.store_trouble, "mailnode store verify\nThe log says more.")]
    store = world.facts.store
    if store is None or not world.facts.running:
        return [skipped(NAME, "a server that runs knows; else: mailnode store verify")]
    if store.damage:
        mend = (
            "mailnode store verify\nmailnode store verify --repair\nThen see docs/backup.rst for what cannot be mended."
        )
        return [failed(NAME, "; ".join(store.damage[:MAX_LINES]), mend)]
    return [done(NAME, "none is known")]


CHECKS = (
    Check(
        name=NAME,
        about="No file of the store is known to be damaged",
        why="All else is served on, so that nobody may notice before the last good backup is gone.",
        look=_look,
        occasions=DOCTOR_ONLY,
    ),
)
