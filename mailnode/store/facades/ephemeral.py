"""Decaying counters that may be lost. They live in memory; now and then what changed is written, without sync, and read
back at start. Nobody waits for that, and nothing breaks when it fails."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

from twisted.internet.defer import Deferred
from zope.interface import implementer

from mailnode.errors import StoreUnavailable
from mailnode.interfaces.ephemeral import IEphemeral
from mailnode.interfaces.runtime import IClock, IDelayed
from mailnode.store.engines.engine import EPHEMERAL, Engine, Transaction
from mailnode.values.rows import StoredRow

MAX_KEY = 160  # characters; keys hold what a stranger typed
UNIT_ROWS = 500  # of one writing unit
NOTHING = 0.01  # a counter below this is forgotten
ONCE = 86_400.0  # seconds a name of IEphemeral.take is known
MOST = 40_000  # counters of one space
SPACES = 8  # as many have full room after a start

_Row = tuple[str, float, float, float, float]  # the columns of table counter


class _Counter:
    """One counter: its amount at a moment."""

    __slots__ = ("amount", "half_life", "moment")

    def __init__(self, amount: float, moment: float, half_life: float) -> None:
        self.amount = amount
        self.moment = moment
        self.half_life = half_life

    def at(self, now: float, half_life: float) -> float:
        """The amount at ``now``. A clock that stepped back does not raise it."""
        passed = now - self.moment
        return self.amount * 2.0 ** (-passed / half_life) if passed > 0 else self.amount

    @property
    def forget_at(self) -> float:
        """When less than ``NOTHING`` is left."""
        return self.moment + self.half_life * max(math.log2(max(self.amount, NOTHING) / NOTHING), 0.0)


@implementer(IEphemeral)
class Ephemeral:
    """Counters in memory, at most ``limit`` of them in each space: the one not touched for longest goes first.

    One process of a server counts for all. Several servers count each for itself, and the last one that wrote is read at
    the next start.
    """

    def __init__(self, engine: Engine, clock: IClock, interval: float = 10.0, limit: int = MOST) -> None:
        """:param interval: seconds between writes."""
        self._engine = engine
        self._clock = clock
        self._interval = interval
        self._limit = limit
        self._spaces: dict[str, dict[str, _Counter]] = {}  # each in order of the last touch
        self._once: dict[str, float] = {}  # names of take, and until when they are known; oldest first
        self._changed: dict[str, None] = {}  # keys to write or delete
        self._timer: IDelayed | None = None
        self._writing = False
        self._idle: list[Deferred[None]] = []
        self._running = False

    async def start(self) -> None:
        """Read what was written and begin to write. A table that cannot be read is an empty one."""
        self._running = True
        try:
            await self._engine.write(EPHEMERAL, _forget, self._clock.seconds())
            rows = await self._engine.read(EPHEMERAL, _newest, SPACES * self._limit)
        except StoreUnavailable:
            rows = []
        for name, amount, moment, half_life in reversed(rows):
            self._put(name, _Counter(amount, moment, half_life))
        self._schedule()

    async def stop(self) -> None:
        """Write what changed and end."""
        self._running = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._writing:
            idle: Deferred[None] = Deferred()
            self._idle.append(idle)
            await idle
        await self._write_changed()

    async def add(self, key: str, amount: float, now: float, half_life: float) -> float:
        """See :class:`IEphemeral`. Answered from memory."""
        return self._add(_bounded(key), amount, now, half_life)

    def _add(self, key: str, amount: float, now: float, half_life: float) -> float:
        total = max(amount + self._at(key, now, half_life), 0.0)
        self._put(key, _Counter(total, now, half_life))
        self._changed[key] = None
        self._bound_changes()
        return total

    def _put(self, key: str, counter: _Counter) -> None:
        space = self._spaces.setdefault(_space(key), {})
        space.pop(key, None)
        space[key] = counter
        if len(space) > self._limit:
            oldest = next(iter(space))
            del space[oldest]
            self._changed[oldest] = None

    def _find(self, key: str) -> _Counter | None:
        return self._spaces.get(_space(key), {}).get(key)

    def _at(self, key: str, now: float, half_life: float) -> float:
        counter = self._find(key)
        return counter.at(now, half_life) if counter is not None else 0.0

    async def take(self, counts: Sequence[tuple[str, float, float]], once: str, now: float) -> str:
        """See :class:`IEphemeral`. Nothing comes between looking and adding."""
        if self._once.get(once, 0.0) > now:
            return "known"
        bounded = [(_bounded(key), limit, half_life) for key, limit, half_life in counts]
        if any(self._at(key, now, half_life) + 1 > limit for key, limit, half_life in bounded):
            return "refused"
        for key, _, half_life in bounded:
            self._add(key, 1.0, now, half_life)
        if once:
            self._once.pop(once, None)
            self._once[once] = now + ONCE
            if len(self._once) > self._limit:
                del self._once[next(iter(self._once))]
        return "counted"

    async def give_back(self, counts: Sequence[tuple[str, float, float]], once: str, now: float) -> None:
        """See :class:`IEphemeral`."""
        for key, _, half_life in counts:
            if self._find(_bounded(key)) is not None:
                self._add(_bounded(key), -1.0, now, half_life)
        self._once.pop(once, None)

    async def get(self, key: str, now: float, half_life: float) -> float:
        """See :class:`IEphemeral`. Answered from memory."""
        return self._at(_bounded(key), now, half_life)

    async def clear(self, key: str) -> None:
        """See :class:`IEphemeral`."""
        key = _bounded(key)
        if self._spaces.get(_space(key), {}).pop(key, None) is not None:
            self._changed[key] = None
            self._bound_changes()

    def _bound_changes(self) -> None:
        while len(self._changed) > SPACES * self._limit:
            del self._changed[next(iter(self._changed))]

    def _schedule(self) -> None:
        if self._running:
            self._timer = self._clock.callLater(self._interval, self._tick)

    def _tick(self) -> None:
        self._timer = None
        Deferred.fromCoroutine(self._write_and_schedule())

    async def _write_and_schedule(self) -> None:
        try:
            await self._write_changed()
        finally:
            self._schedule()

    async def _write_changed(self) -> None:
        self._writing = True
        try:
            while self._changed:
                names = list(self._changed)[:UNIT_ROWS]
                for name in names:
                    del self._changed[name]
                await self._engine.write(EPHEMERAL, _write, self._clock.seconds(), self._rows(names), names)
        except StoreUnavailable:
            pass  # the engine has logged why; these changes are lost, as they may be
        finally:
            self._writing = False
            waiting, self._idle = self._idle, []
            for idle in waiting:
                idle.callback(None)

    def _rows(self, names: Sequence[str]) -> list[_Row]:
        rows = []
        for name in names:
            counter = self._find(name)
            if counter is not None:
                rows.append((name, counter.amount, counter.moment, counter.half_life, counter.forget_at))
        return rows


def _bounded(key: str) -> str:
    """Return a key that any engine takes: long ones and those with unprintable characters by their digest."""
    if len(key) <= MAX_KEY and key.isprintable():
        return key
    space = _space(key)
    return (f"{space}:#" if space else "#") + hashlib.blake2b(
        key.encode("utf-8", "surrogatepass"), digest_size=24
    ).hexdigest()


def _space(key: str) -> str:
    space, colon, _ = key.partition(":")
    return space if colon else ""


def _write(tx: Transaction, now: float, rows: Sequence[_Row], names: Sequence[str]) -> None:
    """Put these counters in the place of the named ones, and forget what has decayed."""
    tx.many("DELETE FROM counter WHERE name = ?", [(name,) for name in names])
    tx.many("INSERT INTO counter (name, amount, moment, half_life, forget_at) VALUES (?, ?, ?, ?, ?)", rows)
    _forget(tx, now)


def _forget(tx: Transaction, now: float) -> None:
    tx.execute(
        "DELETE FROM counter WHERE name IN (SELECT name FROM counter WHERE forget_at < ? ORDER BY forget_at LIMIT ?)",
        (now, UNIT_ROWS),
    )


def _newest(tx: Transaction, limit: int) -> list[StoredRow]:
    return tx.execute("SELECT name, amount, moment, half_life FROM counter ORDER BY moment DESC LIMIT ?", (limit,))
