"""What a configuration says to checks, and the thread that they run in."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypeVar

from twisted.internet import defer
from twisted.internet.defer import Deferred

from mailnode.checks.facts import BackupFacts, CertificateFacts, ServedPort, ServerFacts
from mailnode.checks.row import Check, Surroundings
from mailnode.checks.running import OVERALL, look_at_all
from mailnode.config.endpoints import reached_locally, tcp_interface, tcp_port
from mailnode.config.schema import Config, Listener
from mailnode.config.version import VERSION
from mailnode.errors import BackupRefused
from mailnode.interfaces.runtime import IClock, IThreads
from mailnode.net.certificate_chain import chain_trouble
from mailnode.net.lookup import AsyncioLookup
from mailnode.net.resolver import asked_addresses, believed
from mailnode.net.this_machine import ThisMachine
from mailnode.net.tls import Pair
from mailnode.net.trying import Trying
from mailnode.server.issued import issued_files
from mailnode.server.publishing import published
from mailnode.store.backups.directory import BackupDirectory
from mailnode.values.item import Item
from mailnode.values.stored_format import StoredFormat

T = TypeVar("T")

BACKUPS_WITHIN = 3.0  # seconds that the directory of backups is waited for
_BACKUP_NAME = "%Y-%m-%dT%H-%M-%SZ"


class Examination:
    """Looks at the machine as a configuration has it. See :class:`mailnode.admin.administration.Examining`."""

    def __init__(
        self,
        config: Callable[[], Config],
        pairs: Callable[[], Sequence[Pair]],
        clock: IClock,
        threads: IThreads,
        formats: Callable[[], Awaitable[Sequence[StoredFormat]]],
        *,
        running: bool,
        refused_logins: Callable[[], Awaitable[int]] | None = None,
    ) -> None:
        """:param pairs: returns the certificates in use. :param formats: returns those of the databases, as far as
        they can be read. :param running: whether a server does.
        :param refused_logins: returns how many were refused from now on; None: nobody counts."""
        self._config = config
        self._pairs = pairs
        self._clock = clock
        self._threads = threads
        self._formats = formats
        self._running = running
        self._refused_logins = refused_logins
        self._since = clock.seconds()
        self._stopped = False

    async def facts(self) -> ServerFacts:
        """See there."""
        return await self._threads.run("doctor", configured_facts, self._config(), self._pairs(), self._running)

    async def refused_logins(self) -> tuple[int, float] | None:
        """See there."""
        return None if self._refused_logins is None else (await self._refused_logins(), self._since)

    async def formats(self) -> tuple[StoredFormat, ...]:
        """See there."""
        return tuple(await self._formats())

    async def look(self, checks: Sequence[Check], facts: ServerFacts) -> list[Item]:
        """See there."""
        servers = self._config().dns.servers
        world = Surroundings(facts, AsyncioLookup(lambda: servers), Trying(self._clock), ThisMachine(), self._clock)
        return await self._threads.run("doctor", look_at_all, checks, world, OVERALL, lambda: self._stopped)

    async def within(self, seconds: float, asking: Coroutine[Deferred[object], object, T]) -> T:
        """See there."""
        try:
            return await Deferred.fromCoroutine(asking).addTimeout(seconds, self._clock)  # type: ignore[arg-type]
        except defer.TimeoutError:
            raise TimeoutError from None

    def stop(self) -> None:
        """See there."""
        self._stopped = True


def configured_facts(config: Config, pairs: Sequence[Pair], running: bool) -> ServerFacts:
    """Return what is known without the store. Blocks, for files. :param pairs: the certificates in use."""
    told, settings = published(config, pairs), config.doctor.settings()
    resolvers = asked_addresses(config.dns.servers)
    return ServerFacts(
        config.server.hostname,
        settings,
        running,
        told.addresses,
        config.queue.port,
        believed(config.dns.validates, resolvers),
        tuple(resolvers),
        tuple(port for listener in config.listener if (port := _port(listener)) is not None),
        told.relays,
        str(config.server.data),
        _secret_files(config),
        told,
        certificates=tuple(map(_certificate, pairs)),
        backup=_backup_in_time(settings.backups) if settings.backups else None,
        version=VERSION,
        installed=_installed(),
    )


def _secret_files(config: Config) -> tuple[str, ...]:
    """Return the files with keys and passwords that the configuration names."""
    found = [] if config.tls is None else [config.tls.key, *(name.key for name in config.tls.name)]
    files = [*found, *(hop.password_file for _, hop in config.queue.next_hops())]
    if config.auth.oauth is not None:
        files.append(config.auth.oauth.client_secret_file)
    if config.acme is not None:
        files += [config.acme.eab_key_file, *(zone.key_file for zone in config.acme.zone), *issued_files(config)]
    return tuple(str(file) for file in files if file is not None)


def _port(listener: Listener) -> ServedPort | None:
    number = tcp_port(listener.endpoint)
    if not number:
        return None
    address, local = tcp_interface(listener.endpoint), reached_locally(listener.endpoint)
    proxied = listener.endpoint.startswith("haproxy:")
    return ServedPort(listener.protocol, number, address, listener.tls, local, proxied)


def _certificate(pair: Pair) -> CertificateFacts:
    leaf = pair.chain[0]
    return CertificateFacts(
        pair.names,
        leaf.not_valid_before_utc.timestamp(),
        pair.not_after.timestamp(),
        leaf.issuer == leaf.subject,
        chain_trouble(pair.chain),
    )


def _backup_in_time(directory: str) -> BackupFacts:
    """Look at backups, which may be on another machine that does not answer."""
    found = [BackupFacts(directory, trouble=f"it does not answer within {BACKUPS_WITHIN:.0f} s")]
    looking = threading.Thread(target=lambda: found.append(_backup(directory)), daemon=True)
    looking.start()
    looking.join(BACKUPS_WITHIN)
    return found[-1]


def _backup(directory: str) -> BackupFacts:
    kept = BackupDirectory(Path(directory))
    try:
        kept.require()
        names = kept.names()
        if not names:
            return BackupFacts(directory)
        manifest = kept.manifest(names[-1])
    except (BackupRefused, OSError) as error:
        return BackupFacts(directory, trouble=str(error) if isinstance(error, BackupRefused) else "it cannot be read")
    made = datetime.strptime(names[-1], _BACKUP_NAME).replace(tzinfo=UTC).timestamp()
    return BackupFacts(directory, made, tuple(manifest.faults))


def _installed() -> str:
    try:
        return version("mailnode")
    except PackageNotFoundError:
        return VERSION
