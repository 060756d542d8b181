"""A page of queue.db that is damaged costs the messages on it: what else is queued is claimed and sent."""

from __future__ import annotations

import random

import pytest
from queue_support import NOW, Post, settle
from store_support import Loop
from test_store_damage import leaves, of, overwrite
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from mailnode.errors import BlobDamaged
from mailnode.net.no_reactor import CallingThread
from mailnode.store.blobs.local import LocalBlobs
from mailnode.store.engines.engine import QUEUE
from mailnode.store.engines.sqlite import SqliteEngine
from mailnode.store.facades.queue import Queue
from mailnode.values.queue import DELIVERED

COUNT = 60
NAMES = [f"e{number:02}" for number in range(COUNT)]


@pytest.fixture
def logged():
    events = []
    globalLogPublisher.addObserver(events.append)
    yield events
    globalLogPublisher.removeObserver(events.append)


class Damaged:
    """A queue of 60 messages of 9,000 octets, half of them for each of two destinations, whose pages can be damaged."""

    def __init__(self, data, loop):
        self.data, self.loop, self.told = data, loop, []
        self.path = data / "queue.db"
        self.open()
        self.blobs.prepare()
        post = Post(self.queue, self.blobs, loop)
        for number, name in enumerate(NAMES):
            place = ("a.example", "b.example")[number % 2]
            post(name, [place], content=self.content(name), session="s" * 200, created=NOW - COUNT + number)

    def content(self, name):
        return random.Random(name).randbytes(9000)

    def open(self):
        self.engine = SqliteEngine(self.data, 1, self.loop.call_from_thread)
        self.loop.run(self.engine.start())
        self.blobs = LocalBlobs(self.data / "blobs", CallingThread(), Clock())
        self.blobs.tell_damaged = lambda blob_id, words: self.told.append(blob_id)
        self.queue = Queue(self.engine, self.blobs)

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

    def send_all(self):
        """Do as the runner does; return what was sent, and what was held because it cannot be read."""
        sent, held = [], []
        for destination in ("a.example", "b.example"):
            while claims := self.loop.run(self.queue.claim(destination, NOW, 60.0, 50, 7)):
                for claim in claims:
                    name = claim.envelope.id
                    try:
                        content = self.loop.run(self.queue.read(claim.envelope.blob, stored=claim.stored))
                    except BlobDamaged:
                        assert self.loop.run(self.queue.hold(name, True))
                        held.append(name)
                        continue
                    assert content == self.content(name)
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
