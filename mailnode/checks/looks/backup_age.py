"""The latest backup."""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.checks.row import DOCTOR_ONLY, Check, Surroundings, done, failed, to_do
from mailnode.values.item import Item

NAME = "backup-age"
HOUR = 3600.0


async def _look(world: Surroundings) -> Sequence[Item]:
    backup, most = world.facts.backup, world.facts.settings.backup_age
    if backup is None:
        say = "Make one every day (docs/backup.rst), and say where: [doctor] backups"
        return [to_do(NAME, "no directory of backups is named", say)]
    make = f"mailnode backup {backup.directory}"
    if backup.trouble:
        return [failed(NAME, f"{backup.directory}: {backup.trouble}", make)]
    if backup.latest is None:
        return [failed(NAME, f"{backup.directory} has no backup", make)]
    age = world.clock.seconds() - backup.latest
    if age > most:
        return [
            failed(NAME, f"the latest backup is older than {most / HOUR:.0f} h", f"{make}\nSee why it was not made.")
        ]
    if backup.faults:
        mend = "mailnode store verify\nThen see docs/backup.rst; the one before may have what this one lacks."
        return [failed(NAME, f"in the latest backup {len(backup.faults)} things are wrong: {backup.faults[0]}", mend)]
    return [done(NAME, f"the latest backup is {max(0.0, age) / HOUR:.0f} h old")]


CHECKS = (
    Check(
        name=NAME,
        about="There is a backup of late",
        why="A disk that breaks takes all mail with it but what stands in a backup elsewhere.",
        look=_look,
        occasions=DOCTOR_ONLY,
    ),
)
