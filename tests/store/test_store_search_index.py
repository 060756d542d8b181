"""The search index of accounts on every engine: what may hold a text, kept beside the messages."""

from __future__ import annotations

from array import array

import pytest
from store_support import PARTITIONS

from mailnode.errors import StoreDamaged
from mailnode.store.engines.engine import mail_tenancy
from mailnode.store.facades import search_index as facade
from mailnode.store.facades.search_index import SearchIndex
from mailnode.store.search.segments import build, ids_of
from mailnode.store.units import search_index
from mailnode.values.search import BODY, HEADER, SHOWN, IndexedText, Needle

DAY = 86_400.0


@pytest.fixture
def index(store, engine):
    return SearchIndex(engine, store.partition, PARTITIONS)


@pytest.fixture
def inbox(store):
    return store.account("ann").open(1)


@pytest.fixture
def tenancy(store):
    return mail_tenancy(store.partition("ann"))


def texts(message_id, word=None):
    return IndexedText(message_id, [[f"subject{message_id}"], ["header"], [word or f"word{message_id}", "all"]])


def index_all(loop, index, account="ann"):
    """Index all there is, as whoever does it in the background."""
    while True:
        work = loop.run(index.to_index(account))
        if work.until <= work.since:
            return
        joined = loop.run(index.to_join(account, len(work.messages)))
        segment = build([texts(one.message_id) for one in work.messages], [one for _, one in joined])
        assert loop.run(index.add(account, work, segment, [place for place, _ in joined]))


def maybe(loop, index, text, zone=BODY, box=1, uids=(1, 10**6), worth=1e9):
    zones = frozenset({zone})
    found = loop.run(index.candidates("ann", box, uids, [Needle(text, zones)], worth, lambda: None))
    return None if found is None else set().union(*found[0])


def test_nothing_is_known_before_it_is_indexed(index, inbox, loop, make):
    assert maybe(loop, index, "word1") is None
    loop.run(inbox.append([make(), make()]))
    assert maybe(loop, index, "word1") is None


def test_what_may_hold_a_text_is_told_by_uid(index, inbox, loop, make):
    loop.run(inbox.append([make() for _ in range(12)]))
    loop.run(inbox.expunge([1], False))
    index_all(loop, index)
    assert maybe(loop, index, "word3") == {3}
    assert maybe(loop, index, "word1") == {1, 10, 11, 12}, (
        "one that is expunged is still shown to those who were not told"
    )
    assert maybe(loop, index, "subject3", SHOWN) == {3}
    assert maybe(loop, index, "subject3", HEADER) == set()
    assert maybe(loop, index, "no") is None, "two letters say nothing"
    assert maybe(loop, index, "nope") == set()


def test_several_texts_at_once(index, inbox, loop, make):
    loop.run(inbox.append([make() for _ in range(5)]))
    index_all(loop, index)
    needles = [
        Needle("word2", frozenset({BODY})),
        Needle("x", frozenset({BODY})),
        Needle("subject", frozenset({SHOWN, BODY})),
    ]
    found = loop.run(index.candidates("ann", 1, (1, 5), needles, 1e9, lambda: None))
    assert found == [(set(), {2}), (set(), {1, 2, 3, 4, 5}), (set(), {1, 2, 3, 4, 5})]


@pytest.mark.parametrize(
    ("text", "surely", "maybe"),
    [
        ("word2", {2}, {3}),  # of the third nothing is known
        ("header", set(), {1, 2, 3, 4}),
        ("word2 ", set(), {2, 3}),
        ("word2 all", set(), {2, 3}),
        ("nope", set(), {3}),
    ],
)
def test_a_word_in_a_deciding_zone_is_held_for_sure(index, inbox, loop, make, text, surely, maybe):
    loop.run(inbox.append([make() for _ in range(4)]))
    work = loop.run(index.to_index("ann"))
    segment = build([texts(1), texts(2), IndexedText(3, None), texts(4)])
    loop.run(index.add("ann", work, segment, []))
    needle = Needle(text, frozenset({SHOWN, HEADER, BODY}), frozenset({BODY}))
    [found] = loop.run(index.candidates("ann", 1, (1, 4), [needle], 1e9, lambda: None))
    assert found == (surely, maybe)


def test_each_mailbox_has_its_own_uids(index, inbox, store, loop, make):
    ann = store.account("ann")
    other = loop.run(ann.create("Other"))
    loop.run(inbox.append([make() for _ in range(4)]))
    index_all(loop, index)
    loop.run(inbox.copy([3, 4], other.id))
    loop.run(inbox.copy([4], 1))
    assert maybe(loop, index, "word3", box=other.id) == {1}
    assert maybe(loop, index, "word4", box=other.id) == {2}
    assert maybe(loop, index, "word4") == {4, 5}
    assert maybe(loop, index, "word1", box=other.id) == set()


def test_only_segments_of_the_messages_that_are_searched_are_looked_through(index, inbox, loop, make, monkeypatch):
    monkeypatch.setattr(search_index, "MESSAGES", 2)
    loop.run(inbox.append([make() for _ in range(6)]))
    index_all(loop, index)
    looked = []
    look = search_index.look

    def noted(tx, account_id, wanted, needles):
        looked.extend((place.first, place.last) for place in wanted)
        return look(tx, account_id, wanted, needles)

    monkeypatch.setattr(search_index, "look", noted)
    assert maybe(loop, index, "word4", uids=(3, 4)) == {4}
    assert looked == [(3, 4)]


def test_what_helps_nobody_is_given_up(index, inbox, loop, make, monkeypatch):
    monkeypatch.setattr(search_index, "MESSAGES", 1)
    monkeypatch.setattr("mailnode.store.search.tiers.FACTOR", 1000)
    monkeypatch.setattr(facade, "LOOKED_TOGETHER", 1)
    loop.run(inbox.append([make() for _ in range(9)]))
    index_all(loop, index)
    looked = []
    look = search_index.look

    def noted(tx, account_id, wanted, needles):
        looked.extend(place.first for place in wanted)
        return look(tx, account_id, wanted, needles)

    monkeypatch.setattr(search_index, "look", noted)
    assert maybe(loop, index, "all") is None and sorted(looked) == [1, 5, 9]
    looked.clear()
    assert maybe(loop, index, "word5") == {5} and sorted(looked) == list(range(1, 10))
    surely = Needle("all", frozenset({BODY}), frozenset({BODY}))
    [found] = loop.run(index.candidates("ann", 1, (1, 9), [surely], 1e9, lambda: None))
    assert found == ({*range(1, 10)}, set())


def test_what_takes_longer_than_reading_is_not_done(index, inbox, loop, make):
    loop.run(inbox.append([make()]))
    index_all(loop, index)
    assert maybe(loop, index, "word1", worth=1.0) is None
    assert maybe(loop, index, "word1", worth=1000.0) == {1}


def test_many_candidates_are_looked_up_together(index, inbox, loop, make):
    loop.run(inbox.append([make() for _ in range(6)]))
    loop.run(inbox.copy([2], 1))
    index_all(loop, index)
    assert maybe(loop, index, "all") == {1, 2, 3, 4, 5, 6, 7}
    assert maybe(loop, index, "word2") == {2, 7}


def test_segments_are_joined(index, inbox, loop, make, tenancy, engine, monkeypatch):
    monkeypatch.setattr(search_index, "MESSAGES", 1)
    loop.run(inbox.append([make() for _ in range(9)]))
    index_all(loop, index)
    places = loop.run(engine.read(tenancy, search_index.places, "ann"))
    assert [(one.first, one.last, one.messages) for one in places] == [(1, 4, 4), (5, 8, 4), (9, 9, 1)]
    assert [maybe(loop, index, f"word{number}") for number in (1, 4, 5, 9)] == [{1}, {4}, {5}, {9}]
    for segment in loop.run(engine.read(tenancy, search_index.read, "ann", places)):
        assert ids_of(segment)[0] == segment.first


def test_messages_are_indexed_in_order_a_bounded_number_at_a_time(index, inbox, loop, make, monkeypatch):
    monkeypatch.setattr(search_index, "MESSAGES", 4)
    loop.run(inbox.append([make() for _ in range(6)]))
    work = loop.run(index.to_index("ann"))
    assert [(one.message_id, one.mailbox_id, one.uid) for one in work.messages] == [(n, 1, n) for n in range(1, 5)]
    assert (work.since, work.until, work.waiting) == (0, 4, 6) and work.arrived is not None
    monkeypatch.setattr(search_index, "OCTETS", 1)
    assert [one.message_id for one in loop.run(index.to_index("ann")).messages] == [1], "one in any case"


def test_who_was_faster_wins(index, inbox, loop, make):
    loop.run(inbox.append([make()]))
    work = loop.run(index.to_index("ann"))
    assert loop.run(index.add("ann", work, build([texts(1)]), []))
    assert not loop.run(index.add("ann", work, build([texts(1, "other")]), []))
    assert maybe(loop, index, "word1") == {1} and maybe(loop, index, "other") == set()


def test_who_has_something_to_be_indexed_is_found(index, inbox, store, loop, make):
    loop.run(store.provision("bob"))
    assert loop.run(index.behind("")) == []
    loop.run(inbox.append([make(), make()]))
    loop.run(store.account("bob").open(1).append([make()]))
    assert loop.run(index.behind("")) == [("ann", 2), ("bob", 1)]
    assert loop.run(index.behind("ann")) == [("bob", 1)]
    index_all(loop, index)
    assert loop.run(index.behind("")) == [("bob", 1)]
    assert loop.run(index.indexed("")) == ["ann"] and loop.run(index.indexed("ann")) == []


def test_swept_messages_are_to_leave_their_segment(index, inbox, store, loop, make, clock):
    loop.run(inbox.append([make() for _ in range(3)]))
    index_all(loop, index)
    assert loop.run(index.with_removed("ann")) is None
    loop.run(inbox.expunge([2], False))
    loop.run(store.sweep(clock.seconds() + 8 * DAY))
    assert loop.run(index.behind("")) == [("ann", 0)]
    place, segment, gone = loop.run(index.with_removed("ann"))
    assert (place.first, place.last, gone) == (1, 3, {2})
    loop.run(index.replace("ann", place, build((), (segment,), gone)))
    assert loop.run(index.with_removed("ann")) is None and loop.run(index.behind("")) == []
    assert maybe(loop, index, "word") == {1, 3}


def test_a_segment_that_was_joined_meanwhile_is_not_replaced(index, inbox, loop, make, engine, tenancy, monkeypatch):
    monkeypatch.setattr(search_index, "MESSAGES", 1)
    loop.run(inbox.append([make() for _ in range(3)]))
    index_all(loop, index)
    first = loop.run(engine.read(tenancy, search_index.places, "ann"))[0]
    loop.run(inbox.append([make()]))
    index_all(loop, index)
    loop.run(index.replace("ann", first, None))
    assert maybe(loop, index, "word1") == {1}


@pytest.mark.parametrize("part", ["data", "places"])
def test_damage_is_told_to_whoever_indexes(index, inbox, loop, make, engine, tenancy, part):
    def damage(tx):
        tx.execute(f"UPDATE search_terms SET {part} = ? WHERE zone = ?", (b"garbage", BODY))

    loop.run(inbox.append([make(), make()]))
    index_all(loop, index)
    loop.run(engine.write(tenancy, damage))
    assert maybe(loop, index, "word1") == {1, 2}
    assert loop.run(index.behind("")) == [("ann", 0)]
    _, segment, gone = loop.run(index.with_removed("ann"))
    assert gone == set()
    with pytest.raises(StoreDamaged):
        build((), (segment,), gone)


def test_forgotten_it_is_indexed_anew(index, inbox, loop, make):
    loop.run(inbox.append([make(), make()]))
    index_all(loop, index)
    loop.run(index.forget("ann"))
    assert maybe(loop, index, "word1") is None and loop.run(index.behind("")) == [("ann", 2)]
    index_all(loop, index)
    assert maybe(loop, index, "word1") == {1}


def test_a_bounded_number_of_segments_is_forgotten_at_once(index, inbox, loop, make, engine, tenancy, monkeypatch):
    monkeypatch.setattr(search_index, "MESSAGES", 1)
    monkeypatch.setattr(search_index, "FORGOTTEN", 2)
    loop.run(inbox.append([make() for _ in range(3)]))
    index_all(loop, index)
    assert loop.run(engine.write(tenancy, search_index.forget, "ann")) == 2
    # The first is indexed as before; of the others nothing is known, until they are indexed again.
    assert maybe(loop, index, "word1") == {1, 2, 3} and maybe(loop, index, "word2") == {2, 3}
    assert loop.run(index.behind("")) == [("ann", 2)]
    index_all(loop, index)
    assert maybe(loop, index, "word1") == {1}
    loop.run(index.forget("ann"))
    assert maybe(loop, index, "word1") is None and loop.run(index.behind("")) == [("ann", 3)]


def test_nothing_is_left_of_an_account_that_is_removed(index, inbox, store, loop, make, engine, tenancy, monkeypatch):
    monkeypatch.setattr(search_index, "MESSAGES", 1)
    monkeypatch.setattr(search_index, "FORGOTTEN", 1)
    loop.run(inbox.append([make(), make()]))
    index_all(loop, index)
    work = loop.run(index.to_index("ann"))
    loop.run(store.remove("ann"))
    for table in ("search_segment", "search_terms"):
        assert loop.run(engine.read(tenancy, lambda tx, name=table: tx.execute(f"SELECT 1 FROM {name}"))) == []
    assert loop.run(index.to_index("ann")).messages == () and not loop.run(
        index.add("ann", work, build([texts(1)]), [])
    )
    loop.run(store.provision("ann"))


def test_a_message_in_a_mailbox_that_was_deleted_has_no_place(index, store, loop, make):
    ann = store.account("ann")
    other = loop.run(ann.create("Other"))
    loop.run(ann.open(other.id).append([make()]))
    loop.run(ann.delete(other.id))
    [one] = loop.run(index.to_index("ann")).messages
    assert one.uid == 0


def test_ids_of_messages_far_apart_are_looked_up_alike(index, inbox, loop, make, engine, tenancy):
    loop.run(inbox.append([make() for _ in range(300)]))
    for step in (1, 2, 7, 299):
        ids = array("Q", range(1, 301, step))
        found = loop.run(engine.read(tenancy, search_index.uids_of, "ann", 1, ids))
        assert sorted(found) == list(ids)
    assert loop.run(engine.read(tenancy, search_index.uids_of, "ann", 1, array("Q"))) == array("I")
    assert sorted(loop.run(engine.read(tenancy, search_index.uids_between, "ann", 1, [(3, 4), (7, 7)]))) == [3, 4, 7]
