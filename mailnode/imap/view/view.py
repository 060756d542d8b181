"""The selected mailbox as one client was told of it: the session's own map of sequence numbers to UIDs.

Two worlds meet here. The store changes at any time; the client's numbering may change only where the protocol allows
it. ``merge`` takes in what the store says and alters no number. ``announce`` says what the client may be told now, and
only that moves the numbers:

* EXPUNGE only where the command allows it, highest number first, so that each is valid after the one before;
* EXISTS only grows, and goes out before anything that names a new message;
* a message expunged elsewhere keeps its number, its UID and its last flags until its EXPUNGE was announced.

What waits is bounded by the mailbox: new messages stand at the end of the arrays, the rest are sets of their UIDs.

The arrays of a session that rests are packed (:mod:`mailnode.imap.view.packing`), and unpacked by the first thing that looks
into them. Hearing that nothing happened, and saying so, looks into none.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mailnode.imap.view.bitmaps import carriers, with_bit
from mailnode.imap.view.packing import Columns, pack, unpack
from mailnode.imap.view.saved import Saved
from mailnode.values.flags import DELETED, SEEN, KeywordTable
from mailnode.values.mailbox import MailboxChanges, MailboxSnapshot
from mailnode.values.sets import SeqSet, UidSet, merge

_PIECE = 65_536  # messages of which the unseen are looked for at a time: the first is mostly near

RECENT = 1 << 63  # the bit above the store's 63: recent to this session (RFC 3501 2.3.2)


_NONE: Columns = (array("I"), array("Q"), array("Q"))  # never altered: what alters unpacks first


@dataclass(frozen=True, slots=True)
class Announcement:
    """What to send, in this order: keywords (FLAGS, PERMANENTFLAGS), expunged or vanished, exists, recent, changed."""

    keywords: bool = False  # the keyword table grew
    expunged: tuple[int, ...] = ()  # sequence numbers, descending
    vanished: tuple[int, ...] = ()  # the same messages by UID, ascending, for who is told that way
    exists: int | None = None
    recent: int | None = None
    changed: tuple[int, ...] = ()  # indexes of messages whose flags or modseq the client has not seen


class NoSuchNumber(Exception):
    """A sequence number above the count of messages the client was told of (answered BAD)."""


class View:
    """Arrays ``uids``, ``flags`` (with :data:`RECENT`) and ``modseqs``, ascending by UID; index + 1 is the sequence
    number of the first ``exists`` entries, the others have not been announced. ``packed``: they as
    :func:`mailnode.imap.view.packing.pack` made them small; None while they are there."""

    __slots__ = (
        "_ahead",
        "_changed",
        "_flags",
        "_gone",
        "_keywords_told",
        "_modseq_said",
        "_modseqs",
        "_recent_told",
        "_uids",
        "count",
        "exists",
        "highest_modseq",
        "keywords",
        "knows_recent",
        "mailbox_id",
        "others_seen",
        "packed",
        "recent",
        "results",
        "saved",
        "told_modseq",
        "touched",
        "uidnext",
        "uidvalidity",
    )

    def __init__(self, snapshot: MailboxSnapshot, others_seen: bool = False) -> None:
        """:param snapshot: what SELECT is about to announce as a whole; its arrays are the view's from now on.
        :param others_seen: mod-sequences also rise by what others have seen, which no flag here shows."""
        self.mailbox_id = snapshot.mailbox_id
        self.uidvalidity = snapshot.uidvalidity
        self.uidnext = snapshot.uidnext
        self.highest_modseq = snapshot.highest_modseq
        self.told_modseq = snapshot.highest_modseq  # the client was told of all changes up to here
        self._modseq_said = snapshot.highest_modseq  # what it takes that to be
        self._ahead = 0  # the highest mod-sequence of this session's own changes
        self.keywords = snapshot.keywords
        self.packed: bytes | None = None  # in place of the arrays, which are empty then
        self._uids = snapshot.uids
        self._flags = snapshot.flags
        self._modseqs = snapshot.modseqs
        self.exists = self.count = len(self._uids)  # told to the client; told and not yet told
        first_recent = bisect_left(self._uids, snapshot.recent_from)
        self._flags[first_recent:] = with_bit(self._flags[first_recent:], RECENT)
        self.recent = self.exists - first_recent
        self._recent_told = self.recent
        self.knows_recent = True
        self.others_seen = others_seen
        self._keywords_told = len(self.keywords.names)
        self.saved = Saved()  # what ``$`` stands for: nothing, after SELECT (RFC 5182 2.1)
        self.results: list[Saved] = []  # of searches whose changes are told (RFC 5267 4.3)
        self.touched: set[int] = set()  # UIDs of what came or changed, while there are such results
        self._gone: set[int] = set()
        self._changed: dict[int, int] = {}  # UID -> index of announced messages whose flags the client has not seen

    # Rest

    @property
    def uids(self) -> array[int]:
        """UIDs, ascending. Typecode "I"."""
        if self.packed is not None:
            self.unpack()
        return self._uids

    @property
    def flags(self) -> array[int]:
        """Flags with :data:`RECENT`. Typecode "Q"."""
        if self.packed is not None:
            self.unpack()
        return self._flags

    @property
    def modseqs(self) -> array[int]:
        """Mod-sequences. Typecode "Q"."""
        if self.packed is not None:
            self.unpack()
        return self._modseqs

    @property
    def columns(self) -> Columns:
        """The three arrays."""
        if self.packed is not None:
            self.unpack()
        return self._uids, self._flags, self._modseqs

    def pack(self, packed: bytes | None = None) -> None:
        """Make the arrays small. :param packed: what a thread has made of :attr:`columns`, which did not change since."""
        if self.packed is None:
            self.packed = pack(self.columns) if packed is None else packed
            self._uids, self._flags, self._modseqs = _NONE
            for marks in (self.saved, *self.results):
                marks.pack()

    def unpack(self, columns: Columns | None = None) -> None:
        """Have the arrays again. :param columns: what a thread has made of :attr:`packed`."""
        if self.packed is not None:
            self._uids, self._flags, self._modseqs = unpack(self.packed) if columns is None else columns
            self.packed = None

    # What the store says

    def forget_recent(self) -> None:
        """Have no message that is recent to this session, now and later (RFC 9051 2.3.2)."""
        self.knows_recent = False
        if self.recent:
            self._flags = with_bit(self.flags, RECENT, False)
            self.recent = 0
        self._recent_told = 0

    def merge(self, changes: MailboxChanges) -> None:
        """Take in what happened after :attr:`highest_modseq`. Seeing the same change twice is harmless."""
        if changes.changed:
            self._take(changes.changed, changes.recent_from)
        if changes.expunged:
            self.vanish(changes.expunged)
        self.highest_modseq = max(self.highest_modseq, changes.highest_modseq)
        self.uidnext = max(self.uidnext, changes.uidnext)
        self.learn(changes.keywords)

    def learn(self, keywords: KeywordTable) -> None:
        """Take over a longer keyword table."""
        if len(keywords.names) > len(self.keywords.names):
            self.keywords = keywords

    def _take(self, changed: Sequence[tuple[int, int, int]], recent_from: int) -> None:
        """Take in messages, ascending. Twenty sessions on one mailbox do this twenty times for each change of a flag."""
        uids, flags, modseqs = self.columns
        index = 0
        for uid, new, modseq in changed:
            index = bisect_left(uids, uid, index)
            if index == len(uids):
                self._arrive(uid, new, modseq, uid >= recent_from)
            elif (
                uids[index] == uid and modseq > modseqs[index]
            ):  # another UID: this one was expunged and told meanwhile
                before = flags[index]
                flags[index] = new | before & RECENT
                modseqs[index] = modseq
                if index < self.exists:
                    if self.results:  # one may go by mod-sequences
                        self.touched.add(uid)
                    if not self.others_seen or new != before & ~RECENT:
                        self._changed[uid] = index

    def _touch(self, uid: int) -> None:
        if self.results:
            self.touched.add(uid)

    def _arrive(self, uid: int, flags: int, modseq: int, recent: bool) -> None:
        self._touch(uid)
        recent = recent and self.knows_recent
        self.uids.append(uid)
        self.flags.append(flags | RECENT if recent else flags)
        self.modseqs.append(modseq)
        self.count += 1
        self.recent += recent

    def vanish(self, uids: Iterable[int]) -> None:
        """Note that messages are expunged, by this session or another; their numbers stay until announced."""
        never_told = []
        held, index = self.uids, 0
        for uid in sorted(uids):
            index = bisect_left(held, uid, index)
            if index == len(held):
                break
            if held[index] != uid:
                continue
            if index < self.exists:
                self._gone.add(uid)
            else:  # as if it had never come
                never_told.append(index)
                self.touched.discard(uid)
        if never_told:
            self._remove(never_told)

    def stored(self, changed: Sequence[tuple[int, int, int]], mode: str, bits: int) -> list[tuple[int, bool]]:
        """Take in the result of this session's own STORE.

        :param changed: ``FlagsStored.changed``. :param mode: set, add or remove. :param bits: the flags it named.
        :return: for each message its index, and whether its flags now differ from what the client must expect: somebody
            else changed them too, which even .SILENT reports (RFC 3501 6.4.6).
        """
        result: list[tuple[int, bool]] = []
        uids, bitmaps, modseqs = self.columns
        for uid, flags, modseq in changed:
            index = bisect_left(uids, uid)
            if index >= self.exists or uids[index] != uid:
                continue
            before = bitmaps[index]
            old = before & ~RECENT
            expected = bits if mode == "set" else old | bits if mode == "add" else old & ~bits
            foreign = flags != expected or uid in self._changed
            if modseq >= modseqs[index]:
                bitmaps[index] = flags | (before & RECENT)
                modseqs[index] = modseq
                self._ahead = max(self._ahead, modseq)
                self._touch(uid)
            result.append((index, foreign))
        return result

    def told(self, indexes: Iterable[int]) -> None:
        """Note that the client was just sent the flags of these messages."""
        if self._changed:
            for index in indexes:
                self._changed.pop(self.uids[index], None)

    # What the client may be told

    def is_told(self) -> bool:
        """Whether the client knows of everything, as it mostly does; then count it as told up to here."""
        if (
            self._changed
            or self._gone
            or self.count > self.exists
            or self.recent != self._recent_told
            or self.keywords_grew
        ):
            return False
        self.told_modseq = self.highest_modseq
        return True

    def announce(self, expunge: bool) -> Announcement:
        """Return what to send now, and count it as sent.

        :param expunge: whether the command allows EXPUNGE (RFC 3501 7.4.1).
        """
        keywords = len(self.keywords.names) > self._keywords_told
        self._keywords_told = len(self.keywords.names)
        expunged: tuple[int, ...] = ()
        vanished: tuple[int, ...] = ()
        if expunge and self._gone:
            indexes = self._places(self._gone)
            expunged = tuple(index + 1 for index in reversed(indexes))
            vanished = tuple(sorted(self._gone))
            for uid in self._gone:
                self._changed.pop(uid, None)
            self._gone.clear()
            self._remove(indexes)
            self.exists -= len(indexes)
            self._recent_told = min(self._recent_told, self.recent)
        exists = recent = None
        if self.count > self.exists:
            exists = self.exists = self.count
        if self.knows_recent and (self.recent != self._recent_told or exists is not None):
            recent = self._recent_told = self.recent
        changed: tuple[int, ...] = ()
        if self._changed:
            waiting = self._changed.items()
            changed = tuple(sorted([index for uid, index in waiting if uid not in self._gone]))
            self._changed = {}
        if not self._gone:
            self.told_modseq = self.highest_modseq
        return Announcement(keywords, expunged, vanished, exists, recent, changed)

    def modseq_owed(self) -> int | None:
        """Return the mod-sequence up to which the client knows all, and count it as said; None where it takes it for that
        already. It must be said where MODSEQs were sent above those of changes that were not (RFC 7162 3.2 and 6)."""
        if self.told_modseq == self._modseq_said and max(self._ahead, self.highest_modseq) <= self.told_modseq:
            return None
        self._modseq_said = self.told_modseq
        return self.told_modseq

    @property
    def keywords_grew(self) -> bool:
        """Whether there are keywords the client was not told of: a FETCH of flags must not name them before FLAGS did."""
        return len(self.keywords.names) > self._keywords_told

    def keywords_told(self) -> None:
        """Note that FLAGS was just sent."""
        self._keywords_told = len(self.keywords.names)

    def _places(self, uids: set[int]) -> list[int]:
        """Return the indexes of UIDs of the view, ascending; of many of them by one walk, which is cheaper then."""
        if len(uids) * 8 > self.count:
            return [index for index, uid in enumerate(self.uids) if uid in uids]
        held = self.uids
        return [bisect_left(held, uid) for uid in sorted(uids)]

    def _remove(self, indexes: Sequence[int]) -> None:
        """Cut ascending indexes out of the arrays; linear in the mailbox."""
        self.recent -= sum(1 for index in indexes if self.flags[index] & RECENT)
        kept = []
        start = 0
        for index in indexes:
            if start < index:
                kept.append(slice(start, index))
            start = index + 1
        kept.append(slice(start, None))
        self._uids, self._flags, self._modseqs = (_parts(column, kept) for column in self.columns)
        self.count = len(self._uids)
        for marks in (self.saved, *self.results):
            marks.cut(kept)
        self._changed = {uid: bisect_left(self._uids, uid) for uid in self._changed}

    # Numbers

    def index_of(self, uid: int) -> int | None:
        """Return the index of a UID, announced or not; None when it does not stand in the view."""
        index = bisect_left(self.uids, uid)
        return index if index < len(self.uids) and self.uids[index] == uid else None

    def pick(self, numbers: SeqSet | UidSet) -> list[range]:
        """Return the announced messages a set names, as ascending ranges of indexes; see :meth:`pick_existing`.

        :raises NoSuchNumber: a sequence number above :attr:`exists`.
        """
        if isinstance(numbers, SeqSet):
            spans = numbers.concrete(self.exists)
            if spans and spans[-1][1] > self.exists:
                raise NoSuchNumber
            if not numbers.saved:
                return [range(low - 1, high) for low, high in spans]
        return self.pick_existing(numbers)

    def pick_existing(self, numbers: SeqSet | UidSet) -> list[range]:
        """Return the announced messages a set names, as ascending ranges of indexes.

        UIDs that do not exist are passed over (RFC 3501 6.4.8), and numbers above :attr:`exists`: a search that names
        them finds nothing there. ``*`` in an empty mailbox names nothing, and ``$`` what was saved.
        """
        if numbers.saved:
            spans = self.saved.spans(self.exists)
            return _united([*spans, *self._numbered(numbers)]) if numbers.ranges else spans
        return self._numbered(numbers)

    def _numbered(self, numbers: SeqSet | UidSet) -> list[range]:
        if isinstance(numbers, SeqSet):
            spans = numbers.concrete(self.exists)
            return [range(low - 1, min(high, self.exists)) for low, high in spans if low <= self.exists]
        uids, exists = self.uids, self.exists
        largest = uids[exists - 1] if exists else 0
        picked = []
        for low, high in numbers.concrete(largest):
            first = bisect_left(uids, low, 0, exists)
            span = range(first, bisect_right(uids, high, first, min(exists, first + high - low + 1)))
            if span:
                picked.append(span)
        return picked

    def is_gone(self, index: int) -> bool:
        """Whether a message is expunged and the client does not know yet."""
        return bool(self._gone) and self.uids[index] in self._gone

    @property
    def has_gone(self) -> bool:
        """Whether an EXPUNGE waits to be announced."""
        return bool(self._gone)

    def gone_indexes(self) -> list[int]:
        """Return the indexes of the messages whose EXPUNGE waits, ascending."""
        return self._places(self._gone)

    def follow(self, marks: Saved) -> None:
        """Note from now on what comes and changes; what has come and was not announced, too. :param marks: of a result."""
        self.results.append(marks)
        self.touched.update(self.uids[self.exists :])

    def unfollow(self, marks: Saved) -> None:
        """A result's changes are not told any more."""
        self.results = [other for other in self.results if other is not marks]
        if not self.results:
            self.touched.clear()

    def touched_indexes(self) -> list[int]:
        """Return the indexes of announced messages that came or changed, ascending."""
        held, count = self.uids, self.exists
        places = dict.fromkeys(self._places(self.touched))  # of one that went there is the place of the next
        return [index for index in places if index < count and held[index] in self.touched]

    # Counts of what was announced

    @property
    def first_unseen(self) -> int | None:
        """The sequence number of the first message without \\Seen."""
        for start in range(0, self.exists, _PIECE):
            found = carriers(self.flags[start : min(start + _PIECE, self.exists)], SEEN, False).find(1)
            if found >= 0:
                return start + found + 1
        return None

    def count_without(self, bit: int) -> int:
        """How many announced messages lack a flag."""
        return carriers(self.flags[: self.exists], bit, False).count(1)

    def deleted_uids(self, among: Iterable[range] | None = None) -> list[int]:
        """UIDs of announced messages that carry \\Deleted, ascending; those already gone left out."""
        spans = [range(self.exists)] if among is None else among
        uids = [self.uids[index] for span in spans for index in span if self.flags[index] & DELETED]
        return [uid for uid in uids if uid not in self._gone] if self._gone else uids


def _united(spans: list[range]) -> list[range]:
    return [range(low, high + 1) for low, high in merge((span.start, span.stop - 1) for span in spans)]


def _parts(column: array[int], kept: Sequence[slice]) -> array[int]:
    new = array(column.typecode)
    for part in kept:
        new.extend(column[part])
    return new
