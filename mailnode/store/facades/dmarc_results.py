"""What came of mail by DMARC: counted in memory; now and then what is new is written, without sync. Nobody waits for the writing,
and nothing breaks when it fails."""

from __future__ import annotations

from collections.abc import Callable
from random import SystemRandom

from zope.interface import implementer

from mailnode.errors import StoreUnavailable
from mailnode.interfaces.dmarc import IDmarcResults
from mailnode.interfaces.runtime import IClock
from mailnode.store.engines.engine import EPHEMERAL, Engine
from mailnode.store.facades.tls_results import FIRST, SPREAD
from mailnode.store.facades.write_back import WriteBack
from mailnode.store.units import dmarc_reports, report_days
from mailnode.values.dmarc_report import CountedSeen, DmarcDay, DmarcSeen
from mailnode.values.tls_report import DAY, DueReport

WAITING = 10_000  # kinds of results to be written at most
UNIT_ROWS = 500  # of one writing unit

_anywhere = SystemRandom().random


@implementer(IDmarcResults)
class DmarcResults:
    """Counts in one process. Several, and several servers of one database, add to the same rows."""

    def __init__(
        self,
        engine: Engine,
        clock: IClock,
        reports: bool = True,
        interval: float = 10.0,
        random: Callable[[], float] = _anywhere,
    ) -> None:
        """:param reports: whether anything is counted. :param interval: seconds between writes. :param random: returns where
        in its time a report is sent, from 0 to 1."""
        self._engine = engine
        self._clock = clock
        self._reports = reports
        self._random = random
        self._counted: dict[tuple[int, DmarcSeen], int] = {}  # by day, to be written
        self._write_back = WriteBack(clock, interval, self._write_if_possible)

    def start(self) -> None:
        """Begin to write now and then."""
        self._write_back.start()

    async def stop(self) -> None:
        """Write what is new and end."""
        await self._write_back.stop()

    async def _write_if_possible(self) -> None:
        try:
            await self.write()
        except StoreUnavailable:
            pass  # the engine has logged why; what cannot be written is lost, as it may be

    async def write(self) -> None:
        """Write what is new. :raises StoreUnavailable: what was under way is lost."""
        while self._counted:
            keys = list(self._counted)[:UNIT_ROWS]
            day = keys[0][0]
            counted = [(key[1], self._counted.pop(key)) for key in keys if key[0] == day]
            first = (day + 1) * DAY + FIRST
            due = {seen.found.domain: first + self._random() * SPREAD for seen, _ in counted}
            await self._engine.write(EPHEMERAL, dmarc_reports.count, day, counted, due)

    # IDmarcResults

    def note(self, seen: DmarcSeen) -> None:
        """See :class:`IDmarcResults`."""
        if self._reports and any(uri.lower().startswith("mailto:") for uri in seen.found.record.rua):
            key = int(self._clock.seconds() // DAY), seen
            if key in self._counted or len(self._counted) < WAITING:
                self._counted[key] = self._counted.get(key, 0) + 1

    async def collected(self, domain: str = "") -> list[DmarcDay]:
        """See :class:`IDmarcResults`."""
        await self.write()
        return await self._engine.read(EPHEMERAL, dmarc_reports.collected, domain)

    async def results(self, day: int, domain: str) -> list[CountedSeen]:
        """See :class:`IDmarcResults`."""
        return await self._engine.read(EPHEMERAL, dmarc_reports.results, day, domain)

    async def take_due(self, now: float, limit: int) -> list[DueReport]:
        """See :class:`IDueReports`."""
        return await self._engine.write(EPHEMERAL, report_days.take_due, "dmarc", now, limit)

    async def finish(self, day: int, domain: str) -> None:
        """See :class:`IDueReports`."""
        await self._engine.write(EPHEMERAL, report_days.finish, "dmarc", day, domain)

    async def sweep(self, now: float) -> int:
        """See :class:`IDmarcResults`."""
        total = 0
        while some := await self._engine.write(EPHEMERAL, report_days.sweep, "dmarc", now):
            total += some
        return total
