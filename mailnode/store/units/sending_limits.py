"""Units about what an operator said of one account's sending."""

from __future__ import annotations

from mailnode.store.engines.engine import Transaction
from mailnode.store.units.directory_rows import Changed, account, next_version
from mailnode.values.sending import OwnLimits


def sending_limits(tx: Transaction, account_id: str) -> OwnLimits:
    """See IDirectory."""
    rows = tx.execute("SELECT recipients, messages, strangers FROM sending_limit WHERE account_id = ?", (account_id,))
    return OwnLimits(*rows[0]) if rows else OwnLimits()


def set_sending_limits(tx: Transaction, account_id: str, limits: OwnLimits) -> Changed[None]:
    """See IDirectory."""
    version = next_version(tx)
    account(tx, account_id)
    tx.execute("DELETE FROM sending_limit WHERE account_id = ?", (account_id,))
    if limits != OwnLimits():
        tx.execute(
            "INSERT INTO sending_limit (account_id, recipients, messages, strangers) VALUES (?, ?, ?, ?)",
            (account_id, limits.recipients, limits.messages, limits.strangers),
        )
    return Changed(None, version)
