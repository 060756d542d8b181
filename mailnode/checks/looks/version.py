"""The version that runs."""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.checks.row import DOCTOR_ONLY, Check, Surroundings, done, skipped, to_do
from mailnode.values.item import Item

NAME = "version"


async def _look(world: Surroundings) -> Sequence[Item]:
    runs, installed = world.facts.version, world.facts.installed
    if not runs:
        return [skipped(NAME, "it is not known")]
    if world.facts.running and runs != installed:
        mend = f"systemctl restart {world.facts.settings.unit}"
        return [to_do(NAME, f"{runs} runs, and {installed} is installed", mend)]
    return [done(NAME, f"{runs}{' runs, and' if world.facts.running else ''} is the one that is installed")]


CHECKS = (
    Check(
        name=NAME,
        about="The version that is installed is the one that runs",
        why="What an update mends is mended when the server has started anew. Nobody is asked whether there is a newer one.",
        look=_look,
        occasions=DOCTOR_ONLY,
    ),
)
