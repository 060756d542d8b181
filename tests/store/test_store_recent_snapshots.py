"""Mailboxes selected again: what is kept of them and what changed since is what the store has."""

from __future__ import annotations

import random
from array import array
from dataclasses import replace

import pytest

from mailnode.store.facades import recent_snapshots
from mailnode.store.facades.recent_snapshots import RecentSnapshots, copied, later
from mailnode.store.units import messages
from mailnode.values.flags import FLAGGED, SEEN, KeywordTable
from mailnode.values.mailbox import MailboxChanges, MailboxSnapshot

DAY = 86_400.0


@pytest.fixture
def inbox(store):
    return store.account("ann").open(1)


@pytest.fixture(autouse=True)
def _small_ones_too(monkeypatch):
    monkeypatch.setattr(recent_snapshots, "LEAST", 1)


@pytest.fixture
def reads(store, inbox, monkeypatch):
    """The units that are run to read, by name."""
    partition = inbox._partition
    ran = []
    read = partition.read

    def noted(unit, *args, **kwargs):
        ran.append(unit.__name__)
        return read(unit, *args, **kwargs)

    monkeypatch.setattr(partition, "read", noted)
    return ran


def stored(loop, inbox):
    """A snapshot that nothing was kept for."""
    return loop.run(inbox._partition.read(messages.snapshot, inbox.account_id, inbox.id))


def test_what_changed_since_is_all_that_is_read(inbox, loop, make, reads):
    uids = loop.run(inbox.append([make() for _ in range(5)])).uids
    loop.run(inbox.snapshot())
    loop.run(inbox.store_flags(uids[1:3], "add", FLAGGED, ("$Later",)))
    loop.run(inbox.expunge(uids[2:4], False))
    loop.run(inbox.append([make(), make()]))
    del reads[:]
    again = loop.run(inbox.snapshot())
    assert reads == ["changes_since"]
    assert list(again.uids) == [uids[0], uids[1], uids[4], uids[4] + 1, uids[4] + 2]
    assert again == stored(loop, inbox)


@pytest.mark.parametrize("seed", range(5))
def test_whatever_happens_in_between(inbox, loop, make, seed):
    chance = random.Random(seed)
    loop.run(inbox.append([make() for _ in range(20)]))
    for _ in range(60):
        uids = list(stored(loop, inbox).uids)
        act = chance.randrange(5)
        some = sorted(chance.sample(uids, min(len(uids), chance.randint(1, 6))))
        if act == 0:
            loop.run(inbox.append([make() for _ in range(chance.randint(1, 4))]))
        elif act == 1 and some:
            loop.run(inbox.expunge(some, False))
        elif act == 2 and some:
            mode = chance.choice(["set", "add", "remove"])
            loop.run(inbox.store_flags(some, mode, chance.choice([SEEN, FLAGGED]), ("$A",) * chance.randint(0, 1)))
        elif act == 3 and some:
            loop.run(inbox.copy(some, 1))
        else:
            assert loop.run(inbox.snapshot()) == stored(loop, inbox)
    assert loop.run(inbox.snapshot()) == stored(loop, inbox)


def test_who_has_a_snapshot_may_alter_it(inbox, loop, make):
    loop.run(inbox.append([make() for _ in range(3)]))
    for _ in range(3):
        taken = loop.run(inbox.snapshot())
        assert taken == stored(loop, inbox)
        taken.flags[0] = 99
        taken.uids.pop()


def test_what_was_swept_since_is_not_missed(inbox, store, loop, make, clock, reads):
    uids = loop.run(inbox.append([make() for _ in range(3)])).uids
    loop.run(inbox.snapshot())
    loop.run(inbox.expunge(uids[:1], False))
    loop.run(store.sweep(clock.seconds() + 8 * DAY))
    del reads[:]
    assert list(loop.run(inbox.snapshot()).uids) == list(uids[1:])
    assert reads[:2] == ["changes_since", "snapshot"]


def test_much_that_changed_is_read_with_all_else(inbox, loop, make, reads, monkeypatch):
    monkeypatch.setattr(messages, "MANY_CHANGES", 3)
    uids = loop.run(inbox.append([make() for _ in range(4)])).uids
    loop.run(inbox.snapshot())
    loop.run(inbox.store_flags(uids[:2], "add", SEEN))
    loop.run(inbox.snapshot())
    loop.run(inbox.store_flags(uids[:3], "remove", SEEN))
    assert loop.run(inbox.snapshot()) == stored(loop, inbox)
    assert reads[:4] == ["snapshot", "changes_since", "changes_since", "snapshot"]


def test_another_mailbox_of_that_number_has_nothing_of_the_one_before(store, loop, make):
    ann = store.account("ann").open(1)
    loop.run(ann.append([make(), make()]))
    before = loop.run(ann.snapshot())
    loop.run(store.remove("ann"))
    loop.run(store.provision("ann"))
    assert list(loop.run(ann.snapshot()).uids) == []
    # As where another process had removed it.
    store.snapshots.keep("ann", replace(before, highest_modseq=before.highest_modseq + 99))
    assert list(loop.run(ann.snapshot()).uids) == []


def test_a_deleted_mailbox_is_kept_no_more(store, loop, make):
    ann = store.account("ann")
    other = loop.run(ann.create("Other"))
    loop.run(ann.open(other.id).append([make()]))
    loop.run(ann.open(other.id).snapshot())
    assert store.snapshots.get("ann", other.id) is not None
    loop.run(ann.delete(other.id))
    assert store.snapshots.get("ann", other.id) is None


# --- without a store


def snapshot(count, mailbox=1):
    numbers = range(1, count + 1)
    return MailboxSnapshot(
        mailbox, 1, count + 1, count, array("I", numbers), array("Q", numbers), array("Q", numbers), KeywordTable(())
    )


def test_the_longest_unused_go_first_and_none_is_kept_that_has_no_room():
    kept = RecentSnapshots(messages=10)
    for mailbox in (1, 2):
        kept.keep("ann", snapshot(5, mailbox))
    kept.keep("ann", snapshot(4, 1))
    kept.keep("bob", snapshot(3, 1))
    assert [kept.get(*key) is not None for key in (("ann", 1), ("ann", 2), ("bob", 1))] == [True, False, True]
    kept.keep("ann", snapshot(11, 1))
    assert kept.get("ann", 1) is None and kept.get("bob", 1) is not None
    kept.keep("ann", snapshot(7, 3))
    assert kept.get("ann", 3) is not None and kept.get("bob", 1) is not None
    kept.forget("bob")
    assert kept.get("bob", 1) is None


def test_small_mailboxes_are_read_anew(monkeypatch):
    monkeypatch.setattr(recent_snapshots, "LEAST", 3)
    kept = RecentSnapshots()
    kept.keep("ann", snapshot(2))
    assert kept.get("ann", 1) is None


def test_changes_that_do_not_fit_make_nothing():
    before = replace(snapshot(3), uids=array("I", [1, 2, 9]))
    changes = MailboxChanges(9, 10, ((5, 0, 9),), (), KeywordTable(()))
    assert later(before, changes) is None
    assert copied(before) == before
