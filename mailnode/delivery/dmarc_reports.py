"""Sends reports of what came of mail that says it is from other domains to those that want them (RFC 9990)."""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.delivery.daily_reports import DailyReports, Report, ReportKind, ReportMail, mail_address
from mailnode.errors import BadAddress, NoSuchName
from mailnode.interfaces.dmarc import IDmarcResults
from mailnode.interfaces.outbound import IResolver
from mailnode.interfaces.runtime import IClock, IThreads
from mailnode.interfaces.tls_reports import ReportNotTaken
from mailnode.message.dmarc import read_record, walk
from mailnode.message.dmarc_report import BY_MAIL, packed, report
from mailnode.values.tls_report import DueReport, ReportSettings

MAX_PLACES = 5  # to which one domain has its reports
LARGEST = 5 * 1024 * 1024  # octets of a packed report

KIND = ReportKind("dmarc_report", "messages", BY_MAIL, largest=LARGEST)


class DmarcReports(DailyReports):
    """Sends those that are due."""

    def __init__(
        self,
        settings: ReportSettings,
        hostname: str,
        generator: str,
        results: IDmarcResults,
        resolver: IResolver,
        mail: ReportMail,
        threads: IThreads,
        clock: IClock,
    ) -> None:
        """:param hostname: of this server. :param generator: what made the reports, with its version."""
        super().__init__(KIND, settings, hostname, results, mail, threads, clock)
        self._generator = generator
        self._results = results
        self._resolver = resolver

    async def _wanted(self, domain: str) -> Sequence[str]:
        """The record is looked up anew: it may be gone, or name others, since the mail came."""
        walked = await walk(domain, self._resolver.txt)
        found = walked.policy
        if found is None or found.domain != domain:
            return ()
        wanted: dict[str, None] = {}
        for uri in found.record.rua:
            if uri.lower().startswith("mailto:") and len(wanted) < MAX_PLACES:
                wanted.update(dict.fromkeys(await self._agreed(domain, walked.organization, uri)))
        return tuple(wanted)

    async def _agreed(self, domain: str, organization: str, uri: str) -> Sequence[str]:
        """Return where the reports for a URI go: nowhere, unless a place outside of the organization says that it takes them
        (RFC 9990 4); it may name other addresses there."""
        try:
            host = mail_address(uri).domain_key
        except (ReportNotTaken, BadAddress):
            return ()
        if (await walk(host, self._resolver.txt)).organization == organization:
            return (uri,)
        try:
            texts = await self._resolver.txt(f"{domain}._report._dmarc.{host}")
        except NoSuchName:
            return ()
        records = [record for record in map(read_record, texts) if record is not None]
        others = [other for record in records for other in record.rua if other.lower().startswith("mailto:")]
        if not others:
            return (uri,) if records else ()
        return others if all(_is_at(other, host) for other in others) else ()

    async def _report(self, due: DueReport) -> Report:
        counted = await self._results.results(due.day, due.domain)

        def made() -> bytes:
            return packed(report(due.domain, due.day, counted, self._settings, self._hostname, self._generator))

        return Report(
            await self._threads.run("cpu", made),
            sum(one.count for one in counted),
            sum(one.count for one in counted if not (one.seen.dkim or one.seen.spf)),
        )


def _is_at(uri: str, host: str) -> bool:
    try:
        return mail_address(uri).domain_key == host
    except (ReportNotTaken, BadAddress):
        return False
