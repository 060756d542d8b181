"""What was expunged, or went with its mailbox, comes back where it was last, once, under new UIDs."""

from __future__ import annotations

import pytest

from mailnode.errors import OverQuota
from mailnode.store.facades.account_check import Looked
from mailnode.store.facades.undelete import Undelete
from mailnode.store.units.sweeping import RETENTION
from mailnode.values.flags import DELETED, FLAGGED, SEEN


@pytest.fixture
def undelete(engine, store, blobs, hints, clock):
    return Undelete(engine, blobs, store.partition, clock, hints)


@pytest.fixture
def ann(store):
    return store.account("ann")


def placed(loop, ann, make, mailbox_id=1, count=1, **options):
    return loop.run(ann.open(mailbox_id).append([make(**options) for _ in range(count)])).uids


def gone(loop, undelete, mailbox_id=1):
    return [one.uid for one in loop.run(undelete.messages("ann", mailbox_id, 0))]


def live(loop, ann, mailbox_id=1):
    found = loop.run(ann.open(mailbox_id).snapshot())
    return dict(zip(found.uids, found.flags, strict=True))


def test_expunged_messages_are_found_and_come_back_under_new_uids(loop, ann, make, undelete, hints):
    uids = placed(loop, ann, make, count=3, flags=SEEN | FLAGGED | DELETED)
    loop.run(ann.open(1).expunge(uids[:2], False))
    before = loop.run(ann.status([1]))[0]
    assert gone(loop, undelete) == list(uids[:2])
    hints.published.clear()
    assert loop.run(undelete.place("ann", 1, uids, 1)) == 2
    assert live(loop, ann) == {3: SEEN | FLAGGED | DELETED, 4: SEEN | FLAGGED, 5: SEEN | FLAGGED}
    after = loop.run(ann.status([1]))[0]
    assert after.uidvalidity == before.uidvalidity and after.highest_modseq > before.highest_modseq
    assert hints.published == [("ann", after.highest_modseq)]
    assert gone(loop, undelete) == []
    assert loop.run(undelete.place("ann", 1, uids, 1)) == 0, "again, it does nothing"


def test_what_was_moved_is_not_gone_and_comes_back_where_it_was_last(loop, ann, make, undelete):
    trash = loop.run(ann.named("Trash")).id
    placed(loop, ann, make)
    loop.run(ann.open(1).move([1], trash))
    assert gone(loop, undelete) == gone(loop, undelete, trash) == []
    loop.run(ann.open(trash).expunge([1], False))
    assert (gone(loop, undelete), gone(loop, undelete, trash)) == ([], [1])


def test_what_was_copied_is_gone_with_its_last_place(loop, ann, make, undelete):
    trash = loop.run(ann.named("Trash")).id
    placed(loop, ann, make)
    loop.run(ann.open(1).copy([1], trash))
    loop.run(ann.open(1).expunge([1], False))
    assert gone(loop, undelete) == []
    loop.run(ann.open(trash).expunge([1], False))
    assert len(gone(loop, undelete) + gone(loop, undelete, trash)) == 1


def test_messages_of_a_deleted_mailbox_come_back_into_another(loop, ann, make, undelete):
    old = loop.run(ann.create("Work/Old")).id
    placed(loop, ann, make, old, count=2)
    loop.run(ann.delete(old))
    boxes = {box.mailbox_id: (box.name, box.stands) for box in loop.run(undelete.mailboxes("ann"))}
    assert boxes[old] == ("Work/Old", False)
    again = loop.run(ann.create("Work/Old")).id
    assert loop.run(undelete.place("ann", old, gone(loop, undelete, old), again)) == 2
    assert list(live(loop, ann, again)) == [1, 2]


def test_the_owner_s_quota_holds(loop, store, ann, make, undelete):
    placed(loop, ann, make, count=2)
    loop.run(ann.open(1).expunge([1], False))
    loop.run(store.set_quota("ann", 0, 1))
    with pytest.raises(OverQuota):
        loop.run(undelete.place("ann", 1, [1], 1))
    assert gone(loop, undelete) == [1]


def test_what_the_sweep_took_is_gone_for_good(loop, store, ann, make, undelete, clock):
    placed(loop, ann, make)
    loop.run(ann.open(1).expunge([1], False))
    loop.run(store.sweep(clock.seconds() + 8 * 86_400))
    assert gone(loop, undelete) == []
    assert loop.run(undelete.place("ann", 1, [1], 1)) == 0


def test_many_are_told_and_placed_in_pieces(loop, ann, make, undelete, monkeypatch):
    monkeypatch.setattr("mailnode.store.facades.undelete.AT_ONCE", 2)
    uids = placed(loop, ann, make, count=5)
    loop.run(ann.open(1).expunge(uids, False))
    assert gone(loop, undelete) == [1, 2]
    assert [one.uid for one in loop.run(undelete.messages("ann", 1, 4))] == [5]
    assert loop.run(undelete.place("ann", 1, uids, 1)) == 5


def test_messages_say_what_they_are_wherever_their_facts_lie(loop, ann, make, undelete, files):
    placed(loop, ann, make)
    placed(loop, ann, make, fill=20_000)
    loop.run(ann.open(1).expunge([1, 2], False))
    assert [one.keys.subject for one in loop.run(undelete.messages("ann", 1, 0))] == ["x", "x"]


def test_digests_are_of_what_stands(loop, ann, make, undelete, monkeypatch):
    monkeypatch.setattr("mailnode.store.units.undelete._DIGESTS", 1)
    placed(loop, ann, make, count=2)
    loop.run(ann.open(1).expunge([1], False))
    found, after = [], 0
    while after is not None:
        some, after = loop.run(undelete.digests("ann", after))
        found += some
    assert len(found) == 1


def set_aside(loop, store, *message_ids, sound=()):
    """Have messages be set aside, or be sound again."""
    looked = Looked(None, 0, 0, dict.fromkeys(message_ids, "its content is lost"), list(sound))
    loop.run(store.check("ann").keep(looked))


def test_what_is_set_aside_does_not_stand_for_what_a_backup_has(loop, store, ann, make, undelete):
    placed(loop, ann, make, content=b"Subject: a\r\n\r\n")
    placed(loop, ann, make, content=b"Subject: b\r\n\r\n")
    both, _ = loop.run(undelete.digests("ann", 0))
    set_aside(loop, store, 1)
    assert loop.run(undelete.digests("ann", 0)) == (both[1:], None)
    set_aside(loop, store, sound=[1])
    assert loop.run(undelete.digests("ann", 0)) == (both, None)


def test_what_is_set_aside_and_expunged_comes_back_as_it_was_and_goes_with_its_message(
    loop, store, ann, make, undelete, clock
):
    placed(loop, ann, make)
    set_aside(loop, store, 1)
    loop.run(ann.open(1).expunge([1], False))
    assert gone(loop, undelete) == [1]
    assert loop.run(undelete.place("ann", 1, [1], 1)) == 1
    assert loop.run(store.check("ann").set_aside()) == ["message 1, UID 2 of mailbox 1: its content is lost"]
    loop.run(ann.open(1).expunge([2], False))
    loop.run(store.sweep(clock.seconds() + RETENTION + 1))
    assert loop.run(store.check("ann").set_aside()) == []
