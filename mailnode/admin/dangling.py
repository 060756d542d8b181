"""Aliases that lead to a local address that does not exist: said by the command that leaves one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from mailnode.admin.administration import Administration
from mailnode.values.address import Address

T = TypeVar("T")

_Pair = tuple[str, str]  # the alias, or *@ and a domain for its catch-all, and the target that does not exist


async def with_dangling(admin: Administration, change: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """Make a change and return its result with ``dangling``: the ``address`` and ``target`` of each alias that led
    somewhere before and does so no longer, or is new."""
    before = set(await admin.directory.dangling())
    result = await change()
    return result | told([pair for pair in await admin.directory.dangling() if pair not in before])


async def dangling_of(admin: Administration, address: Address) -> dict[str, Any]:
    """Return ``dangling`` of one alias."""
    written = str(address).casefold()
    return told([pair for pair in await admin.directory.dangling() if pair[0].casefold() == written])


def told(pairs: list[_Pair]) -> dict[str, Any]:
    """Return the part of a command's result that tells of dangling aliases; without any, an empty list."""
    return {"dangling": [{"address": address, "target": target} for address, target in pairs]}
