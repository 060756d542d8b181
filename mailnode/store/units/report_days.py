"""Units over the days of domains that are to be reported: of TLS (RFC 8460), ``kind`` "tls", or of DMARC (RFC 9990), "dmarc".
What they say stands in a table beside each."""

from __future__ import annotations

from mailnode.store.engines.engine import Transaction
from mailnode.values.tls_report import DAY, DueReport

MOST_DOMAINS = 10_000  # of one day
RETRY = 900.0  # seconds until the second try; then twice as long each time,
LONGEST = 8 * 3600.0  # up to this
GIVEN_UP = 86_400.0  # seconds after the first try until the last may be (RFC 8460 5.5)
KEPT = 7  # days of which reports that nobody sent are kept
LISTED = 1000
SWEPT = 500  # domains and days that one unit forgets


class Opening:
    """Opens days of domains, as many as there is room for."""

    def __init__(self, tx: Transaction, kind: str, day: int) -> None:
        self._tx, self._kind, self._day = tx, kind, day
        [(self._domains,)] = tx.execute(f"SELECT COUNT(*) FROM {kind}_report WHERE day = ?", (day,))

    def open(self, domain: str, due: float) -> bool:
        """Whether a domain is to be reported of that day. :param due: when, if it was not yet."""
        tx, table = self._tx, f"{self._kind}_report"
        if tx.execute(f"SELECT 1 FROM {table} WHERE day = ? AND domain = ?", (self._day, domain)):
            return True
        if self._domains >= MOST_DOMAINS:
            return False
        tx.execute(
            f"INSERT INTO {table} (day, domain, due, begun, tries) VALUES (?, ?, ?, 0, 0)"
            " ON CONFLICT (day, domain) DO NOTHING",
            (self._day, domain, due),
        )
        self._domains += 1
        return True


def take_due(tx: Transaction, kind: str, now: float, limit: int) -> list[DueReport]:
    """See IDueReports. What two servers of one database want at the same time, one of them gets."""
    rows = tx.execute(
        f"SELECT day, domain, begun, tries FROM {kind}_report WHERE due <= ? AND day < ? ORDER BY due LIMIT ?",
        (now, int(now // DAY), limit),
    )
    taken = []
    for day, domain, begun, tries in rows:
        report = _begun(day, domain, begun or now, tries + 1, now)
        due = now + LONGEST if report.again is None else report.again
        if tx.execute(
            f"UPDATE {kind}_report SET due = ?, begun = ?, tries = ? WHERE day = ? AND domain = ? AND tries = ?"
            " RETURNING tries",
            (due, report.begun, report.tries, day, domain, tries),
        ):
            taken.append(report)
    return taken


def _begun(day: int, domain: str, begun: float, tries: int, now: float) -> DueReport:
    again = now + min(RETRY * 2.0 ** min(tries - 1, 20), LONGEST)
    return DueReport(day, domain, begun, tries, again if again <= begun + GIVEN_UP else None)


def finish(tx: Transaction, kind: str, day: int, domain: str) -> None:
    """See IDueReports."""
    for table in (f"{kind}_result", f"{kind}_report"):
        tx.execute(f"DELETE FROM {table} WHERE day = ? AND domain = ?", (day, domain))


def sweep(tx: Transaction, kind: str, now: float) -> int:
    """Forget some reports that nobody sent; return how many."""
    old = tx.execute(f"SELECT day, domain FROM {kind}_report WHERE day < ? LIMIT ?", (int(now // DAY) - KEPT, SWEPT))
    for day, domain in old:
        finish(tx, kind, day, domain)
    return len(old)
