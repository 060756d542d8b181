"""Units over what became of mail that left the queue: it stays findable for a while, without its content."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mailnode.errors import BadAddress
from mailnode.store.engines.engine import Transaction
from mailnode.store.units import queue_history
from mailnode.store.units.queue_search import conditions
from mailnode.store.units.statements import insert_rows, listed, pieces
from mailnode.values.address import parse_address
from mailnode.values.queue import (
    DELIVERED,
    FAILED,
    LOCAL_DESTINATION,
    SENT,
    WAITING,
    Outcome,
    PastAttempt,
    PastRecipient,
    QueueFilter,
)
from mailnode.values.rows import StoredRow

ROWS = 1_000  # recipients one unit looks at, tells of or forgets

_KEPT = (
    "envelope_id, number, ended_at, state, reverse_path, created, size, address, destination, last_status, last_reply,"
    " last_host, last_address, last_tls, reason, earlier"
)


class End(NamedTuple):
    """The end of one recipient."""

    outcome: Outcome
    address: str
    destination: str

    @property
    def is_kept(self) -> bool:
        """Whether it stays findable. What was placed in a mailbox here does not."""
        was_placed_here = self.destination == LOCAL_DESTINATION and self.outcome.state == DELIVERED
        return self.outcome.is_kept and self.outcome.state != WAITING and not was_placed_here


def keep(tx: Transaction, shard: int, ends: Iterable[End]) -> None:
    """Write down what became of recipients whose envelopes are there still."""
    by_envelope: dict[str, list[End]] = {}
    for end in ends:
        if end.is_kept:
            by_envelope.setdefault(end.outcome.envelope_id, []).append(end)
    rows: list[tuple[object, ...]] = []
    for some in pieces(list(by_envelope)):
        marks, values = listed(some)
        found = tx.execute(
            "SELECT e.id, e.settlements, e.account_id, e.reverse_path, e.created, b.size FROM envelope e"
            f" JOIN blob b ON b.id = e.blob_id AND b.shard = e.shard WHERE e.shard = ? AND e.id IN {marks}",
            (shard, *values),
        )
        for envelope_id, settlements, account_id, *about in found:
            # An envelope that ends with its first settlement has no tries to look for.
            ended = by_envelope[envelope_id]
            numbers = [end.outcome.index for end in ended] if settlements > 1 else []
            earlier = queue_history.by_recipient(tx, shard, envelope_id, numbers)
            rows += [(*_row(shard, end, about, earlier.get(end.outcome.index, [])), account_id) for end in ended]
    insert_rows(tx, f"past (shard, {_KEPT}, account_id)", rows, " ON CONFLICT (shard, envelope_id, number) DO NOTHING")


def _row(shard: int, end: End, about: Sequence[object], earlier: list[PastAttempt]) -> tuple[object, ...]:
    outcome = end.outcome
    tried = [
        (one.tried_at, one.state, one.status, one.reply, one.host, one.address, one.tls, one.reason)
        for one in earlier
        if one.state == WAITING
    ]
    return (
        shard,
        outcome.envelope_id,
        outcome.index,
        outcome.tried_at,
        outcome.state,
        *about,
        end.address,
        end.destination,
        outcome.status,
        outcome.reply,
        outcome.host,
        outcome.address,
        outcome.tls,
        outcome.reason,
        json.dumps(tried, separators=(",", ":"), ensure_ascii=False) if tried else "",
    )


def recipients(tx: Transaction, shard: int, before: str, which: QueueFilter) -> tuple[list[PastRecipient], str | None]:
    """Look through the ends of the last envelopes before an id, "" for all of them, the latest envelope first; also return
    before which id to go on, None at the end. Of an envelope with more than ``ROWS`` recipients the first are told."""
    under, key = (" AND r.envelope_id < ?", [before]) if before else ("", [])
    end = tx.execute(
        f"SELECT r.envelope_id FROM past r WHERE r.shard = ?{under} ORDER BY r.envelope_id DESC LIMIT 1 OFFSET ?",
        (shard, *key, ROWS - 1),
    )
    last = str(end[0][0]) if end else None
    over, to = ("", []) if last is None else (" AND r.envelope_id >= ?", [last])
    said, values = conditions(which, "r")
    if which.reason is not None:
        said += " AND r.reason = ?"
        values.append(which.reason)
    rows = tx.execute(
        f"SELECT {_KEPT} FROM past r WHERE r.shard = ?{under}{over} AND r.state = ?{said}"
        " ORDER BY r.envelope_id DESC, r.number LIMIT ?",
        (shard, *key, *to, DELIVERED if which.state == SENT else FAILED, *values, 2 * ROWS),
    )
    return [_recipient(row) for row in rows], last


def of_envelope(tx: Transaction, shard: int, envelope_id: str, limit: int) -> list[PastRecipient]:
    """Return the first ends of one envelope."""
    rows = tx.execute(
        f"SELECT {_KEPT} FROM past WHERE shard = ? AND envelope_id = ? ORDER BY number LIMIT ?",
        (shard, envelope_id, limit),
    )
    return [_recipient(row) for row in rows]


def returned(
    tx: Transaction, shard: int, account_ids: Sequence[str], envelope_ids: Sequence[str], recipient: str, now: float
) -> list[tuple[str, str, str]]:
    """Note that mail to a recipient, an address' key, came back that some accounts had sent; return envelope, account and
    address of what was not noted before. Of other mail nothing is noted."""
    ours = not_returned(tx, shard, account_ids, envelope_ids, recipient)
    tx.many(
        "UPDATE past SET returned_at = ? WHERE shard = ? AND envelope_id = ? AND number = ?",
        [(now, shard, envelope_id, number) for envelope_id, number, *_ in ours],
    )
    return [(envelope_id, account_id, address) for envelope_id, _, account_id, address in ours]


def not_returned(
    tx: Transaction, shard: int, account_ids: Sequence[str], envelope_ids: Sequence[str], recipient: str
) -> list[StoredRow]:
    """Return envelope, number, account and address of what :func:`returned` would note."""
    marks, values = listed(envelope_ids)
    # Of a message to very many those whose address is nearly always its own key come first.
    rows = tx.execute(
        "SELECT envelope_id, number, account_id, address FROM past"
        f" WHERE shard = ? AND envelope_id IN {marks} AND state = ? AND returned_at = 0"
        " ORDER BY CASE WHEN lower(address) = ? THEN 0 ELSE 1 END, envelope_id, number LIMIT ?",
        (shard, *values, DELIVERED, recipient, ROWS),
    )
    return [row for row in rows if row[2] in account_ids and _key(row[3]) == recipient]


def _key(address: str) -> str:
    try:
        return parse_address(address).key
    except BadAddress:
        return ""


def end_beyond(tx: Transaction, shard: int, most: int) -> float | None:
    """Return when the latest end was beyond the last ``most``; None when there are no more."""
    rows = tx.execute(
        "SELECT ended_at FROM past WHERE shard = ? ORDER BY ended_at DESC LIMIT 1 OFFSET ?", (shard, most)
    )
    return float(rows[0][0]) if rows else None


def forget_some(tx: Transaction, shard: int, until: float) -> int:
    """Forget up to ``ROWS`` of those that ended by a time; return how many."""
    forgotten = tx.execute(
        "DELETE FROM past WHERE shard = ? AND (envelope_id, number) IN"
        " (SELECT envelope_id, number FROM past WHERE shard = ? AND ended_at <= ? ORDER BY ended_at LIMIT ?)"
        " RETURNING number",
        (shard, shard, until, ROWS),
    )
    return len(forgotten)


def _recipient(row: StoredRow) -> PastRecipient:
    envelope_id, number, ended_at, state, reverse_path, created, size, address, destination, *last, earlier = row
    tried = [PastAttempt(number, *one) for one in json.loads(earlier)] if earlier else []
    return PastRecipient(
        envelope_id=envelope_id,
        index=number,
        reverse_path=reverse_path,
        created=created,
        size=size,
        address=address,
        destination=destination,
        attempts=(*tried, PastAttempt(number, ended_at, state, *last)),
    )
