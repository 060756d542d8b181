"""Operations on how TLS with the servers of other domains fared."""

from __future__ import annotations

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
from mailnode.message.tls_report import BY_MAIL, report
from mailnode.values.address import domain_key
from mailnode.values.received_report import TLS
from mailnode.values.tls_report import CollectedDay, Downgrade, Remembered, day_name


class TlsServerRecord(TypedDict):
    """How well connections to a server of a domain were encrypted of late; times are UTC, "" for never."""

    domain: str
    host: str
    level: str  # the best there was: verified, encrypted, plain
    last_verified: str  # when its certificate was last as it should be
    last_encrypted: str  # when there was last TLS at all


class TlsDowngradeRecord(TypedDict):
    """The last connection to a server of a domain that was encrypted worse than before; times are UTC."""

    domain: str
    host: str
    address: str
    was: str
    now: str
    since: str  # when it was last as good as that
    at: str
    result: str  # by RFC 8460 4.3; "": no policy asked for more
    reason: str


class TlsReportRecord(TypedDict):
    """What is to be reported of a domain; times are UTC."""

    domain: str
    day: str
    succeeded: int  # connections
    failed: int
    due: str  # when it is sent
    tries: int


class TlsReportDetails(TypedDict):
    """A report."""

    domain: str
    day: str
    file: str  # what it is called
    report: dict[str, object]  # RFC 8460 4.4


@operation("tls.reports")
async def tls_reports(admin: Administration, domain: str | None = None) -> list[TlsReportRecord]:
    """What is to be reported to other domains of how TLS with their servers fared."""
    return [_collected(one) for one in await admin.tls_results.collected(_key(domain))]


@operation("tls.report")
async def tls_report(admin: Administration, domain: str, day: str | None = None) -> TlsReportDetails:
    """The report to a domain as it would be sent now."""
    settings = admin.tls_reports()
    if settings is None:
        raise OperationFailed(Reason.NOT_FOUND, "no reports are made: there is no [tls_reports]")
    key = _key(domain)
    days = [one.day for one in await admin.tls_results.collected(key) if day in (None, day_name(one.day))]
    if not days:
        raise OperationFailed(Reason.NOT_FOUND, f"{domain}: nothing is to be reported" + (f" of {day}" if day else ""))
    sessions = await admin.tls_results.results(days[-1], key)
    return {
        "domain": key,
        "day": day_name(days[-1]),
        "file": BY_MAIL.file_name(key, days[-1], settings),
        "report": report(key, days[-1], sessions, settings, admin.published().hostname),
    }


@operation("tls.received")
async def tls_received(admin: Administration, domain: str | None = None) -> list[ReceivedReportRecord]:
    """Reports of others on TLS with the servers of domains here, the latest first."""
    return [received_record(one) for one in await admin.received_reports.reports(TLS, _key(domain))]


@operation("tls.received-report")
async def tls_received_report(admin: Administration, id: str) -> ReceivedReportDetails:
    """One of them, with what went wrong where."""
    return await received_details(admin, TLS, id)


@operation("tls.servers")
async def tls_servers(admin: Administration, domain: str | None = None) -> list[TlsServerRecord]:
    """How well connections to servers of other domains were encrypted of late."""
    return [_server(one) for one in await admin.tls_results.remembered(_key(domain))]


@operation("tls.downgrades")
async def tls_downgrades(admin: Administration) -> list[TlsDowngradeRecord]:
    """Servers of other domains to which connections were encrypted worse than before, the last of each domain."""
    return [_downgrade(one) for one in await admin.tls_results.downgrades()]


def _key(domain: str | None) -> str:
    if domain is None:
        return ""
    with about(domain):
        return domain_key(domain)


def _collected(one: CollectedDay) -> TlsReportRecord:
    return {
        "domain": one.domain,
        "day": day_name(one.day),
        "succeeded": one.succeeded,
        "failed": one.failed,
        "due": moment(one.due),
        "tries": one.tries,
    }


def _server(one: Remembered) -> TlsServerRecord:
    return {
        "domain": one.domain,
        "host": one.host,
        "level": one.level,
        "last_verified": _moment(one.verified),
        "last_encrypted": _moment(one.encrypted),
    }


def _downgrade(one: Downgrade) -> TlsDowngradeRecord:
    return {
        "domain": one.domain,
        "host": one.host,
        "address": one.address,
        "was": one.was,
        "now": one.now,
        "since": moment(one.since),
        "at": moment(one.at),
        "result": one.result,
        "reason": one.reason,
    }


def _moment(seconds: float) -> str:
    return moment(seconds) if seconds else ""
