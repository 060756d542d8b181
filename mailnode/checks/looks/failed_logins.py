"""Logins that were refused."""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.checks.row import DOCTOR_ONLY, Check, Surroundings, done, skipped, to_do
from mailnode.values.item import Item

NAME = "failed-logins"
MANY = 1000.0  # a day
HOUR, DAY = 3600.0, 86_400.0


async def _look(world: Surroundings) -> Sequence[Item]:
    store = world.facts.store
    if store is None or store.failed_logins is None:
        return [skipped(NAME, "nobody counts them while no server runs")]
    counted_for = max(HOUR, world.clock.seconds() - store.failed_since)
    if store.failed_logins * DAY / counted_for > MANY:
        mend = "Keep who guesses from connecting: etc/fail2ban has what fail2ban needs (docs/logins.rst)."
        return [to_do(NAME, f"more than {MANY:.0f} logins a day are refused", mend)]
    return [done(NAME, f"{store.failed_logins} were refused since the server started")]


CHECKS = (
    Check(
        name=NAME,
        about="Few logins are refused",
        why="The server slows guessing down by itself; many guesses over weeks may find a weak password all the same.",
        look=_look,
        occasions=DOCTOR_ONLY,
    ),
)
