"""Sends reports of how TLS with the servers of other domains fared to those that want them (RFC 8460)."""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.delivery.daily_reports import DailyReports, Report, ReportKind, ReportMail
from mailnode.errors import NoSuchName
from mailnode.interfaces.outbound import IResolver
from mailnode.interfaces.runtime import IClock, IThreads
from mailnode.interfaces.tls_reports import IReportHost, ITlsResults
from mailnode.message.tls_report import BY_MAIL, packed, report
from mailnode.values.envelope import TLS_OPTIONAL, MailOptions
from mailnode.values.tls_report import DueReport, ReportSettings, places

# Whatever is wrong with TLS, as its header says.
KIND = ReportKind("tls_report", "sessions", BY_MAIL, MailOptions(tls=TLS_OPTIONAL))


class TlsReports(DailyReports):
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
        super().__init__(KIND, settings, hostname, results, mail, threads, clock)
        self._results = results
        self._resolver = resolver
        self._web = web

    async def _wanted(self, domain: str) -> Sequence[str]:
        try:
            return places(await self._resolver.txt(f"_smtp._tls.{domain}"))
        except NoSuchName:
            return ()

    async def _report(self, due: DueReport) -> Report:
        sessions = await self._results.results(due.day, due.domain)
        content = await self._threads.run(
            "cpu", lambda: packed(report(due.domain, due.day, sessions, self._settings, self._hostname))
        )
        return Report(
            content,
            sum(one.count for one in sessions),
            sum(one.count for one in sessions if one.session.result),
        )

    async def _hand_over(self, due: DueReport, place: str, report: Report) -> str:
        if place.lower().startswith("https:"):
            await self._web.post(place, report.content, BY_MAIL.kind)
            return ""
        return await super()._hand_over(due, place, report)
