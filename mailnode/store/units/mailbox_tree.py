"""Units on the tree of an account's mailboxes: list, create, delete, rename, subscribe, count.

A mailbox row holds its level's name and its parent, so that renaming a tree is one row. Deleting one is one row too:
``deleted_at`` takes it out of the tree, and the sweep takes its messages later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mailnode.errors import LimitReached, MailboxExists, MailboxRefused, NoSuchMailbox, OverQuota
from mailnode.store.engines.engine import Transaction, of_account
from mailnode.store.units import mailbox_rights, metadata
from mailnode.store.units.accounts import INBOX_ID, add_mailbox, charge, touch
from mailnode.store.units.statements import listed, pieces
from mailnode.values.mailbox import SPECIAL_USE, MailboxInfo, MailboxStatus
from mailnode.values.mailbox_name import INBOX, SEPARATOR, mailbox_name, split

MAX_MAILBOXES = 10_000  # of one account
# No more than this can have been lost with an older file: changes and messages, and mailboxes made and deleted.
LOST_CHANGES = 1 << 40
LOST_MAILBOXES = 1_000_000


@dataclass(frozen=True, slots=True)
class _Box:
    mailbox_id: int
    parent_id: int
    name: str  # of its level
    uidvalidity: int
    special_use: str
    selectable: int


_BOX = "SELECT mailbox_id, parent_id, name, uidvalidity, special_use, selectable FROM mailbox"
_STANDS = " WHERE account_id = ? AND deleted_at IS NULL"


def _box(tx: Transaction, account_id: str, mailbox_id: int) -> _Box:
    rows = tx.execute(f"{_BOX}{_STANDS} AND mailbox_id = ?", (account_id, mailbox_id))
    if not rows:
        raise NoSuchMailbox(str(mailbox_id))
    return _Box(*rows[0])


def _path(tx: Transaction, account_id: str, levels: Sequence[str]) -> list[_Box]:
    """Return those of the levels that exist, from the top on."""
    found: list[_Box] = []
    parent_id = 0
    for level in levels:
        rows = tx.execute(f"{_BOX}{_STANDS} AND parent_id = ? AND name = ?", (account_id, parent_id, level))
        if not rows:
            break
        found.append(_Box(*rows[0]))
        parent_id = found[-1].mailbox_id
    return found


def _full_name(tx: Transaction, account_id: str, box: _Box) -> str:
    names = [box.name]
    while box.parent_id:
        box = _box(tx, account_id, box.parent_id)
        names.append(box.name)
    return SEPARATOR.join(reversed(names))


def _inferiors(tx: Transaction, account_id: str, mailbox_id: int) -> list[_Box]:
    """Return all mailboxes below one, superiors first."""
    found: list[_Box] = []
    level = [mailbox_id]
    while level:
        below: list[_Box] = []
        for some in pieces(level):
            marks, ids = listed(some)
            below += [_Box(*row) for row in tx.execute(f"{_BOX}{_STANDS} AND parent_id IN {marks}", (account_id, *ids))]
        found += below
        level = [box.mailbox_id for box in below]
    return found


def _full_names(boxes: Sequence[_Box], tops: dict[int, str]) -> dict[int, str]:
    """Return full names by id. :param boxes: superiors first. :param tops: what the names of those above begin with."""
    names = dict(tops)
    for box in boxes:
        names[box.mailbox_id] = names[box.parent_id] + SEPARATOR + box.name
    return names


def listing(tx: Transaction, account_id: str) -> list[MailboxInfo]:
    """All mailboxes, INBOX first, then by name."""
    boxes = {row[0]: _Box(*row) for row in tx.execute(f"{_BOX}{_STANDS}", (account_id,))}
    children: dict[int, list[_Box]] = {}
    for box in boxes.values():
        children.setdefault(box.parent_id, []).append(box)
    subscribed = set(subscriptions(tx, account_id))
    infos: list[MailboxInfo] = []
    waiting = [(box, box.name) for box in children.get(0, ())]
    while waiting:
        box, name = waiting.pop()
        infos.append(_info(box, name, name in subscribed))
        waiting.extend((child, name + SEPARATOR + child.name) for child in children.get(box.mailbox_id, ()))
    return sorted(infos, key=lambda info: (info.name != INBOX, info.name))


def _info(box: _Box, name: str, subscribed: bool) -> MailboxInfo:
    return MailboxInfo(box.mailbox_id, name, box.uidvalidity, box.special_use, bool(box.selectable), subscribed)


def _is_subscribed(tx: Transaction, account_id: str, name: str) -> bool:
    return bool(tx.execute("SELECT 1 FROM subscription WHERE account_id = ? AND name = ?", (account_id, name)))


def named(tx: Transaction, account_id: str, name: str) -> MailboxInfo:
    """The mailbox with this canonical name, selectable or not. :raises NoSuchMailbox:"""
    levels = split(name)
    found = _path(tx, account_id, levels)
    if len(found) < len(levels):
        raise NoSuchMailbox(name)
    return _info(found[-1], name, _is_subscribed(tx, account_id, name))


def with_inferior(tx: Transaction, account_id: str, name: str) -> list[MailboxInfo]:
    """The mailbox with this canonical name and, if it has any, one directly below it; nothing if there is none."""
    try:
        info = named(tx, account_id, name)
    except NoSuchMailbox:
        return []
    below = tx.execute(f"{_BOX}{_STANDS} AND parent_id = ? LIMIT 1", (account_id, info.id))
    return [info, *(_info(box, name + SEPARATOR + box.name, False) for box in (_Box(*row) for row in below))]


def find(tx: Transaction, account_id: str, name: str) -> int | None:
    """Return the id of a selectable mailbox by its full name, or None."""
    if name == INBOX:
        return INBOX_ID
    mailbox_id, selectable = 0, 0
    for level in split(name):
        rows = tx.execute(
            "SELECT mailbox_id, selectable FROM mailbox"
            " WHERE account_id = ? AND parent_id = ? AND name = ? AND deleted_at IS NULL",
            (account_id, mailbox_id, level),
        )
        if not rows:
            return None
        mailbox_id, selectable = rows[0]
    return mailbox_id if selectable else None


def with_use(tx: Transaction, account_id: str, use: str, name: str = "") -> int | None:
    """Return the id of the mailbox that has a use, or None; of several that with a name (RFC 8579 4), or the oldest."""
    rows = tx.execute(
        f"SELECT mailbox_id FROM mailbox{_STANDS} AND special_use = ? AND selectable = 1 ORDER BY mailbox_id",
        (account_id, use),
    )
    found = [int(row[0]) for row in rows]
    named = find(tx, account_id, name) if name and len(found) > 1 else None
    return named if named in found else found[0] if found else None


def is_selectable(tx: Transaction, account_id: str, mailbox_id: int) -> bool:
    """Whether there is such a mailbox that messages can be in."""
    where = f"{_STANDS} AND mailbox_id = ? AND selectable = 1"
    return bool(tx.execute(f"SELECT 1 FROM mailbox{where}", (account_id, mailbox_id)))


def found_or_made(tx: Transaction, account_id: str, name: str, use: str, modseq: int) -> int:
    """Return the id of the mailbox with a name; where there is none it is made, and subscribed, for a use or "".

    :param modseq: of the change under way. :raises LimitReached, OverQuota: there is no room for one more.
    """
    there = find(tx, account_id, name)
    if there is not None:
        return there
    levels = split(name)
    found = _path(tx, account_id, levels)
    if len(found) == len(levels):
        _revive(tx, account_id, found[-1], modseq, use)
        made = found[-1].mailbox_id
    else:
        _require_quota(tx, account_id, len(levels) - len(found))
        made = _make(tx, account_id, levels, found, modseq, use)
    _add_subscription(tx, account_id, name)
    return made


def of_use(tx: Transaction, account_id: str, special_use: str, modseq: int) -> int:
    """Return the id of the account's mailbox for a special use (RFC 6154), the oldest of several. Where it has none, the mailbox
    that bears the usual name gets that use, or is made, and subscribed, as it would be for a new account.

    :param modseq: of the change under way. :raises LimitReached: there is no room for one more.
    """
    there = with_use(tx, account_id, special_use)
    if there is not None:
        return there
    name = next(name for name, use in SPECIAL_USE.items() if use == special_use)
    found = _path(tx, account_id, [name])
    if not found:
        mailbox_id = _make(tx, account_id, [name], [], modseq, special_use)
    elif not found[0].selectable:
        _revive(tx, account_id, found[0], modseq, special_use)
        mailbox_id = found[0].mailbox_id
    else:
        mailbox_id = found[0].mailbox_id
        tx.execute(
            "UPDATE mailbox SET special_use = ?, highest_modseq = ?"
            " WHERE account_id = ? AND mailbox_id = ? AND special_use = ''",
            (special_use, modseq, account_id, mailbox_id),
        )
    _add_subscription(tx, account_id, name)
    return mailbox_id


@of_account
def create(tx: Transaction, account_id: str, name: str, special_use: str) -> tuple[MailboxInfo, int]:
    """Create a mailbox and missing superiors; return it and the account's modseq.

    :param name: canonical. :raises MailboxExists, LimitReached, OverQuota, NoSuchAccount:
    """
    modseq, _, _ = touch(tx, account_id)
    levels = split(name)
    found = _path(tx, account_id, levels)
    if len(found) == len(levels):
        _revive(tx, account_id, found[-1], modseq, special_use)
    else:
        _require_quota(tx, account_id, len(levels) - len(found))
        _make(tx, account_id, levels, found, modseq, special_use)
    return named(tx, account_id, name), modseq


def _require_quota(tx: Transaction, account_id: str, more: int) -> None:
    """Make sure that somebody may make more mailboxes. What the server makes for mail that has to go there is not counted
    against them. :raises OverQuota:"""
    [(quota,)] = tx.execute("SELECT quota_mailboxes FROM account WHERE account_id = ?", (account_id,))
    if quota:
        [(count,)] = tx.execute(f"SELECT count(*) FROM mailbox{_STANDS}", (account_id,))
        if count + more > quota:
            raise OverQuota(account_id)


def _make(
    tx: Transaction, account_id: str, levels: Sequence[str], found: Sequence[_Box], modseq: int, special_use: str
) -> int:
    """Make those of the levels that are missing, at least one; return the id of the last. :raises LimitReached:"""
    missing = levels[len(found) :]
    mailbox_id, uidvalidity = _numbers(tx, account_id, len(missing))
    if mailbox_id + len(missing) > MAX_MAILBOXES:  # as many ids were given out; how many of them stand is to be counted
        [(count,)] = tx.execute(f"SELECT count(*) FROM mailbox{_STANDS}", (account_id,))
        if count + len(missing) > MAX_MAILBOXES:
            raise LimitReached("mailboxes")
    parent = found[-1].mailbox_id if found else 0
    for number, level in enumerate(missing):
        use = special_use if number == len(missing) - 1 else ""
        add_mailbox(tx, account_id, mailbox_id + number, parent, level, uidvalidity + number, modseq, use)
        mailbox_rights.inherit(tx, account_id, parent, mailbox_id + number)
        parent = mailbox_id + number
    return parent


def _revive(tx: Transaction, account_id: str, box: _Box, modseq: int, special_use: str) -> None:
    """Make a name that only holds inferiors a mailbox again."""
    if box.selectable:
        raise MailboxExists(box.name)
    _, uidvalidity = _numbers(tx, account_id, 1)
    tx.execute(
        "UPDATE mailbox SET selectable = 1, uidvalidity = ?, highest_modseq = ?, special_use = ?"
        " WHERE account_id = ? AND mailbox_id = ?",
        (uidvalidity, modseq, special_use, account_id, box.mailbox_id),
    )


def _numbers(tx: Transaction, account_id: str, count: int) -> tuple[int, int]:
    """Take mailbox ids and UIDVALIDITYs; return the first of each."""
    mailbox_id, uidvalidity = tx.execute(
        "UPDATE account SET next_mailbox = next_mailbox + ?, next_uidvalidity = next_uidvalidity + ?"
        " WHERE account_id = ? RETURNING next_mailbox, next_uidvalidity",
        (count, count, account_id),
    )[0]
    return mailbox_id - count, uidvalidity - count


@of_account
def delete(tx: Transaction, account_id: str, mailbox_id: int, now: int) -> int:
    """Delete a mailbox and its messages; return the account's modseq. With inferiors its name stays, not selectable.

    :param now: UTC microseconds. :raises NoSuchMailbox, MailboxRefused, NoSuchAccount:
    """
    modseq, _, _ = touch(tx, account_id)
    box = _box(tx, account_id, mailbox_id)
    inferiors = tx.execute(f"SELECT 1 FROM mailbox{_STANDS} AND parent_id = ? LIMIT 1", (account_id, mailbox_id))
    if mailbox_id == INBOX_ID or (inferiors and not box.selectable):
        raise MailboxRefused(box.name)
    messages, size = tx.execute(
        "UPDATE mailbox SET deleted_at = ?, deleted_modseq = ? WHERE account_id = ? AND mailbox_id = ?"
        " RETURNING messages, size",
        (now, modseq, account_id, mailbox_id),
    )[0]
    charge(tx, account_id, -size, -messages)
    metadata.forget(tx, account_id, mailbox_id)
    mailbox_rights.forget(tx, account_id, mailbox_id)
    _retire(tx, account_id, {_full_name(tx, account_id, box): box.uidvalidity})
    if inferiors:
        name_id, uidvalidity = _numbers(tx, account_id, 1)
        add_mailbox(tx, account_id, name_id, box.parent_id, box.name, uidvalidity, modseq, selectable=0)
        tx.execute(
            "UPDATE mailbox SET parent_id = ? WHERE account_id = ? AND parent_id = ? AND deleted_at IS NULL",
            (name_id, account_id, mailbox_id),
        )
    return modseq


@of_account
def rename(tx: Transaction, account_id: str, mailbox_id: int, name: str) -> int:
    """Rename a mailbox other than INBOX, with its inferiors; return the account's modseq.

    :param name: canonical.
    :raises NoSuchMailbox, MailboxExists, MailboxRefused, BadMailboxName, LimitReached, OverQuota:
    """
    modseq, _, _ = touch(tx, account_id)
    box = _box(tx, account_id, mailbox_id)
    old = _full_name(tx, account_id, box)
    inferiors = _inferiors(tx, account_id, mailbox_id)
    before = _full_names(inferiors, {mailbox_id: old})
    after = _full_names(inferiors, {mailbox_id: name})
    for changed in after.values():
        mailbox_name(changed)
    if name.startswith(old + SEPARATOR):
        raise MailboxRefused(name)
    levels = split(name)
    found = _path(tx, account_id, levels)
    if len(found) == len(levels):
        raise MailboxExists(name)
    superiors = levels[:-1]
    parent = found[-1].mailbox_id if found else 0
    if len(found) < len(superiors):
        _require_quota(tx, account_id, len(superiors) - len(found))
        parent = _make(tx, account_id, superiors, found, modseq, "")
    tx.execute(
        "UPDATE mailbox SET parent_id = ?, name = ?, highest_modseq = ? WHERE account_id = ? AND mailbox_id = ?",
        (parent, levels[-1], modseq, account_id, mailbox_id),
    )
    moved = [box, *inferiors]
    _retire(tx, account_id, {before[one.mailbox_id]: one.uidvalidity for one in moved})
    for one in moved:
        _rise(tx, account_id, one, after[one.mailbox_id])
    return modseq


def _retire(tx: Transaction, account_id: str, names: dict[str, int]) -> None:
    tx.many(
        "INSERT INTO retired_name (account_id, name, uidvalidity) VALUES (?, ?, ?)"
        " ON CONFLICT (account_id, name) DO UPDATE SET uidvalidity = excluded.uidvalidity"
        " WHERE retired_name.uidvalidity < excluded.uidvalidity",
        [(account_id, name, uidvalidity) for name, uidvalidity in names.items()],
    )


def _rise(tx: Transaction, account_id: str, box: _Box, name: str) -> None:
    """Give a mailbox a new UIDVALIDITY if its new name has shown a higher one (RFC 9051 2.3.1.1)."""
    rows = tx.execute("SELECT uidvalidity FROM retired_name WHERE account_id = ? AND name = ?", (account_id, name))
    if rows and rows[0][0] > box.uidvalidity:
        _, uidvalidity = _numbers(tx, account_id, 1)
        tx.execute(
            "UPDATE mailbox SET uidvalidity = ? WHERE account_id = ? AND mailbox_id = ?",
            (uidvalidity, account_id, box.mailbox_id),
        )


@of_account
def begin_again(tx: Transaction, account_id: str) -> None:
    """Give out nothing that may have been given out by changes this file has lost: new UIDVALIDITYs for all mailboxes,
    and numbers of messages, mailboxes and changes from far above."""
    boxes = tx.execute("SELECT mailbox_id FROM mailbox WHERE account_id = ? ORDER BY mailbox_id", (account_id,))
    [(last,)] = tx.execute(
        "UPDATE account SET modseq = modseq + ?, next_message = next_message + ?, next_mailbox = next_mailbox + ?,"
        " next_uidvalidity = next_uidvalidity + ? WHERE account_id = ? RETURNING next_uidvalidity",
        (LOST_CHANGES, LOST_CHANGES, LOST_MAILBOXES, LOST_MAILBOXES + len(boxes), account_id),
    )
    tx.many(
        "UPDATE mailbox SET uidvalidity = ? WHERE account_id = ? AND mailbox_id = ?",
        [(last - len(boxes) + number, account_id, mailbox_id) for number, (mailbox_id,) in enumerate(boxes)],
    )


def subscriptions(tx: Transaction, account_id: str) -> list[str]:
    """Subscribed names, sorted."""
    return sorted(row[0] for row in tx.execute("SELECT name FROM subscription WHERE account_id = ?", (account_id,)))


@of_account
def subscribe(tx: Transaction, account_id: str, name: str, on: bool) -> int:
    """Add or remove one name; return the change's modseq. :raises LimitReached: too many. :raises NoSuchAccount:"""
    modseq, _, _ = touch(tx, account_id)
    if not on:
        tx.execute("DELETE FROM subscription WHERE account_id = ? AND name = ?", (account_id, name))
        return modseq
    _add_subscription(tx, account_id, name)
    if tx.execute("SELECT count(*) FROM subscription WHERE account_id = ?", (account_id,))[0][0] > MAX_MAILBOXES:
        raise LimitReached("subscriptions")
    return modseq


def _add_subscription(tx: Transaction, account_id: str, name: str) -> None:
    tx.execute(
        "INSERT INTO subscription (account_id, name) VALUES (?, ?) ON CONFLICT (account_id, name) DO NOTHING",
        (account_id, name),
    )


def status(tx: Transaction, account_id: str, mailbox_ids: Sequence[int]) -> list[MailboxStatus]:
    """Counts of selectable mailboxes, in the order asked; missing ones are left out."""
    counts = []
    for mailbox_id in mailbox_ids:
        for row in tx.execute(
            "SELECT messages, recent_uid, uidnext, unseen, deleted, size, uidvalidity, highest_modseq FROM mailbox"
            " WHERE account_id = ? AND mailbox_id = ? AND selectable = 1 AND deleted_at IS NULL",
            (account_id, mailbox_id),
        ):
            messages, recent_uid, uidnext, unseen, deleted, size, uidvalidity, modseq = row
            recent = _recent(tx, account_id, mailbox_id, recent_uid, uidnext) if recent_uid < uidnext else 0
            counts.append(
                MailboxStatus(mailbox_id, messages, recent, unseen, deleted, size, uidnext, uidvalidity, modseq)
            )
    return counts


def status_of(tx: Transaction, account_id: str, name: str) -> MailboxStatus:
    """Counts of the mailbox with this canonical name. :raises NoSuchMailbox: none, or not selectable."""
    mailbox_id = find(tx, account_id, name)
    counts = status(tx, account_id, (mailbox_id,)) if mailbox_id is not None else ()
    if not counts:
        raise NoSuchMailbox(name)
    return counts[0]


def _recent(tx: Transaction, account_id: str, mailbox_id: int, recent_uid: int, uidnext: int) -> int:
    rows = tx.execute(
        "SELECT count(*) FROM placement"
        " WHERE account_id = ? AND mailbox_id = ? AND uid >= ? AND uid < ? AND expunged_modseq IS NULL",
        (account_id, mailbox_id, recent_uid, uidnext),
    )
    return int(rows[0][0])
