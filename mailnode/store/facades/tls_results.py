"""How TLS with the servers of other domains fared, for reports to them, and what was worse than before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from twisted.logger import Logger
from zope.interface import implementer

from mailnode.interfaces.runtime import IClock
from mailnode.interfaces.tls_reports import ITlsResults
from mailnode.store.engines.engine import EPHEMERAL, Engine
from mailnode.store.facades.day_counts import INTERVAL, UNIT_ROWS, WAITING, DayCounts, anywhere
from mailnode.store.units import tls_memory, tls_reports
from mailnode.store.units.tls_memory import Seen
from mailnode.values.events import emit, moment
from mailnode.values.tls_report import (
    LEVELS,
    CollectedDay,
    CountedSession,
    Downgrade,
    Remembered,
    TlsSession,
)

MAX_REASON = 200  # characters; some have a stranger's words in them

_log = Logger()


@implementer(ITlsResults)
class TlsResults(DayCounts[TlsSession]):
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
            engine, clock, "tls", tls_reports.count, lambda session: session.domain, reports, interval, random
        )
        self._seen: dict[tuple[str, str], Seen] = {}  # by domain and server, to be written

    async def write(self) -> None:
        """Write what is new, and tell of what was worse than before. :raises StoreUnavailable: what was under way is lost."""
        await super().write()
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
        self._count(replace(session, level="") if session.result else TlsSession(session.domain, session.policy))

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
        total = await super().sweep(now)
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
