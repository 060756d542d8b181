"""Messages by id, where they stand, and what changed in a whole account."""

import pytest

from mailnode.errors import ChangesForgotten, LimitReached, NoSuchMailbox, NoSuchMessage
from mailnode.store.engines.engine import mail_tenancy
from mailnode.store.facades.mail_store import MailStore
from mailnode.store.units import account_changes
from mailnode.store.units.sweeping import RETENTION
from mailnode.values.flags import FLAGGED, SEEN
from mailnode.values.mailbox import AccountChanges


@pytest.fixture
def ann(store):
    return store.account("ann")


@pytest.fixture
def ids(ann, loop, make):
    """The ids of three messages in INBOX, the second of which is in mailbox 2 as well."""
    loop.run(ann.open(1).append([make(), make(), make()]))
    loop.run(ann.open(1).copy([2], 2))
    return [row[1] for row in loop.run(ann.open(1).rows([1, 2, 3], ["message_id"]))]


async def nothing_elsewhere(blob_ids):
    return set()


@pytest.fixture
def sweep(engine, blobs, hints, clock, loop):
    sweeper = MailStore(engine, blobs, hints, clock, 2, nothing_elsewhere)

    def later():
        clock.advance(RETENTION + 1)
        loop.run(sweeper.sweep(clock.seconds()))

    return later


def test_a_message_stands_in_several_mailboxes(ann, loop, ids):
    loop.run(ann.open(2).store_flags([1], "set", FLAGGED))
    found = loop.run(ann.placements([*ids, 999]))
    assert set(found) == set(ids)
    assert [(where.mailbox_id, where.uid, where.flags) for where in found[ids[1]]] == [(1, 2, 0), (2, 1, FLAGGED)]
    assert found[ids[1]][1].modseq == loop.run(ann.modseq())


def test_a_message_is_read_by_its_id_wherever_it_stands(ann, loop, ids):
    subject = loop.run(ann.open(1).rows([2], ["envelope", "blob"]))[0][1:]
    assert loop.run(ann.message(ids[1], ["envelope", "blob"])) == subject
    loop.run(ann.open(1).expunge([2], False))
    assert loop.run(ann.message(ids[1], ["envelope", "blob"])) == subject
    loop.run(ann.delete(2))
    with pytest.raises(NoSuchMessage):
        loop.run(ann.message(ids[1], ["envelope"]))
    with pytest.raises(NoSuchMessage):
        loop.run(ann.message(999, ["envelope"]))


def test_ids_are_asked_for_in_bounded_numbers(ann, loop):
    assert loop.run(ann.placements([])) == {}
    with pytest.raises(LimitReached):
        loop.run(ann.placements(range(257)))


def test_nothing_changed(ann, loop, ids):
    now = loop.run(ann.modseq())
    assert loop.run(ann.changes(now)) == AccountChanges(now, False, (), (), (), (), ())


def test_made_altered_and_destroyed_in_all_mailboxes(ann, loop, ids, make):
    before = loop.run(ann.modseq())
    (new,) = loop.run(ann.open(3).append([make()])).uids
    loop.run(ann.open(1).store_flags([1], "add", SEEN))
    loop.run(ann.open(1).expunge([2], False))  # still in mailbox 2
    loop.run(ann.open(1).expunge([3], False))
    made = loop.run(ann.open(3).rows([new], ["message_id"]))[0][1]
    assert loop.run(ann.changes(before)) == AccountChanges(
        loop.run(ann.modseq()), False, (made,), (ids[0], ids[1]), (ids[2],), (1, 3), ()
    )


def test_a_move_alters_and_what_came_and_went_is_not_told(ann, loop, ids, make):
    before = loop.run(ann.modseq())
    loop.run(ann.open(1).move([1], 4))
    passing = loop.run(ann.open(1).append([make()])).uids
    loop.run(ann.open(1).expunge(passing, False))
    changes = loop.run(ann.changes(before))
    assert (changes.made, changes.altered, changes.destroyed) == ((), (ids[0],), ())


def test_mailboxes_are_made_renamed_and_deleted(ann, loop, ids):
    box = loop.run(ann.create("Lists"))
    before = loop.run(ann.modseq())
    loop.run(ann.rename(box.id, "Lists of old"))
    other = loop.run(ann.create("New"))
    loop.run(ann.delete(2))
    changes = loop.run(ann.changes(before))
    assert changes.mailboxes == (box.id, other.id)
    assert changes.deleted_mailboxes == (2,)
    assert (changes.made, changes.altered, changes.destroyed) == ((), (ids[1],), ())


def test_the_messages_of_a_deleted_mailbox_are_destroyed(ann, loop, ids):
    before = loop.run(ann.modseq())
    loop.run(ann.open(1).move([1], 5))
    middle = loop.run(ann.modseq())
    loop.run(ann.delete(5))
    assert loop.run(ann.changes(before)).destroyed == (ids[0],)
    assert loop.run(ann.changes(middle)).destroyed == (ids[0],)
    assert loop.run(ann.changes(loop.run(ann.modseq()))).destroyed == ()


def test_pages_end_between_two_changes_and_miss_nothing(ann, loop, make):
    before = loop.run(ann.modseq())
    for count in (2, 3, 1, 5, 1):
        loop.run(ann.open(1).append([make() for _ in range(count)]))
    sizes, told, since, more = [], [], before, True
    while more:
        page = loop.run(ann.changes(since, 4))
        since, more = page.modseq, page.more
        sizes.append(len(page.made))
        told += page.made
    assert sizes == [2, 4, 5, 1]
    assert since == loop.run(ann.modseq())
    assert sorted(told) == sorted(row[1] for row in loop.run(ann.open(1).rows(range(1, 13), ["message_id"])))


def test_what_was_swept_cannot_be_told(ann, loop, ids, sweep):
    before = loop.run(ann.modseq())
    loop.run(ann.open(1).expunge([3], False))
    middle = loop.run(ann.modseq())
    loop.run(ann.open(1).move([1], 5))
    loop.run(ann.delete(5))
    after = loop.run(ann.modseq())
    sweep()
    for since in (before, middle, after - 1):
        with pytest.raises(ChangesForgotten):
            loop.run(ann.changes(since))
    assert loop.run(ann.changes(after)).modseq == after


def test_a_mailbox_deleted_by_an_older_version_is_not_told_of_wrongly(store, engine, ann, loop, ids):
    loop.run(ann.delete(2))
    now = loop.run(ann.modseq())
    assert loop.run(ann.changes(now)).deleted_mailboxes == ()
    tenancy = mail_tenancy(store.partition("ann"))
    forget = "UPDATE mailbox SET deleted_modseq = NULL WHERE deleted_at IS NOT NULL"
    loop.run(engine.write(tenancy, lambda tx: tx.execute(forget)))
    with pytest.raises(ChangesForgotten):
        loop.run(ann.changes(now))


def test_too_much_cannot_be_told(ann, loop, ids, make, monkeypatch):
    monkeypatch.setattr(account_changes, "MOST", 4)
    before = loop.run(ann.modseq())
    loop.run(ann.open(1).append([make() for _ in range(4)]))
    assert len(loop.run(ann.changes(before, 1)).made) == 4
    loop.run(ann.open(2).append([make()]))
    with pytest.raises(ChangesForgotten):
        loop.run(ann.changes(before))


def test_a_modseq_from_the_future_is_of_another_life(ann, loop, ids):
    with pytest.raises(ChangesForgotten):
        loop.run(ann.changes(loop.run(ann.modseq()) + 1))


def test_an_account_that_is_gone(store, ann, loop, ids):
    loop.run(store.remove("ann"))
    with pytest.raises(NoSuchMailbox):
        loop.run(ann.changes(0))
