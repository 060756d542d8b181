"""The engine a configuration asks for, and all that stands on it."""

from __future__ import annotations

from collections.abc import Callable

from mailnode.config.schema import Config
from mailnode.errors import ConfigurationError
from mailnode.interfaces.runtime import IClock, IHints, IThreads
from mailnode.store.blobs_local import LocalBlobs
from mailnode.store.data_lock import DataLock
from mailnode.store.directory import Directory
from mailnode.store.engine import Engine
from mailnode.store.engine_sqlite import SqliteEngine
from mailnode.store.ephemeral import Ephemeral
from mailnode.store.mail_store import MailStore
from mailnode.store.queue import Queue


class Stores:
    """The engine and all that stands on it. ``start`` and ``stop`` once each."""

    def __init__(
        self,
        config: Config,
        clock: IClock,
        threads: IThreads,
        hints: IHints,
        call_from_thread: Callable[..., object] | None,
    ) -> None:
        """:param call_from_thread: the reactor's; None: everything runs in the calling thread."""
        self._config = config
        self.engine = _engine(config, call_from_thread)
        # The SQLite engine locks the directory by itself; with another one it still holds blobs and control socket.
        self._lock = None if isinstance(self.engine, SqliteEngine) else DataLock(config.server.data)
        directory = config.server.data / config.store.blobs.removeprefix("file:")
        self.blobs = LocalBlobs(directory, threads, clock, config.store.inline_limit)
        self.queue = Queue(self.engine, self.blobs)
        self.mail = MailStore(self.engine, self.blobs, hints, clock, config.server.partitions, self.queue.blobs_in_use)
        self.directory = Directory(self.engine)
        self.ephemeral = Ephemeral(self.engine, clock)

    async def start(self) -> None:
        """Lock the data directory, open, migrate. :raises ConfigurationError: what stands in the way."""
        if self._lock is not None:
            self._lock.acquire()
        try:
            await self.engine.start()
        except BaseException:
            self._unlock()
            raise
        try:
            self.blobs.prepare()
            await self.directory.set_fixed_domains([domain.name for domain in self._config.domain])
            await self.ephemeral.start()
            if isinstance(self.engine, SqliteEngine):  # which no other process has open
                await self.mail.end_maildrops()
        except Exception as error:
            await self.engine.stop()
            self._unlock()
            what = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
            data = self._config.server.data
            raise ConfigurationError([f"server.data: {data}: cannot be used: {what or 'see the log'}"]) from error

    async def stop(self) -> None:
        """Write what waits and close."""
        await self.ephemeral.stop()
        await self.engine.stop()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.release()


def _engine(config: Config, call_from_thread: Callable[..., object] | None) -> Engine:
    if config.store.url == "sqlite:":
        return SqliteEngine(config.server.data, config.server.partitions, call_from_thread)
    try:
        from mailnode.store.engine_postgres import PostgresEngine
    except ImportError as error:
        raise ConfigurationError([f"store.url: PostgreSQL needs mailnode[postgres]: {error}"]) from error
    return PostgresEngine(config.store.url, config.server.partitions, call_from_thread)
