"""Reports of others about domains here, kept among what may be lost."""

from __future__ import annotations

from zope.interface import implementer

from mailnode.interfaces.received_reports import IReceivedReports
from mailnode.store.engines.engine import EPHEMERAL, Engine
from mailnode.store.units import received_reports
from mailnode.values.ids import new_id
from mailnode.values.received_report import KeptReport, ReceivedReport, ReceivedRow, ReportedSource


@implementer(IReceivedReports)
class ReceivedReports:
    """Those of one server, or of all of a database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def add(self, report: ReceivedReport, sender: str, verified: bool, now: float) -> str:
        """See :class:`IReceivedReports`."""
        return await self._engine.write(EPHEMERAL, received_reports.add, new_id(now), report, sender, verified, now)

    async def reports(self, kind: str, domain: str = "", limit: int = 1000) -> list[KeptReport]:
        """See :class:`IReceivedReports`."""
        return await self._engine.read(EPHEMERAL, received_reports.reports, kind, domain, limit)

    async def report(self, id: str) -> tuple[KeptReport, list[ReceivedRow]] | None:
        """See :class:`IReceivedReports`."""
        return await self._engine.read(EPHEMERAL, received_reports.report, id)

    async def sources(self, domain: str = "", failing: bool = False) -> list[ReportedSource]:
        """See :class:`IReceivedReports`."""
        return await self._engine.read(EPHEMERAL, received_reports.sources, domain, failing)

    async def sweep(self, before: float) -> int:
        """See :class:`IReceivedReports`."""
        total = 0
        while some := await self._engine.write(EPHEMERAL, received_reports.sweep, before):
            total += some
        return total
