"""MTA-STS policies of other domains, kept among what may be lost: one that is lost is fetched again."""

from __future__ import annotations

from contextlib import suppress

from zope.interface import implementer

from mailnode.errors import StoreUnavailable
from mailnode.interfaces.ephemeral import IStsPolicies
from mailnode.store.engines.engine import EPHEMERAL, Engine
from mailnode.store.units import sts_policies
from mailnode.values.sts_policy import KeptStsPolicy

REMEMBERED = 20_000  # domains, with a policy or without


@implementer(IStsPolicies)
class StsPolicies:
    """Those of all domains that were sent to lately. What was read is remembered, most of all that there is none: every try
    asks. Several servers of one database each remember for themselves."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: dict[str, KeptStsPolicy | None] = {}  # the oldest first

    async def get(self, domain: str) -> KeptStsPolicy | None:
        """See :class:`IStsPolicies`."""
        if domain in self._known:
            return self._known[domain]
        try:
            kept = await self._engine.read(EPHEMERAL, sts_policies.get, domain)
        except StoreUnavailable:  # the engine has logged why
            return None
        self._remember(domain, kept)
        return kept

    async def put(self, domain: str, kept: KeptStsPolicy) -> None:
        """See :class:`IStsPolicies`."""
        self._remember(domain, kept)
        with suppress(StoreUnavailable):
            await self._engine.write(EPHEMERAL, sts_policies.put, domain, kept)

    def _remember(self, domain: str, kept: KeptStsPolicy | None) -> None:
        self._known.pop(domain, None)
        self._known[domain] = kept
        if len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]
