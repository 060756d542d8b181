"""One tenancy as one SQLite file: its connections, group commit, checkpoints, and what is done after a failed sync.

Nothing here knows threads or the reactor: the engine sees to it that ``run_batch`` is called by one thread at a time.
docs/store.rst tells the same in prose.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar, TypeVarTuple

import apsw

from mailnode.errors import ConfigurationError, DomainError, StoreDamaged, StoreUnavailable
from mailnode.store.disk.named_files import FileLost, NamedFiles
from mailnode.store.disk.reserve import Reserve
from mailnode.store.engines.engine import GROWING, JOINT, JointUnit, Transaction
from mailnode.store.engines.generations import COUNT, read_mark
from mailnode.store.engines.sqlite_files import STATEMENT_ERRORS, is_damage, is_of_sync, told
from mailnode.store.engines.sqlite_jobs import Job, refuse
from mailnode.store.engines.sqlite_pool import ReadConnections, tune
from mailnode.store.engines.sqlite_transaction import SqliteTransaction

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# pages of write-ahead log
CHECKPOINT_AT = 1_000  # the checkpoint thread is asked to move the log into the file
CHECKPOINT_AGAIN = 200  # more of them after which it is asked again, when the writer was faster: the log began not anew
WAL_LIMIT = 16_000  # the writer waits until that is done: the log's size is bounded
WAL_OCTETS = WAL_LIMIT * 4096  # a longer log is cut to this when it begins anew


class Tenancy:
    """One database file (``path`` ":memory:": one connection, for tests)."""

    def __init__(
        self,
        name: str,
        path: str,
        *,
        durable: bool = True,
        vfs: str | None = None,
        report: Callable[..., None] = lambda event, **fields: None,
        checkpoint_wanted: Callable[[Tenancy], None] = lambda tenancy: None,
        read_only: bool = False,
        begin_anew: Callable[[Tenancy, Exception], None] | None = None,
        reserve: Reserve | None = None,
    ) -> None:
        """:param durable: False writes without sync. :param report: takes an event of the log and its fields.
        :param begin_anew: puts a damaged file aside and opens a new one, for what may be lost.
        :param read_only: another process writes; :meth:`run_read` is all there is."""
        self.name = name
        self._path = path
        self._durable = durable
        self._vfs = vfs
        self._report = report
        self._reserve = reserve
        self._checkpoint_wanted = checkpoint_wanted
        self._writer: apsw.Connection | None = None
        self._flags = apsw.SQLITE_OPEN_READONLY if read_only else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        self._begin_anew = begin_anew
        self.commits = 0  # since the file was made
        self._counted: Callable[[int], None] | None = None  # told of each commit once it is durable
        self.refused = ""  # why writing failed the last time, in words: neither damage nor a full disk
        self.damage = ""  # what was found damaged last, in words
        self._wal_pages = 0
        self._checkpoint_asked = False
        self._asked_at = 0  # pages
        self._waited_at = 0  # pages with which the writer waited in vain: not again for each batch
        self._failed = False
        self._ended = False
        self._files = NamedFiles(path, WAL_OCTETS)
        self._lost = False  # a file is not under its name: nothing is acknowledged
        self._to_read = ReadConnections(self._connect, self._close)
        self._checkpointing = threading.Lock()
        self._checkpointer: apsw.Connection | None = None

    @property
    def in_memory(self) -> bool:
        """Whether there is no file: then one connection does everything."""
        return self._path == ":memory:"

    @property
    def is_open(self) -> bool:
        """Whether there is a connection to write with."""
        return self._writer is not None

    # opening and closing

    def open(self) -> None:
        """Open the writing connection. :raises ConfigurationError: no write-ahead log here. :raises apsw.Error:"""
        connection = self._connect_to_write()
        try:
            if not self.in_memory:
                mode = connection.pragma("journal_mode", "wal")
                if mode != "wal":
                    raise ConfigurationError(
                        [f"server.data: {self._path}: the file system has no shared memory for a write-ahead log"]
                    )
                connection.pragma("wal_autocheckpoint", 0)
                connection.pragma("journal_size_limit", WAL_OCTETS)
                connection.set_wal_hook(self._wal_grew)
            connection.pragma("synchronous", "FULL" if self._durable else "OFF")
        except BaseException:
            connection.close()
            raise
        self._writer = connection

    def close(self) -> None:
        """Close every connection; waits for readers that are in the middle of a unit."""
        self._to_read.close()
        with self._checkpointing:
            if self._checkpointer is not None:
                self._close(self._checkpointer)
                self._checkpointer = None
        if self._writer is not None:
            self._close(self._writer)
            self._writer = None
        self._files.forget_log()
        self._to_read.open_again()

    def end(self) -> None:
        """Close every connection for good, when readers in the middle of a unit have come to its end."""
        self._ended = True
        self.close()

    def _close(self, connection: apsw.Connection) -> None:
        try:
            connection.close()
        except apsw.Error as error:
            self._complain(error, "close: ")

    def _connect(self) -> apsw.Connection:
        if self._ended:
            raise apsw.CantOpenError("it is out of service") from FileLost(self._path)
        connection = apsw.Connection(self._path, flags=self._flags, vfs=self._vfs, statementcachesize=200)
        try:
            if not self.in_memory and (text := self.trouble()):
                raise apsw.CantOpenError(text) from FileLost(text)
            tune(connection)
        except BaseException:
            connection.close()  # now: the error would keep it, and with it the log's index as it was opened
            raise
        return connection

    def _connect_to_write(self) -> apsw.Connection:
        # SQLite opens to read what cannot be written: such a connection would not write either once it can be.
        connection = self._connect()
        if connection.readonly("main"):
            connection.close()
            raise apsw.ReadOnlyError("it cannot be written")
        return connection

    # writing

    def run_batch(self, jobs: Sequence[Job]) -> None:
        """Run the units in one transaction with one sync; afterwards each job has its result or its error.

        No job has a result before COMMIT has returned.
        """
        if ((self._lost or self._files.log_is_short()) and self.trouble()) or (self._failed and not self._recover()):
            refuse(jobs, None)
            return
        jobs = self._admitted(jobs)
        error = self._attempt(jobs) if jobs else None
        if error is not None and self._replace(error):
            error = self._attempt(jobs)
        if error is None:
            return
        self._note_refusal(error)
        room = isinstance(error, apsw.FullError) and self._reserve is not None and self._reserve.give_back()
        if self._failed or self._lost or (len(jobs) == 1 and not room):
            refuse(jobs, error)
            return
        # The transaction went, and with it every unit of the batch, before anything was committed. Each again, alone.
        for job in self._admitted(jobs):
            error = None if self._failed or self._lost else self._attempt((job,))
            if error is not None or self._failed or self._lost:
                refuse((job,), error)

    def _note_refusal(self, error: Exception) -> None:
        if not (is_damage(error) or isinstance(error, apsw.FullError)):
            self.refused = f"{self._path}: {type(error).__name__}: {error}"

    def _replace(self, error: Exception) -> bool:
        """Begin with an empty file if this one is damaged and may be lost; whether that was done."""
        if self._begin_anew is None or not is_damage(error):
            return False
        self.close()
        self._failed = True
        try:
            self._begin_anew(self, error)
        except (apsw.Error, OSError, ConfigurationError) as second:
            self._complain(second, "it cannot be made anew: ")
            self.close()
            return False
        self._failed = False
        self.damage = ""
        return True

    def _admitted(self, jobs: Sequence[Job]) -> Sequence[Job]:
        """Refuse units that bring mail while the disk is full; return the others."""
        if self._reserve is None or not self._reserve.full():
            return jobs
        refuse([job for job in jobs if job.unit in GROWING], apsw.FullError("no room for more mail"))
        return [job for job in jobs if job.unit not in GROWING]

    def _attempt(self, jobs: Sequence[Job]) -> apsw.Error | None:
        """Run and commit; return the error that undid them all."""
        connection = self._writer
        assert connection is not None
        try:
            connection.execute("BEGIN IMMEDIATE")
            tx = SqliteTransaction(connection)
            before = connection.total_changes()
            if len(jobs) == 1:
                if not self._run_alone(connection, tx, jobs[0]):
                    return None
            else:
                self._run_units(connection, tx, jobs)
            counts = self._counted is not None and connection.total_changes() != before
            if counts:
                connection.execute(COUNT, (str(self.commits + 1),))
        except apsw.Error as error:
            found = told(connection, error)
            self._roll_back(connection, found)
            return found
        except BaseException:  # an interrupted command
            connection.execute("ROLLBACK")
            raise
        failed = self._commit(connection)
        if failed is not None:
            return failed
        self.refused = ""
        if counts and self._counted is not None:
            self.commits += 1
            self._counted(self.commits)
        # After the commit, as close to the acknowledgement as can be.
        if not self.in_memory and (text := self.trouble(committed=True)):
            return apsw.CantOpenError(text)
        self._look_after_log()
        return None

    def _commit(self, connection: apsw.Connection) -> apsw.Error | None:
        """Return the error that undid what was to be committed, or leaves it in doubt."""
        try:
            connection.execute("COMMIT")
        except apsw.Error as error:
            found = told(connection, error)
            if isinstance(found, apsw.FullError):
                # Of a write, before any sync: nothing is in doubt, and to open the file anew needs room.
                self._roll_back(connection, found)
            else:
                self._fail(found)
            return found
        return None

    def trouble(self, committed: bool = False) -> str:
        """Return which file is not under its name any more, "" while all are: then nothing is acknowledged, until the same
        file is back. The log says it once. By any thread."""
        if self.in_memory:
            return ""
        try:
            self._files.check(committed)
        except FileLost as error:
            if not self._lost:
                self._lost = True
                self._report("store.failed", tenancy=self.name, error=f"nothing is acknowledged: {error}")
            return str(error)
        if self._lost:
            self._lost = False
            self._report("store.recovered", tenancy=self.name)
        return ""

    def _look_after_log(self) -> None:
        if self._wal_pages > self._waited_at + WAL_LIMIT:
            self._waited_at = self._wal_pages
            with contextlib.suppress(apsw.Error):  # what was committed stays so; a backup may read for long
                self.checkpoint(wait=True)
                self._waited_at = 0
        elif (
            not self._checkpoint_asked
            and self._wal_pages > CHECKPOINT_AT
            and (not self._asked_at or self._wal_pages > self._asked_at + CHECKPOINT_AGAIN)
        ):
            self._checkpoint_asked = True
            self._asked_at = self._wal_pages
            self._checkpoint_wanted(self)

    def _run_units(self, connection: apsw.Connection, tx: SqliteTransaction, jobs: Sequence[Job]) -> None:
        groups: dict[Callable[..., object], list[Job]] = {}
        for job in jobs:
            if job.unit in JOINT:
                groups.setdefault(job.unit, []).append(job)
            else:
                self._run_unit(connection, tx, job)
        for unit, members in groups.items():
            if len(members) == 1 or not self._run_joint(connection, JOINT[unit], tx, members):
                for job in members:
                    self._run_unit(connection, tx, job)

    def _run_joint(
        self, connection: apsw.Connection, joint: JointUnit, tx: SqliteTransaction, jobs: Sequence[Job]
    ) -> bool:
        """Run several calls of one unit as one; False: it cannot be done, and nothing was."""
        connection.execute("SAVEPOINT unit")
        try:
            results = joint(tx, [job.args for job in jobs])
        except Exception as error:  # of one of them: which one shows when each runs alone
            if isinstance(error, apsw.Error) and not isinstance(error, STATEMENT_ERRORS):
                raise
            results = None
            connection.execute("ROLLBACK TO unit")
        connection.execute("RELEASE unit")
        if results is None:
            return False
        for job, result in zip(jobs, results, strict=True):
            job.result, job.error = result, None
        return True

    def _run_alone(self, connection: apsw.Connection, tx: SqliteTransaction, job: Job) -> bool:
        """Run the only unit of a transaction, which needs no savepoint; False: undone, there is nothing to commit."""
        self._call(tx, job)
        if not connection.in_transaction:
            raise apsw.SQLError("the unit lost its transaction")
        if job.error is not None:
            connection.execute("ROLLBACK")
        return job.error is None

    def _run_unit(self, connection: apsw.Connection, tx: SqliteTransaction, job: Job) -> None:
        connection.execute("SAVEPOINT unit")
        self._call(tx, job)
        # Whatever the unit made of an engine error: had it ended the transaction, these raise and the batch is undone.
        if job.error is not None:
            connection.execute("ROLLBACK TO unit")
        connection.execute("RELEASE unit")

    def _call(self, tx: SqliteTransaction, job: Job) -> None:
        job.result = job.error = None
        try:
            job.result = job.unit(tx, *job.args, **job.kwargs)
        except (StoreDamaged, UnicodeDecodeError) as error:
            job.error = self._damaged(error)
        except DomainError as error:
            job.error = error
        except STATEMENT_ERRORS as error:
            job.error = self._unexpected(error)
        except apsw.Error:
            raise
        except Exception as error:
            job.error = self._unexpected(error)

    def run(self, unit: Callable[[Transaction, *Ts], T], *args: *Ts) -> T:  # type: ignore[return]  # it hides no error
        """Run one unit alone, at start, when no threads are there yet; engine errors reach the caller as they are."""
        connection = self._writer
        assert connection is not None
        with connection:
            return unit(SqliteTransaction(connection), *args)

    def count_commits(self, counted: Callable[[int], None]) -> None:
        """Count commits in the file from now on. :param counted: told the number after each; any thread."""
        self._counted = counted
        self._read_commits()

    def _read_commits(self) -> None:
        if self._counted is not None:
            mark = self.run(read_mark)
            self.commits = mark.commits if mark is not None else 0

    def forget_file(self) -> None:
        """The file was put aside while nobody had it open: the next one under its name is ours."""
        self._files = NamedFiles(self._path, WAL_OCTETS)

    def check(self) -> None:
        """Look at the whole file. :raises apsw.CorruptError:"""
        assert self._writer is not None
        found = self._writer.pragma("quick_check", 1)
        if found != "ok":
            raise apsw.CorruptError(str(found))

    def _complain(self, error: Exception, what: str = "") -> None:
        """Write an error of this file to the log."""
        if is_damage(error):
            self.damage = f"{self._path}: {error}"
        if isinstance(error.__cause__, FileLost) or (isinstance(error, apsw.CantOpenError) and self.trouble()):
            return  # that was said, once
        words = f"{self._path}: {what}{type(error).__name__}: {error}"
        self._report("store.failed", tenancy=self.name, error=words)

    def _damaged(self, error: Exception) -> StoreDamaged:
        if not self.damage:  # said once: many rows may stand on one page
            self._complain(error)
        refusal = StoreDamaged("the file is damaged")
        refusal.__cause__ = error
        return refusal

    def _unexpected(self, error: Exception) -> StoreUnavailable:
        self._complain(error)
        refusal = StoreUnavailable(f"{self._path}: the unit failed")
        refusal.__cause__ = error
        return refusal

    def _roll_back(self, connection: apsw.Connection, error: apsw.Error) -> None:
        if is_of_sync(error):  # a batch larger than the page cache syncs before COMMIT
            self._fail(error)
            return
        self._complain(error)
        if connection.in_transaction:
            try:
                connection.execute("ROLLBACK")
            except apsw.Error as second:
                self._fail(second)

    def _fail(self, error: apsw.Error) -> None:
        """A sync failed, or COMMIT: what the disk has of it nobody knows, and the kernel may have forgotten that it owes us a
        sync. Nothing is acknowledged until all connections were closed and the log was moved into the file anew."""
        self._failed = True
        self._complain(error)
        if not self.in_memory:
            self.close()

    def _recover(self) -> bool:
        try:
            if not self.in_memory:
                # Who reads may have opened the file, and the log's index that all here share, when they could not be written.
                self._to_read.close()
                self.open()
                self.checkpoint(wait=True)
                self._read_commits()
                self._to_read.open_again()
        except (apsw.Error, ConfigurationError) as error:
            self.close()
            self._note_refusal(error)
            return self._replace(error)
        self._failed = False
        self._report("store.recovered", tenancy=self.name)
        return True

    # reading

    def run_read(self, job: Job) -> None:
        """Run a reading unit in one snapshot; afterwards the job has its result or its error."""
        try:
            connection = self._borrow()
        except apsw.Error as error:
            job.error = self._unexpected(error)
            return
        sound = False
        try:
            connection.execute("BEGIN")
            try:
                job.result = job.unit(SqliteTransaction(connection), *job.args, **job.kwargs)
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            sound = True
        except Exception as error:
            if is_damage(error):
                job.error = self._damaged(error)
            else:
                sound = isinstance(error, DomainError)
                job.error = error if sound else self._unexpected(error)
        finally:
            self._give_back(connection, sound)

    def _borrow(self) -> apsw.Connection:
        if self.in_memory:
            if self._writer is None:
                raise apsw.CantOpenError("closed")
            return self._writer
        return self._to_read.borrow()

    def _give_back(self, connection: apsw.Connection, sound: bool) -> None:
        if not self.in_memory:
            self._to_read.give_back(connection, sound)

    # the write-ahead log

    def _wal_grew(self, connection: apsw.Connection, database: str, pages: int) -> int:
        if pages < self._wal_pages:  # the log has begun anew
            self._asked_at = 0
            self._waited_at = 0
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def checkpoint(self, wait: bool = False) -> None:
        """Move the log into the file, beside writer and readers; ``wait``: wait for them and empty the log.

        :raises apsw.Error: with ``wait`` only. Without, the log just stays until the next time.
        """
        with self._checkpointing:
            self._checkpoint_asked = False
            try:
                if self._checkpointer is None:
                    self._checkpointer = self._connect_to_write()
                    self._checkpointer.pragma("synchronous", "FULL" if self._durable else "OFF")
                if wait:
                    self._files.log_is_emptied()
                mode = apsw.SQLITE_CHECKPOINT_TRUNCATE if wait else apsw.SQLITE_CHECKPOINT_PASSIVE
                self._checkpointer.wal_checkpoint(mode=mode)
            except apsw.Error as error:
                self._complain(error, "checkpoint: ")
                if wait:
                    raise
