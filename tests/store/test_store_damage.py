"""Database files that cannot be read: what may be lost is made anew, a bad partition leaves the others, rows are skipped."""

from __future__ import annotations

import random

import pytest
from store_support import Loop, RecordingHints, make_facts
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from mailnode.errors import BlobDamaged, ConfigurationError, RowsDamaged, StoreUnavailable
from mailnode.net.no_reactor import CallingThread
from mailnode.store.blobs.local import LocalBlobs
from mailnode.store.engines.engine import DIRECTORY, EPHEMERAL, QUEUE
from mailnode.store.engines.remote import RemoteEngine
from mailnode.store.engines.sqlite import SqliteEngine
from mailnode.store.engines.sqlite_files import KEPT
from mailnode.store.facades import partition
from mailnode.store.facades.mail_store import MailStore
from mailnode.values.mailbox import NewMessage

PAGE = 4096


@pytest.fixture
def loop():
    return Loop()


@pytest.fixture
def logged():
    events = []
    globalLogPublisher.addObserver(events.append)
    yield events
    globalLogPublisher.removeObserver(events.append)


def of(events, name):
    return [event["fields"] for event in events if event.get("event") == name]


def started(tmp_path, loop, threads=True):
    engine = SqliteEngine(tmp_path, 2, loop.call_from_thread if threads else None)
    loop.run(engine.start())
    return engine


def put(tx, value):
    tx.execute(
        "INSERT INTO meta (key, value) VALUES ('probe', ?) ON CONFLICT (key) DO UPDATE SET value = ?", (value,) * 2
    )


def get(tx):
    return tx.execute("SELECT value FROM meta WHERE key = 'probe'")


def overwrite(path, page=0):
    with path.open("r+b") as file:
        file.seek(page * PAGE)
        file.write(b"\xa5" * PAGE)


@pytest.mark.parametrize("page", [0, 2])
def test_a_damaged_ephemeral_file_is_put_aside_at_start(tmp_path, loop, logged, page):
    loop.run(started(tmp_path, loop).stop())
    path = tmp_path / "ephemeral.db"
    overwrite(path, page)
    damaged = path.read_bytes()
    engine = started(tmp_path, loop)
    loop.run(engine.write(EPHEMERAL, put, "new"))
    assert loop.run(engine.read(EPHEMERAL, get)) == [("new",)]
    loop.run(engine.stop())
    assert (tmp_path / "ephemeral.db.damaged-1").read_bytes() == damaged
    [event] = of(logged, "store.put_aside")
    assert (event["file"], event["aside"]) == (str(path), f"{path}.damaged-1")


def test_few_files_put_aside_are_kept(tmp_path, loop):
    loop.run(started(tmp_path, loop).stop())
    for number in range(KEPT + 2):
        (tmp_path / "ephemeral.db").write_bytes(b"%d" % number * PAGE)
        loop.run(started(tmp_path, loop).stop())
    kept = sorted(path.name for path in tmp_path.glob("ephemeral.db.damaged-*"))
    assert kept == [f"ephemeral.db.damaged-{number}" for number in range(3, 3 + KEPT)]


@pytest.mark.parametrize("threads", [True, False])
def test_an_ephemeral_file_found_damaged_while_running_is_made_anew(tmp_path, loop, logged, threads):
    engine = started(tmp_path, loop, threads)
    loop.run(engine.write(EPHEMERAL, put, "old"))
    tenancy = engine._tenancies[EPHEMERAL]
    tenancy.checkpoint(wait=True)
    for page in range(1, (tmp_path / "ephemeral.db").stat().st_size // PAGE):
        overwrite(tmp_path / "ephemeral.db", page)
    tenancy._writer.execute("PRAGMA shrink_memory")
    loop.run(engine.write(EPHEMERAL, put, "new"))
    assert loop.run(engine.read(EPHEMERAL, get)) == [("new",)]
    loop.run(engine.stop())
    assert len(of(logged, "store.put_aside")) == 1


def test_a_damaged_partition_is_left_out_and_the_others_serve(tmp_path, loop, logged):
    loop.run(started(tmp_path, loop).stop())
    overwrite(tmp_path / "mail-01.db")
    engine = started(tmp_path, loop)
    loop.run(engine.write("mail-00", put, "here"))
    for run in (engine.read, engine.write):
        with pytest.raises(StoreUnavailable):
            loop.run(run("mail-01", get))
    assert list(engine.out_of_service) == ["mail-01"]
    assert engine.damage() == {"mail-01.db": f"{tmp_path / 'mail-01.db'}: file is not a database"}
    [event] = of(logged, "store.out_of_service")
    assert event["file"] == str(tmp_path / "mail-01.db")

    async def ask(name):
        return dict(getattr(engine, name))

    worker = RemoteEngine(tmp_path, 2, loop.call_from_thread, ask)
    loop.run(worker.start())
    assert loop.run(worker.read("mail-00", get)) == [("here",)]
    with pytest.raises(StoreUnavailable):
        loop.run(worker.read("mail-01", get))
    loop.run(worker.stop())
    loop.run(engine.stop())


@pytest.mark.parametrize("name", [DIRECTORY, QUEUE])
def test_a_start_without_directory_or_queue_is_refused_and_names_the_file(tmp_path, loop, name):
    loop.run(started(tmp_path, loop).stop())
    overwrite(tmp_path / f"{name}.db")
    with pytest.raises(ConfigurationError) as refusal:
        started(tmp_path, loop)
    assert str(tmp_path / f"{name}.db") in str(refusal.value)


def test_an_error_in_the_log_names_the_file(tmp_path, loop, logged):
    engine = started(tmp_path, loop)
    with pytest.raises(StoreUnavailable):
        loop.run(engine.read("mail-01", lambda tx: tx.execute("SELECT nothing")))
    loop.run(engine.stop())
    assert str(tmp_path / "mail-01.db") in of(logged, "store.failed")[0]["error"]


class Damaged:
    """An account with 60 messages in INBOX, over a partition of which some pages can be damaged."""

    def __init__(self, data, loop):
        self.data, self.loop = data, loop
        self.open()
        loop.run(self.store.provision("ann"))
        loop.run(self.inbox.append([self.message(number) for number in range(60)]))

    def open(self):
        clock = Clock()
        self.engine = SqliteEngine(self.data, 1, self.loop.call_from_thread)
        self.loop.run(self.engine.start())
        self.blobs = LocalBlobs(self.data / "blobs", CallingThread(), clock)
        self.store = MailStore(self.engine, self.blobs, RecordingHints(), clock, 1)
        self.ann = self.store.account("ann")
        self.inbox = self.ann.open(1)

    def message(self, number):
        octets = random.Random(number).randbytes(600)
        return NewMessage(self.loop.run(self.blobs.put(octets)), make_facts(600, fill=200), internaldate=0)

    def damage(self, table):
        """Overwrite one leaf page in the middle of a table."""
        pages = self.loop.run(self.engine.read("mail-00", leaves, table))
        self.loop.run(self.engine.stop())
        overwrite(self.data / "mail-00.db", pages[len(pages) // 2] - 1)
        self.open()

    def rows(self, uids, columns):
        """Return the rows that can be read, and whether that was all."""
        try:
            return self.loop.run(self.inbox.rows(uids, columns)), True
        except RowsDamaged as error:
            return error.rows, False


def leaves(tx, table):
    found = tx.execute("SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY path", (table,))
    return [page for (page,) in found]


@pytest.fixture
def damaged(tmp_path, loop):
    damaged = Damaged(tmp_path / "data", loop)
    yield damaged
    loop.run(damaged.engine.stop())


def test_a_damaged_page_costs_the_messages_that_stand_on_it(damaged, loop, logged):
    damaged.damage("message")
    everything = list(range(1, 61))
    assert loop.run(damaged.inbox.snapshot()).uids.tolist() == everything
    rows, whole = damaged.rows(everything, ["flags", "envelope", "blob"])
    readable = [row[0] for row in rows]
    assert not whole
    assert 40 < len(readable) < 60
    # As many as there are when each is asked for alone.
    assert readable == [uid for uid in everything if damaged.rows([uid], ["envelope"])[0]]
    assert loop.run(damaged.inbox.rendered(everything, 1, ["uid"])) is not None  # which is no part of the page
    assert loop.run(damaged.inbox.rendered(everything, 1, ["uid", "envelope"])) is None
    assert damaged.rows(everything, ["flags"]) == ([(uid, 0) for uid in everything], True)
    told = [event["uid"] for event in of(logged, "store.row_damaged")]
    assert told == sorted(set(everything) - set(readable))
    assert len(of(logged, "store.failed")) == 1
    assert str(damaged.data / "mail-00.db") in of(logged, "store.failed")[0]["error"]
    assert list(damaged.engine.damage()) == ["mail-00.db"]


def test_a_damaged_page_of_content_leaves_what_else_is_known(damaged, loop):
    damaged.damage("blob")
    everything = list(range(1, 61))
    rows, whole = damaged.rows(everything, ["envelope", "blob", "content"])
    assert whole
    assert [row[0] for row in rows] == everything
    lost = [row[0] for row in rows if isinstance(row[3], BlobDamaged)]
    assert 0 < len(lost) < 20
    refs = [row[2] for row in rows]
    several = loop.run(damaged.inbox.read_several(refs))
    assert [number for number, one in enumerate(several, 1) if isinstance(one, BlobDamaged)] == lost
    with pytest.raises(BlobDamaged):
        loop.run(damaged.inbox.read(refs[lost[0] - 1]))
    drop = loop.run(damaged.ann.maildrop(1, 60.0))
    for message in drop.messages:
        if message.uid in lost:
            with pytest.raises(BlobDamaged):
                loop.run(drop.retrieve(message))
        else:
            assert len(loop.run(drop.retrieve(message))) == 600


def test_the_log_names_a_bounded_number_of_messages(damaged, loop, logged, monkeypatch):
    monkeypatch.setattr(partition, "DAMAGED_TOLD", 2)
    damaged.damage("message")
    for _ in range(3):
        damaged.rows(list(range(1, 61)), ["envelope"])
    assert len(of(logged, "store.row_damaged")) == 2
