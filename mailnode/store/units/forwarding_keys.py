"""Units on the keys of addresses that stand for senders of forwarded mail."""

from __future__ import annotations

from mailnode.store.engines.engine import Transaction
from mailnode.store.units.directory_rows import Changed, next_version
from mailnode.values.directory import ForwardingKey


def forwarding_keys(tx: Transaction) -> tuple[ForwardingKey, ...]:
    """See IDirectory."""
    rows = tx.execute("SELECT created, secret FROM forwarding_key ORDER BY created DESC")
    return tuple(ForwardingKey(created, secret) for created, secret in rows)


def add_forwarding_key(
    tx: Transaction, key: ForwardingKey, unless_within: float, keep: int
) -> Changed[tuple[ForwardingKey, ...]]:
    """See IDirectory."""
    version = next_version(tx)
    known = forwarding_keys(tx)
    if not known or key.created - known[0].created >= unless_within:
        tx.execute("INSERT INTO forwarding_key (created, secret) VALUES (?, ?)", (key.created, key.secret))
        tx.many("DELETE FROM forwarding_key WHERE created = ?", [(old.created,) for old in known[keep - 1 :]])
    return Changed(forwarding_keys(tx), version)
