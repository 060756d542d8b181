"""Reports to other domains of how TLS with their servers fared (RFC 8460): the JSON, and a mail with it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from mailnode.message.report_mail import ReportForm, report_id
from mailnode.values.tls_report import DAY, CountedSession, ReportedPolicy, ReportSettings

BY_MAIL = ReportForm(  # RFC 8460 5.3
    "application/tlsrpt+gzip",
    "json.gz",
    'multipart/report; report-type="tlsrpt"',
    (
        "This is a report of how TLS with the mail servers of {domain}",
        "fared from {hostname} on {day} (UTC).",
    ),
    (
        "TLS-Report-Domain: {domain}",
        "TLS-Report-Submitter: {submitter}",
        "TLS-Required: No",  # RFC 8460 3: what is wrong with TLS must not hold it back; RFC 8689 5 has the words
    ),
)


def report(
    domain: str, day: int, sessions: Sequence[CountedSession], settings: ReportSettings, hostname: str
) -> dict[str, object]:
    """Return a report as RFC 8460 4.4 has it. :param domain: that it is about, in A-labels. :param day: since 1970, UTC.
    :param hostname: of this server."""
    by_policy: dict[ReportedPolicy, list[CountedSession]] = {}
    for one in sessions:
        by_policy.setdefault(one.session.policy, []).append(one)
    return {
        "organization-name": settings.organization,
        "date-range": {
            "start-datetime": _moment(day * DAY),
            "end-datetime": _moment((day + 1) * DAY - 1),
        },
        "contact-info": settings.contact,
        "report-id": report_id(domain, day, hostname),
        "policies": [_policy(policy, counted) for policy, counted in by_policy.items()],
    }


def _policy(policy: ReportedPolicy, sessions: Sequence[CountedSession]) -> dict[str, object]:
    failures = [one for one in sessions if one.session.result]
    published: dict[str, object] = {"policy-type": policy.kind, "policy-domain": policy.domain}
    if policy.strings:
        published["policy-string"] = list(policy.strings)
    if policy.mx:
        published["mx-host"] = list(policy.mx)
    return {
        "policy": published,
        "summary": {
            "total-successful-session-count": sum(one.count for one in sessions if not one.session.result),
            "total-failure-session-count": sum(one.count for one in failures),
        },
        "failure-details": [_failure(one) for one in failures],
    }


def _failure(one: CountedSession) -> dict[str, object]:
    session = one.session
    known = {
        "sending-mta-ip": session.source,
        "receiving-mx-hostname": session.host,
        "receiving-ip": session.address,
        "failure-reason-code": session.reason,
    }
    return {
        "result-type": session.result,
        **{name: value for name, value in known.items() if value},
        "failed-session-count": one.count,
    }


def packed(made: Mapping[str, object]) -> bytes:
    """Return a report as it is sent: I-JSON (RFC 7493), by gzip. For a thread."""
    return gzip.compress(json.dumps(made, separators=(",", ":")).encode("ascii"), mtime=0)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
