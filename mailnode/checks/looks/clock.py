"""Whether the clock is right."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mailnode.checks.outside import host_addresses, one_of_each_family
from mailnode.checks.row import Check, Surroundings, done, failed, skipped, to_do
from mailnode.values.item import Item

NAME = "clock"
NOTED, WRONG = 5.0, 60.0  # seconds
_KEEP = "timedatectl set-ntp true\nWhere there is no systemd-timesyncd: apt-get install chrony"


async def _look(world: Surroundings) -> Sequence[Item]:
    servers = world.facts.settings.time_servers
    told = await asyncio.gather(*(_ask(world, server) for server in servers))
    offsets = [offset for offset in told if offset is not None]
    if not offsets:
        return [await _by_the_kernel(world)]
    if max(offsets) - min(offsets) > NOTED:
        words = ", ".join(f"{offset:+.1f} s" for offset in offsets)
        return [skipped(NAME, f"time servers do not agree ({words}): none of them is believed")]
    off = sum(offsets) / len(offsets)
    seen = f"the clock is {abs(off):.1f} s {'slow' if off > 0 else 'fast'}"
    if abs(off) > WRONG:
        return [failed(NAME, seen, _KEEP)]
    if abs(off) > NOTED:
        return [to_do(NAME, seen, _KEEP)]
    return [done(NAME, f"right to {abs(off):.1f} s")]


async def _ask(world: Surroundings, server: str) -> float | None:
    for address in one_of_each_family(await host_addresses(world, server)):
        offset = await world.network.clock_offset(address)
        if offset is not None:
            return offset
    return None


async def _by_the_kernel(world: Surroundings) -> Item:
    kept = await world.machine.clock_is_kept()
    if kept is None:
        return skipped(NAME, "no time server answers")
    if kept:
        return done(NAME, "no time server answers; the kernel is told the time by a service here")
    return to_do(NAME, "no time server answers, and no service here tells the kernel the time", _KEEP)


CHECKS = (
    Check(
        name=NAME,
        about="The clock is right to a few seconds",
        why="From 5 s on, logs of two machines can no longer be compared. From a minute on, mail seems to come from the future,"
        " which filters take for a sign of spam, and tokens for logins are refused; from hours on, so are certificates and DNSSEC"
        " signatures.",
        look=_look,
    ),
)
