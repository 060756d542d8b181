"""Aliases that lead to a local address that does not exist: said by the operation that leaves one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TypedDict

from mailnode.admin.administration import Administration
from mailnode.values.address import Address


class Dangling(TypedDict):
    """An alias and one of its targets."""

    address: str  # the alias, or *@ and a domain for its catch-all
    target: str  # it does not exist


class LeavesDangling(TypedDict):
    """The result of an operation that may leave some: those that led somewhere before and do so no longer, or are new."""

    dangling: list[Dangling]


class Removed(LeavesDangling):
    """What was taken away."""

    removed: str


async def left_by(admin: Administration, change: Callable[[], Awaitable[object]]) -> list[Dangling]:
    """Make a change and return what it leaves."""
    before = set(await admin.directory.dangling())
    await change()
    return told(pair for pair in await admin.directory.dangling() if pair not in before)


async def dangling_of(admin: Administration, address: Address) -> list[Dangling]:
    """Return the targets of one alias that do not exist."""
    written = str(address).casefold()
    return told(pair for pair in await admin.directory.dangling() if pair[0].casefold() == written)


def told(pairs: Iterable[tuple[str, str]]) -> list[Dangling]:
    """Return pairs of alias and target as results hold them."""
    return [{"address": address, "target": target} for address, target in pairs]
