"""The view against a reference: a client that applies only what is announced ends equal with the store."""

from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailnode.imap.view.packing import pack, unpack
from mailnode.imap.view.view import RECENT, Announcement, NoSuchNumber, View
from mailnode.values.flags import DELETED, FLAGGED, SEEN, KeywordTable
from mailnode.values.mailbox import MailboxChanges, MailboxSnapshot
from mailnode.values.sets import STAR, SeqSet, UidSet


class Store:
    """A mailbox as simply as it can be written: what the view is told about, and what the client must end up with."""

    def __init__(self, count: int) -> None:
        self.modseq = 1
        self.uidnext = 1
        self.live: dict[int, tuple[int, int]] = {}
        self.dead: dict[int, int] = {}
        self.names: tuple[str, ...] = ()
        self.claimed = 1
        for _ in range(count):
            self.append(0)

    def append(self, flags: int) -> int:
        self.modseq += 1
        uid, self.uidnext = self.uidnext, self.uidnext + 1
        self.live[uid] = (flags, self.modseq)
        return uid

    def alter(self, uid: int, mode: str, bits: int) -> tuple[tuple[int, int, int], ...]:
        if uid not in self.live:
            return ()
        old, modseq = self.live[uid]
        new = bits if mode == "set" else old | bits if mode == "add" else old & ~bits
        if new != old:
            self.modseq += 1
            modseq = self.modseq
        self.live[uid] = (new, modseq)
        return ((uid, new, modseq),)

    def expunge(self, uid: int) -> None:
        if uid in self.live:
            self.modseq += 1
            del self.live[uid]
            self.dead[uid] = self.modseq

    def claim(self) -> int:
        first, self.claimed = self.claimed, self.uidnext
        return first

    def snapshot(self) -> MailboxSnapshot:
        uids = sorted(self.live)
        return MailboxSnapshot(
            1, 7, self.uidnext, self.modseq, array("I", uids), array("Q", [self.live[u][0] for u in uids]),
            array("Q", [self.live[u][1] for u in uids]), KeywordTable(self.names), self.claim(),
        )  # fmt: skip

    def changes(self, since: int) -> MailboxChanges:
        changed = tuple((u, f, m) for u, (f, m) in sorted(self.live.items()) if m > since)
        expunged = tuple(u for u, m in sorted(self.dead.items()) if m > since)
        return MailboxChanges(self.modseq, self.uidnext, changed, expunged, KeywordTable(self.names), self.claim())


class Client:
    """What a mail program believes: one slot a message, changed only by what it is sent."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.slots: list[list[int]] = []
        self._learn(view.exists)

    def _learn(self, exists: int) -> None:
        assert exists >= len(self.slots), "EXISTS fell without EXPUNGE"
        for index in range(len(self.slots), exists):  # the client fetches UID and flags of what is new
            self.slots.append([self.view.uids[index], self.view.flags[index] & ~RECENT])
        self.view.told(range(len(self.slots)))

    def apply(self, expunge: bool) -> None:
        told = self.view.is_told()
        said = self.view.announce(expunge)
        assert not told or said == Announcement()
        if not expunge:
            assert not said.expunged
        for number in said.expunged:
            assert 1 <= number <= len(self.slots), "EXPUNGE of a number that is not there"
            del self.slots[number - 1]
        if said.exists is not None:
            before = len(self.slots)
            assert said.exists > before
            for index in range(before, said.exists):
                self.slots.append([self.view.uids[index], self.view.flags[index] & ~RECENT])
        for index in said.changed:
            self.slots[index][1] = self.view.flags[index] & ~RECENT
        assert len(self.slots) == self.view.exists
        self.same_numbers()

    def same_numbers(self) -> None:
        assert [uid for uid, _ in self.slots] == self.view.uids[: self.view.exists].tolist()


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 31), st.just(0)),
        st.tuples(st.sampled_from(["add", "remove", "set"]), st.integers(0, 30), st.integers(0, 31)),
        st.tuples(st.just("expunge"), st.integers(0, 30), st.just(0)),
        st.tuples(st.sampled_from(["own add", "own set", "own silent"]), st.integers(0, 30), st.integers(0, 31)),
        st.tuples(st.just("own expunge"), st.integers(0, 30), st.just(0)),
        st.tuples(st.sampled_from(["merge", "quiet", "noop", "rest"]), st.just(0), st.just(0)),
    ),
    max_size=60,
)


def _act(store: Store, client: Client, action: str, which: int, bits: int) -> None:
    view = client.view
    known = sorted(store.live)
    uid = known[which % len(known)] if known else 0
    if action == "append":
        store.append(which)
    elif action in ("add", "remove", "set"):
        store.alter(uid, action, bits)
    elif action == "expunge":
        store.expunge(uid)
    elif action == "rest":
        view.pack()
    elif action == "merge":
        view.merge(store.changes(view.highest_modseq))
    elif action in ("quiet", "noop"):
        view.merge(store.changes(view.highest_modseq))
        client.apply(expunge=action == "noop")
    elif view.exists:
        _own(store, client, action, which % view.exists, bits)


def _own(store: Store, client: Client, action: str, index: int, bits: int) -> None:
    view = client.view
    uid = view.uids[index]
    assert uid == client.slots[index][0]
    if action == "own expunge":
        if uid in store.live:
            store.expunge(uid)
            view.vanish([uid])
        return
    mode = "set" if action == "own set" else "add"
    believed = client.slots[index][1]
    for at, foreign in view.stored(store.alter(uid, mode, bits), mode, bits):
        assert at == index
        if action == "own silent" and not foreign:
            client.slots[at][1] = bits if mode == "set" else believed | bits
        else:
            client.slots[at][1] = view.flags[at] & ~RECENT
            view.told([at])
        assert client.slots[at][1] == store.live[uid][0]


@settings(max_examples=300)
@given(st.integers(0, 6), ACTIONS)
def test_client_ends_equal_with_the_store(count: int, actions: list[tuple[str, int, int]]) -> None:
    store = Store(count)
    client = Client(View(store.snapshot()))
    for action, which, bits in actions:
        _act(store, client, action, which, bits)
        client.same_numbers()
    client.view.merge(store.changes(client.view.highest_modseq))
    client.apply(expunge=True)
    assert client.slots == [[uid, flags] for uid, (flags, _) in sorted(store.live.items())]
    assert client.view.modseqs.tolist() == [modseq for _, (_, modseq) in sorted(store.live.items())]
    assert client.view.recent == sum(1 for flags in client.view.flags if flags & RECENT)


def test_the_model_can_fail() -> None:
    """A view that numbers wrongly is caught by the client model."""
    store = Store(3)
    view = View(store.snapshot())
    client = Client(view)
    store.expunge(2)
    view.merge(store.changes(view.highest_modseq))
    view._remove([1])  # as a view without the rule would
    with pytest.raises(AssertionError):
        client.same_numbers()


# IMAP trap 13: each number is valid after the one before
def test_expunge_waits_and_numbers_descend() -> None:
    store = Store(5)
    view = View(store.snapshot())
    for uid in (2, 3, 5):
        store.expunge(uid)
    store.append(0)
    view.merge(store.changes(view.highest_modseq))
    quiet = view.announce(expunge=False)
    assert (quiet.expunged, quiet.exists) == ((), 6)
    assert view.uids.tolist() == [1, 2, 3, 4, 5, 6]
    assert view.is_gone(1) and not view.is_gone(0)
    loud = view.announce(expunge=True)
    assert (loud.expunged, loud.exists) == ((5, 3, 2), None)
    assert view.uids.tolist() == [1, 4, 6]


def test_a_client_that_knows_all_is_told_nothing_and_any_other_is() -> None:
    store = Store(3)
    view = View(store.snapshot())
    for happens in (lambda: store.expunge(2), lambda: store.append(0), lambda: store.alter(3, "add", FLAGGED)):
        assert view.is_told()
        happens()
        view.merge(store.changes(view.highest_modseq))
        assert not view.is_told()
        view.announce(expunge=True)
    store.names = (*store.names, "new")
    view.merge(store.changes(view.highest_modseq))
    assert not view.is_told()


def test_flags_of_what_is_gone_are_not_told() -> None:
    store = Store(3)
    view = View(store.snapshot())
    store.alter(2, "add", FLAGGED)
    store.alter(3, "add", FLAGGED)
    view.merge(store.changes(view.highest_modseq))
    store.expunge(2)
    view.merge(store.changes(view.highest_modseq))
    assert view.announce(expunge=False).changed == (2,)


def test_what_was_not_told_of_is_named_by_no_set() -> None:
    store = Store(2)
    view = View(store.snapshot())
    store.append(0)
    view.merge(store.changes(view.highest_modseq))
    assert view.pick(UidSet(((1, 9),))) == [range(2)]
    assert view.pick(UidSet(((3, 3),))) == []
    assert view.pick(UidSet(((STAR, STAR),))) == [range(1, 2)]
    view.announce(expunge=False)
    assert view.pick(UidSet(((1, 9),))) == [range(3)]


# IMAP trap 13: EXISTS falls by EXPUNGE alone
def test_new_and_gone_before_told_is_never_seen() -> None:
    store = Store(1)
    view = View(store.snapshot())
    uid = store.append(0)
    view.merge(store.changes(view.highest_modseq))
    store.expunge(uid)
    view.merge(store.changes(view.highest_modseq))
    said = view.announce(expunge=True)
    assert (said.expunged, said.exists, view.recent) == ((), None, 1)


def test_recent_stays_with_one_session() -> None:
    store = Store(2)
    first = View(store.snapshot())
    assert (first.recent, first.announce(True).recent) == (2, None)
    store.append(0)
    second = View(store.snapshot())
    first.merge(store.changes(first.highest_modseq))
    assert [bool(f & RECENT) for f in first.flags] == [True, True, False]
    assert [bool(f & RECENT) for f in second.flags] == [False, False, True]


def test_silent_store_reports_a_foreign_change() -> None:
    store = Store(1)
    view = View(store.snapshot())
    store.alter(1, "add", FLAGGED)
    assert view.stored(store.alter(1, "add", SEEN), "add", SEEN) == [(0, True)]
    view.told([0])
    assert view.stored(store.alter(1, "add", DELETED), "add", DELETED) == [(0, False)]
    view.merge(store.changes(view.highest_modseq))
    assert view.announce(True).changed == ()


def test_numbers() -> None:
    store = Store(4)
    store.expunge(2)
    view = View(store.snapshot())

    def uids(numbers: SeqSet | UidSet) -> list[int]:
        return [view.uids[i] for span in view.pick(numbers) for i in span]

    assert uids(UidSet(((2, 3),))) == [3]
    assert uids(UidSet(((9, STAR),))) == [4]
    assert uids(UidSet(((STAR, 1),))) == [1, 3, 4]
    assert uids(UidSet(((1, 4294967295),) * 10000)) == [1, 3, 4]
    assert uids(SeqSet(((STAR, STAR),))) == [4]
    assert uids(SeqSet(((3, 1), (2, 2)))) == [1, 3, 4]
    with pytest.raises(NoSuchNumber):
        view.pick(SeqSet(((1, 4),)))
    with pytest.raises(NoSuchNumber):
        view.pick(SeqSet(((4, STAR),)))
    assert view.pick_existing(SeqSet(((4, STAR),))) == [range(2, 3)]
    assert view.pick_existing(SeqSet(((4, 9), (2, 2)))) == [range(1, 2)]


def test_a_view_that_rests_hears_that_nothing_happened_without_unpacking() -> None:
    store = Store(300)
    view = View(store.snapshot())
    before = [column.tolist() for column in view.columns]
    view.pack()
    packed = view.packed
    view.merge(store.changes(view.highest_modseq))
    assert view.announce(True) == Announcement()
    assert view.pick(SeqSet(((1, STAR),))) == [range(300)]
    assert view.packed is packed and len(packed) < 1000
    assert [column.tolist() for column in view.columns] == before and view.packed is None
    assert [column.typecode for column in view.columns] == ["I", "Q", "Q"]


@given(st.lists(st.tuples(st.integers(1, 2**32 - 1), st.integers(0, 2**64 - 1), st.integers(0, 2**63 - 1))))
def test_packing_is_exact(rows: list[tuple[int, int, int]]) -> None:
    columns = [array(code, [row[at] for row in rows]) for at, code in enumerate("IQQ")]
    assert list(unpack(pack(columns))) == columns


def test_empty_mailbox() -> None:
    view = View(Store(0).snapshot())
    assert view.pick(SeqSet(((1, STAR),))) == []
    assert view.pick(UidSet(((1, STAR),))) == []
    with pytest.raises(NoSuchNumber):
        view.pick(SeqSet(((1, 1),)))


def test_keywords_are_told_once() -> None:
    store = Store(1)
    view = View(store.snapshot())
    store.names = ("$Forwarded",)
    view.merge(store.changes(0))
    assert view.announce(False).keywords
    assert not view.announce(False).keywords


def test_counts() -> None:
    store = Store(3)
    store.alter(1, "add", SEEN | DELETED)
    store.alter(3, "add", DELETED)
    view = View(store.snapshot())
    assert (view.first_unseen, view.count_without(SEEN)) == (2, 2)
    assert view.deleted_uids() == [1, 3]
    assert view.deleted_uids([range(1, 3)]) == [3]
    view.vanish([3])
    assert view.deleted_uids() == [1]
