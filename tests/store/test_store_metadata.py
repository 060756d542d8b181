"""What is noted about mailboxes: the contract of IMailAccount.annotations and annotate (RFC 5464)."""

import pytest

from mailnode.errors import LimitReached, NoSuchMailbox
from mailnode.store.units import metadata


@pytest.fixture
def ann(store):
    return store.account("ann")


def test_each_reader_has_entries_of_their_own_beside_those_all_share(ann, loop):
    loop.run(ann.annotate(1, [("ann", "/private/a", b"1"), ("bea", "/private/a", b"\0\xff"), ("", "/shared/a", b"")]))
    assert loop.run(ann.annotations([1, 2], "ann")) == {1: {"/private/a": b"1", "/shared/a": b""}}
    assert loop.run(ann.annotations([1], "bea")) == {1: {"/private/a": b"\0\xff", "/shared/a": b""}}
    assert loop.run(ann.annotations([], "ann")) == {}


def test_a_change_is_whole_or_none_and_tells_nobody_when_it_is_none(ann, loop, hints):
    loop.run(ann.annotate(0, [("ann", f"/private/{number}", b"x") for number in range(metadata.MAX_ENTRIES)]))
    before = loop.run(ann.modseq()), list(hints.published)
    with pytest.raises(LimitReached):
        loop.run(ann.annotate(0, [("ann", "/private/0", None), ("ann", "/private/x", b""), ("ann", "/private/y", b"")]))
    assert len(loop.run(ann.annotations([0], "ann"))[0]) == metadata.MAX_ENTRIES
    assert (loop.run(ann.modseq()), list(hints.published)) == before


def test_when_each_entry_was_set(ann, loop, hints):
    before = loop.run(ann.modseq())
    assert loop.run(ann.annotate(1, [("", "/shared/a", b"1"), ("bea", "/private/b", b"2")])) == before + 1
    assert loop.run(ann.annotate(0, [("ann", "/private/c", b"3")])) == before + 2
    assert loop.run(ann.annotated_at([0, 1, 2], "ann")) == {0: {"/private/c": before + 2}, 1: {"/shared/a": before + 1}}
    assert loop.run(ann.annotated_at([1], "bea")) == {1: {"/private/b": before + 1, "/shared/a": before + 1}}
    assert loop.run(ann.annotate(1, [("", "/shared/a", b"1"), ("", "/shared/x", None)])) == before + 2, (
        "nothing changed"
    )
    assert loop.run(ann.annotate(1, [("", "/shared/a", b"4"), ("bea", "/private/b", b"2")])) == before + 3
    assert loop.run(ann.annotated_at([1], "bea")) == {1: {"/private/b": before + 1, "/shared/a": before + 3}}
    loop.run(ann.annotate(1, [("", "/shared/a", None)]))
    assert loop.run(ann.annotated_at([1], "ann")) == {}
    assert (
        hints.published == [("ann", before + number) for number in range(1, 5)] and loop.run(ann.modseq()) == before + 4
    )


def test_an_account_has_room_for_so_many(ann, loop, monkeypatch):
    monkeypatch.setattr(metadata, "MAX_ACCOUNT_ENTRIES", 2)
    loop.run(ann.annotate(1, [("", "/shared/a", b""), ("", "/shared/b", b"")]))
    with pytest.raises(LimitReached):
        loop.run(ann.annotate(2, [("", "/shared/a", b"")]))


def test_what_is_noted_about_inbox_goes_along_when_it_is_renamed(ann, loop):
    loop.run(ann.create("x/y"))
    loop.run(ann.delete(loop.run(ann.named("x")).id))
    place = loop.run(ann.named("x"))
    assert not place.selectable
    loop.run(ann.annotate(place.id, [("", "/shared/a", b"0"), ("", "/shared/b", b"0")]))
    loop.run(ann.annotate(1, [("", "/shared/a", b"1"), ("ann", "/private/a", b"2")]))
    loop.run(ann.rename(1, "x"))
    there = {"/shared/a": b"1", "/shared/b": b"0", "/private/a": b"2"}
    assert loop.run(ann.annotations([place.id], "ann")) == {place.id: there}


def test_inbox_is_renamed_without_what_there_is_no_room_for(ann, loop, monkeypatch):
    loop.run(ann.annotate(1, [("", "/shared/a", b"1"), ("", "/shared/b", b"2")]))
    monkeypatch.setattr(metadata, "MAX_ACCOUNT_ENTRIES", 3)
    loop.run(ann.rename(1, "x"))
    assert loop.run(ann.annotations([loop.run(ann.named("x")).id], "ann")) == {}


def test_they_end_with_mailbox_and_account(store, ann, loop):
    made = loop.run(ann.create("x"))
    loop.run(ann.annotate(made.id, [("", "/shared/a", b"1")]))
    loop.run(ann.delete(made.id))
    assert loop.run(ann.annotations([made.id], "ann")) == {}
    with pytest.raises(NoSuchMailbox):
        loop.run(ann.annotate(made.id, [("", "/shared/a", b"1")]))
    loop.run(ann.annotate(0, [("ann", "/private/a", b"1")]))
    loop.run(store.remove("ann"))
    with pytest.raises(NoSuchMailbox):
        loop.run(ann.annotate(0, [("ann", "/private/a", b"1")]))
    loop.run(store.provision("ann"))
    assert loop.run(ann.annotations([0], "ann")) == {}
