"""Units over the queue's rows. The states and what a crash leaves in each are told in docs/queue.rst.

A unit that changes recipients first updates their envelope's row, so that two of them on one envelope stand in one
order on any engine. No unit writes more than about ``UNIT_ROWS`` rows of one kind: an envelope with more recipients
passes through the phases ``staged``, ``spread`` and ``gone``, a piece at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mailnode.store.engines.engine import Transaction, growing, patient, run_together
from mailnode.store.units import queue_history
from mailnode.store.units.statements import insert_rows, listed, pieces
from mailnode.store.units.stored_facts import encode_facts
from mailnode.values.blob import BlobRef, StagedBlob
from mailnode.values.envelope import PLAIN_RCPT, MailOptions, RcptOptions
from mailnode.values.queue import (
    LEASED,
    WAITING,
    NewEnvelope,
    QueuedEnvelope,
    QueuedRecipient,
)
from mailnode.values.rows import StoredRow

UNIT_ROWS = 500

# phases of an envelope
STAGED = "staged"  # not acknowledged: does not exist for anybody
OPEN = "open"
SPREAD = "spread"  # recipients' due_at are being brought in line with the envelope
GONE = "gone"  # removed for everybody; rows are being deleted

_ENVELOPE = (
    "e.id, e.reverse_path, e.created, e.expires, e.body, e.smtputf8, e.ret, e.envid, e.priority, e.tls, e.session,"
    " e.account_id, e.account, e.held, e.internaldate, e.notices, b.id, b.size, b.place, b.encoding, b.digest"
)
_FROM = "FROM envelope e JOIN blob b ON b.id = e.blob_id AND b.shard = e.shard"
VISIBLE = "phase IN ('open', 'spread')"
RECIPIENT = (
    "number, address, destination, account_id, plan, plan_of, notify, orcpt, state, attempts, next_try, last_status,"
    " last_reply, last_host, reason, delay_told, given_up, began, unsettled"
)
_DUE_AT = "CASE state WHEN 'waiting' THEN next_try WHEN 'leased' THEN lease_until END"


# into the queue


@growing
def add(tx: Transaction, shard: int, submission: NewEnvelope) -> None:
    """Insert an envelope of at most ``UNIT_ROWS`` recipients, open at once; nothing if its id is there."""
    add_together(tx, [(shard, submission)])


def add_together(tx: Transaction, calls: Sequence[tuple[int, NewEnvelope]]) -> list[None]:
    """Do what :func:`add` does for each of several, in fewer statements; all or none."""
    new = _insert_envelopes(tx, calls, OPEN)
    rows = []
    for shard, submission in calls:
        envelope = submission.envelope
        if (shard, envelope.id) in new:
            new.discard((shard, envelope.id))  # the same envelope once more is no second one
            owners = plan_owners(envelope.recipients)
            rows += _recipient_rows(shard, envelope, envelope.recipients, owners, due=not envelope.held)
    _insert_recipients(tx, rows)
    return [None] * len(calls)


run_together(add, add_together)


@growing
def stage(tx: Transaction, shard: int, submission: NewEnvelope) -> bool:
    """Begin a larger envelope, visible to nobody; False when its id is in the queue already."""
    if _insert_envelopes(tx, [(shard, submission)], STAGED):
        return True
    rows = tx.execute("SELECT phase FROM envelope WHERE shard = ? AND id = ?", (shard, submission.envelope.id))
    return bool(rows) and rows[0][0] == STAGED


@growing
@patient
def stage_recipients(
    tx: Transaction,
    shard: int,
    envelope: QueuedEnvelope,
    recipients: Sequence[QueuedRecipient],
    owners: Sequence[int | None],
) -> None:
    """Add some recipients to a staged envelope. :param envelope: its own are not looked at. :param owners: see
    :func:`plan_owners`, of all that it will have."""
    _insert_recipients(tx, _recipient_rows(shard, envelope, recipients, owners, due=False))


def plan_owners(recipients: Sequence[QueuedRecipient]) -> list[int | None]:
    """Return, for each recipient of an envelope, the number of the one that has its plan written; None: itself. A signature
    stands on top of a message for a hundred thousand once."""
    first: dict[str, int] = {}
    owners = [first.setdefault(one.plan, one.index) if one.plan else one.index for one in recipients]
    return [None if owner == one.index else owner for owner, one in zip(owners, recipients, strict=True)]


def publish(tx: Transaction, shard: int, envelope_id: str) -> None:
    """Make a staged envelope exist: the one row that decides."""
    tx.execute(
        f"UPDATE envelope SET phase = '{SPREAD}' WHERE shard = ? AND id = ? AND phase = '{STAGED}'",
        (shard, envelope_id),
    )


def _insert_envelopes(tx: Transaction, calls: Sequence[tuple[int, NewEnvelope]], phase: str) -> set[tuple[int, str]]:
    """Insert envelopes with their blobs and facts; return shard and id of those that were not there."""
    rows = []
    for shard, submission in calls:
        envelope = submission.envelope
        rows.append(
            (
                shard,
                envelope.id,
                phase,
                int(envelope.held),
                len(envelope.recipients),
                envelope.reverse_path,
                submission.blob.ref.blob_id,
                envelope.created,
                envelope.expires,
                *_mail_columns(envelope.options),
                envelope.session,
                envelope.account_id,
                envelope.account,
                envelope.internaldate,
                envelope.notices,
            )
        )
    inserted = insert_rows(
        tx,
        "envelope (shard, id, phase, held, remaining, reverse_path, blob_id, created, expires, body, smtputf8, ret,"
        " envid, priority, tls, session, account_id, account, internaldate, notices)",
        rows,
        " ON CONFLICT (shard, id) DO NOTHING RETURNING shard, id",
    )
    new = {(int(shard), str(envelope_id)) for shard, envelope_id in inserted}
    first = {(shard, submission.envelope.id): submission for shard, submission in reversed(calls)}
    blobs, facts = [], []
    for (shard, envelope_id), submission in first.items():
        if (shard, envelope_id) in new:
            ref, data = submission.blob.ref, submission.blob.data
            inline = data if ref.place == "inline" else None
            blobs.append((ref.blob_id, shard, ref.size, ref.place, ref.encoding, ref.digest, inline))
            if submission.facts is not None:
                facts.append((shard, envelope_id, encode_facts(submission.facts)))
    insert_rows(
        tx, "blob (id, shard, size, place, encoding, digest, data)", blobs, " ON CONFLICT (id, shard) DO NOTHING"
    )
    insert_rows(tx, "facts (shard, envelope_id, data)", facts)
    return new


def _recipient_rows(
    shard: int,
    envelope: QueuedEnvelope,
    recipients: Sequence[QueuedRecipient],
    owners: Sequence[int | None],
    due: bool,
) -> list[tuple[object, ...]]:
    priority = envelope.options.priority
    precedence = None if priority == 0 else 1 if priority > 0 else -1
    return [
        (
            shard,
            envelope.id,
            r.index,
            r.destination,
            r.next_try if due else None,
            WAITING,
            "",
            0,
            r.next_try,
            r.attempts,
            r.address,
            r.account_id,
            r.plan if owner is None else "",
            owner,
            *_rcpt_columns(r.options),
            r.last_status,
            r.last_reply,
            r.last_host,
            r.reason,
            int(r.delay_told),
            precedence,
        )
        for r, owner in zip(recipients, owners, strict=True)
    ]


def _insert_recipients(tx: Transaction, rows: Sequence[tuple[object, ...]]) -> None:
    insert_rows(
        tx,
        "recipient (shard, envelope_id, number, destination, due_at, state, token, lease_until, next_try, attempts,"
        " address, account_id, plan, plan_of, notify, orcpt, last_status, last_reply, last_host, reason, delay_told,"
        " precedence)",
        rows,
        " ON CONFLICT (shard, envelope_id, number) DO NOTHING",
    )


# out of the queue, and what a crash interrupted


def remove_together(tx: Transaction, shard: int, ids: Sequence[str]) -> dict[str, bool]:
    """Do what :func:`remove` does for each of several, in fewer statements."""
    marks, values = listed(ids)
    crowded = tx.execute(
        f"SELECT e.id FROM envelope e WHERE e.shard = ? AND e.id IN {marks} AND (e.settlements > 1 OR EXISTS"
        " (SELECT 1 FROM recipient r WHERE r.shard = e.shard AND r.envelope_id = e.id))",
        (shard, *values),
    )
    left = {str(envelope_id): remove(tx, shard, envelope_id) for (envelope_id,) in sorted(crowded)}
    bare = [envelope_id for envelope_id in ids if envelope_id not in left]
    if bare:
        marks, values = listed(bare)
        tx.execute(f"DELETE FROM facts WHERE shard = ? AND envelope_id IN {marks}", (shard, *values))
        gone = tx.execute(f"DELETE FROM envelope WHERE shard = ? AND id IN {marks} RETURNING blob_id", (shard, *values))
        _delete_blobs(tx, shard, sorted({str(blob_id) for (blob_id,) in gone}))
    return {envelope_id: left.get(envelope_id, False) for envelope_id in ids}


def _delete_blobs(tx: Transaction, shard: int, blob_ids: Sequence[str]) -> None:
    """Delete those that no envelope refers to any more."""
    marks, values = listed(blob_ids)
    tx.execute(
        f"DELETE FROM blob WHERE id IN {marks} AND shard = ? AND NOT EXISTS"
        " (SELECT 1 FROM envelope e WHERE e.shard = blob.shard AND e.blob_id = blob.id)",
        (*values, shard),
    )


def remove(tx: Transaction, shard: int, envelope_id: str) -> bool:
    """Remove an envelope for everybody; True when rows are left for :func:`delete_some`."""
    tx.execute(f"UPDATE envelope SET phase = '{GONE}' WHERE shard = ? AND id = ?", (shard, envelope_id))
    return delete_some(tx, shard, envelope_id)


@patient
def delete_some(tx: Transaction, shard: int, envelope_id: str) -> bool:
    """Delete rows of an envelope that is gone; True when some are left. The envelope's own row goes last."""
    rows = tx.execute(
        f"SELECT blob_id FROM envelope WHERE shard = ? AND id = ? AND phase = '{GONE}'", (shard, envelope_id)
    )
    if not rows:
        return False
    if queue_history.delete_some(tx, shard, envelope_id, UNIT_ROWS):
        return True
    deleted = tx.execute(
        "DELETE FROM recipient WHERE shard = ? AND envelope_id = ? AND number IN"
        " (SELECT number FROM recipient WHERE shard = ? AND envelope_id = ? ORDER BY number LIMIT ?) RETURNING number",
        (shard, envelope_id, shard, envelope_id, UNIT_ROWS),
    )
    if len(deleted) == UNIT_ROWS:
        return True
    tx.execute("DELETE FROM facts WHERE shard = ? AND envelope_id = ?", (shard, envelope_id))
    tx.execute("DELETE FROM envelope WHERE shard = ? AND id = ?", (shard, envelope_id))
    _delete_blobs(tx, shard, [str(rows[0][0])])
    return False


def drop(tx: Transaction, shard: int, envelope_id: str) -> tuple[bool, bool]:
    """Return whether there was such an envelope, and whether rows are left for :func:`delete_some`."""
    if not tx.execute(f"SELECT 1 FROM envelope WHERE shard = ? AND id = ? AND {VISIBLE}", (shard, envelope_id)):
        return False, False
    return True, remove(tx, shard, envelope_id)


def hold(tx: Transaction, shard: int, envelope_id: str, held: bool) -> tuple[bool, bool]:
    """Return whether there is such an envelope, and whether :func:`spread` has to bring its recipients in line."""
    rows = tx.execute(
        f"UPDATE envelope SET held = ? WHERE shard = ? AND id = ? AND {VISIBLE} RETURNING remaining, phase",
        (int(held), shard, envelope_id),
    )
    if not rows:
        return False, False
    remaining, phase = rows[0]
    if phase == OPEN and remaining <= UNIT_ROWS:
        tx.execute(
            f"UPDATE recipient SET due_at = {'NULL' if held else _DUE_AT}"
            f" WHERE shard = ? AND envelope_id = ? AND state IN ('{WAITING}', '{LEASED}')",
            (shard, envelope_id),
        )
        return True, False
    tx.execute(f"UPDATE envelope SET phase = '{SPREAD}' WHERE shard = ? AND id = ?", (shard, envelope_id))
    return True, True


@patient
def spread(tx: Transaction, shard: int, envelope_id: str, after: int) -> int | None:
    """Bring the due_at of the next ``UNIT_ROWS`` recipients after a number in line with their envelope.

    Return the last number looked at, or None when all are: the envelope is open then.
    """
    rows = tx.execute(
        f"UPDATE envelope SET held = held WHERE shard = ? AND id = ? AND phase = '{SPREAD}' RETURNING held",
        (shard, envelope_id),
    )
    if not rows:
        return None
    due_at = "NULL" if rows[0][0] else _DUE_AT
    numbers = tx.execute(
        "SELECT number FROM recipient WHERE shard = ? AND envelope_id = ? AND number > ? ORDER BY number LIMIT ?",
        (shard, envelope_id, after, UNIT_ROWS),
    )
    if not numbers:
        tx.execute(f"UPDATE envelope SET phase = '{OPEN}' WHERE shard = ? AND id = ?", (shard, envelope_id))
        return None
    last = int(numbers[-1][0])
    tx.execute(
        f"UPDATE recipient SET due_at = {due_at} WHERE shard = ? AND envelope_id = ? AND number > ? AND number <= ?"
        f" AND state IN ('{WAITING}', '{LEASED}')",
        (shard, envelope_id, after, last),
    )
    return last


def interrupted(tx: Transaction, shard: int) -> list[tuple[str, str]]:
    """Return (id, phase) of the envelopes that are not open."""
    rows = tx.execute(f"SELECT id, phase FROM envelope WHERE shard = ? AND phase <> '{OPEN}'", (shard,))
    return sorted((row[0], row[1]) for row in rows)


# commands


@patient
def retry(tx: Transaction, shard: int, destination: str | None, now: float) -> int:
    """Make up to ``UNIT_ROWS`` waiting recipients due; return how many."""
    where, values = "", []
    if destination is not None:
        where += " AND destination = ?"
        values.append(destination)
    rows = tx.execute(
        "UPDATE recipient SET next_try = ?, due_at = ? WHERE shard = ? AND (envelope_id, number) IN"
        f" (SELECT envelope_id, number FROM recipient WHERE shard = ? AND due_at > ? AND state = '{WAITING}'{where}"
        " ORDER BY due_at LIMIT ?) RETURNING number",
        (now, now, shard, shard, now, *values, UNIT_ROWS),
    )
    return len(rows)


def envelope(tx: Transaction, shard: int, envelope_id: str) -> QueuedEnvelope | None:
    """See IQueueStore."""
    found = envelopes_where(tx, f"e.shard = ? AND e.id = ? AND e.{VISIBLE}", (shard, envelope_id))
    return with_recipients(tx, shard, found[0], _recipients(tx, shard, envelope_id)) if found else None


def staged_blob(tx: Transaction, shard: int, ref: BlobRef) -> StagedBlob | None:
    """Return a queued blob with its stored bytes; None when it is not in the queue."""
    rows = tx.execute("SELECT data FROM blob WHERE id = ? AND shard = ?", (ref.blob_id, shard))
    return StagedBlob(ref, rows[0][0] or b"") if rows else None


def blobs_in_use(tx: Transaction, blob_ids: Sequence[str]) -> set[str]:
    """Return which of these blobs stand in the queue, whatever the shard."""
    marks = ", ".join("?" * len(blob_ids))
    return {row[0] for row in tx.execute(f"SELECT id FROM blob WHERE id IN ({marks})", blob_ids)} if blob_ids else set()


def files(tx: Transaction, after: str, limit: int) -> list[str]:
    """Return the ids of blobs in files that the queue needs, in order, whatever the shard."""
    rows = tx.execute("SELECT id FROM blob WHERE id > ? AND place = 'file' ORDER BY id LIMIT ?", (after, limit))
    return [row[0] for row in rows]


def envelopes_where(tx: Transaction, where: str, values: Sequence[object]) -> list[QueuedEnvelope]:
    """Return envelopes without recipients; ``where`` speaks of ``envelope e`` and ``blob b``."""
    return [_envelope(row) for row in tx.execute(f"SELECT {_ENVELOPE} {_FROM} WHERE {where}", values)]


def envelopes_with_content(
    tx: Transaction, shard: int, ids: Sequence[str], with_content: bool
) -> dict[str, tuple[QueuedEnvelope, bytes | None]]:
    """Return envelopes without recipients, each with the stored form of its content where that is inline, by id.

    :param with_content: False: without it, and its pages are not read."""
    marks, values = listed(ids)
    content = "b.data" if with_content else "NULL"
    rows = tx.execute(f"SELECT {_ENVELOPE}, {content} {_FROM} WHERE e.shard = ? AND e.id IN {marks}", (shard, *values))
    return {row[0]: (_envelope(row[:-1]), row[-1]) for row in rows}


def _envelope(row: StoredRow) -> QueuedEnvelope:
    return QueuedEnvelope(
        id=row[0],
        reverse_path=row[1],
        blob=BlobRef(*row[16:]),
        created=row[2],
        expires=row[3],
        options=_mail_options(*row[4:10]),
        session=row[10],
        account_id=row[11],
        account=row[12],
        held=bool(row[13]),
        internaldate=row[14],
        notices=row[15],
    )


def _mail_columns(options: MailOptions) -> tuple[str, int, str, str, int, str]:
    """Return the columns body, smtputf8, ret, envid, priority, tls."""
    return options.body, int(options.smtputf8), options.ret, options.envid, options.priority, options.tls


def _mail_options(body: str, smtputf8: int, ret: str, envid: str, priority: int, tls: str) -> MailOptions:
    return MailOptions(0, body, bool(smtputf8), ret, envid, priority, tls)


def _rcpt_columns(options: RcptOptions) -> tuple[str, str]:
    """Return the columns notify, orcpt."""
    return ",".join(sorted(options.notify)), options.orcpt


def _rcpt_options(notify: str, orcpt: str) -> RcptOptions:
    return RcptOptions(frozenset(filter(None, notify.split(","))), orcpt) if notify or orcpt else PLAIN_RCPT


def _recipients(tx: Transaction, shard: int, envelope_id: str) -> list[StoredRow]:
    return tx.execute(
        f"SELECT {RECIPIENT} FROM recipient WHERE shard = ? AND envelope_id = ? ORDER BY number",
        (shard, envelope_id),
    )


def with_recipients(tx: Transaction, shard: int, envelope: QueuedEnvelope, rows: Sequence[StoredRow]) -> QueuedEnvelope:
    """Return an envelope with the recipients of rows of the columns ``RECIPIENT``."""
    plans: dict[int | None, str] = {row[0]: row[4] for row in rows}
    for some in pieces(sorted({row[5] for row in rows if row[5] is not None} - plans.keys())):
        marks, numbers = listed(some)
        plans |= tx.execute(
            f"SELECT number, plan FROM recipient WHERE shard = ? AND envelope_id = ? AND number IN {marks}",
            (shard, envelope.id, *numbers),
        )
    return replace(envelope, recipients=tuple(_recipient(row, plans) for row in rows))


def _recipient(row: StoredRow, plans: Mapping[int | None, str]) -> QueuedRecipient:
    (
        index,
        address,
        destination,
        account_id,
        plan,
        plan_of,
        notify,
        orcpt,
        state,
        attempts,
        next_try,
        status,
        reply,
        host,
        reason,
        told,
        given_up,
        began,
        unsettled,
    ) = row
    return QueuedRecipient(
        index=index,
        address=address,
        destination=destination,
        account_id=account_id,
        plan=plans.get(plan_of, plan),
        options=_rcpt_options(notify, orcpt),
        state=state,
        attempts=attempts,
        next_try=next_try,
        last_status=status,
        last_reply=reply,
        last_host=host,
        reason=reason,
        delay_told=bool(told),
        given_up=given_up,
        began=began,
        unsettled=unsettled,
    )
