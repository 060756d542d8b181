"""Units over what is to be reported of TLS with the servers of other domains (RFC 8460)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from mailnode.store.engines.engine import Transaction
from mailnode.values.rows import StoredRow
from mailnode.values.tls_report import (
    DAY,
    CollectedDay,
    CountedSession,
    DueReport,
    ReportedPolicy,
    TlsSession,
    reported_policy,
)

MOST_DOMAINS = 10_000  # of one day
MOST_RESULTS = 100  # kinds of results of one domain and day that are kept apart
RETRY = 900.0  # seconds until the second try; then twice as long each time,
LONGEST = 8 * 3600.0  # up to this
GIVEN_UP = 86_400.0  # seconds after the first try until the last may be (RFC 8460 5.5)
KEPT = 7  # days of which reports that nobody sent are kept
LISTED = 1000
SWEPT = 500  # domains and days that one unit forgets

_COLUMNS = "kind, publisher, policy, host, address, source, result, reason"


def count(tx: Transaction, day: int, counted: Sequence[tuple[TlsSession, int]], due: Mapping[str, float]) -> None:
    """Add what was counted on a day. :param due: for each domain of it, when its report is to be sent."""
    [(domains,)] = tx.execute("SELECT COUNT(*) FROM tls_report WHERE day = ?", (day,))
    by_domain: dict[str, list[tuple[TlsSession, int]]] = {}
    for one in counted:
        by_domain.setdefault(one[0].domain, []).append(one)
    for domain, sessions in by_domain.items():
        known = tx.execute("SELECT 1 FROM tls_report WHERE day = ? AND domain = ?", (day, domain))
        if not known:
            if domains >= MOST_DOMAINS:
                continue
            tx.execute(
                "INSERT INTO tls_report (day, domain, due, begun, tries) VALUES (?, ?, ?, 0, 0)"
                " ON CONFLICT (day, domain) DO NOTHING",
                (day, domain, due[domain]),
            )
            domains += 1
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


def take_due(tx: Transaction, now: float, limit: int) -> list[DueReport]:
    """See ITlsResults. What two servers of one database want at the same time, one of them gets."""
    rows = tx.execute(
        "SELECT day, domain, begun, tries FROM tls_report WHERE due <= ? AND day < ? ORDER BY due LIMIT ?",
        (now, int(now // DAY), limit),
    )
    taken = []
    for day, domain, begun, tries in rows:
        report = _begun(day, domain, begun or now, tries + 1, now)
        due = now + LONGEST if report.again is None else report.again
        if tx.execute(
            "UPDATE tls_report SET due = ?, begun = ?, tries = ? WHERE day = ? AND domain = ? AND tries = ?"
            " RETURNING tries",
            (due, report.begun, report.tries, day, domain, tries),
        ):
            taken.append(report)
    return taken


def _begun(day: int, domain: str, begun: float, tries: int, now: float) -> DueReport:
    again = now + min(RETRY * 2.0 ** min(tries - 1, 20), LONGEST)
    return DueReport(day, domain, begun, tries, again if again <= begun + GIVEN_UP else None)


def finish(tx: Transaction, day: int, domain: str) -> None:
    """See ITlsResults."""
    tx.execute("DELETE FROM tls_result WHERE day = ? AND domain = ?", (day, domain))
    tx.execute("DELETE FROM tls_report WHERE day = ? AND domain = ?", (day, domain))


def sweep(tx: Transaction, now: float) -> int:
    """Forget some reports that nobody sent; return how many."""
    old = tx.execute("SELECT day, domain FROM tls_report WHERE day < ? LIMIT ?", (int(now // DAY) - KEPT, SWEPT))
    for day, domain in old:
        finish(tx, day, domain)
    return len(old)
