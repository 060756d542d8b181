"""What the engine of the process that owns the data directory has there, be it all of the store or nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol, TypeVar

from mailnode.errors import ConfigurationError
from mailnode.store.disk.data_lock import DataLock
from mailnode.store.disk.reserve import Reserve
from mailnode.store.engines.engine import RunUnit
from mailnode.store.engines.sqlite import SqliteEngine
from mailnode.store.engines.sqlite_rebuild import Rebuilt

T = TypeVar("T")

OnDisk = Callable[[Callable[[], str]], Awaitable[str]]


class EngineFiles(Protocol):
    """The files of an engine, and the lock of the directory they are in."""

    alone: bool  # whether nobody else can have the store open: leases of before were held by the dead

    def hold(self) -> None:
        """Keep other servers away from the data directory. :raises ConfigurationError: there is one."""

    def release(self) -> None:
        """Let others have it."""

    def damage(self) -> dict[str, str]:
        """Say what is wrong with each file that is damaged or not served, by the file's name."""

    def tell_damaged(self, tell: Callable[[str, str], None]) -> None:
        """Have it called, with its name and words, when a file is found damaged while it is in use."""

    def paths(self) -> list[Path]:
        """The files of the database."""

    async def trouble(self, on_disk: OnDisk) -> str:
        """Return which file is not under its name any more, or could not be written; "" while all is well.

        :param on_disk: runs a function that blocks. :raises StoreUnavailable, Busy:"""

    async def accept(self) -> None:
        """Remember that files which are older than what was acknowledged are the ones in use from now on."""

    async def take_in(self, name: str, older: bool, prepare: Callable[[RunUnit], T]) -> T:
        """Serve a mail partition that was left out; see :class:`SqliteEngine`. :raises ConfigurationError: why it stays out."""

    async def rebuild(
        self, name: str, alone: Callable[[], Awaitable[object]], prepare: Callable[[RunUnit, Rebuilt], object]
    ) -> Rebuilt:
        """Make the file of a mail partition or the queue anew; see :class:`SqliteEngine`. :raises ConfigurationError: why not."""


class SqliteFiles:
    """Those of the SQLite engine, which locks the directory and begins its reserve by itself."""

    alone = True

    def __init__(self, engine: SqliteEngine) -> None:
        self._engine = engine

    def hold(self) -> None:
        """See :class:`EngineFiles`."""

    def release(self) -> None:
        """See :class:`EngineFiles`."""

    def damage(self) -> dict[str, str]:
        """See :class:`EngineFiles`."""
        return self._engine.damage()

    def tell_damaged(self, tell: Callable[[str, str], None]) -> None:
        """See :class:`EngineFiles`."""
        self._engine.tell_damaged = tell

    def paths(self) -> list[Path]:
        """See :class:`EngineFiles`."""
        return self._engine.paths()

    async def trouble(self, on_disk: OnDisk) -> str:
        """See :class:`EngineFiles`."""
        await self._engine.try_again()
        return await on_disk(self._engine.trouble)

    async def accept(self) -> None:
        """See :class:`EngineFiles`."""
        await self._engine.accept()

    async def take_in(self, name: str, older: bool, prepare: Callable[[RunUnit], T]) -> T:
        """See :class:`EngineFiles`."""
        return await self._engine.take_in(name, older, prepare)

    async def rebuild(
        self, name: str, alone: Callable[[], Awaitable[object]], prepare: Callable[[RunUnit, Rebuilt], object]
    ) -> Rebuilt:
        """See :class:`EngineFiles`."""
        return await self._engine.rebuild(name, alone, prepare)


class NoFiles:
    """None: the engine's data is on a server of its own, and here are blobs and the control socket alone."""

    alone = False

    def __init__(self, lock: DataLock, reserve: Reserve) -> None:
        self._lock = lock
        self._reserve = reserve

    def hold(self) -> None:
        """See :class:`EngineFiles`."""
        self._lock.acquire()
        self._reserve.begin()

    def release(self) -> None:
        """See :class:`EngineFiles`."""
        self._lock.release()

    def damage(self) -> dict[str, str]:
        """See :class:`EngineFiles`."""
        return {}

    def tell_damaged(self, tell: Callable[[str, str], None]) -> None:
        """See :class:`EngineFiles`."""

    def paths(self) -> list[Path]:
        """See :class:`EngineFiles`."""
        return []

    async def trouble(self, on_disk: OnDisk) -> str:
        """See :class:`EngineFiles`."""
        return ""

    async def accept(self) -> None:
        """See :class:`EngineFiles`."""

    async def take_in(self, name: str, older: bool, prepare: Callable[[RunUnit], T]) -> T:
        """See :class:`EngineFiles`."""
        raise ConfigurationError([f"{name}: the store has no such file"])

    async def rebuild(
        self, name: str, alone: Callable[[], Awaitable[object]], prepare: Callable[[RunUnit, Rebuilt], object]
    ) -> Rebuilt:
        """See :class:`EngineFiles`."""
        raise ConfigurationError([f"{name}: the store has no such file"])
