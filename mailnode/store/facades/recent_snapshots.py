"""The live messages of large mailboxes as they were last read, so that who selects one again reads only what changed since.

Whatever changes a placement gives it the next modseq of its account; so what is kept is right for its own modseq for ever, and
the changes behind that make a later one of it (:func:`mailnode.store.units.messages.changes_since`). Where some of these are
kept no more, or they are many, all is read.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

from mailnode.values.mailbox import MailboxChanges, MailboxSnapshot

LEAST = 1_000  # messages of a mailbox that is kept: fewer are read in no time
MESSAGES = 1_200_000  # of all that are kept, twenty octets each

_Key = tuple[str, int]  # account, mailbox


class RecentSnapshots:
    """Of all partitions of this process; the longest unused go first."""

    def __init__(self, messages: int = MESSAGES) -> None:
        """:param messages: of all mailboxes that are kept."""
        self._left = messages
        self._kept: OrderedDict[_Key, MailboxSnapshot] = OrderedDict()

    def get(self, account_id: str, mailbox_id: int) -> MailboxSnapshot | None:
        """Return what is kept of a mailbox; its arrays are not to be changed."""
        return self._kept.get((account_id, mailbox_id))

    def keep(self, account_id: str, snapshot: MailboxSnapshot) -> None:
        """Keep what was read of a mailbox in place of what was before; its arrays are not changed from now on."""
        key = account_id, snapshot.mailbox_id
        self._drop(key)
        if LEAST <= len(snapshot.uids) <= self._left + sum(len(one.uids) for one in self._kept.values()):
            self._kept[key] = snapshot
            self._left -= len(snapshot.uids)
            while self._left < 0:
                self._drop(next(iter(self._kept)))

    def forget(self, account_id: str, mailbox_id: int | None = None) -> None:
        """A mailbox is gone, or an account with all of its mailboxes."""
        for key in [key for key in self._kept if key[0] == account_id and mailbox_id in (None, key[1])]:
            self._drop(key)

    def clear(self) -> None:
        """Forget everything."""
        for key in list(self._kept):
            self._drop(key)

    def _drop(self, key: _Key) -> None:
        dropped = self._kept.pop(key, None)
        if dropped is not None:
            self._left += len(dropped.uids)


def copied(snapshot: MailboxSnapshot) -> MailboxSnapshot:
    """Return the same in arrays of its own."""
    return replace(snapshot, uids=snapshot.uids[:], flags=snapshot.flags[:], modseqs=snapshot.modseqs[:])


def later(snapshot: MailboxSnapshot, changes: MailboxChanges) -> MailboxSnapshot | None:
    """Return what became of a mailbox by changes, in arrays of its own; None: they do not fit."""
    made = copied(snapshot)
    uids, flags, modseqs = made.uids, made.flags, made.modseqs
    index = 0
    for uid, now, modseq in changes.changed:
        index = bisect_left(uids, uid, index)
        if index == len(uids):
            uids.append(uid)
            flags.append(now)
            modseqs.append(modseq)
        elif uids[index] == uid:
            flags[index], modseqs[index] = now, modseq
        else:
            return None
    gone = [at for uid in changes.expunged if (at := bisect_left(uids, uid)) < len(uids) and uids[at] == uid]
    if gone:
        uids, flags, modseqs = (_without(column, gone) for column in (uids, flags, modseqs))
    return replace(
        made,
        uids=uids,
        flags=flags,
        modseqs=modseqs,
        uidnext=changes.uidnext,
        highest_modseq=changes.highest_modseq,
        keywords=changes.keywords,
        recent_from=changes.recent_from,
    )


def _without(column: array[int], gone: Sequence[int]) -> array[int]:
    """Return a column without ascending places; linear in it."""
    left = array(column.typecode)
    start = 0
    for at in gone:
        left.extend(column[start:at])
        start = at + 1
    left.extend(column[start:])
    return left
