"""Units over what is due and leased: the runner's side of the queue's rows. docs/queue.rst tells the transitions."""

from __future__ import annotations

from typing import Any

from mailnode.errors import DomainError
from mailnode.store.engine import Transaction
from mailnode.store.facts_rows import decode_facts
from mailnode.store.queue_rows import RECIPIENT, UNIT_ROWS, VISIBLE, add, envelopes_where, remove, with_recipients
from mailnode.values.facts import EncodedFacts
from mailnode.values.queue import LEASED, LOCAL_DESTINATION, WAITING, Claim, DueDestination, Outcome, Settlement

DUE_SAMPLE = 2_000  # due recipients looked at before destinations are looked at one by one
COUNT_LIMIT = 1_000  # recipients of one destination counted at most


class LeaseLost(DomainError):
    """A settlement under a token that no longer holds its recipients: undone as a whole."""


# what is due


def due(tx: Transaction, shard: int, now: float, limit: int) -> list[DueDestination]:
    """See IQueueStore. Counts stop at ``COUNT_LIMIT``."""
    sample = tx.execute(
        "SELECT destination, due_at FROM recipient WHERE shard = ? AND due_at <= ? ORDER BY due_at LIMIT ?",
        (shard, now, DUE_SAMPLE),
    )
    if len(sample) == DUE_SAMPLE:
        return _due_one_by_one(tx, shard, now, limit)
    found: dict[str, list[float]] = {}
    for destination, due_at in sample:
        found.setdefault(destination, []).append(due_at)
    return [DueDestination(name, min(len(times), COUNT_LIMIT), times[0]) for name, times in found.items()][:limit]


def _due_one_by_one(tx: Transaction, shard: int, now: float, limit: int) -> list[DueDestination]:
    """With very many due, one destination may hide the others: go from destination to destination by the index."""
    rows = tx.execute(
        "WITH RECURSIVE name (destination) AS ("
        " SELECT MIN(destination) FROM recipient WHERE shard = ? AND due_at IS NOT NULL"
        " UNION ALL"
        " SELECT (SELECT MIN(r.destination) FROM recipient r"
        " WHERE r.shard = ? AND r.due_at IS NOT NULL AND r.destination > name.destination)"
        " FROM name WHERE name.destination IS NOT NULL)"
        " SELECT destination, oldest FROM (SELECT name.destination, (SELECT MIN(r.due_at) FROM recipient r"
        " WHERE r.shard = ? AND r.destination = name.destination AND r.due_at IS NOT NULL) AS oldest"
        " FROM name WHERE name.destination IS NOT NULL) AS first WHERE oldest <= ? ORDER BY oldest LIMIT ?",
        (shard, shard, shard, now, limit),
    )
    return [DueDestination(name, _count_due(tx, shard, name, now), oldest) for name, oldest in rows]


def _count_due(tx: Transaction, shard: int, destination: str, now: float) -> int:
    rows = tx.execute(
        "SELECT COUNT(*) FROM (SELECT 1 FROM recipient"
        " WHERE shard = ? AND destination = ? AND due_at <= ? LIMIT ?) AS few",
        (shard, destination, now, COUNT_LIMIT),
    )
    return int(rows[0][0])


def next_due(tx: Transaction, shard: int, now: float) -> float | None:
    """See IQueueStore. A lease that runs out counts."""
    rows = tx.execute("SELECT MIN(due_at) FROM recipient WHERE shard = ? AND due_at > ?", (shard, now))
    return rows[0][0]  # type: ignore[no-any-return]


# leases


def claim(
    tx: Transaction, shard: int, destination: str, now: float, lease_until: float, limit: int, token: str
) -> Claim | None:
    """See IQueueStore."""
    # CROSS JOIN: the order is ours. A recipient of a held envelope has no due_at except while it is being spread.
    first = tx.execute(
        "SELECT r.envelope_id FROM recipient r CROSS JOIN envelope e"
        f" WHERE r.shard = ? AND r.destination = ? AND r.due_at <= ? AND e.shard = r.shard AND e.id = r.envelope_id"
        f" AND e.held = 0 AND e.{VISIBLE} ORDER BY r.due_at, r.envelope_id LIMIT 1",
        (shard, destination, now),
    )
    if not first:
        return None
    envelope_id = first[0][0]
    tx.execute("UPDATE envelope SET held = held WHERE shard = ? AND id = ?", (shard, envelope_id))
    rows = tx.execute(
        f"UPDATE recipient SET state = '{LEASED}', token = ?, lease_until = ?, due_at = ?"
        " WHERE shard = ? AND envelope_id = ? AND number IN (SELECT number FROM recipient"
        " WHERE shard = ? AND envelope_id = ? AND destination = ? AND due_at <= ? ORDER BY due_at, number LIMIT ?)"
        f" RETURNING {RECIPIENT}",
        (
            token,
            lease_until,
            lease_until,
            shard,
            envelope_id,
            shard,
            envelope_id,
            destination,
            now,
            min(limit, UNIT_ROWS),
        ),
    )
    rows.sort()
    facts = _facts(tx, shard, envelope_id) if destination == LOCAL_DESTINATION else None
    envelope = envelopes_where(tx, "e.shard = ? AND e.id = ?", (shard, envelope_id))[0]
    return Claim(token, lease_until, with_recipients(envelope, rows), facts)


def _facts(tx: Transaction, shard: int, envelope_id: str) -> EncodedFacts | None:
    rows = tx.execute("SELECT data FROM facts WHERE shard = ? AND envelope_id = ?", (shard, envelope_id))
    return decode_facts(rows[0][0]) if rows else None


def renew(tx: Transaction, shard: int, token: str, lease_until: float) -> bool:
    """See IQueueStore."""
    rows = tx.execute(
        "UPDATE recipient SET lease_until = ?, due_at = CASE WHEN due_at IS NULL THEN due_at ELSE ? END"
        " WHERE shard = ? AND (envelope_id, number) IN"
        f" (SELECT envelope_id, number FROM recipient WHERE shard = ? AND token = ? AND state = '{LEASED}')"
        " RETURNING number",
        (lease_until, lease_until, shard, shard, token),
    )
    return bool(rows)


def settle(tx: Transaction, shard: int, settlement: Settlement) -> dict[str, bool]:
    """Apply a settlement; return the envelopes that are done, and whether rows are left for :func:`delete_some`.

    :raises LeaseLost: nothing was done.
    """
    outcomes: dict[str, list[Outcome]] = {}
    for outcome in settlement.outcomes:
        outcomes.setdefault(outcome.envelope_id, []).append(outcome)
    done = {}
    for envelope_id in sorted(outcomes):
        if not _settle_envelope(tx, shard, settlement.token, envelope_id, outcomes[envelope_id]):
            done[envelope_id] = remove(tx, shard, envelope_id)
    for bounce in settlement.bounces:
        add(tx, shard, bounce)
    return done


def _settle_envelope(tx: Transaction, shard: int, token: str, envelope_id: str, outcomes: list[Outcome]) -> int:
    """Return how many recipients are still waiting or leased."""
    ended = sum(outcome.state != WAITING for outcome in outcomes)
    rows = tx.execute(
        f"UPDATE envelope SET remaining = remaining - ? WHERE shard = ? AND id = ? AND {VISIBLE}"
        " RETURNING remaining, held",
        (ended, shard, envelope_id),
    )
    if not rows:
        raise LeaseLost("the envelope is gone")
    remaining, held = rows[0]
    for outcome in outcomes:
        _settle_recipient(tx, shard, token, outcome, bool(held))
    return int(remaining)


def _settle_recipient(tx: Transaction, shard: int, token: str, outcome: Outcome, held: bool) -> None:
    changes = ["state = ?", "token = ''", "due_at = ?", "attempts = attempts + ?"]
    waits = outcome.state == WAITING
    values: list[Any] = [
        outcome.state,
        outcome.next_try if waits and not held else None,
        int(outcome.counts_as_attempt),
    ]
    if waits:
        changes.append("next_try = ?")
        values.append(outcome.next_try)
    if outcome.status or outcome.reply:
        changes.append("last_status = ?, last_reply = ?, last_host = ?")
        values += [outcome.status, outcome.reply, outcome.host]
    if outcome.delay_told:
        changes.append("delay_told = 1")
    changed = tx.execute(
        f"UPDATE recipient SET {', '.join(changes)} WHERE shard = ? AND envelope_id = ? AND number = ?"
        f" AND token = ? AND state = '{LEASED}' RETURNING number",
        (*values, shard, outcome.envelope_id, outcome.index, token),
    )
    if not changed:
        raise LeaseLost("another runner has it, or it is settled")
