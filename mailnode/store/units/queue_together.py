"""Units that add several envelopes at once, all or none, with what is remembered: a message, and what scripts make of it."""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.store.engines.engine import Transaction, growing
from mailnode.store.units.queue_rows import GONE, STAGED, UNIT_ROWS, add_together, publish
from mailnode.store.units.statements import insert_rows
from mailnode.values.queue import EnqueuedTogether
from mailnode.values.remembered import ScriptMemory

_INTO = "remembered (shard, account_id, kind, key, until)"
_ON_CONFLICT = " ON CONFLICT (shard, account_id, kind, key) DO UPDATE SET until = excluded.until"


_Guarded = tuple[str, ScriptMemory | None]  # the id of an envelope, and what it is sent for at most once


@growing
def add(tx: Transaction, shard: int, together: EnqueuedTogether) -> frozenset[str]:
    """Add envelopes, open at once; of at most ``UNIT_ROWS`` rows together. Return the ids of those left out: what they are sent
    for at most once is remembered."""
    guarded = [(one.submission.envelope.id, one.once) for one in together.envelopes]
    left = _left_out(tx, shard, guarded, together.now)
    add_together(tx, [(shard, one.submission) for one in together.envelopes if one.submission.envelope.id not in left])
    _remember(tx, shard, together.remembered)
    return left


@growing
def publish_together(
    tx: Transaction, shard: int, staged: Sequence[_Guarded], remembered: Sequence[ScriptMemory], now: float
) -> frozenset[str]:
    """Make staged envelopes exist, all at once, but for those left out, which are gone. :param now: UTC seconds."""
    left = _left_out(tx, shard, staged, now)
    for envelope_id, _ in staged:
        if envelope_id not in left:
            publish(tx, shard, envelope_id)
            continue
        tx.execute(
            f"UPDATE envelope SET phase = '{GONE}' WHERE shard = ? AND id = ? AND phase = '{STAGED}'",
            (shard, envelope_id),
        )
    _remember(tx, shard, remembered)
    return left


def _left_out(tx: Transaction, shard: int, guarded: Sequence[_Guarded], now: float) -> frozenset[str]:
    """Remember what envelopes are sent for at most once; return the ids of those for which it is remembered already."""
    are_known: dict[ScriptMemory, bool] = {}
    for once in dict.fromkeys([once for _, once in guarded if once is not None]):
        are_known[once] = not tx.execute(
            f"INSERT INTO {_INTO} VALUES (?, ?, ?, ?, ?){_ON_CONFLICT} WHERE remembered.until <= ? RETURNING until",
            (shard, *once, now),
        )
    return frozenset([envelope_id for envelope_id, once in guarded if once is not None and are_known[once]])


def _remember(tx: Transaction, shard: int, remembered: Sequence[ScriptMemory]) -> None:
    latest = {(one.account_id, one.kind, one.key): one for one in remembered}  # one row is not to be written to twice
    insert_rows(tx, _INTO, [(shard, *one) for one in latest.values()], _ON_CONFLICT)


def is_remembered(tx: Transaction, shard: int, account_id: str, kind: str, key: str, now: float) -> bool:
    """Whether something is, and still holds."""
    return bool(
        tx.execute(
            "SELECT 1 FROM remembered WHERE shard = ? AND account_id = ? AND kind = ? AND key = ? AND until > ?",
            (shard, account_id, kind, key, now),
        )
    )


def forget_some(tx: Transaction, shard: int, now: float) -> int:
    """Forget up to ``UNIT_ROWS`` of what holds no more; return how many."""
    return len(
        tx.execute(
            "DELETE FROM remembered WHERE shard = ? AND (account_id, kind, key) IN (SELECT account_id, kind, key FROM remembered"
            " WHERE shard = ? AND until <= ? ORDER BY until LIMIT ?) RETURNING until",
            (shard, shard, now, UNIT_ROWS),
        )
    )
