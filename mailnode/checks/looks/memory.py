"""The memory of the machine."""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.checks.row import Check, Surroundings, done, failed, skipped, to_do
from mailnode.values.item import Item

NAME = "memory"
MIB = 2**20
SMALL, LITTLE = 460 * MIB, 64 * MIB  # octets: of all, of what is available
SWAP = "fallocate -l 1G /swapfile && chmod 600 /swapfile && mkswap /swapfile && swapon /swapfile"


async def _look(world: Surroundings) -> Sequence[Item]:
    found = await world.machine.memory()
    if found is None:
        return [skipped(NAME, "it cannot be seen")]
    seen = (
        f"{found.available // MIB} MiB of {found.total // MIB} MiB are available, and {found.swap // MIB} MiB of swap"
    )
    if found.available < LITTLE:
        return [failed(NAME, seen, "See what has it: ps -eo rss,args --sort=-rss | head")]
    if found.total < SMALL and not found.swap:
        return [to_do(NAME, seen, f"Give the machine 512 MiB, or swap: {SWAP}")]
    return [done(NAME, seen)]


CHECKS = (
    Check(
        name=NAME,
        about="There is memory",
        why="Without any left the kernel ends processes, and the server may be one of them. What was acknowledged is kept.",
        look=_look,
    ),
)
