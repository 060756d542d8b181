"""Units of MTA-STS policies of other domains."""

from __future__ import annotations

from mailnode.store.engines.engine import Transaction
from mailnode.values.sts_policy import KeptStsPolicy, StsPolicy

MOST = 100_000  # policies; those that expire first go first
AT_ONCE = 500  # rows that one unit removes


def get(tx: Transaction, domain: str) -> KeptStsPolicy | None:
    """Return what was put for a domain, though it may have expired."""
    rows = tx.execute("SELECT mode, mx, max_age, id, fetched FROM sts_policy WHERE domain = ?", (domain,))
    if not rows:
        return None
    mode, mx, max_age, identity, fetched = rows[0]
    return KeptStsPolicy(StsPolicy(mode, tuple(mx.split()), max_age), identity, fetched)


def put(tx: Transaction, domain: str, kept: KeptStsPolicy) -> None:
    """Keep a policy in the place of any other of the domain, and remove some of those that have expired."""
    policy = kept.policy
    tx.execute("DELETE FROM sts_policy WHERE domain = ?", (domain,))
    tx.execute(
        "DELETE FROM sts_policy WHERE domain IN"
        " (SELECT domain FROM sts_policy WHERE expires <= ? ORDER BY expires LIMIT ?)",
        (kept.fetched, AT_ONCE),
    )
    ((count,),) = tx.execute("SELECT COUNT(*) FROM sts_policy")
    if count >= MOST:
        tx.execute(
            "DELETE FROM sts_policy WHERE domain IN (SELECT domain FROM sts_policy ORDER BY expires LIMIT ?)",
            (count - MOST + 1,),
        )
    tx.execute(
        "INSERT INTO sts_policy (domain, id, mode, mx, max_age, fetched, expires) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (domain, kept.id, policy.mode, " ".join(policy.mx), policy.max_age, kept.fetched, kept.expires),
    )
