"""Reports of TLS, read (RFC 8460 4.4)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from mailnode.message.report_text import (
    MAX_COUNT,
    MAX_SECONDS,
    UnreadableReport,
    address_of,
    domain_of,
    shown,
)
from mailnode.values.received_report import TLS, ReceivedReport, ReceivedRow

MAX_ROWS = 2000  # of one report that are kept
SUCCESS = "success"  # beside the names of RFC 8460 4.3


def read_tls(document: bytes) -> ReceivedReport:
    """Read a report. For another process. :raises UnreadableReport: what is wrong with it."""
    try:
        made: object = json.loads(document.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise UnreadableReport("it is no JSON") from None
    whole = _mapping(made)
    period, policies = _mapping(whole.get("date-range")), [_mapping(one) for one in _list(whole.get("policies"))]
    if not policies:
        raise UnreadableReport("nothing is told in it")
    rows = [row for policy in policies for row in _rows(policy)]
    begun, ended = (_seconds(_text(period, name)) for name in ("start-datetime", "end-datetime"))
    return ReceivedReport(
        TLS,
        shown(_text(whole, "organization-name")),
        shown(_text(whole, "contact-info")),
        shown(_text(whole, "report-id")),
        domain_of(_domain(policies)),
        begun,
        max(begun, ended),
        shown(", ".join(dict.fromkeys(_text(_mapping(one.get("policy")), "policy-type") for one in policies))),
        tuple(rows[:MAX_ROWS]),
        sum(row.count for row in rows[MAX_ROWS:]),
    )


def _domain(policies: Sequence[Mapping[str, object]]) -> str:
    """Return the domain that a report is about: of a policy by TLSA records it is the server that has them (RFC 8460 1.1)."""
    named = [_mapping(one.get("policy")) for one in policies]
    named.sort(key=lambda one: _text(one, "policy-type") == "tlsa")
    return _text(named[0], "policy-domain")


def _rows(policy: Mapping[str, object]) -> list[ReceivedRow]:
    published, summary = _mapping(policy.get("policy")), _mapping(policy.get("summary"))
    about, kind = shown(_text(published, "policy-domain")).lower(), shown(_text(published, "policy-type"))
    rows = [ReceivedRow("", about, True, SUCCESS, _count(summary, "total-successful-session-count"), kind)]
    for failure in map(_mapping, _list(policy.get("failure-details"))):
        words = [
            kind,
            f"at {_text(failure, 'receiving-mx-hostname')} {_text(failure, 'receiving-ip')}",
            _text(failure, "failure-reason-code") or _text(failure, "additional-information"),
        ]
        rows.append(
            ReceivedRow(
                address_of(_text(failure, "sending-mta-ip")),
                about,
                False,
                shown(_text(failure, "result-type")).lower(),
                _count(failure, "failed-session-count"),
                shown("; ".join(word for word in words if word.strip(" at"))),
            )
        )
    untold = _count(summary, "total-failure-session-count") - sum(row.count for row in rows if not row.passed)
    if untold > 0:
        rows.append(ReceivedRow("", about, False, "", untold, kind))
    return [row for row in rows if row.count]


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _text(values: Mapping[str, object], name: str) -> str:
    value = values.get(name)
    return value if isinstance(value, str) else ""


def _count(values: Mapping[str, object], name: str) -> int:
    value = values.get(name)
    return min(max(0, value), MAX_COUNT) if isinstance(value, int) else 0


def _seconds(text: str) -> int:
    try:
        return min(max(0, int(datetime.fromisoformat(text).timestamp())), MAX_SECONDS)
    except (ValueError, OverflowError):
        return 0
