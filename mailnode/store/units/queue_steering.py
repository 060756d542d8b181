"""Units by which an operator steers recipients of one envelope: they are due at once, go another way, are given up.

What is in a runner's hands stays there: of a leased recipient only what follows the try is changed.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.store.engines.engine import Transaction
from mailnode.store.units.queue_rows import VISIBLE, remove
from mailnode.store.units.statements import listed
from mailnode.values.queue import (
    DROPPED,
    FAILED,
    GIVEN_UP_DESTINATION,
    LAST_TRY,
    LEASED,
    LOCAL_DESTINATION,
    WAITING,
    Steered,
    Steering,
)


def steer(
    tx: Transaction, shard: int, envelope_id: str, numbers: Sequence[int], how: Steering
) -> tuple[Steered, bool, bool]:
    """Steer those of some recipients, at most ``KEYS_AT_ONCE``, that are open; also return whether the envelope is gone
    with them, and whether rows are left for ``delete_some``."""
    found = tx.execute(
        f"UPDATE envelope SET held = held WHERE shard = ? AND id = ? AND {VISIBLE} RETURNING held", (shard, envelope_id)
    )
    if not found:
        return Steered(), False, False
    if how.given_up == DROPPED:
        return _drop(tx, shard, envelope_id, numbers, how)
    return _change(tx, *_among(shard, envelope_id, numbers), how, bool(found[0][0])), False, False


def _among(shard: int, envelope_id: str, numbers: Sequence[int]) -> tuple[str, tuple[object, ...]]:
    """Return what is to be said behind WHERE, and its values."""
    marks, values = listed(numbers)
    return f"shard = ? AND envelope_id = ? AND number IN {marks}", (shard, envelope_id, *values)


def _change(tx: Transaction, where: str, key: tuple[object, ...], how: Steering, held: bool) -> Steered:
    """Change recipients that wait, and what becomes of those that are being tried."""
    destination = GIVEN_UP_DESTINATION if how.given_up not in ("", LAST_TRY) else how.destination
    only = f" AND destination NOT IN ('{LOCAL_DESTINATION}', '{GIVEN_UP_DESTINATION}')" if how.destination else ""
    rows = tx.execute(
        "UPDATE recipient SET given_up = CASE WHEN ? = '' THEN given_up ELSE ? END,"
        " destination = CASE WHEN ? = '' THEN destination ELSE ? END,"
        f" next_try = CASE WHEN state = '{WAITING}' THEN ? ELSE next_try END,"
        f" due_at = CASE WHEN state = '{WAITING}' THEN ? ELSE due_at END"
        f" WHERE {where} AND state IN ('{WAITING}', '{LEASED}'){only} RETURNING state",
        (how.given_up, how.given_up, destination, destination, how.now, None if held else how.now, *key),
    )
    return Steered(len(rows), sum(state == LEASED for (state,) in rows), len(rows) if held else 0)


def _drop(
    tx: Transaction, shard: int, envelope_id: str, numbers: Sequence[int], how: Steering
) -> tuple[Steered, bool, bool]:
    """End those that wait, at once, held or not; those that are being tried end with the try."""
    where, key = _among(shard, envelope_id, numbers)
    dropped = tx.execute(
        f"UPDATE recipient SET state = '{FAILED}', due_at = NULL, given_up = '{DROPPED}'"
        f" WHERE {where} AND state = '{WAITING}' RETURNING number",
        key,
    )
    leased = _change(tx, f"{where} AND state = '{LEASED}'", key, how, held=False)
    steered = Steered(len(dropped)) + leased
    ((remaining,),) = tx.execute(
        "UPDATE envelope SET remaining = remaining - ? WHERE shard = ? AND id = ? RETURNING remaining",
        (len(dropped), shard, envelope_id),
    )
    if remaining:
        return steered, False, False
    return steered, True, remove(tx, shard, envelope_id)
