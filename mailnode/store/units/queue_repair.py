"""What is done with the rows of a queue whose file was made anew, where some of them are lost, before anybody is served from it."""

from __future__ import annotations

from mailnode.store.engines.engine import Transaction, patient
from mailnode.store.units.queue_rows import UNIT_ROWS, VISIBLE
from mailnode.values.queue import LEASED, LOCAL_DESTINATION, WAITING
from mailnode.values.reason import WaitReason

LOST_RECIPIENT = "lost@invalid"  # stands for recipients that nobody knows any more: to it no mail can be sent

_IS_OPEN = f"r.state IN ('{WAITING}', '{LEASED}')"
_OF_ENVELOPE = "FROM recipient r WHERE r.shard = envelope.shard AND r.envelope_id = envelope.id"


def put_right(tx: Transaction) -> list[str]:
    """Have each envelope be whole, or held with the reason ``damaged``; return those that are held now.

    One whose own row is lost has no sender and no content any more. Who sent one of which recipients are lost is told that
    ``LOST_RECIPIENT`` could not be reached."""
    _stand_in_for_envelopes(tx)
    damaged = tx.execute(
        f"SELECT shard, id FROM envelope WHERE {VISIBLE} AND ("
        " NOT EXISTS (SELECT 1 FROM blob b WHERE b.id = envelope.blob_id AND b.shard = envelope.shard)"
        f" OR EXISTS (SELECT 1 {_OF_ENVELOPE} AND {_IS_OPEN} AND (r.plan_of IS NOT NULL AND NOT EXISTS"
        " (SELECT 1 FROM recipient o WHERE o.shard = r.shard AND o.envelope_id = r.envelope_id AND o.number = r.plan_of)"
        f" OR r.destination = '{LOCAL_DESTINATION}' AND NOT EXISTS"
        " (SELECT 1 FROM facts f WHERE f.shard = r.shard AND f.envelope_id = r.envelope_id)))) ORDER BY id"
    )
    tx.execute(
        "INSERT INTO blob (id, shard, size, place, encoding, digest, data)"
        " SELECT DISTINCT blob_id, shard, 0, 'inline', 'plain', x'', NULL FROM envelope"
        " WHERE NOT EXISTS (SELECT 1 FROM blob b WHERE b.id = envelope.blob_id AND b.shard = envelope.shard)"
    )
    _stand_in_for_recipients(tx)
    tx.many("UPDATE envelope SET held = 1 WHERE shard = ? AND id = ?", damaged)
    tx.many(
        f"UPDATE recipient SET due_at = NULL, reason = '{WaitReason.DAMAGED}' WHERE shard = ? AND envelope_id = ?"
        f" AND state IN ('{WAITING}', '{LEASED}')",
        damaged,
    )
    return [str(envelope_id) for _, envelope_id in damaged]


@patient
def note_damaged(tx: Transaction, shard: int, envelope_id: str) -> None:
    """Have a held envelope be found by the reason ``damaged``: by its first ``UNIT_ROWS`` recipients that are open."""
    tx.execute(
        f"UPDATE recipient SET reason = '{WaitReason.DAMAGED}' WHERE shard = ? AND envelope_id = ? AND number IN"
        f" (SELECT r.number FROM recipient r WHERE r.shard = ? AND r.envelope_id = ? AND {_IS_OPEN}"
        " ORDER BY r.number LIMIT ?)",
        (shard, envelope_id, shard, envelope_id, UNIT_ROWS),
    )


def _stand_in_for_envelopes(tx: Transaction) -> None:
    tx.execute(
        "INSERT INTO envelope (shard, id, phase, held, remaining, reverse_path, blob_id, created, expires, body, smtputf8,"
        " ret, envid, session, account_id, internaldate) SELECT r.shard, r.envelope_id, 'open', 1, COUNT(*), '',"
        " r.envelope_id, MIN(r.next_try), MIN(r.next_try), '', 0, '', '', '', '', 0 FROM recipient r"
        f" WHERE {_IS_OPEN} AND NOT EXISTS (SELECT 1 FROM envelope e WHERE e.shard = r.shard AND e.id = r.envelope_id)"
        " GROUP BY r.shard, r.envelope_id"
    )
    for table in ("recipient", "facts", "attempt"):
        tx.execute(
            f"DELETE FROM {table} WHERE NOT EXISTS"
            f" (SELECT 1 FROM envelope e WHERE e.shard = {table}.shard AND e.id = {table}.envelope_id)"
        )


def _stand_in_for_recipients(tx: Transaction) -> None:
    tx.execute(
        "INSERT INTO recipient (shard, envelope_id, number, destination, due_at, state, token, lease_until, next_try,"
        " attempts, address, account_id, plan, notify, orcpt, last_status, last_reply, last_host, delay_told)"
        f" SELECT shard, id, 1 + COALESCE((SELECT MAX(r.number) {_OF_ENVELOPE}), -1), 'invalid',"
        f" CASE held WHEN 0 THEN created END, '{WAITING}', '', 0, created, 0, '{LOST_RECIPIENT}', '', '', '', '', '', '', '',"
        f" 0 FROM envelope WHERE {VISIBLE} AND remaining > (SELECT COUNT(*) {_OF_ENVELOPE} AND {_IS_OPEN})"
    )
    tx.execute(f"UPDATE envelope SET remaining = (SELECT COUNT(*) {_OF_ENVELOPE} AND {_IS_OPEN}) WHERE {VISIBLE}")
