"""What is removed for good, and when."""

from __future__ import annotations

import os

import pytest

from mailnode.errors import NoSuchMailbox
from mailnode.store.blobs.codec import FRAME
from mailnode.store.engines.engine import mail_tenancy
from mailnode.store.facades.mail_store import MailStore
from mailnode.store.units import sweeping
from mailnode.store.units.sweeping import GRACE, RETENTION
from mailnode.values.flags import SEEN
from mailnode.values.mailbox import DeliveryPlan

WEEK = RETENTION + 1


class Elsewhere:
    """Stands in for the queue."""

    def __init__(self):
        self.held = set()

    async def __call__(self, blob_ids):
        return self.held & set(blob_ids)


@pytest.fixture
def elsewhere():
    return Elsewhere()


@pytest.fixture
def sweeper(store, engine, files, hints, clock, elsewhere, monkeypatch):
    monkeypatch.setattr(sweeping, "ROWS", 3)
    return MailStore(engine, files, hints, clock, 2, elsewhere)


def sweep(loop, sweeper, clock, seconds=0.0):
    clock.advance(seconds)
    return loop.run(sweeper.sweep(clock.seconds()))


def rows(loop, engine, store, table):
    tenancy = mail_tenancy(store.partition("ann"))
    return loop.run(engine.read(tenancy, lambda tx: tx.execute(f"SELECT count(*) FROM {table}")))[0][0]


def test_expunged_messages_go_after_the_retention_time(store, sweeper, engine, loop, make, clock):
    inbox = store.account("ann").open(1)
    loop.run(inbox.append([make() for _ in range(8)]))
    loop.run(inbox.expunge([1, 2, 3, 4, 5, 6, 7], False))
    assert sweep(loop, sweeper, clock, RETENTION - 10)["messages"] == 0
    assert len(loop.run(inbox.rows(range(1, 9), ["envelope"]))) == 8
    before = loop.run(inbox.snapshot())
    assert sweep(loop, sweeper, clock, 20)["messages"] == 7
    store.recent.clear()  # what another process has in memory stays there for a while
    assert [row[0] for row in loop.run(inbox.rows(range(1, 9), ["envelope"]))] == [8]
    assert [rows(loop, engine, store, table) for table in ("message", "blob", "blob_ref")] == [1, 1, 1]
    assert loop.run(inbox.snapshot()) == before
    assert loop.run(inbox.append([make()])).uids == (9,)


def test_what_was_expunged_is_told_exactly_until_some_of_it_goes(store, sweeper, engine, loop, make, clock):
    inbox = store.account("ann").open(1)
    loop.run(inbox.append([make() for _ in range(6)]))
    start = loop.run(inbox.snapshot()).highest_modseq
    loop.run(inbox.store_flags([6], "add", SEEN))
    assert loop.run(inbox.expunged(0)).tolist() == []
    loop.run(inbox.expunge([2, 4], False))
    clock.advance(10)
    between = loop.run(inbox.snapshot()).highest_modseq
    loop.run(inbox.expunge([5], False))
    end = loop.run(inbox.snapshot()).highest_modseq
    assert [loop.run(inbox.expunged(since)).tolist() for since in (0, start, between, end)] == [[2, 4, 5]] * 2 + [
        [5],
        [],
    ]
    sweep(loop, sweeper, clock, RETENTION - 5)  # of the first two nobody knows any more
    assert [loop.run(inbox.expunged(since)) for since in (0, between - 1)] == [None, None]
    assert loop.run(inbox.expunged(between)).tolist() == [5]
    loop.run(store.account("ann").delete(loop.run(store.account("ann").create("gone")).id))
    with pytest.raises(NoSuchMailbox):
        loop.run(store.account("ann").open(99).expunged(0))


def test_a_message_with_another_place_stays(store, sweeper, engine, loop, make, clock):
    ann = store.account("ann")
    message = make()
    loop.run(ann.open(1).append([message]))
    loop.run(ann.open(1).move([1], 2))
    sweep(loop, sweeper, clock, WEEK)
    ((_, ref),) = loop.run(ann.open(2).rows([1], ["blob"]))
    assert loop.run(ann.open(2).read(ref)) == loop.run(sweeper._blobs.read_staged(message.blob))


def test_a_blob_another_account_needs_stays(store, sweeper, engine, loop, make, clock):
    other = next(f"b{n}" for n in range(100) if store.partition(f"b{n}") == store.partition("ann"))
    loop.run(store.provision(other))
    plans = [DeliveryPlan(name, f"{name}@x.test") for name in ("ann", other)]
    loop.run(store.deliver("e", plans, make(), False))
    loop.run(store.account("ann").open(1).expunge([1], False))
    sweep(loop, sweeper, clock, WEEK)
    box = store.account(other).open(1)
    ((_, ref),) = loop.run(box.rows([1], ["blob"]))
    assert loop.run(box.read(ref)).startswith(b"Subject")
    assert rows(loop, engine, store, "blob") == 1


def test_a_deleted_mailbox_goes_after_the_retention_time(store, sweeper, engine, loop, make, clock):
    ann = store.account("ann")
    info = loop.run(ann.create("a"))
    loop.run(ann.open(info.id).append([make() for _ in range(7)]))
    loop.run(ann.open(info.id).copy([7], 1))
    loop.run(ann.delete(info.id))
    sweep(loop, sweeper, clock)
    assert rows(loop, engine, store, "message") == 7
    sweep(loop, sweeper, clock, WEEK)
    assert rows(loop, engine, store, "message") == 1
    assert rows(loop, engine, store, "placement") == 1
    assert rows(loop, engine, store, "mailbox") == 6


def test_carried_out_plans_are_forgotten_at_last(store, sweeper, engine, loop, make, clock):
    plans = [DeliveryPlan("ann", "ann@x.test")]
    for number in range(5):
        loop.run(store.deliver(f"e{number}", plans, make(), True))
    sweep(loop, sweeper, clock, WEEK)
    assert rows(loop, engine, store, "applied") == 5
    assert sweep(loop, sweeper, clock, 30 * 86_400)["applied"] == 5


def test_a_removal_that_was_interrupted_is_finished(store, sweeper, engine, loop, make, clock, monkeypatch):
    loop.run(store.account("ann").open(1).append([make() for _ in range(5)]))
    partition = store._partitions[store.partition("ann")]
    loop.run(partition.write(sweeping.begin_removal, "ann", partition.now()))
    assert loop.run(store.usage(["ann"])) == {}
    sweep(loop, sweeper, clock)
    assert rows(loop, engine, store, "account") == rows(loop, engine, store, "message") == 0
    assert rows(loop, engine, store, "blob") == 0


# files


@pytest.fixture
def stored(store, files, loop, make, clock):
    """A message whose blob is a file, old enough to be looked at by the sweep."""
    message = make(os.urandom(FRAME))
    path = files.path(message.blob.ref.blob_id)
    os.utime(path, (clock.seconds(), clock.seconds()))
    loop.run(store.account("ann").open(1).append([message]))
    return path


@pytest.fixture
def few_directories(monkeypatch, stored, files):
    """Look at the file's directory only: a sweep of all 1,024 takes longer than it teaches."""
    fan = "0123456789abcdefghjkmnpqrstvwxyz"
    number = fan.index(stored.name[-1]) * 32 + fan.index(stored.name[-2])
    monkeypatch.setattr(type(files), "shares", 1)
    listing = files.listing
    monkeypatch.setattr(files, "listing", lambda _, before: listing(number, before))


def test_a_file_goes_a_grace_time_after_its_last_reference(store, sweeper, loop, stored, few_directories, clock):
    assert sweep(loop, sweeper, clock, GRACE + 1)["blobs"] == 0
    loop.run(store.account("ann").open(1).expunge([1], False))
    assert sweep(loop, sweeper, clock, WEEK)["blobs"] == 0  # now seen without reference for the first time
    assert sweep(loop, sweeper, clock, GRACE - 10)["blobs"] == 0
    assert stored.exists()
    assert sweep(loop, sweeper, clock, 20)["blobs"] == 1
    assert not stored.exists()
    assert sweep(loop, sweeper, clock, WEEK)["blobs"] == 0


def test_a_file_the_queue_holds_stays(store, sweeper, loop, stored, few_directories, clock, elsewhere):
    loop.run(store.account("ann").open(1).expunge([1], False))
    elsewhere.held.add(stored.name)
    for _ in range(3):
        sweep(loop, sweeper, clock, WEEK)
    assert stored.exists()


def test_a_file_that_is_needed_again_starts_anew(store, sweeper, loop, stored, few_directories, clock, elsewhere):
    loop.run(store.account("ann").open(1).expunge([1], False))
    sweep(loop, sweeper, clock, WEEK)
    elsewhere.held.add(stored.name)
    sweep(loop, sweeper, clock, GRACE + 1)
    elsewhere.held.clear()
    assert sweep(loop, sweeper, clock)["blobs"] == 0
    assert sweep(loop, sweeper, clock, GRACE + 1)["blobs"] == 1


def test_without_knowing_the_queue_no_file_is_removed(store, loop, stored, few_directories, clock):
    loop.run(store.account("ann").open(1).expunge([1], False))
    for _ in range(3):
        sweep(loop, store, clock, WEEK)
    assert stored.exists()


def test_every_directory_is_listed_once(files, loop, clock):
    names = {
        path.name
        for number in range(40)
        for path in [files.path(loop.run(files.put(os.urandom(70_000))).ref.blob_id)]
        if os.utime(path, (1, 1)) is None
    }
    listed = [name for number in range(1024) for name in loop.run(files.listing(number, 2.0))]
    assert sorted(listed) == sorted(names)
