"""What is reported daily to other domains: counted in memory by day; now and then what is new is written, without sync. Nobody
waits for the writing, and nothing breaks when it fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import SystemRandom
from typing import Generic, TypeVar

from mailnode.errors import StoreUnavailable
from mailnode.interfaces.runtime import IClock
from mailnode.store.engines.engine import EPHEMERAL, Engine
from mailnode.store.facades.write_back import WriteBack
from mailnode.store.units import report_days
from mailnode.values.tls_report import DAY, DueReport

K = TypeVar("K")

INTERVAL = 10.0  # seconds between writes
WAITING = 10_000  # kinds of results to be written at most
UNIT_ROWS = 500  # of one writing unit
FIRST, SPREAD = 600.0, 4 * 3600.0  # seconds after midnight when reports are due first, and over which they are spread

anywhere = SystemRandom().random


class DayCounts(Generic[K]):
    """Counts in one process. Several, and several servers of one database, add to the same rows. ``K``: a kind of result."""

    def __init__(
        self,
        engine: Engine,
        clock: IClock,
        kind: str,
        count: Callable[..., None],
        domain: Callable[[K], str],
        reports: bool,
        interval: float,
        random: Callable[[], float],
    ) -> None:
        """:param kind: of reports, as :mod:`mailnode.store.units.report_days` has it. :param count: the unit that adds what was
        counted on a day, and notes when whose report is due. :param domain: returns whose report tells of a result.
        :param reports: whether anything is counted. :param interval: seconds between writes. :param random: returns where in its
        time a report is sent, from 0 to 1."""
        self._engine = engine
        self._clock = clock
        self._kind = kind
        self._count_unit = count
        self._domain = domain
        self._reports = reports
        self._random = random
        self._counted: dict[tuple[int, K], int] = {}  # by day, to be written
        self._write_back = WriteBack(clock, interval, self.write_if_possible)

    def start(self) -> None:
        """Begin to write now and then."""
        self._write_back.start()

    async def stop(self) -> None:
        """Write what is new and end."""
        await self._write_back.stop()

    async def write_if_possible(self) -> None:
        """Write what is new; what cannot be written is lost, as it may be."""
        try:
            await self.write()
        except StoreUnavailable:
            pass  # the engine has logged why

    async def write(self) -> None:
        """Write what is new. :raises StoreUnavailable: what was under way is lost."""
        while self._counted:
            keys = list(self._counted)[:UNIT_ROWS]
            day = keys[0][0]
            counted = [(key[1], self._counted.pop(key)) for key in keys if key[0] == day]
            first = (day + 1) * DAY + FIRST
            due: Mapping[str, float] = {self._domain(one): first + self._random() * SPREAD for one, _ in counted}
            await self._engine.write(EPHEMERAL, self._count_unit, day, counted, due)

    def _count(self, one: K) -> None:
        """Count once more, if reports are made and there is room."""
        key = int(self._clock.seconds() // DAY), one
        if self._reports and (key in self._counted or len(self._counted) < WAITING):
            self._counted[key] = self._counted.get(key, 0) + 1

    async def take_due(self, now: float, limit: int) -> Sequence[DueReport]:
        """See :class:`IDueReports`."""
        return await self._engine.write(EPHEMERAL, report_days.take_due, self._kind, now, limit)

    async def finish(self, day: int, domain: str) -> None:
        """See :class:`IDueReports`."""
        await self._engine.write(EPHEMERAL, report_days.finish, self._kind, day, domain)

    async def sweep(self, now: float) -> int:
        """Forget what is too old; return how much."""
        total = 0
        while some := await self._engine.write(EPHEMERAL, report_days.sweep, self._kind, now):
            total += some
        return total
