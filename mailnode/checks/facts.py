"""What the server says of itself: what checks hold the world against."""

from __future__ import annotations

from dataclasses import dataclass, field

from mailnode.values.acme import RenewalStanding
from mailnode.values.doctor import DoctorSettings
from mailnode.values.published import DnsRecord, Published
from mailnode.values.stored_format import StoredFormat


@dataclass(frozen=True, slots=True)
class ServedPort:
    """A TCP port of a listener. ``address``: that it listens on; "": all of IPv4. ``local``: only programs of this machine reach
    it. ``proxied``: a balancer stands before it, and speaks first."""

    protocol: str
    number: int
    address: str = ""
    tls: str = "none"
    local: bool = False
    proxied: bool = False


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """A certificate in use, or in a file. ``chain_trouble``: why who trusts the machine's authorities does not trust it, or ""."""

    names: tuple[str, ...]
    not_before: float  # UTC seconds, as ``not_after``
    not_after: float
    self_signed: bool
    chain_trouble: str = ""


@dataclass(frozen=True, slots=True)
class DomainFacts:
    """A domain here, and the records it should have."""

    name: str  # in A-labels
    records: tuple[DnsRecord, ...]


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """What the store and the queue say. Times are UTC seconds."""

    queue_recipients: int = 0
    queue_oldest: float | None = None  # when the oldest came that waits
    queue_paused: tuple[str, ...] = ()
    unindexed: int = 0
    index_since: float | None = None  # when the first of these came
    damage: tuple[str, ...] = ()
    failed_logins: int | None = None  # since ``failed_since``; None: nobody counts
    failed_since: float = 0.0


@dataclass(frozen=True, slots=True)
class BackupFacts:
    """The latest backup. ``trouble``: why none could be looked at."""

    directory: str
    latest: float | None = None  # UTC seconds
    faults: tuple[str, ...] = ()
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """The server, or one that is to be. What is not known is left as it is here, and is then not looked at."""

    hostname: str
    settings: DoctorSettings = field(default_factory=DoctorSettings)
    running: bool = False
    addresses: tuple[str, ...] = ()  # public ones, as far as the configuration knows
    outward_port: int = 25  # of other domains' mail servers
    believed: bool = True  # whether the resolvers are believed to validate
    resolvers: tuple[str, ...] = ()
    ports: tuple[ServedPort, ...] = ()
    relays: tuple[str, ...] = ()  # hosts that mail leaves through instead of by MX records
    data: str = ""  # the data directory
    secret_files: tuple[str, ...] = ()  # that nobody else may read
    published: Published | None = None
    domains: tuple[DomainFacts, ...] = ()
    certificates: tuple[CertificateFacts, ...] = ()
    renewal: RenewalStanding | None = None  # None: certificates are not got here, or nobody runs that does
    certificate_troubles: tuple[str, ...] = ()  # files that cannot be used
    store: StoreFacts | None = None
    store_trouble: str = ""  # why the store could not be asked
    backup: BackupFacts | None = None
    version: str = ""  # of what runs
    installed: str = ""  # of what is installed now
    formats: tuple[StoredFormat, ...] = ()  # of the databases that can be read
