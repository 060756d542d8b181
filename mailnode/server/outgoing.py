"""What one process of a server does for all: it delivers what is in the queue, here and elsewhere, and sweeps the store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from mailnode.config.schema import Config
from mailnode.config.version import VERSION
from mailnode.delivery.bounce import Bouncer
from mailnode.delivery.daily_reports import DailyReports, ReportMail
from mailnode.delivery.dane import Dane
from mailnode.delivery.dmarc_reports import DmarcReports
from mailnode.delivery.eight_bit import EightBit
from mailnode.delivery.local import LocalAgent
from mailnode.delivery.mta_sts import MtaSts
from mailnode.delivery.remote import RemoteAgent
from mailnode.delivery.sending import Sending
from mailnode.delivery.tls_policy import TlsPolicy
from mailnode.delivery.tls_reports import TlsReports
from mailnode.interfaces.tls_reports import ITlsResults
from mailnode.net.client_tls import ClientTls
from mailnode.net.dns_look import look_at_dns
from mailnode.net.outbound import Outbound, OutboundSettings
from mailnode.net.policy_host import PolicyHost
from mailnode.net.report_host import ReportHost
from mailnode.queue.destination import DestinationSettings
from mailnode.queue.runner import QueueRunner, RunnerSettings
from mailnode.server.process import MailProcess
from mailnode.server.services import EndedAtOnce, Startable
from mailnode.upkeep.indexer import Indexer
from mailnode.upkeep.learner import Learner
from mailnode.upkeep.sweeper import Sweeper

FIRST_REPORTS, REPORTS = 5.0, 300.0  # seconds after start, and between looks for reports that are due
SPARE = 21  # of so many places for first tries one is for destinations something new came for


class Outgoing:
    """The queue's runner and what it delivers by, of the process that has the writers."""

    def __init__(
        self,
        config: Config,
        process: MailProcess,
        sending: Sending,
        tls_results: ITlsResults,
        keep_reports: Callable[[], float],
        count_damage: Callable[[], Awaitable[None]],
    ) -> None:
        """:param sending: is told of recipients that servers refuse for good. :param tls_results: is told how TLS with servers
        fared. :param keep_reports: for how many seconds reports of others are kept.
        :param count_damage: called after a sweep, which may have taken messages that were set aside."""
        self._count_damage = count_damage
        self._keep_reports = keep_reports
        self._config = config
        self._process = process
        self._sending = sending
        self._tls_results = tls_results
        self._sweeper = Sweeper(self._sweep, process.runtime.clock)
        self._indexer = Indexer(
            process.stores.index,
            process.stores.mail,
            process.runtime.hints,
            process.runtime.indexing,
            process.runtime.clock,
            wanted=config.search.index,
        )
        self.index_lag = self._indexer.lag
        self._reports: list[DailyReports] = []
        self._reporter = Sweeper(self._report, process.runtime.clock, FIRST_REPORTS, REPORTS, name="sending reports")

    def connections(self) -> Startable:
        """Connections to other servers. The rooms are there."""
        return self._process.service("outgoing connections", self._build, lambda: self._outbound.stop())

    def look_at_dns(self) -> Startable:
        """A look, which nobody waits for, whether DNS answers are validated."""

        def look() -> None:
            look_at_dns(self._process.runtime.resolver)

        return self._process.service("look at DNS", look)

    def work(self) -> Startable:
        """Tries of delivery, and sweeps: those under way come to their ends."""
        process = self._process
        return EndedAtOnce(
            [
                process.service(
                    "queue",
                    lambda: self._runner.start(),
                    lambda: self._runner.stop(process.grace()),
                    within=lambda: process.grace() + process.closing.step,
                ),
                process.service(
                    "sweeper",
                    self._sweeper.start,
                    self._sweeper.stop,
                    within=lambda: process.grace() + process.closing.step,
                ),
                process.service(
                    "learner",
                    lambda: self._learner.start(),
                    lambda: self._learner.stop(),
                    within=lambda: process.grace() + process.closing.step,
                ),
                process.service(
                    "indexer",
                    self._indexer.start,
                    self._indexer.stop,
                    within=lambda: process.grace() + process.closing.step,
                ),
                process.service(
                    "daily reports",
                    self._reporter.start,
                    self._stop_reports,
                    within=lambda: process.grace() + process.closing.step,
                ),
            ]
        )

    async def _report(self, now: float) -> None:
        for reports in self._reports:
            await reports.send_due(now)

    async def _stop_reports(self) -> None:
        for reports in self._reports:
            reports.stop()
        await self._reporter.stop()

    async def _sweep(self, now: float) -> None:
        await self._process.stores.queue.forget_past(now)
        await self._process.stores.queue.forget_remembered(now)
        await self._process.stores.mail.sweep(now)
        await self._count_damage()
        await self._process.stores.filters.sweep(now)
        await self._sending.sweep(now)
        await self._tls_results.sweep(now)
        await self._process.stores.dmarc_results.sweep(now)
        await self._process.stores.received_reports.sweep(now - self._keep_reports())
        await self._process.stores.policy_memory.sweep(now)
        await self._process.stores.policy_tally.sweep(now)

    def _tls_policy(self, tls: ClientTls) -> TlsPolicy:
        runtime, settings = self._process.runtime, self._config.queue
        kept, host = self._process.stores.sts_policies, PolicyHost(runtime.reactor, runtime.resolver, tls)
        note = self._tls_results.note
        return TlsPolicy(
            Dane(runtime.resolver, settings.port) if settings.dane else None,
            MtaSts(runtime.resolver, host, kept, runtime.clock, note) if settings.mta_sts else None,
            note,
        )

    def _build(self) -> None:
        config, process, serving, stores = self._config, self._process, self._process.serving, self._process.stores
        rooms, runtime, hostname = serving.rooms, process.runtime, config.server.hostname
        settings = OutboundSettings(kept=min(100, serving.shares.outgoing), patience=config.queue.patience)
        tls = ClientTls()
        self._outbound = Outbound(
            runtime.reactor, hostname, tls, runtime.reactor, settings=settings, note=self._tls_results.note
        )
        remote = RemoteAgent(
            runtime.resolver,
            self._outbound,
            stores.queue,
            runtime.reactor,
            own_names=[hostname],
            own_addresses=rooms.own_addresses,
            routing=rooms.routing,
            tls=self._tls_policy(tls),
            eight_bit=EightBit(
                runtime.threads,
                runtime.processes,
                scratch=str(config.server.data),
                strict=config.queue.strict_8bit,
                signer=rooms.signer,
            ),
            port=config.queue.port,
        )
        self._reports = self._make_reports(tls)
        self._learner = Learner(
            stores.filters, stores.mail, runtime.hints, runtime.threads, runtime.clock, config.server.hostname
        )
        self._runner = QueueRunner(
            stores.queue,
            remote,
            LocalAgent(stores.directory, stores.mail, stores.queue),
            self._make_bouncer(),
            runtime.clock,
            runtime.hints,
            self._runner_settings(),
            process.metrics,
            sending=self._sending,
        )

    def _make_reports(self, tls: ClientTls) -> list[DailyReports]:
        stores, rooms, runtime = self._process.stores, self._process.serving.rooms, self._process.runtime
        config, hostname = self._config, self._config.server.hostname
        mail = ReportMail(
            stores.directory,
            stores.queue,
            stores.blobs,
            rooms.delivery,
            rooms.signer,
            runtime.hints,
            rooms.routing,
        )
        made: list[DailyReports] = []
        if config.tls_reports is not None:
            made.append(
                TlsReports(
                    config.tls_reports.settings(),
                    hostname,
                    self._tls_results,
                    runtime.resolver,
                    mail,
                    ReportHost(runtime.reactor, runtime.resolver, tls),
                    runtime.threads,
                    runtime.clock,
                )
            )
        if config.dmarc_reports is not None:
            made.append(
                DmarcReports(
                    config.dmarc_reports.settings(),
                    hostname,
                    f"mailnode {VERSION}",
                    stores.dmarc_results,
                    runtime.resolver,
                    mail,
                    runtime.threads,
                    runtime.clock,
                )
            )
        return made

    def _make_bouncer(self) -> Bouncer:
        stores, rooms = self._process.stores, self._process.serving.rooms
        return Bouncer(
            stores.directory,
            stores.queue,
            stores.blobs,
            rooms.delivery,
            self._process.runtime.clock,
            hostname=self._config.server.hostname,
            expires=rooms.schedule.expires,
            routing=rooms.routing,
            signer=rooms.signer,
            forwarding=rooms.forwarding,
            refuse_foreign=not self._config.queue.outgoing,
            filtering=rooms.filtering,
        )

    def _runner_settings(self) -> RunnerSettings:
        config, serving = self._config, self._process.serving
        routing = serving.rooms.routing
        return RunnerSettings(
            serving.rooms.schedule,
            DestinationSettings(cap=config.queue.concurrency, start=min(5, config.queue.concurrency)),
            total=serving.shares.outgoing,
            drain=config.server.grace,
            limits=routing.limits,
            fallback=lambda envelope, recipient, tries, reply: routing.fallback(
                recipient.destination,
                recipient.address.rpartition("@")[2],
                recipient.sender(envelope.reverse_path),
                tries,
                reply,
                envelope.account,
            ),
        )
