"""Reports to other domains of how TLS with their servers fared (RFC 8460): the JSON, and a mail with it."""

from __future__ import annotations

import gzip
import hashlib
import json
from base64 import encodebytes
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from mailnode.message.compose import date_field, message_id_field
from mailnode.values.tls_report import DAY, CountedSession, ReportedPolicy, ReportSettings, day_name

GZIPPED = "application/tlsrpt+gzip"  # RFC 8460 5.3


def report_id(domain: str, day: int, hostname: str) -> str:
    """Return what names a report, the same at every try, so that a second copy is known for one. :param day: since 1970."""
    return f"{day_name(day)}.{domain}@{hostname}"


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


def file_name(domain: str, day: int, settings: ReportSettings) -> str:
    """Return what the file of a report is called (RFC 8460 5.1)."""
    return f"{settings.domain}!{domain}!{day * DAY}!{(day + 1) * DAY - 1}.json.gz"


def report_mail(
    domain: str,
    day: int,
    content: bytes,
    settings: ReportSettings,
    hostname: str,
    *,
    to: str,
    message_id: str,
    seconds: float,
) -> bytes:
    """Return a mail with a report (RFC 8460 5.3), ASCII throughout, CRLF line ends. :param content: the report, packed.
    :param to: an ASCII address. :param seconds: UTC, for its Date field."""
    identifier = report_id(domain, day, hostname)
    boundary = "=_" + hashlib.sha256(message_id.encode()).hexdigest()[:32]
    fields = [
        f"From: <{settings.sender}>",
        f"To: <{to}>",
        f"Subject: Report Domain: {domain}\r\n\tSubmitter: {settings.domain}\r\n\tReport-ID: <{identifier}>",
        f"TLS-Report-Domain: {domain}",
        f"TLS-Report-Submitter: {settings.domain}",
        "TLS-Required: No",  # RFC 8460 3: what is wrong with TLS must not hold it back; RFC 8689 5 has the words
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type="tlsrpt";\r\n\tboundary="{boundary}"',
    ]
    end = f"--{boundary}"  # no line of base64 begins so
    lines = [
        *fields,
        "",
        end,
        "Content-Type: text/plain; charset=us-ascii",
        "",
        f"This is a report of how TLS with the mail servers of {domain}",
        f"fared from {hostname} on {day_name(day)} (UTC).",
        "",
        end,
        f"Content-Type: {GZIPPED}",
        "Content-Transfer-Encoding: base64",
        f'Content-Disposition: attachment;\r\n\tfilename="{file_name(domain, day, settings)}"',
        "",
        *encodebytes(content).decode("ascii").splitlines(),
        f"{end}--",
        "",
    ]
    return date_field(seconds) + message_id_field(message_id) + "\r\n".join(lines).encode("ascii")


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
