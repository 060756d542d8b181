"""Reports of others about domains here, as operations on mail and on TLS tell of them."""

from __future__ import annotations

from typing import TypedDict

from mailnode.admin.administration import Administration
from mailnode.admin.finding import moment
from mailnode.admin.operations import OperationFailed, Reason
from mailnode.values.received_report import KeptReport


class ReceivedReportRecord(TypedDict):
    """A report that is kept; times are UTC."""

    id: str
    received: str
    domain: str  # that it is about
    organization: str
    begun: str
    ended: str
    passed: int  # messages, or connections
    failed: int
    sender: str  # domain of the mail that brought it
    verified: bool  # whether DMARC vouches for that


class ReceivedRowRecord(TypedDict):
    """What a report says of what came from one address."""

    source: str  # IP address, "" where it does not say
    about: str  # domain
    result: str  # what became of messages; of connections by RFC 8460 4.3
    passed: bool
    count: int
    detail: str


class ReceivedReportDetails(ReceivedReportRecord):
    """The same with all that is kept of it."""

    contact: str
    identifier: str  # what they call it
    published: str  # the policy they saw
    left_out: int  # messages or connections of rows that are not kept
    rows: list[ReceivedRowRecord]


def received_record(one: KeptReport) -> ReceivedReportRecord:
    """Return what is told of a report in a list."""
    return {
        "id": one.id,
        "received": moment(one.received),
        "domain": one.domain,
        "organization": one.organization,
        "begun": moment(one.begun),
        "ended": moment(one.ended),
        "passed": one.passed,
        "failed": one.failed,
        "sender": one.sender,
        "verified": one.verified,
    }


async def received_details(admin: Administration, kind: str, id: str) -> ReceivedReportDetails:
    """Return all of one report of a kind. :raises OperationFailed: there is none."""
    found = await admin.received_reports.report(id)
    if found is None or found[0].kind != kind:
        raise OperationFailed(Reason.NOT_FOUND, f"{id}: there is no such report")
    one, rows = found
    return {
        **received_record(one),
        "contact": one.contact,
        "identifier": one.identifier,
        "published": one.published,
        "left_out": one.left_out,
        "rows": [
            {
                "source": row.source,
                "about": row.about,
                "result": row.result,
                "passed": row.passed,
                "count": row.count,
                "detail": row.detail,
            }
            for row in rows
        ],
    }
