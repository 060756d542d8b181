"""The engine a configuration asks for, and all that stands on it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from twisted.logger import Logger

from mailnode.config.schema import Config
from mailnode.errors import ConfigurationError, StoreUnavailable
from mailnode.interfaces.ephemeral import IEphemeral
from mailnode.interfaces.runtime import IClock, IHints, IThreads
from mailnode.server.engine_files import EngineFiles, NoFiles, SqliteFiles
from mailnode.store.backups.mail import BackupMail
from mailnode.store.backups.making import StoredFiles
from mailnode.store.backups.restoring import is_begun
from mailnode.store.blobs.local import LocalBlobs
from mailnode.store.disk.data_lock import DataLock
from mailnode.store.disk.reserve import Reserve
from mailnode.store.engines.engine import QUEUE, Engine, RunUnit, mail_tenancy
from mailnode.store.engines.migrate import kind_of
from mailnode.store.engines.remote import Ask, RemoteEngine
from mailnode.store.engines.sqlite import SqliteEngine
from mailnode.store.engines.sqlite_files import quick_check
from mailnode.store.engines.sqlite_rebuild import Rebuilt
from mailnode.store.engines.stored_formats import formats_in_use, formats_of_files, tenancies
from mailnode.store.facades.directory import Directory
from mailnode.store.facades.dmarc_results import DmarcResults
from mailnode.store.facades.ephemeral import Ephemeral
from mailnode.store.facades.ephemeral_remote import RemoteEphemeral
from mailnode.store.facades.filters import Filters
from mailnode.store.facades.known_damage import COMPARED, KnownDamage
from mailnode.store.facades.mail_store import MailStore
from mailnode.store.facades.named_scripts import NamedScripts
from mailnode.store.facades.policy_memory import PolicyMemory
from mailnode.store.facades.policy_tally import PolicyTally
from mailnode.store.facades.queue import Queue
from mailnode.store.facades.queue_remote import RemoteQueue
from mailnode.store.facades.received_reports import ReceivedReports
from mailnode.store.facades.scripts import Scripts
from mailnode.store.facades.search_index import SearchIndex
from mailnode.store.facades.sent_counts import SentCounts
from mailnode.store.facades.store_check import StoreCheck
from mailnode.store.facades.sts_policies import StsPolicies
from mailnode.store.facades.suppressions import Suppressions
from mailnode.store.facades.taking_in import put_queue_right, put_right
from mailnode.store.facades.tls_results import TlsResults
from mailnode.store.facades.undelete import Undelete
from mailnode.values.checked import StoreChecked
from mailnode.values.events import emit
from mailnode.values.stored_format import StoredFormat

T = TypeVar("T")

OTHER_DATABASES = 3  # directory, queue and ephemeral data

_log = Logger()


class Stores:
    """What stands on an engine, in any process. ``start`` and ``stop`` once each."""

    def __init__(
        self,
        config: Config,
        clock: IClock,
        hints: IHints,
        engine: Engine,
        blobs: LocalBlobs,
        queue: Queue,
        ephemeral: IEphemeral,
        tell_others: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        """:param tell_others: see :class:`Directory`."""
        self.engine = engine
        self.blobs = blobs
        self.queue = queue
        self.ephemeral = ephemeral
        self.mail = MailStore(
            engine,
            blobs,
            hints,
            clock,
            config.server.partitions,
            queue.blobs_in_use,
            config.store.keep_deleted,
        )
        self.deleted = Undelete(engine, blobs, self.mail.partition, clock, hints)
        self.directory = Directory(engine, tell_others=tell_others)
        self.scripts = Scripts(engine, self.mail.partition, self.directory, clock)
        self.named_scripts = NamedScripts(engine, self.mail.partition, self.directory, clock)
        self.filters = Filters(engine, self.mail.partition, config.server.partitions, clock)
        self.index = SearchIndex(engine, self.mail.partition, config.server.partitions)
        self.sts_policies = StsPolicies(engine)
        self.received_reports = ReceivedReports(engine)
        self.policy_memory = PolicyMemory(engine, ephemeral, clock)
        self.policy_tally = PolicyTally(engine, clock)
        self.dmarc_results = DmarcResults(engine, clock, reports=config.dmarc_reports is not None)
        self.partitions = config.server.partitions

    @property
    def databases(self) -> int:
        """How many files the SQLite engine has."""
        return self.partitions + OTHER_DATABASES

    async def start(self) -> None:
        """Open. :raises ConfigurationError: what stands in the way."""
        await self.engine.start()
        self.policy_memory.start()
        self.policy_tally.start()
        self.dmarc_results.start()

    async def formats(self) -> list[StoredFormat]:
        """Return the form of each database that is served."""
        return await formats_in_use(self.engine, tenancies(self.partitions))

    async def write_counts(self) -> None:
        """Write what was counted since the last time: answers of policies, and what came of mail by DMARC."""
        await self.policy_tally.write()
        await self.dmarc_results.write_if_possible()

    async def stop(self) -> None:
        """Write what waits and close."""
        await self.policy_memory.stop()
        await self.policy_tally.stop()
        await self.dmarc_results.stop()
        await self.engine.stop()


class OwnStores(Stores):
    """Those of the process that owns the data directory, writes, and made it ready for all others."""

    def __init__(
        self,
        config: Config,
        clock: IClock,
        threads: IThreads,
        hints: IHints,
        call_from_thread: Callable[..., object] | None,
        *,
        accept_older: Sequence[str] = (),
        restoring: bool = False,
    ) -> None:
        """:param call_from_thread: the reactor's; None: everything runs in the calling thread.
        :param accept_older: files that are opened though they are older than what was acknowledged, see :meth:`accept`;
        "all" is all of them. :param restoring: whoever opens them puts a backup back. :raises ConfigurationError: there is no
        such file."""
        self._accepted = _files(config, accept_older)
        self._restoring = restoring
        self._reserve = reserve = _reserve(config, call_from_thread)
        engine, self._files = _own_engine(config, clock, call_from_thread, reserve, self._accepted)
        blobs = _blobs(config, clock, threads, reserve)
        self._counters = Ephemeral(engine, clock)
        queue = Queue(engine, blobs, sent_history=config.queue.sent_history)
        # Returns when other processes remember nothing of the directory that is not so any more.
        self.directory_changed: Callable[[], Awaitable[object]] = self._alone
        super().__init__(config, clock, hints, engine, blobs, queue, self._counters, lambda: self.directory_changed())
        self.suppressions = Suppressions(engine)
        self.sent = SentCounts(engine, clock)
        self.tls_results = TlsResults(engine, clock, reports=config.tls_reports is not None)
        # Returns when other processes serve the same partitions, and remember nothing of mail; false: some did not say so in time.
        self.mail_changed: Callable[[], Awaitable[object]] = self._alone
        self.known_damage = KnownDamage(engine, clock, config.server.partitions)
        self._files.tell_damaged(self.known_damage.note)
        blobs.tell_damaged, blobs.tell_sound = self.known_damage.note, self.known_damage.is_sound
        self._config = config

    async def start(self) -> None:
        """Lock the data directory, open, migrate. :raises ConfigurationError: what stands in the way."""
        if not self._restoring and is_begun(self._config.server.data):
            raise ConfigurationError(
                [
                    f"server.data: {self._config.server.data}: it is half put back: run mailnode restore, or store go-back, again"
                ]
            )
        self._files.hold()
        try:
            await self.engine.start()
        except BaseException:
            self._files.release()
            raise
        try:
            if self.blobs.prepare() and await self.mail.has_files():
                emit(_log, "store.files_missing", warning=True, path=str(_blob_directory(self._config)))
            await self.directory.set_fixed_domains([domain.name for domain in self._config.domain])
            await self.directory.poll()  # what others change from now on is told
            await self._counters.start()
            await self.known_damage.start()
            self.sent.start()
            self.tls_results.start()
            self.policy_memory.start()
            self.policy_tally.start()
            self.dmarc_results.start()
            if self._files.alone:
                await self._end_what_the_dead_held()
        except Exception as error:
            damaged = "; ".join(self.damage().values())
            await self.engine.stop()
            self._files.release()
            what = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else damaged or str(error)
            data = self._config.server.data
            raise ConfigurationError([f"server.data: {data}: cannot be used: {what or 'see the log'}"]) from error

    async def _end_what_the_dead_held(self) -> None:
        """Leases and half-made copies. What cannot be written now, on a full disk, ends by itself later."""
        for end in (self.mail.end_maildrops, self.mail.end_copies, self.queue.end_leases):
            with suppress(StoreUnavailable):
                await end()

    async def is_full(self) -> bool:
        """Whether mail is refused because the disk is full. :raises StoreUnavailable, Busy:"""
        return await self.blobs.on_disk(self._reserve.full)

    async def trouble(self) -> str:
        """Return which file or directory is not under its name any more, or could not be written the last time, so that
        mail is not acknowledged; "" while all is well. :raises StoreUnavailable, Busy:"""
        return await self._files.trouble(self.blobs.on_disk) or await self.blobs.on_disk(self.blobs.trouble)

    async def accept(self) -> tuple[list[str], int]:
        """Go on with older files: what was given out since must not be given out again. Return the names of
        the files and the number of accounts that begin again."""
        accounts = 0
        for number in range(self._config.server.partitions):
            if mail_tenancy(number) in self._accepted:
                here = [one.id for one in await self.directory.accounts() if self.mail.partition(one.id) == number]
                accounts += await self.mail.begin_again(number, here)
        await self._files.accept()
        return sorted(self._accepted), accounts

    async def _alone(self) -> bool:
        return True

    async def take_in(self, name: str, older: bool, prepare: Callable[[RunUnit], T]) -> T:
        """Serve a mail partition that was left out; see :class:`SqliteEngine`. :raises ConfigurationError: why it stays out."""
        result = await self._files.take_in(name, older, prepare)
        await self.known_damage.forget([f"{name}.db"])
        await self.known_damage.count()
        return result

    def damage(self) -> dict[str, str]:
        """Say what is wrong with each file of the store that is damaged or not served, by the file's name."""
        return self._files.damage()

    def unacknowledged(self) -> dict[str, str]:
        """Say what nobody has acknowledged: what is wrong with files, and what was found damaged, by its name. What is not
        served is told in any case."""
        known, out = self.known_damage, self.engine.out_of_service
        files = {
            name: words
            for name, words in self.damage().items()
            if name.removesuffix(".db") in out or not known.is_acknowledged(name)
        }
        return known.found | files

    async def check(self, now: float, contents: bool = False, repair: bool = False) -> StoreChecked:
        """Compare the store with itself; see :class:`StoreCheck`."""
        known = self.known_damage
        before = [name for name in known.found if not name.endswith(".db")]
        check = StoreCheck(self.directory, self.mail, self.queue, self.blobs, self._check_databases, contents, repair)
        checked = await check.run(now)
        await known.forget(before if repair else [COMPARED])  # what is still so was set aside, or is a fault
        if checked.faults:
            known.note(COMPARED, f"{len(checked.faults)} faults were found, such as: {checked.faults[0]}")
        await known.count()
        return checked

    async def _check_databases(self, repair: bool) -> tuple[list[str], list[str]]:
        wrong, mended = [], []
        for path in self._files.paths():
            found = await self.blobs.on_disk(quick_check, path)
            if found and repair and kind_of(path.stem) in ("mail", QUEUE):
                try:
                    mended.append(f"{path.name}: {await self._rebuild(path.stem)}")
                    found = await self.blobs.on_disk(quick_check, path)
                except ConfigurationError as error:
                    found += error.mistakes
            wrong += found
        return [f"{name}: {words}" for name, words in self.damage().items()] + wrong, mended

    async def _rebuild(self, name: str) -> str:
        """Make the damaged file of a mail partition, or the queue, anew; return what was done.

        :raises ConfigurationError: it was not."""
        ids = [one.id for one in await self.directory.accounts() if mail_tenancy(self.mail.partition(one.id)) == name]
        held: list[str] = []

        def prepare(run: RunUnit, made: Rebuilt) -> None:
            if name == QUEUE:
                held.extend(put_queue_right(run))
            else:
                put_right(run, made.lost, ids)

        try:
            made = await self._files.rebuild(name, self.mail_changed, prepare)
        finally:
            await self.mail_changed()
        if name == QUEUE:
            self.queue.file_is_new(held)
        await self.known_damage.forget([f"{name}.db"])
        emit(_log, "store.rebuilt", file=f"{name}.db", aside=made.aside, rows=made.rows, lost=sum(made.lost.values()))
        return made.words()

    async def stop(self) -> None:
        """Write what waits and close."""
        await self.policy_memory.stop()
        await self.policy_tally.stop()
        await self.dmarc_results.stop()
        await self.known_damage.stop()
        await self._counters.stop()
        await self.sent.stop()
        await self.tls_results.stop()
        await self.engine.stop()
        self._files.release()


class WorkerStores(Stores):
    """Those of a further process: it reads the files, and has the owner write. On PostgreSQL it writes itself."""

    def __init__(
        self,
        config: Config,
        clock: IClock,
        threads: IThreads,
        hints: IHints,
        call_from_thread: Callable[..., object],
        ask: Ask,
    ) -> None:
        """:param ask: has the owner do something by name."""
        if config.store.url == "sqlite:":
            data, partitions = config.server.data, config.server.partitions
            engine: Engine = RemoteEngine(data, partitions, call_from_thread, ask)
        else:
            engine = _postgres(config, call_from_thread)
        blobs = _blobs(config, clock, threads, _reserve(config, call_from_thread))
        super().__init__(
            config,
            clock,
            hints,
            engine,
            blobs,
            RemoteQueue(engine, blobs, ask),
            RemoteEphemeral(ask),
            lambda: ask("directory.changed"),
        )

    async def look_at_service(self) -> None:
        """Serve what the owner serves by now, and nothing else."""
        if isinstance(self.engine, RemoteEngine):
            await self.engine.look_at_service()

    def tell_damaged(self, tell: Callable[[str, str], None], tell_sound: Callable[[str], None]) -> None:
        """Have the first called, with its name and words, when a blob or a file is found damaged, the other one when a blob can be
        read again."""
        self.blobs.tell_damaged, self.blobs.tell_sound = tell, tell_sound
        if isinstance(self.engine, RemoteEngine):
            self.engine.tell_damaged = tell


def stored_files(config: Config) -> StoredFiles:
    """Where the store of a configuration lies."""
    is_sqlite = config.store.url == "sqlite:"
    return StoredFiles(config.server.data, _blob_directory(config), config.server.partitions, is_sqlite)


async def formats_on_disk(config: Config) -> list[StoredFormat]:
    """Return the form of each database of a store that nobody in this process has open. Blocks."""
    return formats_of_files(config.server.data, tenancies(config.server.partitions))


def backup_opener(threads: IThreads, clock: IClock) -> Callable[[str, str], BackupMail]:
    """Return what opens a backup by its directory and its name."""
    return lambda directory, name: BackupMail(Path(directory), name, threads, clock)


def _files(config: Config, wanted: Sequence[str]) -> frozenset[str]:
    """Return the tenancies of these names. :raises ConfigurationError: there is no such file."""
    known = tenancies(config.server.partitions)
    if wanted and config.store.url != "sqlite:":
        raise ConfigurationError([f"store.url: {config.store.url} has no such files"])
    for name in wanted:
        if name not in known and name != "all":
            raise ConfigurationError([f"{name}: there is no such file, there are {', '.join(known)}"])
    return frozenset(known if "all" in wanted else wanted)


def _reserve(config: Config, call_from_thread: Callable[..., object] | None) -> Reserve:
    def report(event: str, **fields: object) -> None:
        def say() -> None:
            emit(_log, event, warning=event == "store.full", **fields)

        if call_from_thread is None:
            say()
        else:
            call_from_thread(say)

    return Reserve(config.server.data, report)


def _blob_directory(config: Config) -> Path:
    return config.server.data / config.store.blobs.removeprefix("file:")


def _blobs(config: Config, clock: IClock, threads: IThreads, reserve: Reserve) -> LocalBlobs:
    return LocalBlobs(_blob_directory(config), threads, clock, config.store.inline_limit, reserve)


def _own_engine(
    config: Config,
    clock: IClock,
    call_from_thread: Callable[..., object] | None,
    reserve: Reserve,
    accept_older: Collection[str],
) -> tuple[Engine, EngineFiles]:
    data, partitions = config.server.data, config.server.partitions
    if config.store.url == "sqlite:":
        engine = SqliteEngine(
            data, partitions, call_from_thread, clock.callLater, reserve=reserve, accept_older=accept_older
        )
        return engine, SqliteFiles(engine)
    return _postgres(config, call_from_thread), NoFiles(DataLock(data), reserve)


def _postgres(config: Config, call_from_thread: Callable[..., object] | None) -> Engine:
    try:
        from mailnode.store.engines.postgres import PostgresEngine
    except ImportError as error:
        raise ConfigurationError([f"store.url: PostgreSQL needs mailnode[postgres]: {error}"]) from error
    return PostgresEngine(config.store.url, config.server.partitions, call_from_thread)
