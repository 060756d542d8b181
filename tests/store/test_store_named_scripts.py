"""Which scripts METADATA names for mailboxes: the contract of INamedScripts, on each engine, and in several processes."""

from __future__ import annotations

import pytest
from test_store_scripts import Counting, processes
from zope.interface.verify import verifyObject

from mailnode.interfaces.scripts import INamedScripts
from mailnode.store.facades import named_scripts as facade
from mailnode.store.facades.directory import Directory
from mailnode.store.facades.named_scripts import NamedScripts
from mailnode.values.mailbox_event import SCRIPT_ENTRY

__all__ = ["processes"]

INBOX, OTHER = 1, 2


@pytest.fixture
def counting(engine):
    return Counting(engine)


@pytest.fixture
def directory(counting):
    return Directory(counting)


@pytest.fixture
def named(counting, store, directory, clock):
    return NamedScripts(counting, store.partition, directory, clock)


def note(loop, store, mailbox_id, value, entry=SCRIPT_ENTRY, reader="", account_id="ann"):
    loop.run(store.account(account_id).annotate(mailbox_id, [(reader, entry, value)]))


def test_the_entry_of_the_mailbox_goes_before_that_of_the_account(named, store, loop):
    verifyObject(INamedScripts, named)

    def names():
        loop.run(named.changed())
        return loop.run(named.of("ann", INBOX)), loop.run(named.of("ann", OTHER))

    assert names() == ("", "")
    note(loop, store, 0, b"all")
    assert names() == ("all", "all")
    note(loop, store, INBOX, "für mich".encode())
    assert names() == ("für mich", "all")
    for useless in (b"", b"\xff"):  # RFC 6785 2.3.1: nor is that of the account then
        note(loop, store, INBOX, useless)
        assert names() == ("", "all")
    note(loop, store, INBOX, None)
    note(loop, store, INBOX, b"mine", reader="ann")
    note(loop, store, INBOX, b"other", "/shared/imapsieve/scripts")
    assert names() == ("all", "all")
    assert loop.run(named.of("nobody", INBOX)) == ""


def test_it_costs_nothing_twice(named, store, directory, counting, loop, clock):
    for value in (None, b"a"):
        note(loop, store, INBOX, value)
        loop.run(named.changed())
        loop.run(named.of("ann", INBOX))
        counting.reads = 0
        for mailbox_id in (INBOX, OTHER, INBOX):
            loop.run(named.of("ann", mailbox_id))
        assert counting.reads == 0
    loop.run(directory.touch())
    loop.run(named.of("ann", INBOX))
    assert counting.reads == 1
    clock.advance(facade.KNOWN)
    loop.run(named.of("ann", INBOX))
    assert counting.reads == 2


def test_memory_is_bounded(named, store, loop, monkeypatch):
    monkeypatch.setattr(facade, "MOST_KNOWN", 2)
    for number in range(5):
        loop.run(named.of(f"u{number}", INBOX))
        assert len(named._known) <= 2


def test_what_was_read_before_a_change_is_not_remembered_after_it(named, store, counting, loop):
    reading = counting.read

    async def slow(tenancy, unit, *args, **kwargs):
        answer = await reading(tenancy, unit, *args, **kwargs)
        if unit.__name__ == "everywhere":
            counting.read = reading
            await store.account("ann").annotate(INBOX, [("", SCRIPT_ENTRY, b"new")])
            await named.changed()
        return answer

    counting.read = slow
    assert loop.run(named.of("ann", INBOX)) == ""
    assert loop.run(named.of("ann", INBOX)) == "new"


@pytest.mark.parametrize("number", [0, 1])
def test_another_name_is_known_everywhere_when_it_is_told(processes, loop, clock, number):
    here, there = (
        NamedScripts(one.scripts._engine, one.store.partition, one.directory, clock)
        for one in (processes[number], processes[1 - number])
    )
    assert loop.run(there.of("ann", INBOX)) == ""
    for name in ("one", "two"):
        note(loop, processes[number].store, INBOX, name.encode())
        loop.run(here.changed())
        assert loop.run(there.of("ann", INBOX)) == name
