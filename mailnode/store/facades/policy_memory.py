"""What policies remember: in memory what is new or was asked for lately; now and then what is new is written, without sync.
Nobody waits for the writing, and nothing breaks when it fails."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from math import log

from zope.interface import implementer

from mailnode.errors import StoreUnavailable
from mailnode.interfaces.ephemeral import IEphemeral
from mailnode.interfaces.policy import IPolicyMemory
from mailnode.interfaces.runtime import IClock
from mailnode.store.engines.engine import EPHEMERAL, Engine
from mailnode.store.facades.write_back import WriteBack
from mailnode.store.units import policy_memory

MAX_SAID = 200  # characters
KNOWN = 20_000  # things in memory
FRESH = 60.0  # seconds until the store is asked again what another process may have changed
WAITING = 50_000  # things to be written at most
UNIT_ROWS = 500  # of one writing unit

_Key = tuple[str, bytes]  # space, digest of the key


@implementer(IPolicyMemory)
class PolicyMemory:
    """That of one process. What another one, or another server of the database, keeps is known here a few seconds later; what
    is counted, at once, since one process of a server counts for all."""

    def __init__(self, engine: Engine, counters: IEphemeral, clock: IClock, interval: float = 5.0) -> None:
        """:param interval: seconds between writes."""
        self._engine = engine
        self._counters = counters
        self._clock = clock
        self._new: dict[_Key, tuple[str, float] | None] = {}  # to be written; None: to be forgotten
        self._known: dict[_Key, tuple[str, float, float]] = {}  # with when it was heard; the oldest first
        self._write_back = WriteBack(clock, interval, self.write)

    # life

    def start(self) -> None:
        """Begin to write now and then."""
        self._write_back.start()

    async def stop(self) -> None:
        """Write what is new and end."""
        await self._write_back.stop()

    async def write(self) -> None:
        """Write what is new. What cannot be written is lost, as it may be."""
        try:
            while self._new:
                some = [(key, self._new.pop(key)) for key in list(self._new)[:UNIT_ROWS]]
                kept = [(*key, *said) for key, said in some if said is not None]
                gone = [key for key, said in some if said is None]
                await self._engine.write(EPHEMERAL, policy_memory.write, kept, gone)
        except StoreUnavailable:
            pass  # the engine has logged why

    # IPolicyMemory

    async def recall(self, space: str, key: str) -> str | None:
        """See :class:`IPolicyMemory`. When the store cannot say, nothing is remembered."""
        where, now = (space, _digest(key)), self._clock.seconds()
        if where in self._new:
            return _until(self._new[where], now)
        known = self._known.get(where)
        if known is not None and 0 <= now - known[2] < FRESH:
            return _until(known[:2], now)
        try:
            found = await self._engine.read(EPHEMERAL, policy_memory.recall, *where)
        except StoreUnavailable:
            return None
        if where in self._new:  # meanwhile
            return _until(self._new[where], now)
        self._known.pop(where, None)
        if found is not None:
            self._hear(where, found, now)
        return _until(found, now)

    def remember(self, space: str, key: str, said: str, seconds: float) -> None:
        """See :class:`IPolicyMemory`."""
        now = self._clock.seconds()
        where, kept = (space, _digest(key)), (said[:MAX_SAID], now + seconds)
        self._put(where, kept)
        self._hear(where, kept, now)

    def forget(self, space: str, key: str) -> None:
        """See :class:`IPolicyMemory`."""
        where = space, _digest(key)
        self._known.pop(where, None)
        self._put(where, None)

    async def take(self, space: str, counts: Sequence[tuple[str, int, float]]) -> bool:
        """See :class:`IPolicyMemory`."""
        # A half-life of so long that a steady flow of ``most`` in ``seconds`` comes to just ``most``.
        decaying = [(f"{space}:{key}", float(most), seconds * log(2)) for key, most, seconds in counts]
        try:
            return await self._counters.take(decaying, "", self._clock.seconds()) != "refused"
        except StoreUnavailable:
            return True

    async def sweep(self, now: float) -> int:
        """Forget what has expired; return how much."""
        total = 0
        while some := await self._engine.write(EPHEMERAL, policy_memory.sweep, now):
            total += some
        return total

    def _put(self, where: _Key, kept: tuple[str, float] | None) -> None:
        self._new[where] = kept
        if len(self._new) > WAITING:
            del self._new[next(iter(self._new))]

    def _hear(self, where: _Key, kept: tuple[str, float], now: float) -> None:
        self._known.pop(where, None)
        self._known[where] = (*kept, now)
        if len(self._known) > KNOWN:
            del self._known[next(iter(self._known))]


def _until(kept: tuple[str, float] | None, now: float) -> str | None:
    return kept[0] if kept is not None and now < kept[1] else None


def _digest(key: str) -> bytes:
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()
