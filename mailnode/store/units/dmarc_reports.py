"""Units over what is to be reported of DMARC (RFC 9990)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from mailnode.store.engines.engine import Transaction
from mailnode.store.units.report_days import LISTED, Opening
from mailnode.values.dmarc import DmarcRecord, FoundRecord, Identifier
from mailnode.values.dmarc_report import CountedSeen, DmarcDay, DmarcSeen
from mailnode.values.rows import StoredRow

MOST_RESULTS = 1000  # kinds of results of one domain and day that are kept apart; of more only the number is

_COLUMNS = "source, author, reverse_path, disposition, dkim, spf, override, comment, identifiers"


def count(tx: Transaction, day: int, counted: Sequence[tuple[DmarcSeen, int]], due: Mapping[str, float]) -> None:
    """Add what was counted on a day. :param due: for each domain of it, when its report is to be sent."""
    by_domain: dict[str, list[tuple[DmarcSeen, int]]] = {}
    for one in counted:
        by_domain.setdefault(one[0].found.domain, []).append(one)
    opening = Opening(tx, "dmarc", day)
    for domain, some in by_domain.items():
        if opening.open(domain, due[domain]):
            _add(tx, day, domain, some)


def _add(tx: Transaction, day: int, domain: str, counted: Sequence[tuple[DmarcSeen, int]]) -> None:
    known = {
        row[0] for row in tx.execute("SELECT digest FROM dmarc_result WHERE day = ? AND domain = ?", (day, domain))
    }
    rows = []
    for seen, number in counted:
        values = _values(seen)
        digest = hashlib.blake2b("\0".join(map(str, values)).encode(), digest_size=16).hexdigest()
        if digest not in known and len(known) >= MOST_RESULTS:
            values, digest = ("", "", "", "", 0, 0, "", "", "[]"), ""
        known.add(digest)
        rows.append((day, domain, digest, *values, json.dumps(asdict(seen.found.record)), number))
    tx.many(
        f"INSERT INTO dmarc_result (day, domain, digest, {_COLUMNS}, record, messages)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (day, domain, digest) DO UPDATE SET"
        " messages = dmarc_result.messages + excluded.messages, record = excluded.record",
        rows,
    )


def _values(seen: DmarcSeen) -> tuple[str | int, ...]:
    identifiers = [[one.kind, one.domain, one.result, one.selector] for one in seen.identifiers]
    return (
        seen.source,
        seen.author,
        seen.reverse_path,
        seen.disposition,
        int(seen.dkim),
        int(seen.spf),
        seen.override,
        seen.comment,
        json.dumps(identifiers),
    )


def collected(tx: Transaction, domain: str) -> list[DmarcDay]:
    """See IDmarcResults."""
    which, parameters = ("WHERE r.domain = ?", (domain,)) if domain else ("", ())
    rows = tx.execute(
        "SELECT r.day, r.domain, r.due, r.tries,"
        " SUM(CASE WHEN t.dkim + t.spf > 0 THEN t.messages ELSE 0 END),"
        " SUM(CASE WHEN t.dkim + t.spf > 0 OR t.digest = '' THEN 0 ELSE t.messages END),"
        " SUM(CASE WHEN t.digest = '' THEN t.messages ELSE 0 END)"
        " FROM dmarc_report r JOIN dmarc_result t ON t.day = r.day AND t.domain = r.domain"
        f" {which} GROUP BY r.day, r.domain, r.due, r.tries ORDER BY r.day, r.domain LIMIT ?",
        (*parameters, LISTED),
    )
    return [DmarcDay(*row[:4], *map(int, row[4:])) for row in rows]


def results(tx: Transaction, day: int, domain: str) -> list[CountedSeen]:
    """See IDmarcResults. What was left out has no source."""
    rows = tx.execute(
        f"SELECT {_COLUMNS}, record, messages FROM dmarc_result WHERE day = ? AND domain = ? ORDER BY {_COLUMNS}",
        (day, domain),
    )
    return [_counted(domain, row) for row in rows]


def _counted(domain: str, row: StoredRow) -> CountedSeen:
    source, author, reverse_path, disposition, dkim, spf, override, comment, identifiers, record, messages = row
    known = json.loads(record)
    found = FoundRecord(domain, DmarcRecord(**known | {name: tuple(known[name]) for name in ("rua", "faults")}))
    named = tuple(Identifier(*one) for one in json.loads(identifiers))
    seen = DmarcSeen(found, source, author, reverse_path, disposition, bool(dkim), bool(spf), override, comment, named)
    return CountedSeen(seen, messages)
