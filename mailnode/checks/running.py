"""Runs checks side by side, each within its time and all within one, in a thread that may wait: on an event loop of its own, so
that it is the same beside a server's reactor and where there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from twisted.logger import Logger

from mailnode.checks.row import Check, Surroundings, failed
from mailnode.errors import Busy
from mailnode.values.item import Item

OVERALL = 20.0  # seconds for all of them
STEP = 0.2  # seconds between questions whether to give up
MAX_ITEMS = 300  # of one check
MAX_SEEN, MAX_MEND = 1_000, 10_000  # characters: others say what stands in DNS, and in replies

AGAIN = "mailnode doctor"

_log = Logger()


def look_at_all(
    checks: Sequence[Check],
    surroundings: Surroundings,
    overall: float = OVERALL,
    stopped: Callable[[], bool] = lambda: False,
) -> list[Item]:
    """Return the items of all checks, in their order. Blocks, at most ``overall`` seconds.

    :param stopped: asked now and then whether to give up. :raises mailnode.errors.Busy: that is so."""
    return asyncio.run(_all(checks, surroundings, overall, stopped))


async def _all(
    checks: Sequence[Check], surroundings: Surroundings, overall: float, stopped: Callable[[], bool]
) -> list[Item]:
    looking = [asyncio.ensure_future(_one(check, surroundings, min(check.within, overall))) for check in checks]
    pending = set(looking)
    while pending:
        if stopped():
            raise Busy
        _, pending = await asyncio.wait(pending, timeout=STEP)
    return [item for looked in looking for item in looked.result()]


async def _one(check: Check, surroundings: Surroundings, within: float) -> list[Item]:
    looking = asyncio.ensure_future(_look(check, surroundings))
    done, _ = await asyncio.wait([looking], timeout=within)
    if not done:
        looking.cancel()  # not waited for: it may take its time over that, too
        seen = f"there was no end of it within {within:g} s"
        return [replace(failed(check.name, seen, f"Look again: {AGAIN}"), explained=check.why)]
    return [replace(_short(item), explained=item.explained or check.why) for item in looking.result()]


def _short(item: Item) -> Item:
    seen = item.seen if len(item.seen) <= MAX_SEEN else f"{item.seen[:MAX_SEEN]} ..."
    mend = item.mend if len(item.mend) <= MAX_MEND else f"{item.mend[:MAX_MEND]} ..."
    return replace(item, seen=seen, mend=mend)


async def _look(check: Check, surroundings: Surroundings) -> Sequence[Item]:
    try:
        return list(await check.look(surroundings))[:MAX_ITEMS]
    except Exception:  # one check must not hide the others, whatever is wrong with it
        _log.failure("the check {name} failed", name=check.name)
        return [failed(check.name, "the check itself failed", "The log says how; please report it with what it says.")]
