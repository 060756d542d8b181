"""Mail that waits in the queue."""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.checks.row import DOCTOR_ONLY, Check, Surroundings, done, skipped, to_do
from mailnode.values.item import Item

NAME = "queue-age"
OLD = 86_400.0  # seconds


async def _look(world: Surroundings) -> Sequence[Item]:
    store = world.facts.store
    if store is None:
        return [skipped(NAME, "the queue cannot be read")]
    if store.queue_paused:
        return [to_do(NAME, "; ".join(store.queue_paused), "mailnode queue resume, when what it waits for is mended")]
    if store.queue_oldest is None:
        return [done(NAME, "nothing waits")]
    age = world.clock.seconds() - store.queue_oldest
    seen = f"{store.queue_recipients} recipients wait, the oldest for {age / 3600:.0f} h"
    if age > OLD:
        return [
            to_do(
                NAME,
                f"some of {store.queue_recipients} recipients have waited for more than a day",
                "mailnode queue summary",
            )
        ]
    return [done(NAME, seen)]


CHECKS = (
    Check(
        name=NAME,
        about="No mail has waited for more than a day",
        why="Senders think that it has arrived until they are told otherwise; what waits for long is lost to them or comes back.",
        look=_look,
        occasions=DOCTOR_ONLY,
    ),
)
