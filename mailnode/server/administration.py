"""What administrative operations work on where no server runs: the store, opened for them alone."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from twisted.internet.defer import Deferred

from mailnode.admin.administration import (
    Administration,
    OlderAccepted,
    Restored,
    StoreCopies,
    WentBack,
)
from mailnode.admin.dispatch import run
from mailnode.admin.doctor import Diagnosis, examine_alone
from mailnode.auth.foreign_hashes import adopt_hash
from mailnode.auth.passwords import make_credentials
from mailnode.auth.strength import weakness
from mailnode.config.schema import Config
from mailnode.net.hints import LocalHints
from mailnode.net.lookup import BlockingLookup
from mailnode.net.no_reactor import CallingThread, StandingClock, run_now
from mailnode.server import backups
from mailnode.server.configuration import listed_policies
from mailnode.server.examining import Examination
from mailnode.server.judging import TrialsAlone
from mailnode.server.publishing import published, stored_pairs
from mailnode.server.reading import scan_here
from mailnode.server.routing import routing_table
from mailnode.server.stores import OwnStores, backup_opener, formats_on_disk

T = TypeVar("T")


@contextmanager
def administration(config: Config) -> Iterator[Administration]:
    """Open the store for commands while no server runs. :raises ConfigurationError: it cannot be opened."""
    clock, threads, hints = StandingClock(), CallingThread(), LocalHints()
    stores = OwnStores(config, clock, threads, hints, None)
    run_now(stores.start())
    stores.mail.scan_older(scan_here)
    try:
        yield Administration(
            stores.directory,
            stores.mail,
            stores.queue,
            clock,
            threads,
            hints,
            partial(make_credentials, scram=config.auth.scram),
            password_judge(lambda: config),
            lambda: published(config, stored_pairs(config, clock)),
            BlockingLookup(lambda: config.dns.servers),
            lambda: routing_table(config.queue),
            stores.suppressions,
            stores.sent,
            config.submission.settings,
            stores.tls_results,
            lambda: config.tls_reports.settings() if config.tls_reports is not None else None,
            stores.check,
            stores.known_damage.acknowledge,
            lambda: listed_policies(config),
            stores.policy_tally,
            stores.dmarc_results,
            lambda: config.dmarc_reports.settings() if config.dmarc_reports is not None else None,
            stores.received_reports,
            stores.filters,
            stores.scripts,
            stores.named_scripts,
            config.sieve.quota,
            stores.index,
            TrialsAlone(config, stores),
            stores.deleted,
            backup_opener(threads, clock),
            Examination(
                lambda: config, lambda: stored_pairs(config, clock), clock, threads, stores.formats, running=False
            ),
            config.dkim.settings,
            adopt_hash=adopt_hash,
        )
    finally:
        run_now(stores.stop())


def examine_without_store(config: Config, trouble: str, explain: bool) -> Diagnosis:
    """Look at everything but the store, which cannot be opened. :param trouble: why."""
    clock, threads = StandingClock(), CallingThread()
    formats = partial(formats_on_disk, config)
    examination = Examination(
        lambda: config, lambda: stored_pairs(config, clock), clock, threads, formats, running=False
    )
    return run_now(examine_alone(examination, trouble, explain))


def password_judge(config: Callable[[], Config]) -> Callable[[str, str], str]:
    """Return what judges new passwords, by the configuration of the moment."""

    def judge(password: str, address: str) -> str:
        auth = config().auth
        return weakness(password, address, auth.password_min_length, auth.password_refuse_common)

    return judge


def with_store(config: Config, work: Callable[[Administration], Coroutine[Deferred[object], object, T]]) -> T:
    """Open the store, do some work on it that needs no reactor, close it. :raises ConfigurationError:"""
    with administration(config) as opened:
        return run_now(work(opened))


@contextmanager
def operations(config: Config) -> Iterator[Callable[[str, Mapping[str, object]], object]]:
    """Open the store for many operations, by name. What yields does one. :raises ConfigurationError: it cannot be opened."""
    with administration(config) as opened:
        yield lambda name, arguments: run_now(run(opened, name, arguments))


def with_stopped_store(config: Config, work: Callable[[_Files], Coroutine[Deferred[object], object, T]]) -> T:
    """Do some work on the files of a store, while no server runs. :raises ConfigurationError:"""
    return run_now(work(_Files(config)))


def with_copies(config: Config, work: Callable[[StoreCopies], Coroutine[Deferred[object], object, T]]) -> T:
    """Do some work on the files of a store beside whoever uses it."""
    return run_now(work(backups.StoreBackups(config)))


class _Files:
    """The files of a store that is not open."""

    def __init__(self, config: Config) -> None:
        self._config = config

    async def accept_older(self, files: Sequence[str]) -> OlderAccepted:
        """Go on with files that are older than what was acknowledged; return what was done.

        :param files: ``mail-00``, ``queue``, ``directory``, or ``all``. :raises ConfigurationError: it cannot be.
        """
        stores = OwnStores(self._config, StandingClock(), CallingThread(), LocalHints(), None, accept_older=files)
        await stores.start()
        try:
            names, accounts = await stores.accept()
        finally:
            await stores.stop()
        return {"files": names, "accounts": accounts}

    async def go_back(self) -> WentBack:
        """See :class:`StoppedStore`."""
        return await backups.go_back(self._config)

    async def restore(self, directory: str, backup: str, pause_queue: bool) -> Restored:
        """See :class:`StoppedStore`."""
        return await backups.restore(self._config, directory, backup, pause_queue)
