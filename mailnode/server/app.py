"""The composition root of a whole server: its first process, and with it the further ones it starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from random import uniform
from typing import TYPE_CHECKING

from twisted.logger import Logger

from mailnode.admin.administration import Administration, FilesReopened, OlderAccepted, Reloaded, ServerStatus
from mailnode.admin.control_socket import ControlFactory, ControlPort
from mailnode.admin.dkim_rotation import DkimRotation
from mailnode.admin.doctor import examine
from mailnode.auth.foreign_hashes import adopt_hash
from mailnode.auth.passwords import make_credentials
from mailnode.auth.realm import SessionCounts
from mailnode.config.holder import Holder
from mailnode.config.schema import Config
from mailnode.config.version import VERSION
from mailnode.delivery.loud import Alarm
from mailnode.delivery.scratch import remove_scratch
from mailnode.delivery.sending import Sending
from mailnode.errors import DomainError
from mailnode.interfaces.acme import IRenewal
from mailnode.interfaces.reactor import IServerReactor
from mailnode.interfaces.runtime import IClock
from mailnode.interfaces.turns import Turns
from mailnode.net.lookup import ReactorLookup
from mailnode.net.signing import signed
from mailnode.net.tls import CertificateStore
from mailnode.server.administration import password_judge
from mailnode.server.applying import ConfigApplying
from mailnode.server.config_source import ChosenConfig, ConfigSource
from mailnode.server.doctoring import Doctoring
from mailnode.server.examining import Examination
from mailnode.server.health import HealthReport
from mailnode.server.issued import issued_files, issuing, stand_in
from mailnode.server.judging import Trials
from mailnode.server.outgoing import Outgoing
from mailnode.server.partition_service import PartitionService
from mailnode.server.polling import DirectoryPoll
from mailnode.server.ports import OwnPorts
from mailnode.server.process import Closing, MailProcess
from mailnode.server.processes.first import FurtherProcesses
from mailnode.server.processes.handover import LogPlace
from mailnode.server.processes.hints import SharedHints
from mailnode.server.publishing import own_policy, published
from mailnode.server.reloading import Reloading, certificate_files
from mailnode.server.runtime import Runtime, make_runtime
from mailnode.server.services import EndedAtOnce, Services, Startable
from mailnode.server.serving import Serving
from mailnode.server.stores import OwnStores, backup_opener
from mailnode.upkeep.sweeper import Sweeper
from mailnode.values.checked import StoreChecked
from mailnode.values.events import emit, moment
from mailnode.values.published import Published
from mailnode.values.queue import QueueTally
from mailnode.values.search import IndexLag
from mailnode.web.clients.pages import ClientPages
from mailnode.web.merging import total
from mailnode.web.metrics import Metrics
from mailnode.web.site import SiteContent, web_factory

STEP, STORE, THREADS, FURTHER = 2.0, 5.0, 2.0, 10.0  # seconds the steps of the end may take, beyond the grace time
KEYS = 3600.0  # seconds between looks at the keys that sign
RENEWAL = 5.0  # seconds that an order under way may take to end: proofs are taken back
KEYS_STEP = 8.0  # seconds one of them may take to end: longer than DNS is waited for
FIRST = 1  # the number of the process that is a whole server

if TYPE_CHECKING:
    from mailnode.server.issuing import Issuing

_log = Logger()

NAMED = 20  # destinations, and reasons, that metrics name
TOLD = 100  # lines about damage
TALLY_AGE = 60.0  # seconds after which what waits is counted anew for metrics


class Server:
    """A whole server: :meth:`bind`, :meth:`start`, :meth:`stop`, in this order and once each."""

    def __init__(
        self,
        started_with: ChosenConfig,
        reactor: IServerReactor,
        wall: Callable[[], float],
        source: ConfigSource,
        log: LogPlace,
        before_clients: Sequence[Startable] = (),
    ) -> None:
        """:param reactor: its own seconds must never step. :param wall: returns UTC seconds.
        :param source: where the configuration comes from. :param log: where other processes log.
        :param before_clients: started when the store is open, and before anybody is served."""
        config = started_with.config
        self._holder = Holder(config)
        hints = SharedHints(reactor, lambda: self._further.links())
        runtime = make_runtime(config, reactor, wall, hints)
        self._stores = OwnStores(config, runtime.clock, runtime.threads, hints, reactor.callFromThread)
        self._certificates = CertificateStore(
            certificate_files(config), runtime.clock, issued_files(config), stand_in(config, runtime.clock)
        )
        counts = SessionCounts()
        self._sending = self._make_sending(runtime.clock)
        self._serving = Serving(
            self._holder,
            self._stores,
            runtime,
            self._certificates,
            counts,
            OwnPorts(),
            sending=self._sending,
            outgoing=config.queue.concurrency_total,
            web=lambda pages: web_factory(self._site_content(), pages, runtime.clock),
        )
        self._process = MailProcess(
            runtime, self._stores, self._serving, Closing(STEP, STORE, THREADS), lambda: self.config.server.grace
        )
        self._further = FurtherProcesses(
            reactor,
            self._holder,
            self._serving,
            self._stores,
            self._certificates,
            counts,
            self._sending,
            hints,
            log,
        )
        self._partitions = PartitionService(self._stores)
        self._stores.mail_changed = self._mail_changed
        self._stores.directory_changed = self._further.changed
        self._issuing = self._make_issuing(runtime)
        self._health = HealthReport(self._stores, reactor, self._renewal_trouble)
        reloading = Reloading(self._holder, self._certificates, self._stores.directory)
        self.configs = ConfigApplying(
            source, started_with, self._holder, reloading, runtime.clock, runtime.threads, lambda: self._keys.begin()
        )
        self.administration = self._make_administration(runtime)
        self._keys = DkimRotation(self.administration)
        self._doctoring = Doctoring(
            lambda: self.config,
            self._process,
            lambda: examine(self.administration),
            lambda: self.administration.examining.stop(),
        )
        self.services = Services(self._compose(before_clients))

    def _make_sending(self, clock: IClock) -> Sending:
        stores = self._stores
        alarm = Alarm(
            stores.directory,
            stores.queue,
            stores.blobs,
            lambda: self._serving.rooms.delivery,
            clock,
            self.config.server.hostname,
        )
        return Sending(
            stores.suppressions,
            stores.sent,
            stores.directory,
            clock,
            lambda: self.config.submission.settings(),
            alarm,
        )

    def _make_administration(self, runtime: Runtime) -> Administration:
        return Administration(
            self._stores.directory,
            self._stores.mail,
            self._stores.queue,
            runtime.clock,
            runtime.threads,
            runtime.hints,
            partial(make_credentials, scram=self.config.auth.scram),
            password_judge(lambda: self.config),
            self._published,
            ReactorLookup(runtime.reactor, lambda: self.config.dns.servers),
            lambda: self._serving.rooms.routing,
            self._stores.suppressions,
            self._stores.sent,
            lambda: self.config.submission.settings(),
            self._stores.tls_results,
            lambda: self.config.tls_reports.settings() if self.config.tls_reports is not None else None,
            self._check,
            self._stores.known_damage.acknowledge,
            lambda: self._serving.rooms.listed_policies,
            self._stores.policy_tally,
            self._stores.dmarc_results,
            lambda: self.config.dmarc_reports.settings() if self.config.dmarc_reports is not None else None,
            self._stores.received_reports,
            self._stores.filters,
            self._stores.scripts,
            self._stores.named_scripts,
            lambda: self.config.sieve.quota(),
            self._stores.index,
            self._make_trials(runtime),
            self._stores.deleted,
            backup_opener(runtime.threads, runtime.clock),
            Examination(
                lambda: self.config,
                lambda: self._certificates.pairs,
                runtime.clock,
                runtime.threads,
                self._stores.formats,
                running=True,
                refused_logins=self._refused_logins,
            ),
            lambda: self.config.dkim.settings(),
            self,
            self._further.write_counts,
            lambda _, writer: self._serving.rooms.delivery.stage(writer),
            adopt_hash=adopt_hash,
            moving=Turns().of,
            note=partial(emit, _log),
        )

    def _make_issuing(self, runtime: Runtime) -> Issuing | None:
        if self.config.acme is None:
            return None
        return issuing(
            self.config,
            runtime,
            ReactorLookup(runtime.reactor, lambda: self.config.dns.servers),
            self._certificates,
            self._tell_proofs,
        )

    def _make_trials(self, runtime: Runtime) -> Trials:
        return Trials(
            self.config,
            self._stores,
            runtime.reactor,
            runtime.clock,
            runtime.threads,
            lambda: self._serving.rooms.own_addresses,
        )

    def _compose(self, before_clients: Sequence[Startable]) -> list[Startable]:
        """Return what this process runs, in the order in which it starts; it stops in reverse."""
        process = self._process
        outgoing = Outgoing(
            self.config,
            process,
            self._sending,
            self._stores.tls_results,
            lambda: self.config.published.keep_reports,
            self._stores.known_damage.count,
        )
        self._index_lag = outgoing.index_lag
        control = ControlPort(
            self._process.runtime.reactor,
            self.config.server.data,
            ControlFactory(self.administration, self._further.changed),
        )
        further = process.service(
            "further processes",
            self._further.start,
            lambda: self._further.stop(process.grace()),
            within=lambda: process.grace() + FURTHER,
        )
        return [
            process.service("certificates", self._certificates.load),
            process.ports(),
            *process.foundation(),
            process.service("scratch files", lambda: remove_scratch(self.config.server.data)),
            process.rooms(),
            *self._poll_directory(),
            process.service("keys", self._keys.begin),
            *([process.service("next keys", self._issuing.begin)] if self._issuing is not None else []),
            process.service("versions of the configuration", self.configs.start, self.configs.stop),
            # Before anybody is served, and after: who is answered by a server can command it.
            process.service("control socket", control.open, control.close),
            outgoing.connections(),
            outgoing.look_at_dns(),
            self._look_at_keys(),
            process.service("watch of certificates", self._watch_certificates, self._certificates.stop),
            *before_clients,
            EndedAtOnce([outgoing.work(), self._doctoring.service(), further, process.sessions()]),
            process.listeners(announced=True),
            *self._renew_certificates(),
        ]

    def _look_at_keys(self) -> Startable:
        """Looks at the keys that sign, not at the same time as other servers'."""
        looks = Sweeper(
            self._keys.look,
            self._process.runtime.clock,
            name="the look at keys",
            first=KEYS * uniform(0.02, 0.1),
            interval=KEYS * uniform(0.9, 1.1),
        )

        async def stop() -> None:
            self._keys.stop()
            await looks.stop()

        return self._process.service("looks at keys", looks.start, stop, within=lambda: KEYS_STEP)

    def _renew_certificates(self) -> list[Startable]:
        """Who proves names is reached by everybody by then."""
        if self._issuing is None:
            return []
        start, stop = self._issuing.start, self._issuing.stop
        return [self._process.service("renewal of certificates", start, stop, within=lambda: RENEWAL)]

    def _poll_directory(self) -> list[Startable]:
        """Files are changed through this process alone; a database also by further processes and servers."""
        if self.config.store.url == "sqlite:":
            return []
        polling = DirectoryPoll(self._process.runtime.clock, self._stores.directory.poll)
        return [self._process.service("news of the directory", polling.start, polling.stop)]

    @property
    def config(self) -> Config:
        """That of the moment."""
        return self._holder.config

    # Life

    async def bind(self) -> None:
        """Read the certificates and take every port. :raises ConfigurationError: nothing was started."""
        await self.services.start(through="ports")

    async def start(self) -> None:
        """Start everything else, connections as the last thing. :raises Exception: nothing is left running."""
        await self.services.start()
        data = str(self.config.server.data)
        emit(_log, "server.start", hostname=self.config.server.hostname, data=data, version=VERSION)

    async def stop(self, reason: str) -> bool:
        """Let sessions and tries come to an end, at most the grace time, then stop everything in reverse. False: all is
        stopped, but threads still work for nobody, and would hold the process."""
        self._health.draining = True
        await self.services.stop()
        emit(_log, "server.stop", reason=reason)
        return self._process.threads_ended

    def _watch_certificates(self) -> None:
        self._certificates.on_change = lambda: self._holder.swap(self.config)
        self._certificates.watch()

    async def _tell_proofs(self) -> None:
        """Return when every process shows the proofs that this one does."""
        self._holder.swap(self.config)
        await self._further.served()

    # What it tells

    def _site_content(self) -> SiteContent:
        runtime, certificates = self._process.runtime, self._certificates
        clients = ClientPages(
            self._published,
            self._stores.directory.is_local,
            lambda content: signed(content, certificates.pairs, self.config.server.hostname),
            runtime.threads,
        )
        proof = self._issuing.page if self._issuing is not None else lambda token: None
        return SiteContent(self._health.report, self._metrics_page, self._policy, clients, proof)

    def _published(self) -> Published:
        """A key that was made here for the time being is not worth publishing."""
        pairs = () if self._certificates.provisional else self._certificates.pairs
        return published(self.config, pairs, self._issuing.renewal.next_digests() if self._issuing is not None else ())

    def _renewal_trouble(self) -> str:
        return self._issuing.renewal.standing().trouble if self._issuing is not None else ""

    def renewal(self) -> IRenewal | None:
        """Return what renews certificates by itself; None: nothing does."""
        return self._issuing.renewal if self._issuing is not None else None

    async def _metrics_page(self) -> tuple[bytes, bytes]:
        metrics = self._process.metrics
        self._serving.measure(metrics, FIRST)
        now = self._process.runtime.clock.seconds()
        with suppress(DomainError):
            measure_queue(metrics, await self._stores.queue.tally(now, TALLY_AGE), now)
        if self._issuing is not None:
            metrics.set("certificate_renewal_failures", self._issuing.renewal.standing().failures)
        lag = self._index_lag()
        metrics.set("search_unindexed", lag.messages)
        metrics.set("search_lag_seconds", behind(lag, now))
        further, counted = await self._further.counted()
        metrics.set("workers", 1 + further)
        return metrics.render(counted)

    async def _refused_logins(self) -> int:
        _, counted = await self._further.counted()
        return int(total([self._process.metrics.snapshot(), *counted], "logins", result="refused"))

    async def _policy(self, domain: str) -> str | None:
        return own_policy(self.config).text if await self._stores.directory.is_local(domain) else None

    async def status(self) -> ServerStatus:
        """Return the version, the number of what is served, what each process that answers serves, and what is wrong with
        files of the store."""
        paused: dict[str, float] = {}
        with suppress(DomainError):
            paused = await self._stores.queue.paused()
        return {
            "version": VERSION,
            "hostname": self.config.server.hostname,
            "generation": self._holder.generation,
            "processes": [self._serving.served(FIRST), *await self._further.served()],
            "paused": [
                f"{name or 'the whole queue'}: paused since {moment(since)}" for name, since in sorted(paused.items())
            ],
            "unindexed": (lag := self._index_lag()).messages,
            "index_behind": behind(lag, self._process.runtime.clock.seconds()),
            "damage": await self._damage(),
            "renewal": self._renewal_trouble(),
        }

    async def _damage(self) -> list[str]:
        lines = [
            words if name.endswith(".db") else f"{name}: {words}"
            for name, words in self._stores.unacknowledged().items()
        ]
        aside = self._stores.known_damage.set_aside
        addresses: dict[str, str] = {}
        if aside:
            with suppress(DomainError):
                addresses = {one.id: one.address for one in await self._stores.directory.accounts()}
        for account_id, count in sorted(aside.items()):
            file = f"mail-{self._stores.mail.partition(account_id):02}.db"
            lines.append(f"{addresses.get(account_id, account_id)}: {count} messages are set aside, in {file}")
        more = len(lines) - TOLD
        return lines if more <= 0 else [*lines[:TOLD], f"and {more} more: mailnode store verify"]

    # Changes while it runs

    async def accept_older(self, files: Sequence[str]) -> OlderAccepted:
        """Go on with mail partitions that are older than what was acknowledged; all else is served on."""
        return {"files": sorted(files), "accounts": await self._partitions.accept_older(files)}

    async def reopen(self, files: Sequence[str]) -> FilesReopened:
        """Serve mail partitions whose latest files were put back; all else is served on."""
        await self._partitions.reopen(files)
        return {"files": sorted(files)}

    async def _check(self, now: float, contents: bool, repair: bool) -> StoreChecked:
        checked = await self._stores.check(now, contents, repair)
        if checked.mended:
            await self._mail_changed()
        return checked

    async def _mail_changed(self) -> bool:
        """Return when all processes serve the same partitions, and none remembers anything of mail that may be otherwise now;
        False: some did not say so in time."""
        self._stores.mail.forget()
        self._process.runtime.forget_mail()
        return await self._further.mail_changed()

    async def reload(self) -> Reloaded:
        """Take over what can change live, or nothing when there is a mistake anywhere.

        Return ``applied``, ``needs_restart`` and ``mistakes``, lists of lines, and what :meth:`status` does.
        """
        changes = await self.configs.reload()
        await self._keys.begin()  # of domains that are new
        return {
            "applied": changes.applied,
            "needs_restart": changes.needs_restart,
            "mistakes": changes.mistakes,
            **await self.status(),
        }

    def reopen_logs(self) -> None:
        """Have the other processes write to the file that has the log's name now."""
        self._further.reopen_log()


def behind(lag: IndexLag, now: float) -> float:
    """Return for how many seconds messages have waited to be indexed. :param now: UTC seconds."""
    return 0.0 if lag.since is None else max(0.0, round(now - lag.since, 3))


def measure_queue(metrics: Metrics, tally: QueueTally, now: float) -> None:
    """Tell how much waits in the queue, for whom and why, and how long it has. :param now: UTC seconds."""
    metrics.set("queue_envelopes", tally.envelopes)
    for state, count in tally.by_state.items():
        metrics.set("queue_recipients", count, state=state)
    metrics.set("queue_oldest_seconds", 0.0 if tally.oldest is None else max(0.0, now - tally.oldest))
    metrics.clear("queue_waiting")
    metrics.clear("queue_reasons")
    for destination, count in _largest(tally.by_destination).items():
        metrics.set("queue_waiting", count, destination=destination)
    for reason, count in _largest(tally.by_reason).items():
        metrics.set("queue_reasons", count, reason=reason)


def _largest(counted: Mapping[str, Sequence[int]]) -> dict[str, int]:
    """Return the sums of the ``NAMED`` largest, and those of all others as "other"."""
    sums = sorted(((name, sum(counts)) for name, counts in counted.items()), key=lambda one: -one[1])
    largest = dict(sums[:NAMED])
    if len(sums) > NAMED:
        largest["other"] = largest.get("other", 0) + sum(count for _, count in sums[NAMED:])
    return largest
