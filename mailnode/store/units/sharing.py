"""Units on whose mailboxes somebody may find something in for them (RFC 4314). What it is stands with the mailboxes: a pair
too much costs a look, one that is missing hides what is shared."""

from __future__ import annotations

from mailnode.store.engines.engine import Transaction
from mailnode.store.units.directory_rows import Changed, next_version
from mailnode.values.directory import SHARED, Sharer

_SHARERS = (
    "SELECT DISTINCT a.id, a.address, a.role FROM sharing s JOIN account a ON a.id = s.owner"
    " WHERE s.reader IN (?, ?) AND a.id <> ? AND a.status <> 'deleting' ORDER BY a.address"
)


def sharers(tx: Transaction, reader: str, anyone: str) -> tuple[Sharer, ...]:
    """See IDirectory."""
    rows = tx.execute(_SHARERS, (reader, anyone, reader))
    return tuple(Sharer(owner, address, role == SHARED) for owner, address, role in rows)


def has_pair(tx: Transaction, owner: str, reader: str) -> bool:
    """Whether that is noted."""
    return bool(tx.execute("SELECT 1 FROM sharing WHERE reader = ? AND owner = ?", (reader, owner)))


def set_sharing(tx: Transaction, owner: str, reader: str, on: bool) -> Changed[None]:
    """See IDirectory."""
    version = next_version(tx)
    if on:
        tx.execute("INSERT INTO sharing (reader, owner) VALUES (?, ?) ON CONFLICT DO NOTHING", (reader, owner))
    else:
        tx.execute("DELETE FROM sharing WHERE reader = ? AND owner = ?", (reader, owner))
    return Changed(None, version)
