"""Suppressions behind their interface. They lie beside the queue, whose owner alone changes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Concatenate, ParamSpec, TypeVar

from zope.interface import implementer

from mailnode.interfaces.sending import ISuppressions
from mailnode.store.engines.engine import QUEUE, Engine, Transaction
from mailnode.store.units import queue_past, suppression_rows
from mailnode.values.sending import Suppression

P = ParamSpec("P")
T = TypeVar("T")

REMEMBERED = 10_000  # accounts of which is known that there is nothing


@implementer(ISuppressions)
class Suppressions:
    """Asked for every recipient of a submission: of most accounts nothing is known, which costs no look."""

    def __init__(self, engine: Engine, shard: int = 0) -> None:
        self._engine = engine
        self._shard = shard
        self._without: dict[str, None] = {}
        self._changes = 0

    async def suppressed(self, account_id: str, recipient: str, now: float) -> Suppression | None:
        """See :class:`ISuppressions`."""
        if account_id in self._without:
            return None
        changes = self._changes
        found, others = await self._engine.read(QUEUE, suppression_rows.find, self._shard, account_id, recipient)
        if not others and changes == self._changes:
            if len(self._without) >= REMEMBERED:
                del self._without[next(iter(self._without))]
            self._without[account_id] = None
        return found if found is not None and found.refused_until > now else None

    async def bounced(
        self, account_id: str, recipient: str, status: str, reply: str, now: float, after: int, seconds: float
    ) -> Suppression:
        """See :class:`ISuppressions`."""
        return await self._change(
            account_id, suppression_rows.bounced, account_id, recipient, status, reply, now, after, seconds
        )

    async def suppress(self, account_id: str, recipient: str, now: float, until: float) -> Suppression:
        """See :class:`ISuppressions`."""
        return await self._change(account_id, suppression_rows.suppress, account_id, recipient, now, until)

    async def returned(
        self, account_ids: Sequence[str], envelope_ids: Sequence[str], recipient: str, now: float
    ) -> list[tuple[str, str, str]]:
        """See :class:`ISuppressions`."""
        about = (self._shard, tuple(account_ids), tuple(envelope_ids), recipient)
        if not await self._engine.read(QUEUE, queue_past.not_returned, *about):
            return []  # a forged notice costs no writing
        return await self._engine.write(QUEUE, queue_past.returned, *about, now)

    async def listed(self, account_id: str) -> list[Suppression]:
        """See :class:`ISuppressions`."""
        return await self._engine.read(QUEUE, suppression_rows.listed, self._shard, account_id)

    async def remove(self, account_id: str, recipient: str) -> bool:
        """See :class:`ISuppressions`."""
        return await self._change(account_id, suppression_rows.remove, account_id, recipient)

    async def sweep(self, now: float) -> int:
        """See :class:`ISuppressions`."""
        total = 0
        while some := await self._engine.write(QUEUE, suppression_rows.sweep, self._shard, now):
            total += some
        return total

    async def _change(
        self, account_id: str, unit: Callable[Concatenate[Transaction, int, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        try:
            return await self._engine.write(QUEUE, unit, self._shard, *args, **kwargs)
        finally:
            self._changes += 1
            self._without.pop(account_id, None)
