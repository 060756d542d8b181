"""Units that copy many messages, piece by piece, all or none. docs/store.rst tells how.

The copies stand above the mailbox's UIDNEXT and above its highest modseq, where no reader looks, until one unit raises
both. A unit that fails, or is never called, leaves what :func:`discard_some` removes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mailnode.errors import Busy, LimitReached, NoSuchAccount, NoSuchMailbox
from mailnode.store.engines.engine import Transaction, growing, of_account
from mailnode.store.units import messages, sweeping
from mailnode.store.units.accounts import charge

UID_GAP = 16_384  # UIDs left free for what else arrives meanwhile
MODSEQ_GAP = 1 << 20  # modseqs left free for other changes of the account
STALE = 3600 * 1_000_000  # microseconds after its last unit a stage counts as abandoned
_HIGHEST_UID = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Stage:
    """What one COPY has reserved."""

    token: str
    target: int
    uidvalidity: int
    first_uid: int
    modseq: int
    modseq_before: int  # the account's


@dataclass(frozen=True, slots=True)
class Totals:
    """What copies add to a mailbox."""

    count: int = 0
    unseen: int = 0
    deleted: int = 0
    size: int = 0

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            self.count + other.count,
            self.unseen + other.unseen,
            self.deleted + other.deleted,
            self.size + other.size,
        )


def _hold(tx: Transaction, account_id: str) -> int:
    """Hold the account's row to the end of the unit; return its modseq. :raises NoSuchAccount:"""
    rows = tx.execute(
        "UPDATE account SET modseq = modseq WHERE account_id = ? AND removed_at IS NULL RETURNING modseq", (account_id,)
    )
    if not rows:
        raise NoSuchAccount(account_id)
    return int(rows[0][0])


@growing
@of_account
def begin(
    tx: Transaction, account_id: str, mailbox_id: int, target: int, count: int, token: str, now: int
) -> Stage | None:
    """Reserve UIDs and a modseq for at most ``count`` copies; None: an abandoned stage is to be discarded first.

    :param now: UTC microseconds. :raises NoSuchAccount, NoSuchMailbox: :raises Busy: another COPY is under way.
    :raises LimitReached: so many UIDs are not left.
    """
    modseq = _hold(tx, account_id)
    messages.require(tx, account_id, mailbox_id)
    uidvalidity, uidnext = messages.require(tx, account_id, target)[:2]
    for owner, touched_at in tx.execute("SELECT token, touched_at FROM stage WHERE account_id = ?", (account_id,)):
        if owner and touched_at > now - STALE:
            raise Busy("copy")
        return None
    first = uidnext + UID_GAP
    if first + count > _HIGHEST_UID:
        raise LimitReached("UIDs")
    tx.execute(
        "INSERT INTO stage (account_id, mailbox_id, token, modseq, first_uid, next_uid, touched_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (account_id, target, token, modseq + MODSEQ_GAP, first, first, now),
    )
    tx.execute("UPDATE mailbox SET staged_uid = ? WHERE account_id = ? AND mailbox_id = ?", (first, account_id, target))
    return Stage(token, target, uidvalidity, first, modseq + MODSEQ_GAP, modseq)


@growing
@of_account
def copy_some(
    tx: Transaction, account_id: str, mailbox_id: int, uids: Sequence[int], stage: Stage, before: Totals, now: int
) -> tuple[tuple[int, ...], Totals]:
    """Copy the live ones of these messages; return which, and what all copies add until now.

    :param before: of the units before. :raises NoSuchAccount, NoSuchMailbox, OverQuota:
    :raises Busy: the stage was taken for abandoned.
    """
    _hold(tx, account_id)
    rows = tx.execute(
        "UPDATE stage SET touched_at = ? WHERE account_id = ? AND token = ? RETURNING next_uid",
        (now, account_id, stage.token),
    )
    if not rows:
        raise Busy("copy")
    messages.require(tx, account_id, mailbox_id)
    found = messages.live_rows(tx, account_id, mailbox_id, uids)
    totals = before + Totals(len(found), *messages.totals(found))
    # Whether all of them fit is asked at the end; that they will not shows before.
    charge(tx, account_id, totals.size, totals.count, check=True)
    charge(tx, account_id, -totals.size, -totals.count)
    messages.place_copies(tx, account_id, stage.target, rows[0][0], stage.modseq, found, now)
    tx.execute("UPDATE stage SET next_uid = next_uid + ? WHERE account_id = ?", (len(found), account_id))
    return tuple(row[0] for row in found), totals


@of_account
def finish(tx: Transaction, account_id: str, mailbox_id: int, stage: Stage, totals: Totals) -> None:
    """Make the copies of a mailbox's messages seen, all at once.

    :raises NoSuchAccount, NoSuchMailbox, OverQuota: :raises Busy: the stage was taken for abandoned, or there were more
        changes meanwhile than there is room for.
    """
    if _hold(tx, account_id) >= stage.modseq:
        raise Busy("copy")
    tx.execute("UPDATE account SET modseq = ? WHERE account_id = ?", (stage.modseq, account_id))
    charge(tx, account_id, totals.size, totals.count, check=True)
    ended = tx.execute(
        "DELETE FROM stage WHERE account_id = ? AND token = ? RETURNING next_uid", (account_id, stage.token)
    )
    if not ended:
        raise Busy("copy")
    shown = tx.execute(
        "UPDATE mailbox SET uidnext = ?, highest_modseq = ?, staged_uid = NULL, messages = messages + ?,"
        " unseen = unseen + ?, deleted = deleted + ?, size = size + ? WHERE account_id = ? AND mailbox_id = ?"
        " AND selectable = 1 AND deleted_at IS NULL RETURNING mailbox_id",
        (
            ended[0][0],
            stage.modseq,
            totals.count,
            totals.unseen,
            totals.deleted,
            totals.size,
            account_id,
            stage.target,
        ),
    )
    if not shown:
        raise NoSuchMailbox(str(stage.target))


# what was not finished


@of_account
def abandon(tx: Transaction, account_id: str, token: str) -> None:
    """Let nobody go on with this stage."""
    tx.execute("UPDATE stage SET token = '' WHERE account_id = ? AND token = ?", (account_id, token))


def abandon_all(tx: Transaction) -> None:
    """Let nobody go on with any stage: whoever made one is dead."""
    tx.execute("UPDATE stage SET token = ''")


def abandon_stale(tx: Transaction, now: int) -> list[str]:
    """Let nobody go on with what was left long ago; return the accounts with something to discard."""
    tx.execute("UPDATE stage SET token = '' WHERE touched_at <= ?", (now - STALE,))
    return [row[0] for row in tx.execute("SELECT account_id FROM stage WHERE token = ''")]


def discard_some(tx: Transaction, account_id: str) -> int:
    """Remove some copies of an abandoned stage, at last the stage; 0: nothing is left, or it is not abandoned."""
    held = tx.execute(
        "UPDATE stage SET token = '' WHERE account_id = ? AND token = '' RETURNING mailbox_id, first_uid", (account_id,)
    )
    if not held:
        return 0
    mailbox_id, first = held[0]
    removed = sweeping.remove_placements(
        tx, "account_id = ? AND mailbox_id = ? AND uid >= ?", (account_id, mailbox_id, first)
    )
    if removed:
        return removed
    tx.execute("UPDATE mailbox SET staged_uid = NULL WHERE account_id = ? AND mailbox_id = ?", (account_id, mailbox_id))
    tx.execute("DELETE FROM stage WHERE account_id = ?", (account_id,))
    return 0
