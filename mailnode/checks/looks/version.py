"""The version that runs, and whether it is the one that wrote what is stored."""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.checks.row import DOCTOR_ONLY, Check, Surroundings, done, failed, skipped, to_do
from mailnode.values.item import Item
from mailnode.values.stored_format import StoredFormat

NAME = "version"
MAX_NAMED = 3  # databases
MEND = "Install the newer version again, or go back to before the upgrade as docs/upgrading.rst says."


async def _look(world: Surroundings) -> Sequence[Item]:
    runs, installed = world.facts.version, world.facts.installed
    if not runs:
        return [skipped(NAME, "it is not known")]
    if world.facts.running and runs != installed:
        mend = f"systemctl restart {world.facts.settings.unit}"
        return [to_do(NAME, f"{runs} runs, and {installed} is installed", mend)]
    newer = [one for one in world.facts.formats if one.schema > one.known]
    if newer:
        return [_written_by_a_newer(world, newer)]
    known = f", and knows the form of all {len(world.facts.formats)} databases" if world.facts.formats else ""
    return [done(NAME, f"{runs}{' runs, and' if world.facts.running else ''} is the one that is installed{known}")]


def _written_by_a_newer(world: Surroundings, newer: Sequence[StoredFormat]) -> Item:
    """Say that a version before the one that was used last is there: it goes on with what it can, and with the rest not."""
    named = ", ".join(f"{one.name} (schema {one.schema})" for one in newer[:MAX_NAMED])
    more = f" and {len(newer) - MAX_NAMED} more" if len(newer) > MAX_NAMED else ""
    seen = f"a newer version than {world.facts.version} wrote {named}{more}"
    if world.facts.store_trouble:
        return failed(NAME, f"{seen}, which this one cannot go on with", MEND)
    return to_do(NAME, f"{seen}, which this one goes on with", MEND)


CHECKS = (
    Check(
        name=NAME,
        about="The version that is installed is the one that runs",
        why="What an update mends is mended when the server has started anew. Nobody is asked whether there is a newer one.",
        look=_look,
        occasions=DOCTOR_ONLY,
    ),
)
