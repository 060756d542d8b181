"""Units over reports of others about domains here."""

from __future__ import annotations

from mailnode.store.engines.engine import Transaction
from mailnode.values.received_report import DMARC, KeptReport, ReceivedReport, ReceivedRow, ReportedSource
from mailnode.values.rows import StoredRow

MOST = 5000  # reports; of more the oldest go, those first for which nobody vouches
LISTED = 1000
SWEPT = 100  # reports that one unit forgets

_COLUMNS = (
    "id, kind, organization, contact, identifier, domain, begun, ended, published, left_out, received, sender, verified,"
    " passed, failed"
)

_VERIFIED = _COLUMNS.split(", ").index("verified")


def add(tx: Transaction, id: str, report: ReceivedReport, sender: str, verified: bool, now: float) -> str:
    """See IReceivedReports."""
    named = (report.kind, sender, report.organization, report.domain, report.identifier)
    for other, known in tx.execute(
        "SELECT id, verified FROM received_report"
        " WHERE kind = ? AND sender = ? AND organization = ? AND domain = ? AND identifier = ?",
        named,
    ):
        if (
            known and not verified
        ):  # it may say that it is from anybody: it takes no place of what is known to be theirs
            return str(other)
        _forget(tx, other)
    [(count,)] = tx.execute("SELECT COUNT(*) FROM received_report")
    if count >= MOST:
        for (other,) in tx.execute(
            "SELECT id FROM received_report ORDER BY verified, received LIMIT ?", (count - MOST + 1,)
        ):
            _forget(tx, other)
    tx.execute(
        f"INSERT INTO received_report ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            id,
            report.kind,
            report.organization,
            report.contact,
            report.identifier,
            report.domain,
            report.begun,
            report.ended,
            report.published,
            report.left_out,
            now,
            sender,
            int(verified),
            sum(row.count for row in report.rows if row.passed),
            sum(row.count for row in report.rows if not row.passed),
        ),
    )
    tx.many(
        "INSERT INTO received_row (report, position, source, about, passed, result, messages, detail)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (id, position, row.source, row.about, int(row.passed), row.result, row.count, row.detail)
            for position, row in enumerate(report.rows)
        ],
    )
    return id


def _forget(tx: Transaction, id: str) -> None:
    tx.execute("DELETE FROM received_row WHERE report = ?", (id,))
    tx.execute("DELETE FROM received_report WHERE id = ?", (id,))


def reports(tx: Transaction, kind: str, domain: str, limit: int) -> list[KeptReport]:
    """See IReceivedReports."""
    which, parameters = ("AND domain = ?", (domain,)) if domain else ("", ())
    rows = tx.execute(
        f"SELECT {_COLUMNS} FROM received_report WHERE kind = ? {which} ORDER BY received DESC, id DESC LIMIT ?",
        (kind, *parameters, min(limit, LISTED)),
    )
    return [_kept(row) for row in rows]


def report(tx: Transaction, id: str) -> tuple[KeptReport, list[ReceivedRow]] | None:
    """See IReceivedReports."""
    found = tx.execute(f"SELECT {_COLUMNS} FROM received_report WHERE id = ?", (id,))
    if not found:
        return None
    rows = tx.execute(
        "SELECT source, about, passed, result, messages, detail FROM received_row WHERE report = ? ORDER BY position",
        (id,),
    )
    kept = [ReceivedRow(source, about, bool(passed), *others) for source, about, passed, *others in rows]
    return _kept(found[0]), kept


def _kept(row: StoredRow) -> KeptReport:
    values = list(row)
    values[_VERIFIED] = bool(values[_VERIFIED])
    return KeptReport(*values)


def sources(tx: Transaction, domain: str, failing: bool) -> list[ReportedSource]:
    """See IReceivedReports."""
    which, parameters = ("AND r.domain = ?", (domain,)) if domain else ("", ())
    rows = tx.execute(
        "SELECT r.domain, w.source, SUM(CASE WHEN w.passed = 1 THEN w.messages ELSE 0 END),"
        " SUM(CASE WHEN w.passed = 1 THEN 0 ELSE w.messages END) AS failed,"
        " COUNT(DISTINCT r.id), MAX(r.ended), MAX(r.id)"
        f" FROM received_report r JOIN received_row w ON w.report = r.id WHERE r.kind = ? {which}"
        " GROUP BY r.domain, w.source HAVING SUM(CASE WHEN w.passed = 1 THEN 0 ELSE w.messages END) >= ?"
        " ORDER BY failed DESC, r.domain, w.source LIMIT ?",
        (DMARC, *parameters, int(failing), LISTED),
    )
    return [
        ReportedSource(name, source, int(good), int(bad), many, last, id)
        for name, source, good, bad, many, last, id in rows
    ]


def sweep(tx: Transaction, before: float) -> int:
    """Forget some reports that came before; return how many."""
    old = tx.execute("SELECT id FROM received_report WHERE received < ? LIMIT ?", (before, SWEPT))
    for (id,) in old:
        _forget(tx, id)
    return len(old)
