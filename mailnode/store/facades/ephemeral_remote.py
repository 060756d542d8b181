"""Decaying counters that another process keeps: guesses are counted once for the whole server."""

from __future__ import annotations

from collections.abc import Sequence

from zope.interface import implementer

from mailnode.interfaces.ephemeral import IEphemeral
from mailnode.store.engines.remote import Ask


@implementer(IEphemeral)
class RemoteEphemeral:
    """Asks the owner for each. :raises mailnode.errors.StoreUnavailable: (every method) the owner is gone."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def take(self, counts: Sequence[tuple[str, float, float]], once: str, now: float) -> str:
        """See :class:`IEphemeral`."""
        return str(await self._ask("counter.take", list(counts), once, now))

    async def give_back(self, counts: Sequence[tuple[str, float, float]], once: str, now: float) -> None:
        """See :class:`IEphemeral`."""
        await self._ask("counter.give_back", list(counts), once, now)

    async def add(self, key: str, amount: float, now: float, half_life: float) -> float:
        """See :class:`IEphemeral`."""
        return float(await self._ask("counter.add", key, amount, now, half_life))

    async def get(self, key: str, now: float, half_life: float) -> float:
        """See :class:`IEphemeral`."""
        return float(await self._ask("counter.get", key, now, half_life))

    async def clear(self, key: str) -> None:
        """See :class:`IEphemeral`."""
        await self._ask("counter.clear", key)
