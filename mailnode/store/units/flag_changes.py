"""Units that change flags of messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mailnode.store.engines.engine import Arguments, Transaction, of_account, run_together
from mailnode.store.units.accounts import keyword_bits, save_keywords, touch, untouch, with_keywords
from mailnode.store.units.arrivals import grow
from mailnode.store.units.messages import LIVE, by_uids, require
from mailnode.store.units.statements import runs
from mailnode.values.flags import DELETED, SEEN, SYSTEM_MASK
from mailnode.values.mailbox import FlagsStored


@of_account
def store_flags(
    tx: Transaction,
    account_id: str,
    mailbox_id: int,
    uids: Sequence[int],
    mode: str,
    flags: int,
    keywords: Sequence[str],
    unchanged_since: int | None,
) -> tuple[FlagsStored, bool]:
    """Change flags of live messages; see ``IMailbox.store_flags``. Return also whether any was altered: if not, no
    trace is left.

    :raises NoSuchAccount, NoSuchMailbox, KeywordLimit:
    """
    return _store_flags(tx, account_id, mailbox_id, [(uids, mode, flags, keywords, unchanged_since)])[0]


FlagChange = tuple[Sequence[int], str, int, Sequence[str], int | None]  # store_flags() from ``uids`` on


def store_flags_together(tx: Transaction, calls: Sequence[Arguments]) -> list[tuple[FlagsStored, bool]]:
    """Do what :func:`store_flags` does for each of several, in fewer statements; all or none.

    Each has a modseq of its own. Of two that name the same message the later sees what the earlier has done.
    """
    results: dict[int, tuple[FlagsStored, bool]] = {}
    for account_id, mailbox_id, numbers in _apart(calls):
        stored = _store_flags(tx, account_id, mailbox_id, [calls[number][2:] for number in numbers])
        for number, result in zip(numbers, stored, strict=True):
            results[number] = result
    return [results[number] for number in range(len(calls))]


run_together(store_flags, store_flags_together)


def _apart(calls: Sequence[Arguments]) -> Iterator[tuple[str, int, list[int]]]:
    """Cut calls into groups of one mailbox, none of which names a message twice. Accounts come in the order of their ids,
    calls for one mailbox in theirs."""
    groups: dict[tuple[str, int], list[tuple[set[int], list[int]]]] = {}
    for number, (account_id, mailbox_id, uids, *_) in enumerate(calls):
        of_mailbox = groups.setdefault((account_id, mailbox_id), [])
        if not of_mailbox or not of_mailbox[-1][0].isdisjoint(uids):
            of_mailbox.append((set(), []))
        of_mailbox[-1][0].update(uids)
        of_mailbox[-1][1].append(number)
    for (account_id, mailbox_id), of_mailbox in sorted(groups.items()):
        for _, numbers in of_mailbox:
            yield account_id, mailbox_id, numbers


def _store_flags(
    tx: Transaction, account_id: str, mailbox_id: int, changes: Sequence[FlagChange]
) -> list[tuple[FlagsStored, bool]]:
    """Make changes of which no two name the same message."""
    last, _, known = touch(tx, account_id, changes=len(changes))
    modseq = last - len(changes)
    uids = changes[0][0] if len(changes) == 1 else sorted(uid for change in changes for uid in change[0])
    select = "SELECT p.uid, p.flags, p.modseq FROM placement p"
    live = {row[0]: row for row in by_uids(tx, select, account_id, mailbox_id, uids, LIVE)}
    table = known
    results = []
    altered: list[tuple[int, int, int, int]] = []  # uid, flags before, flags after, modseq
    for wanted, mode, flags, keywords, unchanged_since in changes:
        grown = table if mode == "remove" else with_keywords(table, keywords)
        bits = flags & SYSTEM_MASK | keyword_bits(grown, keywords)
        addressed: list[tuple[int, int, int]] = []
        modified: list[int] = []
        flags_before: list[int] = []
        before = len(altered)
        for uid in wanted:
            if uid not in live:
                continue
            _, old, old_modseq = live[uid]
            if unchanged_since is not None and old_modseq > unchanged_since:
                modified.append(uid)
                continue
            new = bits if mode == "set" else old | bits if mode == "add" else old & ~bits
            if new != old:
                altered.append((uid, old, new, modseq + 1))
            addressed.append((uid, new, modseq + 1 if new != old else old_modseq))
            flags_before.append(old)
        if len(altered) > before:
            modseq, table = modseq + 1, grown
        stored = FlagsStored(tuple(addressed), tuple(modified), table, modseq, tuple(flags_before))
        results.append((stored, len(altered) > before))
    if modseq < last:
        untouch(tx, account_id, last - modseq)
    if not altered:
        require(tx, account_id, mailbox_id)
        return results
    if table is not known:
        save_keywords(tx, account_id, table)
    write_flags(tx, account_id, mailbox_id, modseq, altered)
    return results


def write_flags(
    tx: Transaction, account_id: str, mailbox_id: int, modseq: int, altered: Sequence[tuple[int, int, int, int]]
) -> None:
    """Write flags that were altered: UID, flags before and after, modseq."""
    for some in runs(altered):
        values = [value for uid, _, new, own in some for value in (new, own, uid)]
        if len(some) == 1:
            statement = "UPDATE placement SET flags = ?, modseq = ? WHERE uid = ? AND account_id = ? AND mailbox_id = ?"
        else:
            statement = (
                "UPDATE placement SET flags = v.column1, modseq = v.column2"
                f" FROM (VALUES {', '.join(['(?, ?, ?)'] * len(some))}) AS v"
                " WHERE placement.uid = v.column3 AND placement.account_id = ? AND placement.mailbox_id = ?"
            )
        tx.execute(statement, [*values, account_id, mailbox_id])
    unseen = deleted = 0
    for _, old, new, _ in altered:
        unseen += bool(old & SEEN) - bool(new & SEEN)
        deleted += bool(new & DELETED) - bool(old & DELETED)
    grow(tx, account_id, mailbox_id, modseq, 0, unseen, deleted, 0)
