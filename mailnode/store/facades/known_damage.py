"""What is known to be damaged in the store, in memory for whoever asks often: messages that were set aside, and what was found when
it was read or compared. It stays until it is mended, or somebody says that it is known; over a restart too."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mailnode.errors import StoreUnavailable
from mailnode.interfaces.runtime import IClock
from mailnode.interfaces.turns import Places
from mailnode.store.engines.engine import EPHEMERAL, Engine, mail_tenancy
from mailnode.store.units import known_damage
from mailnode.values.events import emit

MOST = 1_000  # things that were found; of what comes then only the log tells
MOST_BLOBS = 10_000  # of one partition, of which it is known that they are set aside
COMPARED = "store verify"  # the name of what a comparison found
_SET_ASIDE = "set aside"

_log = Logger()


class KnownDamage:
    """Of the store of one server; kept by the process that owns it."""

    def __init__(self, engine: Engine, clock: IClock, partitions: int) -> None:
        self._engine = engine
        self._clock = clock
        self._partitions = partitions
        self._found: dict[str, str] = {}
        self._acknowledged: set[str] = set()
        self._seen = 0  # UTC microseconds: what was set aside until then was acknowledged
        self._writing = Places()  # one after the other
        self.set_aside: dict[str, int] = {}  # messages that were not, by account
        self._blobs: set[str] = set()  # of all messages that are set aside: that they cannot be read is no news

    async def start(self) -> None:
        """Read what was known before. What cannot be read now is found again."""
        with suppress(StoreUnavailable):
            for name, words, acknowledged in await self._engine.read(EPHEMERAL, known_damage.known, MOST):
                if name == _SET_ASIDE:
                    self._seen = acknowledged
                    continue
                self._found[name] = words
                if acknowledged:
                    self._acknowledged.add(name)
        await self.count()

    async def stop(self) -> None:
        """Wait until what was found is written."""
        async with self._writing:
            pass

    async def count(self) -> None:
        """Count anew what is set aside, where that can be read."""
        counts: dict[str, int] = {}
        blobs: set[str] = set()
        for name in map(mail_tenancy, range(self._partitions)):
            with suppress(StoreUnavailable):
                counts.update(await self._engine.read(name, known_damage.set_aside, self._seen))
            with suppress(StoreUnavailable):  # their rows may be what is damaged
                blobs.update(await self._engine.read(name, known_damage.set_aside_blobs, MOST_BLOBS))
        self.set_aside, self._blobs = counts, blobs

    @property
    def found(self) -> dict[str, str]:
        """What nobody has acknowledged, in words, by its name: a blob's id, a database's file or ``COMPARED``."""
        return {name: words for name, words in self._found.items() if name not in self._acknowledged}

    def is_acknowledged(self, name: str) -> bool:
        """Whether somebody knows of it."""
        return name in self._acknowledged

    def note(self, name: str, words: str) -> None:
        """Take note of what was found damaged: the first time it goes to the log. Nobody waits for its being written."""
        if name in self._found or name in self._blobs:
            return
        emit(_log, "store.damaged", warning=True, name=name, error=words)
        if len(self._found) < MOST:
            self._found[name] = words
            Deferred.fromCoroutine(self._keep(name, words))

    async def _keep(self, name: str, words: str) -> None:
        with suppress(StoreUnavailable):
            async with self._writing:
                await self._engine.write(EPHEMERAL, known_damage.note, name, words)

    def is_sound(self, name: str) -> None:
        """It could be read again. Nobody waits for that being written."""
        if name in self._found:
            Deferred.fromCoroutine(self.forget([name]))

    async def forget(self, names: Collection[str]) -> None:
        """These were mended."""
        known = [name for name in names if self._found.pop(name, None) is not None]
        self._acknowledged.difference_update(known)
        if known:
            with suppress(StoreUnavailable):
                async with self._writing:
                    await self._engine.write(EPHEMERAL, known_damage.forget, known)

    async def acknowledge(self) -> int:
        """Tell no more of what is known; return how many messages and things that were. :raises StoreUnavailable:"""
        count = len(self.found) + sum(self.set_aside.values())
        now = int(self._clock.seconds() * 1_000_000)
        async with self._writing:
            await self._engine.write(EPHEMERAL, known_damage.acknowledge, _SET_ASIDE, now)
        self._acknowledged = set(self._found)
        self._seen = now
        await self.count()
        return count
