"""What policies answered, counted in memory; now and then what is new is written, without sync. Nobody waits for the writing, and
nothing breaks when it fails."""

from __future__ import annotations

from zope.interface import implementer

from mailnode.errors import StoreUnavailable
from mailnode.interfaces.policy import IPolicyTally
from mailnode.interfaces.runtime import IClock
from mailnode.store.engines.engine import EPHEMERAL, Engine
from mailnode.store.facades.write_back import WriteBack
from mailnode.store.units import policy_hours
from mailnode.values.policy import PolicyAnswer, PolicyTotal

HOUR = 3600.0  # seconds
KEPT_DAYS = 90
WAITING = 5_000  # kinds of answers, by hours, to be written at most
MAX_NAME = 60  # characters of a policy's name


@implementer(IPolicyTally)
class PolicyTally:
    """That of one process; several, and several servers of a database, add to the same rows."""

    def __init__(self, engine: Engine, clock: IClock, interval: float = 5.0) -> None:
        """:param interval: seconds between writes."""
        self._engine = engine
        self._clock = clock
        self._new: dict[int, dict[tuple[str, str, str], list[float]]] = {}  # by hours; times, score, seconds
        self._write_back = WriteBack(clock, interval, self.write)

    def start(self) -> None:
        """Begin to write now and then."""
        self._write_back.start()

    async def stop(self) -> None:
        """Write what is new and end."""
        await self._write_back.stop()

    async def write(self) -> None:
        """Write what is new. What cannot be written is lost, as it may be."""
        new, self._new = self._new, {}
        if not new:
            return
        rows = [
            (hour, policy[:MAX_NAME], stage, answer, int(times), score, seconds)
            for hour, of_hour in new.items()
            for (policy, stage, answer), (times, score, seconds) in of_hour.items()
        ]
        try:
            await self._engine.write(EPHEMERAL, policy_hours.add, rows)
        except StoreUnavailable:
            pass  # the engine has logged why

    def note(self, answer: PolicyAnswer) -> None:
        """See :class:`IPolicyTally`."""
        hour, key = int(self._clock.seconds() // HOUR), (answer.policy, answer.stage, answer.answer)
        of_hour = self._new.setdefault(hour, {}) if hour not in self._new else self._new[hour]
        counted = of_hour.get(key)
        if counted is None:
            if sum(map(len, self._new.values())) >= WAITING:
                return
            counted = of_hour[key] = [0, 0.0, 0.0]
        counted[0] += 1
        counted[1] += answer.score
        counted[2] += answer.seconds

    async def totals(self, since: float) -> list[PolicyTotal]:
        """See :class:`IPolicyTally`."""
        await self.write()
        return await self._engine.read(EPHEMERAL, policy_hours.totals, int(since // HOUR))

    async def sweep(self, now: float) -> int:
        """Forget what is too old; return how much."""
        total, before = 0, int(now // HOUR) - KEPT_DAYS * 24
        while some := await self._engine.write(EPHEMERAL, policy_hours.sweep, before):
            total += some
        return total
