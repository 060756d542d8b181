"""What operations work on: the parts of a server or of its store, a server that runs, a store whose server does not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypedDict

from mailnode.interfaces.accounts import IDirectory
from mailnode.interfaces.dmarc import IDmarcResults
from mailnode.interfaces.dns import IDnsLookup
from mailnode.interfaces.learning import ILearning
from mailnode.interfaces.policy import IPolicyTally, ITrials
from mailnode.interfaces.received_reports import IReceivedReports
from mailnode.interfaces.runtime import IClock, IHints, IThreads
from mailnode.interfaces.sending import ISentCounts, ISuppressions
from mailnode.interfaces.store import IMailStore, IQueueStore
from mailnode.interfaces.tls_reports import ITlsResults
from mailnode.values.checked import StoreChecked
from mailnode.values.directory import Credential
from mailnode.values.dkim import DkimSettings
from mailnode.values.policy import ListedPolicy
from mailnode.values.published import Published
from mailnode.values.sending import SendingSettings
from mailnode.values.tls_report import ReportSettings


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
    damage: list[str]  # what is wrong with files of the store, a line each


class Reloaded(ServerStatus):
    """What became of the configuration as it is now; lists of lines."""

    applied: list[str]
    needs_restart: list[str]
    mistakes: list[str]  # with any of them nothing was applied


class OlderAccepted(TypedDict):
    """Older files that are gone on with."""

    files: list[str]
    accounts: int  # with new UIDVALIDITYs


class RunningServer(Protocol):
    """A server that runs."""

    async def reload(self) -> Reloaded:
        """Take over what can change live, or nothing when there is a mistake anywhere."""

    async def status(self) -> ServerStatus:
        """Return what each process serves, and what is wrong."""


class StoppedStore(Protocol):
    """The files of a store, while no server runs."""

    async def accept_older(self, files: Sequence[str]) -> OlderAccepted:
        """Go on with files that are older than what was acknowledged.

        :param files: ``mail-00``, ``queue``, ``directory``, or ``all``. :raises ConfigurationError: it cannot be.
        """


class Routing(Protocol):
    """Which way mail leaves."""

    def destination(self, domain: str, sender: str = "", account: str = "") -> str:
        """Return what mail for a domain is queued under. :raises mailnode.errors.BadAddress:"""

    def by_hand(self, given: str) -> str:
        """Return what mail is queued under that goes to a server an operator names. :raises ValueError: there is none.
        :raises mailnode.errors.BadAddress: the host is neither name nor address."""


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
    check_store: Callable[[float], Awaitable[StoreChecked]]
    policies: Callable[[], Sequence[ListedPolicy]]
    policy_tally: IPolicyTally
    dmarc_results: IDmarcResults
    dmarc_reports: Callable[[], ReportSettings | None]  # None: none are made
    received_reports: IReceivedReports
    filters: ILearning
    trials: ITrials
    dkim_settings: Callable[[], DkimSettings] = DkimSettings
    server: RunningServer | None = None  # None: none runs
