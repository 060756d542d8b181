"""Units over what is due and leased: the runner's side of the queue's rows. docs/queue.rst tells the transitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mailnode.errors import DomainError
from mailnode.store.engines.engine import Transaction, patient, run_together
from mailnode.store.units import queue_history, queue_past
from mailnode.store.units.queue_rows import (
    GONE,
    RECIPIENT,
    UNIT_ROWS,
    VISIBLE,
    add_together,
    envelopes_with_content,
    remove_together,
    with_recipients,
)
from mailnode.store.units.statements import KEYS_AT_ONCE, listed, pieces
from mailnode.store.units.stored_facts import decode_facts
from mailnode.values.facts import EncodedFacts
from mailnode.values.queue import LEASED, LOCAL_DESTINATION, WAITING, Claim, DueDestination, Outcome, Settlement
from mailnode.values.rows import StoredRow

DUE_SAMPLE = 2_000  # due recipients looked at before destinations are looked at one by one
PRIORITY_SAMPLE = 200  # due recipients of one destination among which priorities count


class LeaseLost(DomainError):
    """A settlement under a token that no longer holds its recipients: undone as a whole."""


# what is due


def due(tx: Transaction, shard: int, now: float, limit: int) -> list[DueDestination]:
    """See IQueueStore."""
    sample = tx.execute(
        "SELECT destination, due_at FROM recipient WHERE shard = ? AND due_at <= ? ORDER BY due_at LIMIT ?",
        (shard, now, DUE_SAMPLE),
    )
    if len(sample) == DUE_SAMPLE:
        return _due_one_by_one(tx, shard, now, limit)
    oldest: dict[str, float] = {}
    for destination, due_at in sample:
        oldest.setdefault(destination, due_at)
    return [DueDestination(*one) for one in oldest.items()][:limit]


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
    return [DueDestination(*row) for row in rows]


def next_due(tx: Transaction, shard: int, now: float) -> float | None:
    """See IQueueStore. A lease that runs out counts."""
    rows = tx.execute("SELECT MIN(due_at) FROM recipient WHERE shard = ? AND due_at > ?", (shard, now))
    return rows[0][0]  # type: ignore[no-any-return]


# leases


@patient
def claim(
    tx: Transaction,
    shard: int,
    destination: str,
    now: float,
    lease_until: float,
    limit: int,
    count: int,
    token: str,
    waits: Sequence[float] = (),
    newest: bool = False,
) -> list[Claim]:
    """See IQueueStore. The token of each claim begins with ``token``."""
    ids = _first(tx, shard, destination, now, min(count, KEYS_AT_ONCE), newest)
    if not ids:
        return []
    limit = min(limit, UNIT_ROWS)
    if len(ids) > 1 and not _fit(tx, shard, destination, now, ids, limit):
        ids = ids[:1]
    return _lease(tx, shard, destination, now, lease_until, limit, ids, token, waits)


def due_envelopes(tx: Transaction, shard: int, destination: str, now: float, limit: int) -> list[str]:
    """Return the envelopes of the ``limit`` recipients that are due longest, as an index has them: no other page is read."""
    rows = tx.execute(
        "SELECT envelope_id FROM recipient WHERE shard = ? AND destination = ? AND due_at <= ?"
        " ORDER BY due_at, envelope_id LIMIT ?",
        (shard, destination, now, limit),
    )
    return list(dict.fromkeys(str(envelope_id) for (envelope_id,) in rows))


@patient
def claim_one(
    tx: Transaction,
    shard: int,
    destination: str,
    now: float,
    lease_until: float,
    limit: int,
    envelope_id: str,
    token: str,
    waits: Sequence[float],
) -> list[Claim]:
    """Do what :func:`claim` does for one envelope, whose content is not read: the page it stands on may be damaged."""
    there = tx.execute(
        f"SELECT 1 FROM envelope WHERE shard = ? AND id = ? AND held = 0 AND {VISIBLE}", (shard, envelope_id)
    )
    if not there:
        return []
    limit = min(limit, UNIT_ROWS)
    return _lease(tx, shard, destination, now, lease_until, limit, [envelope_id], token, waits, with_content=False)


def _lease(
    tx: Transaction,
    shard: int,
    destination: str,
    now: float,
    lease_until: float,
    limit: int,
    ids: Sequence[str],
    token: str,
    waits: Sequence[float],
    *,
    with_content: bool = True,
) -> list[Claim]:
    marks, values = listed(ids)
    tx.execute(f"UPDATE envelope SET held = held WHERE shard = ? AND id IN {marks}", (shard, *values))
    if len(ids) > 1:
        which = f"envelope_id IN {marks} AND destination = ? AND due_at <= ?"
        choice: StoredRow = (*values, destination, now)
    else:
        which = (
            "envelope_id = ? AND number IN (SELECT number FROM recipient WHERE shard = ? AND envelope_id = ?"
            " AND destination = ? AND due_at <= ? ORDER BY due_at, number LIMIT ?)"
        )
        choice = (ids[0], shard, ids[0], destination, now, limit)
    rows = tx.execute(
        f"UPDATE recipient SET state = '{LEASED}', token = ? || envelope_id, lease_until = ?, due_at = ?, began = ?,"
        f" unsettled = unsettled + 1 WHERE shard = ? AND {which} RETURNING envelope_id, {RECIPIENT}",
        (token, lease_until, lease_until, now, shard, *choice),
    )
    if waits:
        _put_off(tx, shard, {(token + row[0], row[-1]) for row in rows if row[-1] > 1}, now, lease_until, waits)
    recipients: dict[str, list[StoredRow]] = {}
    for envelope_id, *row in sorted(rows):
        recipients.setdefault(envelope_id, []).append(tuple(row))
    facts = _facts(tx, shard, ids) if destination == LOCAL_DESTINATION else {}
    envelopes = envelopes_with_content(tx, shard, ids, with_content)
    claims = []
    for envelope_id in [one for one in ids if one in recipients]:
        envelope, stored = envelopes[envelope_id]
        whole = with_recipients(tx, shard, envelope, recipients[envelope_id])
        claims.append(Claim(token + envelope_id, lease_until, whole, facts.get(envelope_id), stored))
    return claims


def claim_newest(
    tx: Transaction,
    shard: int,
    destination: str,
    now: float,
    lease_until: float,
    limit: int,
    count: int,
    token: str,
    waits: Sequence[float],
) -> list[Claim]:
    """Do what :func:`claim` does for the newest, which does not wait for what is older."""
    return claim(tx, shard, destination, now, lease_until, limit, count, token, waits, newest=True)


def _put_off(
    tx: Transaction, shard: int, again: set[tuple[str, int]], now: float, lease_until: float, waits: Sequence[float]
) -> None:
    """See that what was tried before without an end is not tried at once again, should this try have none either.

    :param again: token and number of such tries, this one included.
    """
    for token, unsettled in sorted(again):
        next_try = now + waits[min(unsettled - 1, len(waits)) - 1]
        tx.execute(
            "UPDATE recipient SET next_try = ?, due_at = ?"
            f" WHERE shard = ? AND token = ? AND state = '{LEASED}' AND unsettled = ?",
            (next_try, max(next_try, lease_until), shard, token, unsettled),
        )


def _first(tx: Transaction, shard: int, destination: str, now: float, count: int, newest: bool) -> list[str]:
    """Return the envelopes whose turn it is: by priority, of the same priority those that are due longest; or the newest.

    With priorities at all no more than two samples of those due longest are looked at, one of the raised alone: a low
    priority gives way to what stands in the sample with it, and comes into it at last.
    """
    differ = tx.execute(
        "SELECT 1 FROM recipient WHERE shard = ? AND destination = ? AND precedence IN (-1, 1) AND due_at <= ? LIMIT 1",
        (shard, destination, now),
    )
    if not differ:
        end = _end(tx, shard, destination, now, count, newest=newest)
        return list(dict.fromkeys(envelope_id for _, _, envelope_id in end))
    found = _end(tx, shard, destination, now, PRIORITY_SAMPLE)
    found += _end(tx, shard, destination, now, PRIORITY_SAMPLE, " AND r.precedence = 1")
    return list(dict.fromkeys(envelope_id for _, _, envelope_id in sorted(found)))[:count]


def _end(
    tx: Transaction, shard: int, destination: str, now: float, limit: int, which: str = "", *, newest: bool = False
) -> list[tuple[int, float, str]]:
    """Return (negative priority, due_at, envelope) of recipients due longest, or for the shortest time."""
    order = "r.due_at DESC, r.envelope_id DESC" if newest else "r.due_at, r.envelope_id"
    # CROSS JOIN: the order is ours. A recipient of a held envelope has no due_at except while it is being spread.
    return [
        (-priority, due_at, str(envelope_id))
        for priority, due_at, envelope_id in tx.execute(
            "SELECT e.priority, r.due_at, r.envelope_id FROM recipient r CROSS JOIN envelope e"
            f" WHERE r.shard = ? AND r.destination = ? AND r.due_at <= ?{which} AND e.shard = r.shard"
            f" AND e.id = r.envelope_id AND e.held = 0 AND e.{VISIBLE} ORDER BY {order} LIMIT ?",
            (shard, destination, now, limit),
        )
    ]


def _fit(tx: Transaction, shard: int, destination: str, now: float, ids: Sequence[str], limit: int) -> bool:
    """Whether the due recipients of several envelopes are few enough for one claim of all."""
    marks, values = listed(ids)
    rows = tx.execute(
        f"SELECT COUNT(*) FROM (SELECT 1 FROM recipient WHERE shard = ? AND envelope_id IN {marks}"
        " AND destination = ? AND due_at <= ? LIMIT ?) AS few",
        (shard, *values, destination, now, limit + 1),
    )
    return int(rows[0][0]) <= limit


def _facts(tx: Transaction, shard: int, ids: Sequence[str]) -> dict[str, EncodedFacts]:
    marks, values = listed(ids)
    rows = tx.execute(
        f"SELECT envelope_id, data FROM facts WHERE shard = ? AND envelope_id IN {marks}", (shard, *values)
    )
    return {envelope_id: decode_facts(data) for envelope_id, data in rows}


def renew(tx: Transaction, shard: int, token: str, lease_until: float) -> bool:
    """See IQueueStore."""
    rows = tx.execute(
        "UPDATE recipient SET lease_until = ?, due_at = CASE WHEN due_at < ? THEN ? ELSE due_at END"
        " WHERE shard = ? AND (envelope_id, number) IN"
        f" (SELECT envelope_id, number FROM recipient WHERE shard = ? AND token = ? AND state = '{LEASED}')"
        " RETURNING number",
        (lease_until, lease_until, lease_until, shard, shard, token),
    )
    return bool(rows)


@patient
def end_some(tx: Transaction, shard: int, limit: int) -> int:
    """End up to ``limit`` leases: whoever held them is dead. Their recipients are due as before they were claimed."""
    rows = tx.execute(
        f"UPDATE recipient SET state = '{WAITING}', token = '',"
        " due_at = CASE WHEN due_at IS NULL THEN due_at ELSE next_try END"
        " WHERE shard = ? AND (envelope_id, number) IN"
        f" (SELECT envelope_id, number FROM recipient WHERE shard = ? AND state = '{LEASED}' LIMIT ?)"
        " RETURNING number",
        (shard, shard, limit),
    )
    return len(rows)


@patient
def settle(tx: Transaction, shard: int, settlement: Settlement) -> dict[str, bool]:
    """Apply a settlement; return the envelopes that are done, and whether rows are left for :func:`delete_some`.

    :raises LeaseLost: nothing was done.
    """
    return settle_together(tx, [(shard, settlement)])[0]


@patient
def settle_in_place(tx: Transaction, shard: int, settlement: Settlement) -> dict[str, bool]:
    """Do what :func:`settle` does and delete no row, for which the pages beside it may be needed, and be damaged."""
    return settle_together(tx, [(shard, settlement)], in_place=True)[0]


def settle_together(
    tx: Transaction, calls: Sequence[tuple[int, Settlement]], *, in_place: bool = False
) -> list[dict[str, bool]]:
    """Do what :func:`settle` does for each of several, in fewer statements; all or none. :raises LeaseLost: of one."""
    results: list[dict[str, bool]] = [{} for _ in calls]
    outcomes: dict[int, dict[str, list[tuple[str, Outcome]]]] = {}  # by shard and envelope, with their tokens
    owners: dict[tuple[int, str], int] = {}  # the last call that settles something of an envelope tells of its end
    for number, (shard, settlement) in enumerate(calls):
        for outcome in settlement.outcomes:
            found = outcomes.setdefault(shard, {}).setdefault(outcome.envelope_id, [])
            found.append((settlement.token, outcome))
            owners[shard, outcome.envelope_id] = number
    for shard, by_envelope in sorted(outcomes.items()):
        for ids in pieces(sorted(by_envelope)):
            some = {one: by_envelope[one] for one in ids}
            for envelope_id, more in _settle_envelopes(tx, shard, some, in_place).items():
                results[owners[shard, envelope_id]][envelope_id] = more
    bounces = [(shard, bounce) for shard, settlement in calls for bounce in settlement.bounces]
    if bounces:
        add_together(tx, bounces)
    return results


run_together(settle, settle_together)


def _settle_envelopes(
    tx: Transaction, shard: int, outcomes: Mapping[str, Sequence[tuple[str, Outcome]]], in_place: bool
) -> dict[str, bool]:
    """Settle some recipients of at most ``KEYS_AT_ONCE`` envelopes; remove those that have none left."""
    done: list[str] = []
    for envelope_id, (remaining, held) in _count_down(tx, shard, outcomes).items():
        if remaining or in_place:
            _settle_recipients(tx, shard, envelope_id, outcomes[envelope_id], held)
        if not remaining:
            done.append(envelope_id)
    if not done:
        return {}
    if in_place:
        marks, values = listed(done)
        tx.execute(f"UPDATE envelope SET phase = '{GONE}' WHERE shard = ? AND id IN {marks}", (shard, *values))
        return dict.fromkeys(done, True)
    # Who was still in somebody's hands must be exactly who is settled.
    marks, values = listed(done)
    ended = tx.execute(
        f"DELETE FROM recipient WHERE shard = ? AND envelope_id IN {marks} AND state = '{LEASED}'"
        " RETURNING envelope_id, number, token, address, destination",
        (shard, *values),
    )
    settled = {(one, outcome.index, token): outcome for one in done for token, outcome in outcomes[one]}
    count = sum(len(outcomes[one]) for one in done)
    if len(ended) != count or {row[:3] for row in ended} != settled.keys():
        raise LeaseLost("another runner has it, or it is settled")
    queue_past.keep(tx, shard, [queue_past.End(settled[row[:3]], *row[3:]) for row in ended])
    return remove_together(tx, shard, done)


def _count_down(
    tx: Transaction, shard: int, outcomes: Mapping[str, Sequence[tuple[str, Outcome]]]
) -> dict[str, tuple[int, bool]]:
    """Count the ended off; return how many of each envelope still wait or are leased, and whether it is held."""
    by_count: dict[int, list[str]] = {}
    for envelope_id in sorted(outcomes):
        ended = sum(outcome.state != WAITING for _, outcome in outcomes[envelope_id])
        by_count.setdefault(ended, []).append(envelope_id)
    found: dict[str, tuple[int, bool]] = {}
    for ended, ids in by_count.items():
        marks, values = listed(ids)
        rows = tx.execute(
            "UPDATE envelope SET remaining = remaining - ?, settlements = settlements + 1"
            f" WHERE shard = ? AND id IN {marks} AND {VISIBLE} RETURNING id, remaining, held",
            (ended, shard, *values),
        )
        found.update({envelope_id: (int(remaining), bool(held)) for envelope_id, remaining, held in rows})
    if len(found) < len(outcomes):
        raise LeaseLost("the envelope is gone")
    return found


def _settle_recipients(
    tx: Transaction, shard: int, envelope_id: str, outcomes: Sequence[tuple[str, Outcome]], held: bool
) -> None:
    """Settle some recipients of an envelope that goes on: those that came to the same end by one statement."""
    alike: dict[tuple[str, Outcome], list[int]] = {}
    for token, outcome in outcomes:
        alike.setdefault((token, replace(outcome, index=0)), []).append(outcome.index)
    for (token, outcome), numbers in alike.items():
        for some in pieces(numbers):
            _settle_alike(tx, shard, envelope_id, token, outcome, some, held)


def _settle_alike(
    tx: Transaction, shard: int, envelope_id: str, token: str, outcome: Outcome, numbers: Sequence[int], held: bool
) -> None:
    changes = ["state = ?", "token = ''", "attempts = attempts + ?", "unsettled = 0"]
    changed: list[object] = [outcome.state, int(outcome.counts_as_attempt)]
    if outcome.state == WAITING:
        # What an operator gave up during the try is due now.
        next_try, told = "CASE WHEN given_up = ? THEN ? ELSE began END", (outcome.given_up, outcome.next_try)
        changes += [f"next_try = {next_try}", "due_at = NULL" if held else f"due_at = {next_try}"]
        changed += told if held else (*told, *told)
    else:
        changes.append("due_at = NULL")
    if outcome.moved is not None:  # but not when somebody moved it elsewhere meanwhile
        changes.append("destination = CASE WHEN destination = ? THEN ? ELSE destination END")
        changed += outcome.moved
    if outcome.status or outcome.reply:
        changes.append("last_status = ?, last_reply = ?, last_host = ?, reason = ?")
        changed += [outcome.status, outcome.reply, outcome.host, outcome.reason]
    if outcome.delay_told:
        changes.append("delay_told = 1")
    marks, values = listed(numbers)
    rows = tx.execute(
        f"UPDATE recipient SET {', '.join(changes)} WHERE shard = ? AND envelope_id = ? AND number IN {marks}"
        f" AND token = ? AND state = '{LEASED}' RETURNING number, attempts, address, destination",
        (*changed, shard, envelope_id, *values, token),
    )
    if len(rows) < len(numbers):
        raise LeaseLost("another runner has it, or it is settled")
    queue_history.record(tx, shard, envelope_id, outcome, [(row[0], row[1]) for row in sorted(rows)])
    queue_past.keep(tx, shard, [queue_past.End(replace(outcome, index=row[0]), *row[2:]) for row in rows])
