"""A message in the place of another, in one step (RFC 8508)."""

from __future__ import annotations

from mailnode.errors import NoSuchMessage
from mailnode.store.engines.engine import Transaction, growing, of_account
from mailnode.store.units import arrivals, messages
from mailnode.values.mailbox import Appended, NewMessage


@growing
@of_account
def replace(
    tx: Transaction,
    account_id: str,
    mailbox_id: int,
    uid: int,
    target: int,
    message: NewMessage,
    prepared: arrivals.Prepared,
    now: int,
) -> Appended:
    """Expunge a live message and place another; the quota is asked for what both come to (RFC 8508 3.4).

    :param target: the mailbox of the new one. :param now: UTC microseconds.
    :raises NoSuchMessage: it is not live. :raises NoSuchAccount, NoSuchMailbox, OverQuota, KeywordLimit:
    """
    expunged, _ = messages.expunge(tx, account_id, mailbox_id, (uid,), False, now)
    if not expunged:
        raise NoSuchMessage(str(uid))
    return arrivals.append(tx, account_id, target, [(message, prepared)], now)
