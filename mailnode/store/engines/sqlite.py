"""The SQLite engine: one file a tenancy, one writer thread a tenancy, a few reader threads, one thread for checkpoints.

The threads are the engine's own: a writer is a loop that takes everything that waits (group commit), which a job of a
shared pool cannot be, and a reader that waits for the disk must not hold up somebody's password check.

Without ``call_from_thread`` every unit runs at once in the calling thread and the coroutines never suspend: what
commands and unit tests use.
"""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Concatenate, ParamSpec, TypeVar

import apsw
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mailnode.errors import ConfigurationError, StoreDamaged, StoreUnavailable
from mailnode.store.disk.data_lock import DataLock
from mailnode.store.disk.reserve import OPENING, Reserve
from mailnode.store.engines import migrate
from mailnode.store.engines.before_migration import KeptCopies
from mailnode.store.engines.engine import DIRECTORY, EPHEMERAL, QUEUE, RunUnit, Transaction, mail_tenancy
from mailnode.store.engines.file_ages import FileAges
from mailnode.store.engines.generations import Known, Mark, read_known, require_own, write_known
from mailnode.store.engines.migrate import kind_of
from mailnode.store.engines.sqlite_files import MALFORMED, is_damage, put_aside
from mailnode.store.engines.sqlite_jobs import Job
from mailnode.store.engines.sqlite_rebuild import Rebuilt, rebuild
from mailnode.store.engines.sqlite_tenancy import Tenancy
from mailnode.store.engines.sqlite_threads import Gathering, JobThread, Outbox, Readers
from mailnode.values.events import emit

P = ParamSpec("P")
T = TypeVar("T")

BATCH = 256  # units of one commit at most
WAITING = 10_000  # units one tenancy's writer, or all readers, may have before them

_log = Logger()


class SqliteEngine:
    """Runs units on SQLite files below ``directory`` (None: in memory, and then always in the calling thread)."""

    def __init__(
        self,
        directory: Path | None,
        partitions: int = 1,
        call_from_thread: Callable[..., object] | None = None,
        call_later: Callable[..., object] | None = None,
        *,
        vfs: str | None = None,
        accept_older: Collection[str] = (),
        reserve: Reserve | None = None,
    ) -> None:
        """:param call_from_thread: the reactor's ``callFromThread``. :param call_later: its ``callLater``: what is written in
        one turn goes to the writer at its end; without it at once. :param vfs: the name of an apsw VFS (fault tests).
        :param accept_older: tenancies that are opened though they are older than what was acknowledged; this is
        remembered by :meth:`accept`."""
        self.partitions = partitions
        self.out_of_service: dict[str, str] = {}  # tenancies that are not served, and why
        self.tell_damaged: Callable[[str, str], None] = lambda file, words: None  # in the reactor thread
        self._written: defaultdict[str, int] = defaultdict(int)
        self._changing: set[str] = set()  # tenancies whose files are being worked on
        self._older: dict[
            str, str
        ] = {}  # tenancies whose files are older than what was acknowledged, and how that shows
        self._accepted = frozenset(accept_older)
        self._ages: FileAges | None = None
        self._directory = directory
        self._call_from_thread = call_from_thread if directory is not None else None
        self._vfs = vfs
        self._reserve = reserve
        self._lock = DataLock(directory) if directory is not None else None
        self._tenancies: dict[str, Tenancy] = {}
        self._writers: dict[str, JobThread] = {}
        self._handover = Gathering(call_later)
        self._readers: Readers | None = None
        self._checkpoints: SimpleQueue[Tenancy | None] = SimpleQueue()
        self._checkpointer: threading.Thread | None = None
        self._outbox = Outbox(call_from_thread) if self._call_from_thread is not None else None
        self._running = False

    # life

    async def start(self) -> None:
        """Lock, open, check, migrate. :raises ConfigurationError: what stands in the way, in words."""
        if self._lock is not None:
            self._lock.acquire()
        try:
            if self._reserve is not None:
                self._reserve.begin()
            self._bring_up_all()
            if self._directory is not None:
                self._compare(self._directory)
        except BaseException as error:
            self._close()
            if isinstance(error, apsw.Error):
                raise ConfigurationError([f"server.data: {self._directory}: {error}"]) from error
            raise
        if self._outbox is not None:
            self._start_threads(self._outbox)
        self._running = True

    def _bring_up_all(self) -> None:
        """Open all files. Those that are to be migrated are copied first, before any is.

        :raises ConfigurationError: one cannot be used."""
        copies = KeptCopies(self._directory) if self._directory is not None else None
        migrates = copies is not None and copies.make(self._names())
        for name in self._names():
            self._bring_up(name, copies.uncopied.get(name) if copies is not None and name != EPHEMERAL else None)
        if copies is not None and migrates:
            copies.done()

    def _bring_up(self, name: str, uncopied: apsw.Error | None) -> None:
        """Open one file. A mail partition that cannot be opened is left out: the others serve.

        :param uncopied: why it could not be copied, and is not to be migrated.
        :raises ConfigurationError: this file cannot be used.
        """
        try:
            if uncopied is not None:
                raise uncopied
            tenancy = self._make(name)
            self._tenancies[name] = tenancy
            try:
                self._open(tenancy)
            except (apsw.Error, *MALFORMED) as error:
                tenancy.close()
                # What is wrong with a statement of ours is the file's schema.
                if name != EPHEMERAL or not (is_damage(error) or isinstance(error, apsw.SQLError)):
                    raise
                self._begin_anew(tenancy, error)
        except (apsw.Error, OSError, *MALFORMED) as error:
            if kind_of(name) != "mail" or name in self._accepted or isinstance(error, apsw.FullError):
                raise ConfigurationError([f"server.data: {self._path(name)}: {self._words(error)}"]) from error
            self._tenancies.pop(name, None)
            self._leave_out(name, self._words(error))

    def _words(self, error: Exception) -> str:
        """What SQLite says where there is no room beside a database is "disk I/O error"."""
        full = isinstance(error, apsw.IOError) and self._reserve is not None and self._reserve.free() < OPENING
        return f"{error}: the disk is full" if full else str(error)

    def _compare(self, directory: Path) -> None:
        """Find files that are older than what was acknowledged. A mail partition that is gets no service.

        :raises ConfigurationError: the directory is.
        """
        durable = [name for name in self._names() if name != EPHEMERAL]
        self._ages = FileAges(directory, durable, self._tenancies, self._report)
        for name, words in self._ages.compare().items():
            self._report("store.behind", file=str(self._path(name)), error=words)
            if name in self._accepted:
                continue
            if name == DIRECTORY:
                raise ConfigurationError(
                    [
                        f"server.data: {self._path(name)}: it is older than what was acknowledged ({words}): put the latest"
                        f" one back, or see `mailnode store accept-older {name}`"
                    ]
                )
            self._older[name] = f"{self._path(name)}: {words}"
            if kind_of(name) == "mail":
                self._tenancies.pop(name).close()
                self._leave_out(
                    name, f"it is older than what was acknowledged; see `mailnode store accept-older {name}`"
                )
        if not self._accepted:
            self._ages.begin(self._current())

    def _current(self) -> list[str]:
        return [name for name in self._tenancies if name != EPHEMERAL and name not in self._older]

    async def accept(self) -> None:
        """Remember that the files of ``accept_older`` are the ones in use from now on."""
        if self._ages is not None:
            self._ages.begin(self._current(), more=1)

    def _open(self, tenancy: Tenancy) -> None:
        tenancy.open()
        if tenancy.name == EPHEMERAL:
            tenancy.check()
        current = tenancy.run(migrate.version)
        tenancy.run(require_own, tenancy.name)
        self._migrate(tenancy, current)
        if tenancy.name == DIRECTORY:
            tenancy.run(read_known)
            tenancy.run(migrate.settle_partitions, self.partitions)

    def _begin_anew(self, tenancy: Tenancy, error: Exception) -> None:
        """Put a damaged file, which may be lost, aside and open an empty one. :raises apsw.Error, OSError:"""
        path = self._path(tenancy.name)
        aside = put_aside(path)
        _create(path)
        tenancy.forget_file()
        tenancy.open()
        self._migrate(tenancy, tenancy.run(migrate.version))
        self._report("store.put_aside", file=str(path), aside=str(aside), error=str(error))

    def _leave_out(self, name: str, error: str) -> None:
        path = str(self._path(name))
        self.out_of_service[name] = f"{path}: {error}"
        self._report("store.out_of_service", file=path, error=error)

    def _path(self, name: str) -> Path:
        return Path(":memory:") if self._directory is None else self._directory / f"{name}.db"

    def damage(self) -> dict[str, str]:
        """Say what is wrong, by the file's name: files that are not served, and those found damaged since the start."""
        found = {name: tenancy.damage for name, tenancy in list(self._tenancies.items()) if tenancy.damage}
        return {f"{name}.db": words for name, words in {**found, **self._older, **self.out_of_service}.items()}

    def _names(self) -> tuple[str, ...]:
        return DIRECTORY, QUEUE, EPHEMERAL, *map(mail_tenancy, range(self.partitions))

    def paths(self) -> list[Path]:
        """The files of all tenancies; none where they are in memory."""
        return [] if self._directory is None else [self._path(name) for name in self._names()]

    def _make(self, name: str) -> Tenancy:
        path = self._path(name)
        if self._directory is not None:
            _create(path)
        wanted = self._checkpoints.put if self._outbox is not None else _checkpoint_now
        return Tenancy(
            name,
            str(path),
            durable=name != EPHEMERAL,
            vfs=self._vfs,
            report=self._report,
            checkpoint_wanted=wanted,
            begin_anew=self._begin_anew if name == EPHEMERAL and self._directory is not None else None,
            reserve=self._reserve,
        )

    def _migrate(self, tenancy: Tenancy, current: int) -> None:
        steps = migrate.pending(tenancy.name, current, tenancy.run(migrate.read_by))
        if not current and tenancy.run(migrate.is_used):
            raise StoreDamaged("its table meta is damaged")
        try:
            for step in steps:
                tenancy.run(migrate.apply, step)
        except apsw.SQLError as error:  # a mistake of ours
            raise ConfigurationError([f"server.data: {self._path(tenancy.name)}: {error}"]) from error

    def _start_threads(self, outbox: Outbox) -> None:
        for tenancy in self._tenancies.values():
            self._start_writer(tenancy, outbox)
        self._start_readers(outbox)
        self._checkpointer = threading.Thread(target=self._checkpoint, name="checkpoint", daemon=True)
        self._checkpointer.start()

    def _start_writer(self, tenancy: Tenancy, outbox: Outbox) -> None:
        name = f"write {tenancy.name}"
        self._writers[tenancy.name] = JobThread(name, SimpleQueue(), BATCH, tenancy.run_batch, outbox)

    def _start_readers(self, outbox: Outbox) -> None:
        self._readers = Readers(outbox)

    async def stop(self) -> None:
        """Finish what was taken and close; no error if stopped before."""
        if not self._running:
            return
        self._running = False
        self._handover.finish()
        if self._call_from_thread is None:
            self._close()
            return
        await self._in_thread(self._end_threads)
        await self._in_thread(self._close)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """Do what may take long, in a thread of its own; where there are none, in the calling one."""
        call_from_thread = self._call_from_thread
        if call_from_thread is None:
            return work()
        done: Deferred[T] = Deferred()

        def run() -> None:
            try:
                result = work()
            except Exception as error:
                call_from_thread(done.errback, error)
            else:
                call_from_thread(done.callback, result)

        threading.Thread(target=run, name="store", daemon=True).start()
        return await done

    # service, while others are served

    async def leave_out(self, name: str, why: str) -> None:
        """Serve a mail partition, or the queue, no more: what was taken is finished, and every connection here closed."""
        if name in self.out_of_service:
            return
        self._handover.finish()
        self._leave_out(name, why)
        tenancy, writer = self._tenancies.pop(name), self._writers.pop(name, None)

        def end() -> None:
            if writer is not None:
                writer.end()
            tenancy.end()

        await self._in_thread(end)

    async def take_in(self, name: str, older: bool, prepare: Callable[[RunUnit], T]) -> T:
        """Serve a mail partition that was left out, if its file is the one that was in use last, or an older one that is
        accepted. Return what ``prepare`` did.

        :param prepare: runs units on it, in a thread, before anybody else does. :raises ConfigurationError: why it stays out."""
        if name not in self.out_of_service:
            raise ConfigurationError([f"{name}: it is in service"])
        with self._alone_with(name):
            return await self._take_in(name, older, prepare)

    @contextmanager
    def _alone_with(self, name: str) -> Iterator[None]:
        """Let nobody else change which file of a tenancy is served. :raises ConfigurationError: somebody does."""
        if name in self._changing:
            raise ConfigurationError([f"{name}: its file is being worked on"])
        self._changing.add(name)
        try:
            yield
        finally:
            self._changing.discard(name)

    async def _take_in(self, name: str, older: bool, prepare: Callable[[RunUnit], T]) -> T:
        tenancy, known, result = await self._in_thread(lambda: self._open_again(name, older, prepare))
        try:
            await self.write(DIRECTORY, write_known, known)
        except StoreUnavailable:
            await self._in_thread(tenancy.end)
            raise
        self._tenancies[name] = tenancy
        if self._outbox is not None:
            self._start_writer(tenancy, self._outbox)
        self._older.pop(name, None)
        self._written[name] += 1  # what is remembered of it may be otherwise now
        del self.out_of_service[name]
        self._report("store.in_service", file=str(self._path(name)))
        return result

    async def rebuild(
        self, name: str, alone: Callable[[], Awaitable[object]], prepare: Callable[[RunUnit, Rebuilt], object]
    ) -> Rebuilt:
        """Make the file of a mail partition or the queue, which is damaged, anew out of what can be read
        of it. It is not served meanwhile.

        :param alone: returns when no other process has it open; false: one may have. :param prepare: runs units on the new
        file, in a thread, before it takes the place of the other.
        :raises ConfigurationError: why it could not be done; the file is as it was."""
        self._mark_of(name)
        with self._alone_with(name):
            if name in self.out_of_service:  # an older file may stand there, which is not to become the latest
                await self._take_in(name, False, lambda run: None)
            await self.leave_out(name, "it is made anew, because it was damaged")
            try:
                if not await alone():
                    raise ConfigurationError(
                        [f"{self._path(name)}: another process may have it open, and it is not made anew"]
                    )
                mark = self._mark_of(name)  # by now all that was taken is committed, and counted
                return await self._in_thread(lambda: self._rebuilt(name, mark, prepare))
            finally:
                await self._take_in(name, False, lambda run: None)

    def _mark_of(self, name: str) -> Mark:
        mark = self._ages.mark_of(name) if self._ages is not None and name not in self._older else None
        if mark is None:
            raise ConfigurationError([f"{self._path(name)}: it is not known to be the latest, and is not made anew"])
        return mark

    def _rebuilt(self, name: str, mark: Mark, prepare: Callable[[RunUnit, Rebuilt], object]) -> Rebuilt:
        try:
            return rebuild(self._path(name), mark, migrate.known(kind_of(name))[-1].number, prepare)
        except (apsw.Error, OSError, ValueError, *MALFORMED) as error:
            raise ConfigurationError([f"{self._path(name)}: it cannot be made anew: {error}"]) from error

    def _open_again(
        self, name: str, older: bool, prepare: Callable[[RunUnit], T]
    ) -> tuple[Tenancy, dict[str, Known], T]:
        ages, path = self._ages, self._path(name)
        if ages is None:
            raise ConfigurationError([f"{path}: it has no file"])
        tenancy = self._make(name)
        try:
            self._open(tenancy)
            if (words := ages.compare_one(tenancy)) and not older:
                raise ConfigurationError([f"{path}: it is older than what was acknowledged: {words}"])
            result = prepare(tenancy.run)
            # Last: what was prepared must be there when the file is taken for the latest.
            return tenancy, ages.begin_one(tenancy, more=int(older)), result
        except BaseException as error:
            tenancy.end()
            if isinstance(error, (apsw.Error, OSError, *MALFORMED)):
                raise ConfigurationError([f"{path}: {self._words(error)}"]) from error
            raise

    def _end_threads(self) -> None:
        for worker in self._writers.values():
            worker.end()
        if self._readers is not None:
            self._readers.stop()
        self._checkpoints.put(None)
        if self._checkpointer is not None:
            self._checkpointer.join()

    def _close(self) -> None:
        if self._ages is not None:
            self._ages.end()
            self._ages.close()
            self._ages = None
        for tenancy in self._tenancies.values():
            tenancy.close()
        if self._reserve is not None and self._tenancies:
            self._reserve.end(len(self._tenancies))
        self._tenancies.clear()
        if self._lock is not None:
            self._lock.release()

    # units

    async def read(
        self, tenancy: str, unit: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a reading unit in one snapshot."""
        job = Job(unit, args, kwargs)
        job.tenancy = self._tenancy(tenancy)
        if self._readers is None:
            job.tenancy.run_read(job)
            return job.outcome()  # type: ignore[return-value]
        if self._readers.waiting >= WAITING:
            raise StoreUnavailable("too many units are waiting")
        done = job.done = Deferred()
        self._readers.submit(job)
        return await done  # type: ignore[return-value]

    async def write(
        self, tenancy: str, unit: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a writing unit; durable when this returns."""
        job = Job(unit, args, kwargs)
        job.tenancy = self._tenancy(tenancy)
        self._written[tenancy] += 1
        try:
            if self._outbox is None:
                job.tenancy.run_batch((job,))
                return job.outcome()  # type: ignore[return-value]
            writer = self._writers[tenancy]
            if writer.waiting + len(self._handover) >= WAITING:
                raise StoreUnavailable("too many units are waiting")
            done = job.done = Deferred()
            self._handover.put(writer.queue, job)
            return await done  # type: ignore[return-value]
        finally:
            self._written[tenancy] += 1

    def written(self, tenancy: str) -> int | None:
        """How many writing units have begun, and ended: nobody else writes."""
        return self._written[tenancy]

    def _tenancy(self, name: str) -> Tenancy:
        if not self._running:
            raise StoreUnavailable("the store is not running")
        if name in self.out_of_service:
            raise StoreUnavailable(self.out_of_service[name])
        return self._tenancies[name]

    def trouble(self) -> str:
        """Return which file of which tenancy is not under its name any more, or cannot be written for another reason than
        a full disk; "" while all is well. Blocks for some stats."""
        tenancies = list(self._tenancies.values())
        found = (text for tenancy in tenancies if (text := tenancy.trouble() or self._refused(tenancy)))
        return next(found, "")

    async def try_again(self) -> None:
        """Write to the files that could not be written the last time: there may be no mail that would show that it can be."""
        for name in [tenancy.name for tenancy in self._tenancies.values() if self._refused(tenancy)]:
            with suppress(StoreUnavailable):
                await self.write(name, migrate.write_again)

    def _refused(self, tenancy: Tenancy) -> str:
        return "" if tenancy.name == EPHEMERAL else tenancy.refused

    # beside the units

    def _checkpoint(self) -> None:
        while (tenancy := self._checkpoints.get()) is not None:
            tenancy.checkpoint()
            if self._ages is not None:
                self._ages.sync()

    def _report(self, event: str, **fields: object) -> None:
        def say() -> None:
            emit(_log, event, warning=event != "store.recovered", **fields)
            tenancy = self._tenancies.get(str(fields.get("tenancy")))
            if tenancy is not None and tenancy.damage and tenancy.name != EPHEMERAL:
                self.tell_damaged(f"{tenancy.name}.db", tenancy.damage)

        if self._call_from_thread is None:
            say()
        else:
            self._call_from_thread(say)


def _create(path: Path) -> None:
    """Nobody else's to read; SQLite gives its log the same mode."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _checkpoint_now(tenancy: Tenancy) -> None:
    tenancy.checkpoint()
