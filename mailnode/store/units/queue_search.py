"""Units that look through the queue for people: a stretch of envelopes at a time, however many there are."""

from __future__ import annotations

from mailnode.store.engines.engine import Transaction
from mailnode.store.units.queue_rows import RECIPIENT, VISIBLE, envelopes_where, with_recipients
from mailnode.store.units.statements import listed, pieces
from mailnode.values.queue import DEFERRED, HELD, LEASED, WAITING, QueuedEnvelope, QueueFilter
from mailnode.values.rows import StoredRow

STRETCH = 1_000  # envelopes one unit looks at
TALLIED = 2_000  # recipients one unit counts

_OF_RECIPIENT = ", ".join(f"r.{column}" for column in RECIPIENT.split(", "))
# Where something waits that was tried before there were reasons, "other".
_REASON = (
    "CASE WHEN e.held = 1 THEN CASE WHEN r.reason = 'damaged' THEN 'damaged' ELSE 'held' END"
    " WHEN EXISTS (SELECT 1 FROM pause p WHERE p.shard = r.shard AND p.destination IN ('', r.destination)) THEN 'paused'"
    " WHEN r.reason <> '' THEN r.reason WHEN r.attempts = 0 THEN 'new' ELSE 'other' END"
)
_STATES = {
    HELD: "e.held = 1",
    WAITING: f"e.held = 0 AND r.state = '{WAITING}'",
    DEFERRED: f"e.held = 0 AND r.state = '{WAITING}' AND r.attempts > 0",
    LEASED: f"r.state = '{LEASED}'",
}


def envelopes(
    tx: Transaction, shard: int, after: str, limit: int, which: QueueFilter
) -> tuple[list[QueuedEnvelope], str | None]:
    """Look through the ``STRETCH`` envelopes behind an id for at most ``limit``, with those of their open recipients that
    are meant; also return behind which id to go on, None at the end."""
    end = tx.execute(
        "SELECT id FROM envelope WHERE shard = ? AND id > ? ORDER BY id LIMIT 1 OFFSET ?", (shard, after, STRETCH - 1)
    )
    last = str(end[0][0]) if end else None
    upto, to = ("", []) if last is None else (" AND r.envelope_id <= ?", [last])
    said, values = conditions(which, "e")
    if which.state is not None:
        said += f" AND {_STATES[which.state]}"
    if which.reason is not None:
        said += f" AND {_REASON} = ?"
        values.append(which.reason)
    # CROSS JOIN: the order is ours, the recipients' key.
    rows = tx.execute(
        f"SELECT r.envelope_id, {_OF_RECIPIENT} FROM recipient r CROSS JOIN envelope e WHERE r.shard = ?"
        f" AND r.envelope_id > ?{upto} AND e.shard = r.shard AND e.id = r.envelope_id AND e.{VISIBLE}"
        f" AND r.state IN ('{WAITING}', '{LEASED}'){said} ORDER BY r.envelope_id, r.number",
        (shard, after, *to, *values),
    )
    recipients: dict[str, list[StoredRow]] = {}
    for envelope_id, *row in rows:
        recipients.setdefault(str(envelope_id), []).append(tuple(row))
    ids = list(recipients)
    if len(ids) > limit:
        ids = ids[:limit]
        last = ids[-1]
    found: dict[str, QueuedEnvelope] = {}
    for some in pieces(ids):
        marks, keys = listed(some)
        for one in envelopes_where(tx, f"e.shard = ? AND e.id IN {marks}", (shard, *keys)):
            found[one.id] = with_recipients(tx, shard, one, recipients[one.id])
    return [found[envelope_id] for envelope_id in ids], last


def tally(
    tx: Transaction, shard: int, after: tuple[str, int]
) -> tuple[list[tuple[str, str, str, str, float]], tuple[str, int] | None]:
    """Return (envelope, state, destination, reason, when it came) of the open ones among the next ``TALLIED`` recipients in
    the order of their key, and behind which to go on, None at the end."""
    end = tx.execute(
        "SELECT envelope_id, number FROM recipient WHERE shard = ? AND (envelope_id, number) > (?, ?)"
        " ORDER BY envelope_id, number LIMIT 1 OFFSET ?",
        (shard, *after, TALLIED - 1),
    )
    upto, to = (" AND (r.envelope_id, r.number) <= (?, ?)", end[0]) if end else ("", ())
    rows = tx.execute(
        f"SELECT e.id, r.state, r.destination, {_REASON}, e.created FROM recipient r CROSS JOIN envelope e"
        f" WHERE r.shard = ? AND (r.envelope_id, r.number) > (?, ?){upto} AND e.shard = r.shard"
        f" AND e.id = r.envelope_id AND e.{VISIBLE} AND r.state IN ('{WAITING}', '{LEASED}')"
        " ORDER BY r.envelope_id, r.number",
        (shard, *after, *to),
    )
    found = [
        (envelope_id, state, destination, reason, created) for envelope_id, state, destination, reason, created in rows
    ]
    return found, (str(end[0][0]), int(end[0][1])) if end else None


def conditions(which: QueueFilter, envelope: str) -> tuple[str, list[object]]:
    """Return what is to be said behind WHERE of recipients ``r``, but for their state, and its values.

    :param envelope: who has what is said of their envelopes."""
    said, values = [], list[object]()
    if which.domain is not None:
        said.append("(r.destination = ? OR LOWER(r.address) LIKE ? ESCAPE '!')")
        values += [which.domain.lower(), f"%@{_literally(which.domain)}"]
    if which.sender is not None:
        anywhere = "" if "@" in which.sender.strip("@") or not which.sender else "%@"
        said.append(f"LOWER({envelope}.reverse_path) LIKE ? ESCAPE '!'")
        values.append(anywhere + _literally(which.sender.removeprefix("@") if anywhere else which.sender))
    if which.account is not None:
        said.append("e.account_id = ?")
        values.append(which.account)
    if which.created_before is not None:
        said.append(f"{envelope}.created < ?")
        values.append(which.created_before)
    if which.reply is not None:
        said.append("LOWER(r.last_status || ' ' || r.last_reply) LIKE ? ESCAPE '!'")
        values.append(f"%{_literally(which.reply)}%")
    return "".join(f" AND {one}" for one in said), values


def _literally(text: str) -> str:
    """Return a text for LIKE that stands for itself, in any case."""
    return "".join(f"!{c}" if c in "!%_" else c for c in text.lower())
