"""The PostgreSQL engine: one schema a tenancy, one transaction a unit, run in threads and run again where the server says
that two of them could not stand one after the other.

What a unit checked still holds when it commits, as on SQLite. A unit that belongs to accounts (``engine.OF_ACCOUNTS``) begins
with the lock on their rows, and sees at each statement what was committed until then: it waits for whoever has the lock, and
need not be run again because of them. Those of one process wait outside of the database, so that a busy account keeps one
connection busy and no more. All other units run SERIALIZABLE. Plain and not fast.
"""

from __future__ import annotations

import random
import re
import threading
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from functools import lru_cache, partial
from typing import Concatenate, ParamSpec, TypeVar

import psycopg
from psycopg import IsolationLevel, errors
from psycopg.adapt import Buffer, Dumper, Loader
from psycopg.pq import TransactionStatus
from psycopg.sql import Literal
from psycopg_pool import ConnectionPool, PoolTimeout
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mailnode.errors import ConfigurationError, DomainError, StoreUnavailable
from mailnode.interfaces.turns import Places, Turns
from mailnode.store.engines import migrate
from mailnode.store.engines.engine import (
    DIRECTORY,
    EPHEMERAL,
    OF_ACCOUNTS,
    PATIENT,
    QUEUE,
    Arguments,
    Transaction,
    columns,
    mail_tenancy,
)
from mailnode.values.events import emit
from mailnode.values.rows import StoredRow

P = ParamSpec("P")
T = TypeVar("T")

CONNECTIONS = 8  # and as many threads
WAITING = 10_000  # units that may wait
ATTEMPTS = 60  # of one unit
PAUSE = 0.5  # seconds between two of them at most: all together take 14 s if each ends at once
PATIENCE = 20.0  # seconds until a connection must be there
SILENT = 60  # seconds after which a process that says nothing within a unit, perhaps gone with its host, holds no lock any more

_AGAIN = (errors.SerializationFailure, errors.DeadlockDetected)
_PIECES = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|\?|%")

_log = Logger()


@lru_cache(maxsize=2_000)
def to_psycopg(sql: str) -> str:
    """Return a statement with psycopg's placeholders: ``?`` outside of quotes is ``%s``, every ``%`` is doubled."""
    return _PIECES.sub(lambda match: "%s" if match[0] == "?" else match[0].replace("%", "%%"), sql)


def to_schema(statement: str) -> str:
    """Return a statement of the schema in PostgreSQL's words; text is ordered by octets, as on SQLite."""
    return re.sub(r"\bTEXT\b", 'TEXT COLLATE "C"', migrate.to_postgres(statement))


class _IntegerBool(Dumper):
    """Truth values are integers in the schema."""

    oid = 21  # int2

    def dump(self, obj: bool) -> bytes:
        return b"1" if obj else b"0"


class _PlainNumber(Loader):
    """SUM of integers is NUMERIC here: units expect an int."""

    def load(self, data: Buffer) -> int | float:
        text = bytes(data).decode("ascii")
        return int(text) if text.lstrip("-").isdigit() else float(text)


class PostgresTransaction:
    """What a unit sees."""

    __slots__ = ("_connection",)

    def __init__(self, connection: psycopg.Connection[StoredRow]) -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> list[StoredRow]:
        """Run one statement and return all its rows."""
        if parameters:
            cursor = self._connection.execute(to_psycopg(sql), parameters)
        else:
            cursor = self._connection.execute(sql)
        return cursor.fetchall() if cursor.description is not None else []

    def many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run one statement for each row of parameters."""
        with self._connection.cursor() as cursor:
            cursor.executemany(to_psycopg(sql), rows)

    def integers(self, typecodes: str, sql: str, parameters: Sequence[object] = ()) -> tuple[array[int], ...]:
        """Run one statement whose columns are integers, and return them as arrays."""
        return columns(typecodes, self._connection.execute(to_psycopg(sql), parameters))

    def octets(self, columns: Sequence[str], rest: str, parameters: Sequence[object] = ()) -> tuple[int, bytes]:
        """Run ``SELECT columns rest`` and return how many rows it has and all of them as octets."""
        rows = [row for row in self.execute(f"SELECT {', '.join(columns)} {rest}", parameters) if None not in row]
        return len(rows), b"".join([x if isinstance(x, bytes) else b"%d" % x for row in rows for x in row])


class _Interrupted(Exception):
    """The connection broke before COMMIT was sent: nothing was kept, another may be tried."""


class PostgresEngine:
    """Runs units on a PostgreSQL database (15 or later, UTF-8)."""

    def __init__(
        self,
        url: str,
        partitions: int = 1,
        call_from_thread: Callable[..., object] | None = None,
        *,
        prefix: str = "mailnode",
        connections: int = CONNECTIONS,
    ) -> None:
        """:param url: ``postgresql://...`` or a libpq connection string. :param call_from_thread: the reactor's
        ``callFromThread``; without it every unit runs in the calling thread. :param prefix: of the schemas' names."""
        self.partitions = partitions
        self.out_of_service: dict[str, str] = {}
        self._url = url
        self._prefix = prefix
        self._call_from_thread = call_from_thread
        self._pool = ConnectionPool(
            url, min_size=1, max_size=connections, open=False, timeout=PATIENCE, configure=_configure
        )
        self._executor = ThreadPoolExecutor(connections, "store") if call_from_thread is not None else None
        self._waiting = 0
        self._turns = Turns()  # of accounts: (tenancy, account id)
        # The other connections are for units somebody waits for.
        self._patient = Places(max(1, connections // 2))
        self._running = False
        self._ending = threading.Event()

    # life

    async def start(self) -> None:
        """Connect, check, migrate. :raises ConfigurationError: what stands in the way, in words."""
        await self._in_thread(self._open)
        self._running = True

    def _open(self) -> None:
        try:
            with psycopg.connect(self._url, connect_timeout=int(PATIENCE)) as connection:
                _check_server(connection)
            self._pool.open(wait=True, timeout=PATIENCE)
            for name in (DIRECTORY, QUEUE, EPHEMERAL, *map(mail_tenancy, range(self.partitions))):
                self._again(partial(self._migrate, name))
        except (psycopg.Error, PoolTimeout) as error:
            self._pool.close()
            raise ConfigurationError([f"store.url: {str(error).strip() or type(error).__name__}"]) from error
        except BaseException:
            self._pool.close()
            raise

    def _migrate(self, tenancy: str) -> None:
        schema = self._schema(tenancy)
        with self._pool.connection() as connection:
            connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
            connection.read_only = False
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            connection.execute(f"SET LOCAL search_path TO {schema}")
            tx = PostgresTransaction(connection)
            migrate.version(tx)
            # The row lock: whoever else starts now waits here until this transaction has ended, then sees its schema.
            tx.execute("INSERT INTO meta (key, value) VALUES ('lock', '') ON CONFLICT (key) DO UPDATE SET value = ''")
            for step in migrate.pending(tenancy, migrate.version(tx), migrate.read_by(tx)):
                migrate.apply(tx, step, to_schema)
            if tenancy == DIRECTORY:
                migrate.settle_partitions(tx, self.partitions)

    async def stop(self) -> None:
        """Finish what was taken and close; no error if stopped before."""
        if not self._running:
            return
        self._running = False
        self._ending.set()
        if self._call_from_thread is None or self._executor is None:
            self._pool.close()
            return
        closed: Deferred[None] = Deferred()
        call_from_thread, executor = self._call_from_thread, self._executor

        def end() -> None:
            executor.shutdown()
            self._pool.close()
            call_from_thread(closed.callback, None)

        threading.Thread(target=end, name="store stop", daemon=True).start()
        await closed

    # units

    async def read(
        self, tenancy: str, unit: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a reading unit in one snapshot."""
        work = partial(self._run, tenancy, IsolationLevel.REPEATABLE_READ, (), partial(_call, unit, args, kwargs))
        with self._admitted():
            return await self._in_thread(work)

    async def write(
        self, tenancy: str, unit: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a writing unit; durable when this returns.

        When the connection is lost while COMMIT is under way, nobody knows: StoreUnavailable is raised all the same.
        """
        accounts = sorted(set(OF_ACCOUNTS[unit](args))) if unit in OF_ACCOUNTS else ()
        level = IsolationLevel.READ_COMMITTED if accounts else IsolationLevel.SERIALIZABLE
        work = partial(self._run, tenancy, level, accounts, partial(_call, unit, args, kwargs))
        with self._admitted():
            return await self._in_turn(tenancy, accounts, work, unit in PATIENT)

    def written(self, tenancy: str) -> int | None:
        """None: every worker writes."""
        return None

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        self._require_running()
        if self._waiting >= WAITING:
            raise StoreUnavailable("too many units are waiting")
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    def _require_running(self) -> None:
        if not self._running:
            raise StoreUnavailable("the store is not running")

    async def _in_turn(self, tenancy: str, accounts: Iterable[str], function: Callable[[], T], patient: bool) -> T:
        """Wait for those units on the accounts that came before. :param accounts: in the order of their ids. :param patient: and
        then for a place, so that nobody has one who only waits."""
        async with AsyncExitStack() as turns:
            for account_id in accounts:
                await turns.enter_async_context(self._turns.of((tenancy, account_id)))
            if patient:
                await turns.enter_async_context(self._patient)
            self._require_running()
            return await self._in_thread(function)

    async def _in_thread(self, function: Callable[[], T]) -> T:
        if self._executor is None or self._call_from_thread is None:
            return function()
        done: Deferred[T] = Deferred()
        call_from_thread = self._call_from_thread

        def work() -> None:
            try:
                result = function()
            except BaseException as error:
                call_from_thread(done.errback, error)
            else:
                call_from_thread(done.callback, result)

        self._executor.submit(work)
        return await done

    def _schema(self, tenancy: str) -> str:
        return f"{self._prefix}_{tenancy.replace('-', '_')}"

    def _run(self, tenancy: str, level: IsolationLevel, accounts: Sequence[str], unit: Callable[[Transaction], T]) -> T:
        try:
            return self._again(partial(self._attempt, tenancy, level, accounts, unit))
        except DomainError:
            raise
        except Exception as error:
            self._report(tenancy, error)
            raise StoreUnavailable("the unit failed") from error

    def _again(self, attempt: Callable[[], T]) -> T:
        """Run an attempt until it stands, waiting longer and longer between."""
        for number in range(1, ATTEMPTS):
            try:
                return attempt()
            except errors.UniqueViolation:
                pass  # whoever inserted the row has committed
            except _AGAIN:
                if number > 2:
                    self._ending.wait(random.uniform(0, min(0.001 * (1 << min(number, 20)), PAUSE)))
            except _Interrupted:
                self._pool.check()
        return attempt()

    def _attempt(
        self, tenancy: str, level: IsolationLevel, accounts: Sequence[str], unit: Callable[[Transaction], T]
    ) -> T:
        with self._pool.connection() as connection:
            connection.isolation_level = level
            connection.read_only = level is IsolationLevel.REPEATABLE_READ
            try:
                connection.execute(self._opening(tenancy, accounts))
                result = unit(PostgresTransaction(connection))
            except psycopg.Error as error:  # of several kinds: a session that was silent too long ends with another
                if connection.broken:
                    raise _Interrupted from error
                raise
            # COMMIT of a transaction that an error ended answers without one: a unit that hid it would be believed.
            if connection.info.transaction_status != TransactionStatus.INTRANS:
                raise StoreUnavailable("the unit hid an error")
            connection.commit()
        return result

    def _opening(self, tenancy: str, accounts: Sequence[str]) -> str:
        statements = [f"SET LOCAL search_path TO {self._schema(tenancy)}"]
        if tenancy == EPHEMERAL:
            statements.append("SET LOCAL synchronous_commit TO off")
        if accounts:
            ids = ", ".join(Literal(account_id).as_string() for account_id in accounts)
            statements.append(f"SELECT 1 FROM account WHERE account_id IN ({ids}) ORDER BY account_id FOR UPDATE")
        return "; ".join(statements)

    def _report(self, tenancy: str, error: Exception) -> None:
        cause = error.__cause__ if isinstance(error, _Interrupted) else error
        text = f"{type(cause).__name__}: {cause}"
        if self._call_from_thread is None:
            emit(_log, "store.failed", warning=True, tenancy=tenancy, error=text)
        else:
            self._call_from_thread(partial(emit, _log, "store.failed", warning=True, tenancy=tenancy, error=text))


def _call(unit: Callable[..., T], args: Arguments, kwargs: Mapping[str, object], tx: Transaction) -> T:
    return unit(tx, *args, **kwargs)


def _configure(connection: psycopg.Connection[StoredRow]) -> None:
    """Every new connection: durable whatever the server's defaults, no plans that outlive a schema, no locks of the dead."""
    connection.prepare_threshold = None
    connection.adapters.register_dumper(bool, _IntegerBool)
    connection.adapters.register_loader("numeric", _PlainNumber)
    connection.execute("SET synchronous_commit TO on")
    connection.execute("SET client_encoding TO 'UTF8'")
    connection.execute(f"SET idle_in_transaction_session_timeout TO '{SILENT}s'")
    connection.commit()


def _check_server(connection: psycopg.Connection[StoredRow]) -> None:
    for setting, wanted in (("fsync", "on"), ("full_page_writes", "on"), ("server_encoding", "UTF8")):
        row = connection.execute(f"SHOW {setting}").fetchone()
        if row is None or row[0] != wanted:
            raise ConfigurationError([f"store.url: the server runs with {setting} = {row and row[0]}, not {wanted}"])
