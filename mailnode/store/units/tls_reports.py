"""Units over what is to be reported of TLS with the servers of other domains (RFC 8460)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from mailnode.store.engines.engine import Transaction
from mailnode.store.units.report_days import LISTED, Opening
from mailnode.values.rows import StoredRow
from mailnode.values.tls_report import (
    CollectedDay,
    CountedSession,
    ReportedPolicy,
    TlsSession,
    reported_policy,
)

MOST_RESULTS = 100  # kinds of results of one domain and day that are kept apart

_COLUMNS = "kind, publisher, policy, host, address, source, result, reason"


def count(tx: Transaction, day: int, counted: Sequence[tuple[TlsSession, int]], due: Mapping[str, float]) -> None:
    """Add what was counted on a day. :param due: for each domain of it, when its report is to be sent."""
    by_domain: dict[str, list[tuple[TlsSession, int]]] = {}
    for one in counted:
        by_domain.setdefault(one[0].domain, []).append(one)
    opening = Opening(tx, "tls", day)
    for domain, sessions in by_domain.items():
        if opening.open(domain, due[domain]):
            _add(tx, day, domain, sessions)


def _add(tx: Transaction, day: int, domain: str, sessions: Iterable[tuple[TlsSession, int]]) -> None:
    known = {row[0] for row in tx.execute("SELECT digest FROM tls_result WHERE day = ? AND domain = ?", (day, domain))}
    rows = []
    for session, number in sessions:
        values = _values(session)
        if _digest(values) not in known and len(known) >= MOST_RESULTS:
            # What is too much loses all but its kind, of which there are few.
            values = _values(TlsSession(domain, ReportedPolicy(domain, session.policy.kind), result=session.result))
        known.add(_digest(values))
        rows.append((day, domain, _digest(values), *values, number))
    tx.many(
        f"INSERT INTO tls_result (day, domain, digest, {_COLUMNS}, sessions) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (day, domain, digest) DO UPDATE SET sessions = tls_result.sessions + excluded.sessions",
        rows,
    )


def _values(session: TlsSession) -> tuple[str, ...]:
    """The columns that are kept of a session."""
    policy = session.policy
    of_policy = policy.kind, policy.domain, "\n".join(policy.strings)
    if not session.result:
        return *of_policy, "", "", "", "", ""
    return *of_policy, session.host, session.address, session.source, session.result, session.reason


def _digest(values: Sequence[str]) -> str:
    return hashlib.blake2b("\0".join(values).encode(), digest_size=16).hexdigest()


def collected(tx: Transaction, domain: str) -> list[CollectedDay]:
    """See ITlsResults."""
    which, parameters = ("WHERE r.domain = ?", (domain,)) if domain else ("", ())
    rows = tx.execute(
        "SELECT r.day, r.domain, r.due, r.tries,"
        " SUM(CASE WHEN t.result = '' THEN t.sessions ELSE 0 END),"
        " SUM(CASE WHEN t.result = '' THEN 0 ELSE t.sessions END)"
        " FROM tls_report r JOIN tls_result t ON t.day = r.day AND t.domain = r.domain"
        f" {which} GROUP BY r.day, r.domain, r.due, r.tries ORDER BY r.day, r.domain LIMIT ?",
        (*parameters, LISTED),
    )
    return [CollectedDay(day, name, due, tries, int(good), int(bad)) for day, name, due, tries, good, bad in rows]


def results(tx: Transaction, day: int, domain: str) -> list[CountedSession]:
    """See ITlsResults."""
    rows = tx.execute(
        f"SELECT {_COLUMNS}, sessions FROM tls_result WHERE day = ? AND domain = ? ORDER BY {_COLUMNS}", (day, domain)
    )
    return [_counted(domain, row) for row in rows]


def _counted(domain: str, row: StoredRow) -> CountedSession:
    kind, publisher, policy, host, address, source, result, reason, sessions = row
    published = reported_policy(publisher, kind, policy.split("\n") if policy else ())
    return CountedSession(TlsSession(domain, published, host, address, source, result, reason), sessions)
