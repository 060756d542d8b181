"""Runs checks side by side, each within its time and all within one, in a thread that may wait: on an event loop of its own, so
that it is the same beside a server's reactor and where there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from twisted.logger import Logger

from mailnode.checks.row import Check, Surroundings, failed
from mailnode.values.item import Item

OVERALL = 28.0  # seconds for all of them
MAX_ITEMS = 300  # of one check

AGAIN = "mailnode doctor"

_log = Logger()


def look_at_all(checks: Sequence[Check], surroundings: Surroundings, overall: float = OVERALL) -> list[Item]:
    """Return the items of all checks, in their order. Blocks, at most ``overall`` seconds; never raises."""
    return asyncio.run(_all(checks, surroundings, overall))


async def _all(checks: Sequence[Check], surroundings: Surroundings, overall: float) -> list[Item]:
    looking = [asyncio.ensure_future(_one(check, surroundings, min(check.within, overall))) for check in checks]
    return [item for items in await asyncio.gather(*looking) for item in items]


async def _one(check: Check, surroundings: Surroundings, within: float) -> list[Item]:
    looking = asyncio.ensure_future(_look(check, surroundings))
    done, _ = await asyncio.wait([looking], timeout=within)
    if not done:
        looking.cancel()  # not waited for: it may take its time over that, too
        seen = f"there was no end of it within {within:g} s"
        return [replace(failed(check.name, seen, f"Look again: {AGAIN}"), explained=check.why)]
    return [replace(item, explained=item.explained or check.why) for item in looking.result()]


async def _look(check: Check, surroundings: Surroundings) -> Sequence[Item]:
    try:
        return list(await check.look(surroundings))[:MAX_ITEMS]
    except Exception:  # one check must not hide the others, whatever is wrong with it
        _log.failure("the check {name} failed", name=check.name)
        return [failed(check.name, "the check itself failed", "The log says how; please report it with what it says.")]
