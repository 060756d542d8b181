"""Sends reports of how TLS with the servers of other domains fared to those that want them (RFC 8460)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twisted.logger import Logger

from mailnode.delivery.daily_reports import DailyReports, ReportMail, mail_address
from mailnode.errors import NoSuchName
from mailnode.interfaces.outbound import IResolver
from mailnode.interfaces.runtime import IClock, IThreads
from mailnode.interfaces.tls_reports import IReportHost, ITlsResults
from mailnode.message.compose import message_id
from mailnode.message.tls_report import GZIPPED, packed, report, report_mail
from mailnode.values.envelope import TLS_OPTIONAL, MailOptions
from mailnode.values.events import emit, moment
from mailnode.values.ids import new_id
from mailnode.values.tls_report import CountedSession, DueReport, ReportSettings, day_name, places

_log = Logger()


@dataclass(frozen=True, slots=True)
class TlsReport:
    """One as it is sent, and what it tells of."""

    content: bytes
    sessions: Sequence[CountedSession]


class TlsReports(DailyReports[TlsReport]):
    """Sends those that are due."""

    def __init__(
        self,
        settings: ReportSettings,
        hostname: str,
        results: ITlsResults,
        resolver: IResolver,
        mail: ReportMail,
        web: IReportHost,
        threads: IThreads,
        clock: IClock,
    ) -> None:
        """:param hostname: of this server."""
        super().__init__(results)
        self._settings = settings
        self._hostname = hostname
        self._results = results
        self._resolver = resolver
        self._mail = mail
        self._web = web
        self._threads = threads
        self._clock = clock

    async def _wanted(self, domain: str) -> Sequence[str]:
        try:
            return places(await self._resolver.txt(f"_smtp._tls.{domain}"))
        except NoSuchName:
            return ()

    async def _report(self, due: DueReport) -> TlsReport:
        sessions = await self._results.results(due.day, due.domain)
        content = await self._threads.run(
            "cpu", lambda: packed(report(due.domain, due.day, sessions, self._settings, self._hostname))
        )
        return TlsReport(content, sessions)

    async def _hand_over(self, due: DueReport, place: str, report: TlsReport) -> str:
        if place.lower().startswith("https:"):
            await self._web.post(place, report.content, GZIPPED)
            return ""
        to, now = mail_address(place), self._clock.seconds()
        made = report_mail(
            due.domain,
            due.day,
            report.content,
            self._settings,
            self._hostname,
            to=str(to),
            message_id=message_id(new_id(now), self._hostname),
            seconds=now,
        )
        # Whatever is wrong with TLS, as its header says.
        return await self._mail.send(made, self._settings.domain, to, now, MailOptions(tls=TLS_OPTIONAL))

    def _tell_sent(self, due: DueReport, place: str, report: TlsReport, envelope: str) -> None:
        emit(
            _log,
            "tls_report.sent",
            domain=due.domain,
            day=day_name(due.day),
            to=place,
            sessions=sum(one.count for one in report.sessions),
            failures=sum(one.count for one in report.sessions if one.session.result),
            envelope=envelope,
        )

    def _tell_failed(self, due: DueReport, place: str, reason: str) -> None:
        emit(
            _log,
            "tls_report.failed",
            warning=due.again is None,
            domain=due.domain,
            day=day_name(due.day),
            to=place,
            reason=reason,
            again="" if due.again is None else moment(due.again),
        )
