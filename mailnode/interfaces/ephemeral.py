"""What the store keeps that may be lost: counters, and what is known of other servers."""

from __future__ import annotations

from collections.abc import Sequence

from zope.interface import Interface

from mailnode.values.sts_policy import KeptStsPolicy


class IEphemeral(Interface):
    """Counters that may be lost: throttles, rates. Written without sync, in batches; never waited on by mail."""

    # What stands before the first colon of a key is its space. Each space has room of its own: a flood in one pushes
    # nothing out of another. There are few, and their names are the program's.

    async def take(counts: Sequence[tuple[str, float, float]], once: str, now: float) -> str:
        """Add 1 to each of some decaying counters, (key, limit, half-life), and return ``"counted"``; or to none of them
        when one would get above its limit: ``"refused"``.

        :param once: a name under which this is done once a day at most: ``"known"`` says that it was done before, and
            that nothing was added. It stays in memory. "": always done.
        """

    async def give_back(counts: Sequence[tuple[str, float, float]], once: str, now: float) -> None:
        """Undo :meth:`take`, and forget the name."""

    async def add(key: str, amount: float, now: float, half_life: float) -> float:
        """Add to a decaying counter and return its value at ``now``."""

    async def get(key: str, now: float, half_life: float) -> float:
        """Return a decaying counter."""

    async def clear(key: str) -> None:
        """Forget a counter."""


class IStsPolicies(Interface):
    """MTA-STS policies of other domains, which may be lost. Where the store is not available nothing is kept."""

    async def get(domain: str) -> KeptStsPolicy | None:
        """What was put for a domain (its key), though it may have expired."""

    async def put(domain: str, kept: KeptStsPolicy) -> None:
        """Keep a policy in the place of any other of the domain."""
