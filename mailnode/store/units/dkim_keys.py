"""Units on the keys that sign the mail of domains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mailnode.errors import AlreadyExists, NoSuchDomain
from mailnode.store.engines.engine import Transaction
from mailnode.store.units.directory_rows import Changed, next_version
from mailnode.store.units.resolution import find_domain
from mailnode.values.dkim import DkimKey


def dkim_keys(tx: Transaction, domain: str) -> tuple[DkimKey, ...]:
    """See IDirectory."""
    rows = tx.execute(
        "SELECT domain, selector, algorithm, state, created, public_key, private_key, changed, ready_at FROM dkim_key"
        " WHERE domain = ? ORDER BY created, algorithm DESC, selector",
        (domain,),
    )
    return tuple(DkimKey(*row) for row in rows)


def add_dkim_keys(tx: Transaction, domain: str, keys: Sequence[DkimKey]) -> Changed[None]:
    """See IDirectory."""
    version = next_version(tx)
    if find_domain(tx, domain) is None:
        raise NoSuchDomain(domain)
    known = {selector for (selector,) in tx.execute("SELECT selector FROM dkim_key WHERE domain = ?", (domain,))}
    if taken := known & {key.selector for key in keys}:
        raise AlreadyExists(", ".join(sorted(taken)))
    tx.many(
        "INSERT INTO dkim_key (domain, selector, algorithm, state, created, public_key, private_key, changed)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [(domain, k.selector, k.algorithm, k.state, k.created, k.public, k.private, k.changed) for k in keys],
    )
    return Changed(None, version)


def set_dkim_states(tx: Transaction, domain: str, states: Mapping[str, str], now: float) -> Changed[None]:
    """See IDirectory."""
    version = next_version(tx)
    tx.many(
        "UPDATE dkim_key SET state = ?, changed = ?, ready_at = 0 WHERE domain = ? AND selector = ?",
        [(state, now, domain, selector) for selector, state in states.items()],
    )
    return Changed(None, version)


def set_dkim_ready(tx: Transaction, domain: str, ready_at: Mapping[str, float]) -> Changed[None]:
    """See IDirectory."""
    version = next_version(tx)
    tx.many(
        "UPDATE dkim_key SET ready_at = ? WHERE domain = ? AND selector = ?",
        [(seconds, domain, selector) for selector, seconds in ready_at.items()],
    )
    return Changed(None, version)


def remove_dkim_key(tx: Transaction, domain: str, selector: str) -> Changed[None]:
    """See IDirectory."""
    version = next_version(tx)
    tx.execute("DELETE FROM dkim_key WHERE domain = ? AND selector = ?", (domain, selector))
    return Changed(None, version)
