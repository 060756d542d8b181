"""What others than who moves messages have seen of them, and see where they come to."""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.store.engines.engine import Transaction
from mailnode.store.units.statements import insert_rows, listed, pieces

MOST_CARRIED = 20_000  # of one unit: a message and who has seen it; of more, who is there seems not to have seen them


def carry_seen(
    tx: Transaction,
    account_id: str,
    mailbox_id: int,
    uids: Sequence[int],
    target: int,
    first: int,
    modseq: int,
    mover: str = "",
) -> None:
    """Let who has seen messages have seen them where they have come to, under UIDs from ``first`` on, in the same order.

    :param mover: a reader who is left out.
    """
    places = {uid: first + number for number, uid in enumerate(uids)}
    left = MOST_CARRIED
    for some in pieces(uids):
        marks, values = listed(some)
        seen = tx.execute(
            "SELECT uid, reader FROM own_flag WHERE account_id = ? AND mailbox_id = ? AND seen = 1 AND reader <> ?"
            f" AND uid IN {marks} ORDER BY uid, reader LIMIT ?",
            (account_id, mailbox_id, mover, *values, left),
        )
        insert_rows(
            tx,
            "own_flag (account_id, mailbox_id, uid, reader, seen, modseq)",
            [(account_id, target, places[uid], reader, 1, modseq) for uid, reader in seen],
        )
        left -= len(seen)
        if not left:
            return
