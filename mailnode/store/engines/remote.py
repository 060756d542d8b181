"""The SQLite engine of a process that does not own the writers: it reads the files itself and has another one write.

A unit goes to the owner as plain data and comes back when its COMMIT has returned, so what is read afterwards here sees
it: every connection to the files shares one write-ahead log.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from mailnode.errors import StoreUnavailable
from mailnode.store.engines.engine import Transaction
from mailnode.store.engines.sqlite import SqliteEngine
from mailnode.store.engines.sqlite_tenancy import Tenancy

P = ParamSpec("P")
T = TypeVar("T")

# Has the owner do something by name, which says of what type the result is; its domain errors, or StoreUnavailable.
Ask = Callable[..., Awaitable[Any]]


class RemoteEngine(SqliteEngine):
    """Reads below ``directory``; ``ask("write", tenancy, unit, args, kwargs)`` runs a writing unit, and
    ``ask("out_of_service")`` returns what the owner's engine does not serve.

    It locks, checks, migrates and checkpoints nothing: the owner has done it, and does.
    """

    def __init__(self, directory: Path, partitions: int, call_from_thread: Callable[..., object], ask: Ask) -> None:
        super().__init__(directory, partitions, call_from_thread)
        self._lock = None
        self._ask = ask

    async def start(self) -> None:
        """Begin to read; files are opened as they are needed. :raises StoreUnavailable: the owner does not answer."""
        await self.look_at_service()
        if self._outbox is not None:
            self._start_readers(self._outbox)
        self._running = True

    async def look_at_service(self) -> None:
        """Serve what the owner serves by now: to what it has taken out no connection is left.

        :raises StoreUnavailable: the owner does not answer."""
        self.out_of_service = await self._ask("out_of_service")
        gone = [self._tenancies.pop(name) for name in self.out_of_service if name in self._tenancies]
        for name in self._names():
            if name not in self.out_of_service and name not in self._tenancies:
                path = str(self._directory / f"{name}.db") if self._directory is not None else ":memory:"
                self._tenancies[name] = Tenancy(name, path, report=self._report, read_only=True)
        for tenancy in gone:
            await self._in_thread(tenancy.end)

    def written(self, tenancy: str) -> int | None:
        """None: that is known to the owner."""
        return None

    async def write(
        self, tenancy: str, unit: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Have the owner run a writing unit; durable when this returns."""
        if not self._running:
            raise StoreUnavailable("the store is not running")
        return await self._ask("write", tenancy, unit, args, kwargs)  # type: ignore[no-any-return]
