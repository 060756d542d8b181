"""Units over how well connections to the servers of other domains were encrypted, and what was worse than before.

A server is held against what is remembered of itself; one that nothing is remembered of, against the best of its domain, once.
So a domain whose servers differ is told of no more than a forger who brings other servers needs, and no less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mailnode.store.engines.engine import Transaction
from mailnode.values.tls_report import AUTHENTIC, DAY, LEVELS, PLAIN, Downgrade, Remembered, TlsSession

REMEMBERED = 90 * DAY  # seconds
MOST = 100_000  # servers; those not seen for longest go first
MOST_SERVERS = 50  # of one domain
MOST_DOWNGRADES = 10_000  # domains; the oldest go first
LISTED = 1000
SWEPT = 500  # rows that one unit forgets

_DOWNGRADE = "domain, host, address, was, is_now, since, at, result, reason"


@dataclass(frozen=True, slots=True)
class Seen:
    """Connections to a server of a domain: how the worst of them fared, and the level of the best."""

    worst: TlsSession
    best: str


def remember(tx: Transaction, now: float, seen: Sequence[Seen]) -> list[Downgrade]:
    """Remember connections, and return what of them was worse than before, once a day for a domain."""
    found = []
    for one in seen:
        known = _known(tx, one.worst.domain, now)
        own = [server for server in known if server.host == one.worst.host]
        before = max(own or known, key=lambda server: LEVELS.index(server.level), default=None)
        if before is not None and LEVELS.index(one.worst.level) < LEVELS.index(before.level):
            downgrade = _downgrade(one.worst, before, now)
            if _note(tx, downgrade):
                found.append(downgrade)
        if own or len(known) < MOST_SERVERS:
            _put(tx, one, now)
    _bound(tx)
    return found


def _known(tx: Transaction, domain: str, now: float) -> list[Remembered]:
    """What is remembered of a domain and has not expired."""
    rows = tx.execute(
        "SELECT host, encrypted, verified FROM tls_memory WHERE domain = ? AND seen > ?", (domain, now - REMEMBERED)
    )
    return [
        Remembered(domain, name, _recent(encrypted, now), _recent(verified, now)) for name, encrypted, verified in rows
    ]


def _recent(moment: float, now: float) -> float:
    return moment if moment > now - REMEMBERED else 0.0


def _downgrade(worst: TlsSession, before: Remembered, now: float) -> Downgrade:
    since = before.verified if before.level == AUTHENTIC else before.encrypted
    return Downgrade(
        worst.domain,
        worst.host,
        worst.address,
        before.level,
        worst.level,
        since,
        now,
        worst.result,
        worst.reason,
    )


def _note(tx: Transaction, made: Downgrade) -> bool:
    """Keep a downgrade in the place of the last of its domain; False when that one is of the same day."""
    rows = tx.execute("SELECT at FROM tls_downgrade WHERE domain = ?", (made.domain,))
    if rows and int(rows[0][0] // DAY) == int(made.at // DAY):
        return False
    tx.execute("DELETE FROM tls_downgrade WHERE domain = ?", (made.domain,))
    tx.execute(
        f"INSERT INTO tls_downgrade ({_DOWNGRADE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            made.domain,
            made.host,
            made.address,
            made.was,
            made.now,
            made.since,
            made.at,
            made.result,
            made.reason,
        ),
    )
    return True


def _put(tx: Transaction, one: Seen, now: float) -> None:
    encrypted = now if one.best != PLAIN else 0.0
    verified = now if one.best == AUTHENTIC else 0.0
    tx.execute(
        "INSERT INTO tls_memory (domain, host, verified, encrypted, seen) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (domain, host) DO UPDATE SET seen = excluded.seen,"
        " verified = CASE WHEN excluded.verified > 0 THEN excluded.verified ELSE tls_memory.verified END,"
        " encrypted = CASE WHEN excluded.encrypted > 0 THEN excluded.encrypted ELSE tls_memory.encrypted END",
        (one.worst.domain, one.worst.host, verified, encrypted, now),
    )


def _bound(tx: Transaction) -> None:
    [(servers,)] = tx.execute("SELECT COUNT(*) FROM tls_memory")
    if servers > MOST:
        surplus = tx.execute("SELECT domain, host FROM tls_memory ORDER BY seen LIMIT ?", (servers - MOST,))
        tx.many("DELETE FROM tls_memory WHERE domain = ? AND host = ?", surplus)
    [(domains,)] = tx.execute("SELECT COUNT(*) FROM tls_downgrade")
    if domains > MOST_DOWNGRADES:
        surplus = tx.execute("SELECT domain FROM tls_downgrade ORDER BY at LIMIT ?", (domains - MOST_DOWNGRADES,))
        tx.many("DELETE FROM tls_downgrade WHERE domain = ?", surplus)


def remembered(tx: Transaction, domain: str) -> list[Remembered]:
    """See ITlsResults."""
    which, parameters = ("WHERE domain = ?", (domain,)) if domain else ("", ())
    rows = tx.execute(
        f"SELECT domain, host, encrypted, verified FROM tls_memory {which} ORDER BY domain, host LIMIT ?",
        (*parameters, LISTED),
    )
    return [Remembered(*row) for row in rows]


def downgrades(tx: Transaction) -> list[Downgrade]:
    """See ITlsResults."""
    rows = tx.execute(f"SELECT {_DOWNGRADE} FROM tls_downgrade ORDER BY at DESC, domain LIMIT ?", (LISTED,))
    return [Downgrade(*row) for row in rows]


def sweep(tx: Transaction, now: float) -> int:
    """Forget some of what was last seen, or told, too long ago; return how many."""
    before = now - REMEMBERED
    servers = tx.execute("SELECT domain, host FROM tls_memory WHERE seen <= ? LIMIT ?", (before, SWEPT))
    tx.many("DELETE FROM tls_memory WHERE domain = ? AND host = ?", servers)
    told = tx.execute("SELECT domain FROM tls_downgrade WHERE at <= ? LIMIT ?", (before, SWEPT))
    tx.many("DELETE FROM tls_downgrade WHERE domain = ?", told)
    return len(servers) + len(told)
