"""What came of mail by DMARC, for reports to its domains."""

from __future__ import annotations

from collections.abc import Callable

from zope.interface import implementer

from mailnode.interfaces.dmarc import IDmarcResults
from mailnode.interfaces.runtime import IClock
from mailnode.store.engines.engine import EPHEMERAL, Engine
from mailnode.store.facades.day_counts import INTERVAL, DayCounts, anywhere
from mailnode.store.units import dmarc_reports
from mailnode.values.dmarc_report import CountedSeen, DmarcDay, DmarcSeen


@implementer(IDmarcResults)
class DmarcResults(DayCounts[DmarcSeen]):
    """See :class:`DayCounts`."""

    def __init__(
        self,
        engine: Engine,
        clock: IClock,
        reports: bool = True,
        interval: float = INTERVAL,
        random: Callable[[], float] = anywhere,
    ) -> None:
        """See :class:`DayCounts`."""
        super().__init__(
            engine, clock, "dmarc", dmarc_reports.count, lambda seen: seen.found.domain, reports, interval, random
        )

    def note(self, seen: DmarcSeen) -> None:
        """See :class:`IDmarcResults`."""
        if any(uri.lower().startswith("mailto:") for uri in seen.found.record.rua):
            self._count(seen)

    async def collected(self, domain: str = "") -> list[DmarcDay]:
        """See :class:`IDmarcResults`."""
        await self.write()
        return await self._engine.read(EPHEMERAL, dmarc_reports.collected, domain)

    async def results(self, day: int, domain: str) -> list[CountedSeen]:
        """See :class:`IDmarcResults`."""
        return await self._engine.read(EPHEMERAL, dmarc_reports.results, day, domain)
