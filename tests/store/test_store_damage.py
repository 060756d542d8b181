"""Database files that cannot be read: what may be lost is made anew, a bad partition leaves the others, rows are skipped."""

from __future__ import annotations

import contextlib
import random

import apsw
import pytest
from store_support import Loop, RecordingHints, make_facts
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from mailnode.errors import BlobDamaged, ConfigurationError, RowsDamaged, StoreDamaged, StoreUnavailable
from mailnode.net.no_reactor import CallingThread
from mailnode.store.blobs.local import LocalBlobs
from mailnode.store.engines import sqlite_pool
from mailnode.store.engines.engine import DIRECTORY, EPHEMERAL, QUEUE
from mailnode.store.engines.remote import RemoteEngine
from mailnode.store.engines.sqlite import SqliteEngine
from mailnode.store.engines.sqlite_files import KEPT
from mailnode.store.facades import partition
from mailnode.store.facades.directory import Directory
from mailnode.store.facades.mail_store import MailStore
from mailnode.values.address import parse_address
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


def garble(path, *statements):
    """Have a file hold what nobody has written."""
    connection = apsw.Connection(str(path))
    for statement in statements:
        connection.execute(statement)
    connection.close()


def a_folder(path):
    path.unlink()
    path.mkdir()


def another_format(path):
    with path.open("r+b") as file:
        file.seek(44)  # https://www.sqlite.org/fileformat.html 1.3.9
        file.write(b"\0\0\0\x09")


def no_number_of_schema(path):
    garble(path, "UPDATE meta SET value = CAST(x'b1' AS TEXT) WHERE key = 'schema'")


def no_schema(path):
    garble(path, "DELETE FROM meta WHERE key = 'schema'")


def no_count(path):
    garble(path, "UPDATE meta SET value = '5x' WHERE key = 'commits'")


@pytest.mark.parametrize("harm", [a_folder, another_format, no_number_of_schema, no_schema, no_count])
def test_a_partition_that_cannot_be_opened_is_left_out_whatever_is_wrong(tmp_path, loop, logged, harm):
    loop.run(started(tmp_path, loop).stop())
    harm(tmp_path / "mail-01.db")
    engine = started(tmp_path, loop)
    loop.run(engine.write("mail-00", put, "here"))
    assert list(engine.damage()) == ["mail-01.db"]
    loop.run(engine.stop())
    [event] = of(logged, "store.out_of_service")
    assert event["file"] == str(tmp_path / "mail-01.db")


@pytest.mark.parametrize("harm", [a_folder, another_format, no_number_of_schema, no_schema, no_count])
@pytest.mark.parametrize("name", [DIRECTORY, QUEUE])
def test_a_refused_start_names_the_file_whatever_is_wrong(tmp_path, loop, name, harm):
    loop.run(started(tmp_path, loop).stop())
    harm(tmp_path / f"{name}.db")
    with pytest.raises(ConfigurationError) as refusal:
        started(tmp_path, loop)
    assert str(tmp_path / f"{name}.db") in str(refusal.value)


@pytest.mark.parametrize("harm", [another_format, no_number_of_schema, no_schema])
def test_an_ephemeral_file_that_cannot_be_opened_is_put_aside_whatever_is_wrong(tmp_path, loop, logged, harm):
    loop.run(started(tmp_path, loop).stop())
    harm(tmp_path / "ephemeral.db")
    loop.run(started(tmp_path, loop).stop())
    assert len(of(logged, "store.put_aside")) == 1


@pytest.mark.parametrize("name", [DIRECTORY, QUEUE])
def test_a_start_without_directory_or_queue_is_refused_and_names_the_file(tmp_path, loop, name):
    loop.run(started(tmp_path, loop).stop())
    overwrite(tmp_path / f"{name}.db")
    with pytest.raises(ConfigurationError) as refusal:
        started(tmp_path, loop)
    assert str(tmp_path / f"{name}.db") in str(refusal.value)


def test_a_shell_that_holds_a_lock_is_told_until_it_lets_go(tmp_path, loop, logged, monkeypatch):
    monkeypatch.setattr(sqlite_pool, "BUSY_MILLISECONDS", 1)
    engine = started(tmp_path, loop)
    loop.run(engine.write("mail-01", put, "before"))
    shell = apsw.Connection(str(tmp_path / "mail-01.db"))
    shell.execute("BEGIN IMMEDIATE")
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            loop.run(engine.write("mail-01", put, "during"))
        assert str(tmp_path / "mail-01.db") in engine.trouble()
    assert str(tmp_path / "mail-01.db") in of(logged, "store.failed")[0]["error"]
    loop.run(engine.write("mail-00", put, "beside"))
    assert loop.run(engine.read("mail-01", get)) == [("before",)]
    shell.execute("ROLLBACK")
    shell.close()
    loop.run(engine.try_again())
    assert engine.trouble() == ""
    loop.run(engine.write("mail-01", put, "after"))
    loop.run(engine.stop())


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

    def garble(self, statement):
        """Have the file hold what nobody has written."""
        self.loop.run(self.engine.stop())
        garble(self.data / "mail-00.db", statement)
        self.open()


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


def test_messages_on_a_damaged_page_are_set_aside(damaged, loop):
    damaged.damage("message")
    check = damaged.store.check("ann")
    looked = loop.run(check.look(-1))
    assert 0 < len(looked.damaged) < 20
    assert sorted([*looked.damaged, *looked.sound]) == list(range(1, 61))
    assert set(looked.damaged.values()) == {"its row cannot be read, in mail-00.db"}
    assert len(loop.run(check.keep(looked))) == len(looked.damaged)
    assert [line.split(",")[0] for line in loop.run(check.set_aside())] == [
        f"message {one}" for one in sorted(looked.damaged)
    ]
    assert loop.run(check.look(-1)).faults(loop.run(check.known())) == []


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


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE message SET blob_id = CAST(x'b1' AS TEXT) WHERE message_id = 30",
        "UPDATE message SET blob_size = 'x' WHERE message_id = 30",
        "UPDATE message SET prefix = 7 WHERE message_id = 30",
        "UPDATE message SET parts = NULL WHERE message_id = 30",
        "UPDATE placement SET savedate = x'00' WHERE uid = 30",
    ],
)
def test_a_value_that_nobody_wrote_costs_its_message(damaged, loop, logged, harm):
    damaged.garble(harm)
    everything = list(range(1, 61))
    columns = ["flags", "savedate", "prefix", "envelope", "parts", "blob", "content"]
    rows, whole = damaged.rows(everything, columns)
    assert not whole
    assert [row[0] for row in rows] == [uid for uid in everything if uid != 30]
    assert damaged.rows([30], columns) == ([], False)
    assert [event["uid"] for event in of(logged, "store.row_damaged")] == [30]
    assert list(damaged.engine.damage()) == ["mail-00.db"]


@pytest.mark.parametrize("harm", ["size = 'x'", "uidl = CAST(x'b1' AS TEXT)"])
def test_a_maildrop_whose_list_is_damaged_is_not_opened(damaged, loop, harm):
    damaged.garble(f"UPDATE placement SET {harm} WHERE uid = 30")
    with pytest.raises(StoreDamaged):
        loop.run(damaged.ann.maildrop(1, 60.0))


@pytest.mark.parametrize("harm", ["flags = 'x'", "modseq = -1", "modseq = 'x'"])
def test_a_mailbox_whose_list_is_damaged_is_not_opened(damaged, loop, harm):
    damaged.garble(f"UPDATE placement SET {harm} WHERE uid = 30")
    with pytest.raises(StoreDamaged):
        loop.run(damaged.inbox.snapshot())


def swap_keys(path, first, second):
    """Exchange two UIDs on the leaf page where both stand, as a bit that flips in a key does: the tree is not in order."""
    connection = apsw.Connection(str(path))
    pages = connection.execute(
        "SELECT pageno FROM dbstat WHERE name = 'placement' AND pagetype = 'leaf' ORDER BY path"
    ).fetchall()
    connection.close()
    octets = path.read_bytes()
    for (page,) in pages:
        leaf = octets[(page - 1) * PAGE : page * PAGE]
        # The record begins with "ann", mailbox 1, which takes no octet, and the UID.
        at = [leaf.find(b"ann" + bytes([uid])) for uid in (first, second)]
        if -1 not in at:
            changed = bytearray(leaf)
            changed[at[0] + 3], changed[at[1] + 3] = second, first
            path.write_bytes(octets[: (page - 1) * PAGE] + changed + octets[page * PAGE :])
            return
    raise AssertionError("they do not stand together")


def test_a_mailbox_whose_uids_are_not_in_order_is_not_opened(damaged, loop):
    loop.run(damaged.engine.stop())
    swap_keys(damaged.data / "mail-00.db", 20, 22)
    damaged.open()
    with pytest.raises(StoreDamaged):
        loop.run(damaged.inbox.snapshot())
    with pytest.raises(StoreDamaged):
        loop.run(damaged.ann.maildrop(1, 60.0))


def test_the_log_names_a_bounded_number_of_messages(damaged, loop, logged, monkeypatch):
    monkeypatch.setattr(partition, "DAMAGED_TOLD", 2)
    damaged.damage("message")
    for _ in range(3):
        damaged.rows(list(range(1, 61)), ["envelope"])
    assert len(of(logged, "store.row_damaged")) == 2


def test_a_damaged_page_of_the_directory_costs_what_stands_on_it(tmp_path, loop):
    engine = started(tmp_path, loop)
    loop.run(Directory(engine).set_fixed_domains(["a.test"]))
    ids = [f"id{number:03}" for number in range(200)]
    for account_id in ids:
        loop.run(Directory(engine).add_account(account_id, parse_address(f"u{account_id}@a.test"), 0.0))
    pages = loop.run(engine.read(DIRECTORY, leaves, "account"))
    loop.run(engine.stop())
    overwrite(tmp_path / "directory.db", pages[len(pages) // 2] - 1)
    engine = started(tmp_path, loop)
    readable = []
    for account_id in ids:
        with contextlib.suppress(StoreUnavailable):
            readable += [account_id] if loop.run(Directory(engine).account(account_id)) else []
    assert 100 < len(readable) < 200
    assert list(engine.damage()) == ["directory.db"]
    loop.run(engine.stop())
