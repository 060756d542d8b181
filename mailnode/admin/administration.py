"""What operations work on: the parts of a server or of its store, a server that runs, a store whose server does not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Hashable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypedDict, TypeVar

from mailnode.checks.facts import ServerFacts
from mailnode.checks.row import Check
from mailnode.interfaces.accounts import IDirectory
from mailnode.interfaces.acme import IRenewal
from mailnode.interfaces.backups import IBackupMail
from mailnode.interfaces.dmarc import IDmarcResults
from mailnode.interfaces.dns import IDnsLookup
from mailnode.interfaces.learning import ILearning
from mailnode.interfaces.policy import IPolicyTally, ITrials
from mailnode.interfaces.received_reports import IReceivedReports
from mailnode.interfaces.runtime import IClock, IHints, IThreads
from mailnode.interfaces.scripts import INamedScripts, IScripts
from mailnode.interfaces.search import IIndexing
from mailnode.interfaces.sending import ISentCounts, ISuppressions
from mailnode.interfaces.store import IBlobs, IBlobWriter, IMailStore, IQueueStore
from mailnode.interfaces.tls_reports import ITlsResults
from mailnode.interfaces.undelete import IUndelete
from mailnode.message.scanner import read_facts
from mailnode.values.blob import StagedBlob
from mailnode.values.checked import StoreChecked
from mailnode.values.directory import Credential
from mailnode.values.dkim import DkimSettings
from mailnode.values.facts import EncodedFacts
from mailnode.values.item import Item
from mailnode.values.policy import ListedPolicy
from mailnode.values.published import Published
from mailnode.values.scripts import ScriptQuota
from mailnode.values.sending import SendingSettings
from mailnode.values.stored_format import StoredFormat
from mailnode.values.tls_report import ReportSettings

if TYPE_CHECKING:  # a command that asks a running server does without Twisted
    from twisted.internet.defer import Deferred

T = TypeVar("T")


class CertificateStatus(TypedDict):
    """A certificate that is shown to new connections."""

    names: list[str]
    fingerprint: str  # SHA-256, in hexadecimal
    not_after: str


class ProcessStatus(TypedDict):
    """What one process gives to new connections."""

    process: int  # from 1 on
    pid: int
    generation: int
    certificates: list[CertificateStatus]


class ServerStatus(TypedDict):
    """What a running server serves."""

    version: str
    hostname: str
    generation: int  # 1 after the start; grows when something new comes into use
    processes: list[ProcessStatus]
    paused: list[str]  # what of the queue an operator paused, a line each
    unindexed: int  # messages that the search index does not have yet
    index_behind: float  # seconds since the first of these arrived
    damage: list[str]  # what is wrong with files of the store, a line each
    renewal: str  # why the last try to renew certificates failed; "": it did not, or nothing renews them


class Reloaded(ServerStatus):
    """What became of the configuration as it is now; lists of lines."""

    applied: list[str]
    needs_restart: list[str]
    mistakes: list[str]  # with any of them nothing was applied


class Applied(TypedDict):
    """A configuration that was taken over."""

    applied: list[str]  # keys
    needs_restart: list[str]  # keys that come into use with the next start
    version: int
    until: str  # when it is put back unless it is confirmed; "": it stays


class ConfigDifferenceRow(TypedDict):
    """A key of the configuration that is different. Values are text, "" where the key is not there."""

    key: str
    running: str
    other: str
    live: bool  # can be taken over while the server runs


class ConfigComparison(TypedDict):
    """What is different between the configuration in use and another one."""

    other: str  # the file, or which version
    differences: list[ConfigDifferenceRow]


class VersionRecord(TypedDict):
    """A configuration that was taken over."""

    version: int
    at: str
    how: str
    state: str


class OlderAccepted(TypedDict):
    """Older files that are gone on with."""

    files: list[str]
    accounts: int  # with new UIDVALIDITYs


class BackupReport(TypedDict):
    """What one backup took."""

    backup: str  # its name
    databases: int
    unchanged: int  # of these, that are as they were in the backup before
    files: int  # of messages
    new_files: int  # of these, that no backup had
    new_octets: int  # of databases and files that were copied
    missing: list[str]  # ids of files that rows name and that are not there
    faults: list[str]  # what is wrong with databases, a line each
    removed: list[str]  # older backups


class BackupRecord(TypedDict):
    """One backup."""

    backup: str
    databases: int
    files: int
    octets: int  # of all of both
    missing: int  # files of messages that were not there
    faults: list[str]  # what was wrong when it was made and, where that was asked for, what is not as it was written


class WentBack(TypedDict):
    """Databases that are as they were before the last start that brought some up to date."""

    files: list[str]
    aside: str  # the directory with the newer ones
    accounts: int  # with new UIDVALIDITYs


class Restored(TypedDict):
    """A backup that is the store now."""

    backup: str
    accounts: int  # with new UIDVALIDITYs
    files: int
    faults: list[str]  # what is wrong with the store, a line each


class FilesReopened(TypedDict):
    """Files that are served again."""

    files: list[str]


class StoreFiles(Protocol):
    """The files of a store, whether a server runs on them or not."""

    async def accept_older(self, files: Sequence[str]) -> OlderAccepted:
        """Go on with files that are older than what was acknowledged.

        :param files: ``mail-00`` and so on; while no server runs also ``queue``, ``directory``, or ``all``.
        :raises ConfigurationError: it cannot be.
        """


class ConfigHandling(Protocol):
    """The configurations of a server that runs."""

    async def compare(self, number: int) -> ConfigComparison:
        """Return what is different between what is in use and the file, or a version. :param number: of it; 0: the file.
        :raises ConfigurationError: it cannot be read."""

    async def apply(self, confirm: float) -> Applied:
        """Take over what can change of the file. :param confirm: seconds within which it is to be confirmed; 0: it stays.
        :raises ConfigurationError: nothing was."""

    async def confirm(self) -> int:
        """Let what is on trial stay; return its number. :raises ConfigurationError: nothing is."""

    async def versions(self) -> list[VersionRecord]:
        """Return those that are kept, the oldest first. :raises ConfigurationError: there is no file."""


class RunningServer(StoreFiles, Protocol):
    """A server that runs."""

    @property
    def configs(self) -> ConfigHandling:
        """Its configurations."""

    async def reopen(self, files: Sequence[str]) -> FilesReopened:
        """Serve mail partitions again that were not served, now that their latest files are there.

        :raises ConfigurationError: they are not."""

    async def reload(self) -> Reloaded:
        """Take over what can change live, or nothing when there is a mistake anywhere."""

    async def status(self) -> ServerStatus:
        """Return what each process serves, and what is wrong."""

    def renewal(self) -> IRenewal | None:
        """Return what renews certificates by itself; None: nothing does."""


class StoppedStore(Protocol):
    """The files of a store, while no server runs."""

    async def go_back(self) -> WentBack:
        """Put databases back as they were before the last start that brought some up to date.

        :raises mailnode.errors.BackupRefused: :raises ConfigurationError: a server runs."""

    async def restore(self, directory: str, backup: str, pause_queue: bool) -> Restored:
        """Put a backup where no store is, and make it one that gives out nothing a second time.

        :param backup: its name; "": the latest. :param pause_queue: let nothing of the queue go out by itself.
        :raises mailnode.errors.BackupRefused: :raises ConfigurationError:
        """


class StoreCopies(Protocol):
    """The files of a store, whether a server runs or not: they are read beside it."""

    async def backup(self, directory: str, keep: int) -> BackupReport:
        """Make a backup, and remove all but the latest ``keep`` then, unless that is 0.

        :raises mailnode.errors.BackupRefused: nothing complete was made."""

    async def backups(self, directory: str, verify: bool) -> list[BackupRecord]:
        """The backups in a directory, the oldest first. :param verify: hold each against its digests.
        :raises mailnode.errors.BackupRefused:"""


class Routing(Protocol):
    """Which way mail leaves."""

    def destination(self, domain: str, sender: str = "", account: str = "") -> str:
        """Return what mail for a domain is queued under. :raises mailnode.errors.BadAddress:"""

    def by_hand(self, given: str) -> str:
        """Return what mail is queued under that goes to a server an operator names. :raises ValueError: there is none.
        :raises mailnode.errors.BadAddress: the host is neither name nor address."""


class Examining(Protocol):
    """Looks at the machine, as the configuration has it."""

    async def facts(self) -> ServerFacts:
        """Return what checks go by, as far as it is known without the store."""

    async def refused_logins(self) -> tuple[int, float] | None:
        """Return how many were refused, and since when (UTC seconds); None: nobody counts."""

    async def formats(self) -> tuple[StoredFormat, ...]:
        """Return those of the databases that can be read."""

    async def look(self, checks: Sequence[Check], facts: ServerFacts) -> list[Item]:
        """Return the items of checks, run side by side, within half a minute. :raises mailnode.errors.Busy: after :meth:`stop`."""

    async def within(self, seconds: float, asking: Coroutine[Deferred[object], object, T]) -> T:
        """Return what is asked for. :raises TimeoutError: it takes longer."""

    def stop(self) -> None:
        """End looks that are under way: the server ends."""


async def _nothing() -> None:
    """There are no other processes."""


def _nothing_noted(event: str, /, **fields: object) -> None:
    """There is no log."""


def _no_hashes(account_id: str, text: str, created: float, *, label: str = "") -> list[Credential]:
    """:raises ValueError: always."""
    raise ValueError("hashes of other servers are not taken here")


async def stage_whole(blobs: IBlobs, writer: IBlobWriter) -> tuple[StagedBlob, EncodedFacts]:
    """Finish a message and look at it, whole, in this thread: for commands that have nothing else to do meanwhile."""
    blob, facts = await writer.finish_with(read_facts)
    return blob, read_facts(await blobs.read_staged(blob)) if facts is None else facts


@dataclass(frozen=True, slots=True)
class Administration:
    """The parts of a server, or of a store without one, that operations need."""

    directory: IDirectory
    mail: IMailStore
    queue: IQueueStore
    clock: IClock
    threads: IThreads
    hints: IHints
    make_credentials: Callable[..., list[Credential]]
    weakness: Callable[[str, str], str]  # why a password is refused for an address; "": it is not
    published: Callable[[], Published]
    dns: IDnsLookup
    routing: Callable[[], Routing]
    suppressions: ISuppressions
    sent: ISentCounts
    sending_settings: Callable[[], SendingSettings]
    tls_results: ITlsResults
    tls_reports: Callable[[], ReportSettings | None]  # None: none are made
    check_store: Callable[[float, bool, bool], Awaitable[StoreChecked]]  # UTC seconds; with content; whether to mend
    acknowledge_damage: Callable[[], Awaitable[int]]  # returns how many messages and things that were
    policies: Callable[[], Sequence[ListedPolicy]]
    policy_tally: IPolicyTally
    dmarc_results: IDmarcResults
    dmarc_reports: Callable[[], ReportSettings | None]  # None: none are made
    received_reports: IReceivedReports
    filters: ILearning
    scripts: IScripts
    named_scripts: INamedScripts
    script_quota: Callable[[], ScriptQuota]
    index: IIndexing
    trials: ITrials
    deleted: IUndelete
    open_backup: Callable[[str, str], IBackupMail]  # by the directory of backups and its name; "": the latest
    examining: Examining
    dkim_settings: Callable[[], DkimSettings] = DkimSettings
    server: RunningServer | None = None  # None: none runs
    write_counts: Callable[[], Awaitable[None]] = (
        _nothing  # has other processes write what they counted, and waits for that
    )
    # Finishes a message that was written, and looks at it, beside all else that goes on.
    stage: Callable[[IBlobs, IBlobWriter], Awaitable[tuple[StagedBlob, EncodedFacts]]] = stage_whole
    adopt_hash: Callable[..., list[Credential]] = (
        _no_hashes  # credentials of another server's hash, or ValueError with words
    )
    # Lets one import into a mailbox go on at a time, by account and mailbox. Where no server runs there is one.
    moving: Callable[[Hashable], AbstractAsyncContextManager[None]] = field(default=lambda _: nullcontext())
    note: Callable[..., None] = _nothing_noted  # an event of the log, with its fields
