"""A page of queue.db that is damaged costs the messages on it: what else is queued is claimed and sent."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import pytest
from queue_support import NOW, Post, settle
from store_support import Loop, make_facts
from test_store_damage import PAGE, leaves, of, overwrite
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from mailnode.errors import BlobDamaged, ConfigurationError, StoreUnavailable
from mailnode.net.no_reactor import CallingThread
from mailnode.store.blobs.local import LocalBlobs
from mailnode.store.engines.engine import QUEUE
from mailnode.store.engines.sqlite import SqliteEngine
from mailnode.store.engines.sqlite_files import quick_check
from mailnode.store.facades.queue import Queue
from mailnode.store.facades.taking_in import put_queue_right
from mailnode.store.units.queue_repair import LOST_RECIPIENT, put_right
from mailnode.values.queue import DELIVERED, LOCAL_DESTINATION, QueuedRecipient, QueueFilter

COUNT = 60
NAMES = [f"e{number:02}" for number in range(COUNT)]


@pytest.fixture
def logged():
    events = []
    globalLogPublisher.addObserver(events.append)
    yield events
    globalLogPublisher.removeObserver(events.append)


async def alone():
    return True


class Damaged:
    """A queue of 60 messages of 9,000 octets, half of them for each of two destinations, whose pages can be damaged."""

    def __init__(self, data, loop):
        self.data, self.loop, self.told = data, loop, []
        self.path = data / "queue.db"
        self.open()
        self.blobs.prepare()
        for number, name in enumerate(NAMES):
            place = ("a.example", "b.example")[number % 2]
            self.post(name, [place], content=self.content(name), session="s" * 200, created=NOW - COUNT + number)

    def content(self, name):
        return random.Random(name).randbytes(9000)

    def open(self):
        self.engine = SqliteEngine(self.data, 1, self.loop.call_from_thread)
        self.loop.run(self.engine.start())
        self.blobs = LocalBlobs(self.data / "blobs", CallingThread(), Clock())
        self.blobs.tell_damaged = lambda blob_id, words: self.told.append(blob_id)
        self.queue = Queue(self.engine, self.blobs)
        self.post = Post(self.queue, self.blobs, self.loop)

    def harm(self, page):
        self.loop.run(self.engine.stop())
        overwrite(self.path, page - 1)
        self.open()

    def pages(self, table, kind):
        return self.loop.run(
            self.engine.read(
                QUEUE,
                lambda tx: tx.execute(
                    "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = ? ORDER BY path", (table, kind)
                ),
            )
        )

    def make_anew(self):
        """Do as ``mailnode store verify --repair`` does; return what was lost."""
        held = []
        begun = self.engine.rebuild(QUEUE, alone, lambda run, made: held.extend(put_queue_right(run)))
        made, refused = self.loop.together(begun, self.queue.due(NOW, 10))
        assert isinstance(refused, StoreUnavailable)
        self.queue.file_is_new(held)
        assert quick_check(self.path) == [] and self.engine.damage() == {}
        return made.lost, sorted(held)

    def waiting(self, **which):
        return [one.id for one in self.loop.run(self.queue.envelopes(which=QueueFilter(**which)))]

    def send_all(self, *destinations):
        """Do as the runner does; return what was sent, and what was held because it cannot be read."""
        sent, held = [], []
        for destination in destinations or ("a.example", "b.example"):
            while claims := self.loop.run(self.queue.claim(destination, NOW, 60.0, 50, 7)):
                for claim in claims:
                    name = claim.envelope.id
                    try:
                        content = self.loop.run(self.queue.read(claim.envelope.blob, stored=claim.stored))
                    except BlobDamaged:
                        assert self.loop.run(self.queue.hold(name, True))
                        held.append(name)
                        continue
                    assert content == self.content(name.lstrip("l"))
                    assert settle(self.queue, self.loop, claim, DELIVERED)
                    sent.append(name)
        return sorted(sent), held


@pytest.fixture
def damaged(tmp_path):
    damaged = Damaged(tmp_path / "data", Loop())
    yield damaged
    damaged.loop.run(damaged.engine.stop())


def test_a_damaged_page_of_content_costs_one_message(damaged):
    pages = damaged.pages("blob", "overflow")
    damaged.harm(pages[len(pages) // 2][0])
    sent, held = damaged.send_all()
    assert len(held) == 1
    assert sent == sorted({*NAMES} - {*held})
    assert [one.id for one in damaged.loop.run(damaged.queue.envelopes())] == held
    assert len(damaged.told) == 1
    assert list(damaged.engine.damage()) == ["queue.db"]
    assert str(damaged.path) in damaged.engine.damage()["queue.db"]


@pytest.mark.parametrize("table", ["envelope", "recipient", "blob"])
def test_a_damaged_page_of_rows_costs_the_messages_on_it(damaged, logged, table):
    pages = damaged.loop.run(damaged.engine.read(QUEUE, leaves, table))
    assert len(pages) > 1
    damaged.harm(pages[len(pages) // 2])
    sent, held = damaged.send_all()
    assert held == []
    lost = sorted({*NAMES} - {*sent})
    assert 0 < len(lost) < 50
    assert sorted(event["envelope"] for event in of(logged, "queue.unreadable")) == lost
    assert list(damaged.engine.damage()) == ["queue.db"]
    damaged.send_all()
    assert len(of(logged, "queue.unreadable")) == len(lost)  # said once


@pytest.mark.parametrize(
    ("table", "kind"),
    [("envelope", "leaf"), ("recipient", "leaf"), ("blob", "leaf"), ("blob", "overflow"), ("facts", "leaf")],
)
def test_the_file_is_made_anew_and_what_is_lost_is_held_or_told(damaged, logged, table, kind):
    for name in NAMES[::2]:  # with facts, which are needed for mailboxes here
        damaged.post(f"l{name}", [LOCAL_DESTINATION], content=damaged.content(name), facts=make_facts(9000, fill=200))
    everything = {*NAMES, *(f"l{name}" for name in NAMES[::2])}
    pages = [page for (page,) in damaged.pages(table, kind)]
    damaged.harm(pages[len(pages) // 2])
    lost, held = damaged.make_anew()
    assert set(lost) == {table}
    assert damaged.waiting(reason="damaged") == held
    assert sorted(event["envelope"] for event in of(logged, "queue.unreadable")) == held
    known = {one.id: one for one in damaged.loop.run(damaged.queue.envelopes())}
    assert known.keys() == everything
    assert sorted(name for name, one in known.items() if one.held) == held
    told = {name for name, one in known.items() if one.recipients[0].address == LOST_RECIPIENT}
    assert bool(held) is (table != "recipient") and bool(told) is (table == "recipient")
    sent, unreadable = damaged.send_all("a.example", "b.example", LOCAL_DESTINATION, "invalid")
    assert unreadable == [] and sent == sorted(everything - {*held})
    for name in held:  # whoever says so all the same does not have it sent, nor lose it
        damaged.loop.run(damaged.queue.hold(name, False))
    assert damaged.loop.run(damaged.queue.drop(held[0] if held else "none")) is bool(held)
    damaged.post("new", ["a.example"], content=damaged.content("new"))
    assert "new" in damaged.send_all()[0]


def test_what_was_sent_beside_a_damaged_page_is_gone_from_the_new_file(damaged):
    pages = damaged.loop.run(damaged.engine.read(QUEUE, leaves, "envelope"))
    damaged.harm(pages[len(pages) // 2])
    sent, _ = damaged.send_all()
    _, held = damaged.make_anew()
    again, _ = damaged.send_all()  # what SQLite did not find beside the damaged page
    assert sorted([*sent, *again, *held]) == NAMES
    assert sent and held and damaged.waiting() == held
    damaged.loop.run(damaged.queue.due(NOW, 10))  # which finishes what was left
    left = damaged.loop.run(damaged.engine.read(QUEUE, lambda tx: tx.execute("SELECT id FROM envelope ORDER BY id")))
    assert [name for (name,) in left] == held


@pytest.mark.parametrize("index", ["recipient_due", "recipient_by_destination", "recipient_by_envelope"])
def test_a_damaged_page_of_an_index_costs_nothing_when_the_file_is_made_anew(damaged, index):
    pages = damaged.loop.run(damaged.engine.read(QUEUE, leaves, index))
    damaged.harm(pages[0])
    assert damaged.make_anew() == ({}, [])
    assert damaged.send_all() == (NAMES, [])


def test_whose_plan_stood_in_a_row_that_is_lost_is_held(damaged):
    both = [QueuedRecipient(number, f"u{number}@x", "x.example", plan="p", next_try=NOW) for number in range(2)]
    damaged.post("plans", both)
    damaged.loop.run(
        damaged.engine.write(
            QUEUE, lambda tx: tx.execute("DELETE FROM recipient WHERE envelope_id = 'plans' AND number = 0")
        )
    )
    assert damaged.loop.run(damaged.engine.write(QUEUE, put_right)) == ["plans"]
    assert damaged.loop.run(damaged.queue.claim("x.example", NOW, 60.0, 50)) == []


def test_no_page_in_turn_costs_more_than_what_stands_on_it_and_nothing_is_sent_twice(damaged):
    of_content = {page for (page,) in damaged.pages("blob", "overflow")[2:]}
    damaged.loop.run(damaged.engine.stop())
    sound = {path: path.read_bytes() for path in damaged.data.iterdir() if path.is_file()}
    refused = 0
    for page in sorted({*range(1, len(sound[damaged.path]) // PAGE + 1)} - of_content):
        for path in filter(Path.is_file, damaged.data.iterdir()):
            path.unlink()
        for path, octets in sound.items():
            path.write_bytes(octets)
        overwrite(damaged.path, page - 1)
        try:
            damaged.open()
        except ConfigurationError:
            refused += 1
            continue
        sent, held = [], []
        with contextlib.suppress(StoreUnavailable):  # where an index is damaged
            sent, held = damaged.send_all()
        _, lost = damaged.make_anew()
        again, unreadable = damaged.send_all("a.example", "b.example", "invalid")
        assert sorted([*sent, *again, *{*held, *lost, *unreadable}]) == NAMES, page
        damaged.loop.run(damaged.engine.stop())
    assert refused < 8  # those with the schema, and the number of it
    damaged.open()
