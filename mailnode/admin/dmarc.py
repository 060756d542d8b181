"""Operations on reports of DMARC: what others say of mail from domains here, and what they will be told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from mailnode.admin.administration import Administration
from mailnode.admin.finding import about, moment
from mailnode.admin.operations import OperationFailed, Reason, operation
from mailnode.admin.received import (
    ReceivedReportDetails,
    ReceivedReportRecord,
    received_details,
    received_record,
)
from mailnode.message.dmarc_report import BY_MAIL, report
from mailnode.values.address import domain_key
from mailnode.values.dmarc_report import DmarcDay
from mailnode.values.received_report import DMARC
from mailnode.values.tls_report import day_name


class DmarcSourceRecord(TypedDict):
    """An address that sends as a domain here, by the reports of others; times are UTC."""

    domain: str
    source: str  # IP address
    passed: int  # messages
    failed: int
    reports: int
    last: str  # end of what the latest report is about
    report: str  # its id


class DmarcDueRecord(TypedDict):
    """What is to be reported to a domain; times are UTC."""

    domain: str
    day: str
    passed: int  # messages
    failed: int
    left_out: int  # messages of which nothing else is kept
    due: str  # when it is sent
    tries: int


class DmarcReportDraft(TypedDict):
    """A report to a domain."""

    domain: str
    day: str
    file: str  # what it is called
    report: str  # RFC 9990 A


@operation("dmarc.reports")
async def dmarc_reports(
    admin: Administration, domain: str | None = None, failing: bool = False
) -> list[DmarcSourceRecord]:
    """Who sends as domains here, by the reports of others."""
    return [
        {
            "domain": one.domain,
            "source": one.source,
            "passed": one.passed,
            "failed": one.failed,
            "reports": one.reports,
            "last": moment(one.last),
            "report": one.report,
        }
        for one in await admin.received_reports.sources(_name(domain), failing)
    ]


@operation("dmarc.received")
async def dmarc_received(admin: Administration, domain: str | None = None) -> list[ReceivedReportRecord]:
    """Reports of others on mail from domains here, the latest first."""
    return [received_record(one) for one in await admin.received_reports.reports(DMARC, _name(domain))]


@operation("dmarc.report")
async def dmarc_report(admin: Administration, id: str) -> ReceivedReportDetails:
    """One of them, with what it says of each address."""
    return await received_details(admin, DMARC, id)


@operation("dmarc.due")
async def dmarc_due(admin: Administration, domain: str | None = None) -> list[DmarcDueRecord]:
    """What is to be reported to other domains of mail that says it is from them."""
    return [
        {
            "domain": one.domain,
            "day": day_name(one.day),
            "passed": one.passed,
            "failed": one.failed,
            "left_out": one.left_out,
            "due": moment(one.due),
            "tries": one.tries,
        }
        for one in await _collected(admin, _name(domain))
    ]


@operation("dmarc.draft")
async def dmarc_draft(admin: Administration, domain: str, day: str | None = None) -> DmarcReportDraft:
    """The report to a domain as it would be sent now."""
    settings = admin.dmarc_reports()
    if settings is None:
        raise OperationFailed(Reason.NOT_FOUND, "no reports are made: there is no [dmarc_reports]")
    key = _name(domain)
    days = [one.day for one in await _collected(admin, key) if day in (None, day_name(one.day))]
    if not days:
        raise OperationFailed(Reason.NOT_FOUND, f"{domain}: nothing is to be reported" + (f" of {day}" if day else ""))
    counted = await admin.dmarc_results.results(days[-1], key)
    made = report(key, days[-1], counted, settings, admin.published().hostname, "mailnode")
    return {
        "domain": key,
        "day": day_name(days[-1]),
        "file": BY_MAIL.file_name(key, days[-1], settings),
        "report": made.decode("utf-8"),
    }


def _name(domain: str | None) -> str:
    if domain is None:
        return ""
    with about(domain):
        return domain_key(domain)


async def _collected(admin: Administration, domain: str) -> Sequence[DmarcDay]:
    await admin.write_counts()
    return await admin.dmarc_results.collected(domain)
