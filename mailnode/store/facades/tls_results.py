"""How TLS with the servers of other domains fared: counted in memory; now and then what is new is written, without sync. Nobody
waits for the writing, and nothing breaks when it fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import SystemRandom

from twisted.logger import Logger
from zope.interface import implementer

from mailnode.errors import StoreUnavailable
from mailnode.interfaces.runtime import IClock
from mailnode.interfaces.tls_reports import ITlsResults
from mailnode.store.engines.engine import EPHEMERAL, Engine
from mailnode.store.facades.write_back import WriteBack
from mailnode.store.units import report_days, tls_memory, tls_reports
from mailnode.store.units.tls_memory import Seen
from mailnode.values.events import emit, moment
from mailnode.values.tls_report import (
    DAY,
    LEVELS,
    CollectedDay,
    CountedSession,
    Downgrade,
    DueReport,
    Remembered,
    TlsSession,
)

WAITING = 10_000  # kinds of results, and servers, to be written at most
UNIT_ROWS = 500  # of one writing unit
FIRST, SPREAD = 600.0, 4 * 3600.0  # seconds after midnight when reports are due first, and over which they are spread
MAX_REASON = 200  # characters; some have a stranger's words in them

_log = Logger()
_anywhere = SystemRandom().random


@implementer(ITlsResults)
class TlsResults:
    """Counts for one server. Several servers of one database add to the same rows."""

    def __init__(
        self,
        engine: Engine,
        clock: IClock,
        reports: bool = True,
        interval: float = 10.0,
        random: Callable[[], float] = _anywhere,
    ) -> None:
        """:param reports: whether anything is counted for reports. :param interval: seconds between writes. :param random:
        returns where in its time a report is sent, from 0 to 1."""
        self._engine = engine
        self._clock = clock
        self._reports = reports
        self._random = random
        self._counted: dict[tuple[int, TlsSession], int] = {}  # by day, to be written
        self._seen: dict[tuple[str, str], Seen] = {}  # by domain and server, to be written
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
        """Write what is new, and tell of what was worse than before. :raises StoreUnavailable: what was under way is lost."""
        while self._counted:
            keys = list(self._counted)[:UNIT_ROWS]
            day = keys[0][0]
            counted = [(key[1], self._counted.pop(key)) for key in keys if key[0] == day]
            first = (day + 1) * DAY + FIRST
            due = {session.domain: first + self._random() * SPREAD for session, _ in counted}
            await self._engine.write(EPHEMERAL, tls_reports.count, day, counted, due)
        while self._seen:
            seen = [self._seen.pop(key) for key in list(self._seen)[:UNIT_ROWS]]
            for made in await self._engine.write(EPHEMERAL, tls_memory.remember, self._clock.seconds(), seen):
                _tell(made)

    # ITlsResults

    def note(self, session: TlsSession) -> None:
        """See :class:`ITlsResults`."""
        session = replace(session, reason=_clean(session.reason))
        if session.level:
            self._see(session)
        if self._reports:
            if session.result:
                kept = replace(session, level="")
            else:
                kept = TlsSession(session.domain, session.policy)
            key = int(self._clock.seconds() // DAY), kept
            if key in self._counted or len(self._counted) < WAITING:
                self._counted[key] = self._counted.get(key, 0) + 1

    def _see(self, session: TlsSession) -> None:
        key = session.domain, session.host
        seen = self._seen.get(key)
        if seen is None:
            if len(self._seen) < WAITING:
                self._seen[key] = Seen(session, session.level)
            return
        worst = min(seen.worst, session, key=lambda one: LEVELS.index(one.level))
        self._seen[key] = Seen(worst, max(seen.best, session.level, key=LEVELS.index))

    async def collected(self, domain: str = "") -> list[CollectedDay]:
        """See :class:`ITlsResults`."""
        await self.write()
        return await self._engine.read(EPHEMERAL, tls_reports.collected, domain)

    async def results(self, day: int, domain: str) -> list[CountedSession]:
        """See :class:`ITlsResults`."""
        return await self._engine.read(EPHEMERAL, tls_reports.results, day, domain)

    async def take_due(self, now: float, limit: int) -> list[DueReport]:
        """See :class:`ITlsResults`."""
        return await self._engine.write(EPHEMERAL, report_days.take_due, "tls", now, limit)

    async def finish(self, day: int, domain: str) -> None:
        """See :class:`ITlsResults`."""
        await self._engine.write(EPHEMERAL, report_days.finish, "tls", day, domain)

    async def remembered(self, domain: str = "") -> list[Remembered]:
        """See :class:`ITlsResults`."""
        await self.write()
        return await self._engine.read(EPHEMERAL, tls_memory.remembered, domain)

    async def downgrades(self) -> list[Downgrade]:
        """See :class:`ITlsResults`."""
        await self.write()
        return await self._engine.read(EPHEMERAL, tls_memory.downgrades)

    async def sweep(self, now: float) -> int:
        """See :class:`ITlsResults`."""
        total = 0
        while some := await self._engine.write(EPHEMERAL, report_days.sweep, "tls", now):
            total += some
        while some := await self._engine.write(EPHEMERAL, tls_memory.sweep, now):
            total += some
        return total


def _clean(reason: str) -> str:
    """Return a reason as any engine takes it."""
    return "".join(one if one.isascii() and one.isprintable() else "?" for one in reason[:MAX_REASON])


def _tell(made: Downgrade) -> None:
    emit(
        _log,
        "queue.tls_downgrade",
        warning=True,
        domain=made.domain,
        host=made.host,
        ip=made.address,
        was=made.was,
        now=made.now,
        since=moment(made.since),
        reason=made.reason,
    )
