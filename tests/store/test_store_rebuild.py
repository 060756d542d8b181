"""A damaged partition file is made anew of all that can be read of it, and a crash on the way loses nothing."""

from __future__ import annotations

import os
import random
import shutil

import apsw
import pytest
from store_support import Loop
from test_store_damage import PAGE, Damaged, leaves, overwrite

from mailnode.errors import ConfigurationError, StoreDamaged, StoreUnavailable
from mailnode.store.engines import sqlite_rebuild
from mailnode.store.engines.generations import Mark, read_mark
from mailnode.store.engines.sqlite import BATCH
from mailnode.store.engines.sqlite_files import quick_check
from mailnode.store.engines.sqlite_pages import DatabasePages
from mailnode.store.engines.sqlite_rebuild import rebuild
from mailnode.store.facades.taking_in import put_right

MARK = Mark("7-abc", "6-abc", 99, "mail-00")


@pytest.fixture
def damaged(tmp_path):
    damaged = Damaged(tmp_path / "data", Loop())
    yield damaged
    damaged.loop.run(damaged.engine.stop())


@pytest.fixture
def stopped(tmp_path):
    """The file of a partition that nobody has open."""
    damaged = Damaged(tmp_path / "data", Loop())
    damaged.loop.run(damaged.engine.stop())
    return damaged.data / "mail-00.db"


def contents(path):
    """All rows of a file, by table."""
    connection = apsw.Connection(str(path))
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = {name: set(connection.execute(f"SELECT * FROM {name}")) for name in tables}
    connection.close()
    return found


def schema(path):
    connection = apsw.Connection(str(path))
    found = set(connection.execute("SELECT type, name, sql FROM sqlite_master"))
    connection.close()
    return found


def values(count, seed=3):
    """Rows of every kind of value and of every length that a page or a chain of pages has."""
    chance = random.Random(seed)
    for number in range(count):
        yield (
            f"key {chance.random()}",
            chance.choice([0, 1, -1, 127, -128, 2**15, -(2**23), 2**31, -(2**40), 2**62, number]),
            chance.choice([None, "", "é" * chance.randrange(3000), 0.5, float(number)]),
            chance.randbytes(chance.choice([0, 1, 300, 1003, 4057, 4058, 4092, 9000, 60_000])),
        )


@pytest.mark.parametrize("page", [512, 4096, 65536])
def test_pages_are_read_as_sqlite_reads_them(tmp_path, page):
    path = tmp_path / "x.db"
    connection = apsw.Connection(str(path))
    connection.pragma("page_size", page)
    connection.execute("CREATE TABLE rowids (k TEXT PRIMARY KEY, n BIGINT, m, b BLOB)")
    connection.execute("CREATE TABLE keys (b BLOB, m, n BIGINT, k TEXT, PRIMARY KEY (n, k)) WITHOUT ROWID")
    with connection:
        connection.executemany("INSERT INTO rowids VALUES (?, ?, ?, ?)", values(400))
        connection.executemany("INSERT INTO keys (k, n, m, b) VALUES (?, ?, ?, ?)", values(400))
    roots = dict(connection.execute("SELECT name, rootpage FROM sqlite_master"))
    pages = DatabasePages(path)
    assert list(pages.rows(roots["rowids"])) == list(connection.execute("SELECT * FROM rowids ORDER BY rowid"))
    assert list(pages.rows(roots["keys"])) == list(connection.execute("SELECT n, k, b, m FROM keys ORDER BY n, k"))
    assert pages.lost == 0
    pages.close()
    connection.close()


def test_whatever_octets_are_wrong_reading_ends_and_raises_nothing(tmp_path):
    path, chance = tmp_path / "x.db", random.Random(5)
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE keys (k TEXT, n BIGINT, m, b BLOB, PRIMARY KEY (n, k)) WITHOUT ROWID")
    with connection:
        connection.executemany("INSERT INTO keys VALUES (?, ?, ?, ?)", values(300))
    connection.close()
    sound = path.read_bytes()
    lost = 0
    for _ in range(300):
        octets = bytearray(sound)
        for _ in range(chance.randrange(1, 40)):
            octets[chance.randrange(100, len(octets))] = chance.randrange(256)
        path.write_bytes(octets)
        pages = DatabasePages(path)
        assert len(list(pages.rows(2))) <= 300 + pages.lost + 300
        lost += pages.lost
        pages.close()
    assert lost


def test_a_sound_file_comes_out_as_it_was(stopped):
    path = stopped
    before, was = contents(path), schema(path)
    made = rebuild(path, MARK, 13, run_nothing)
    after = contents(path)
    meta = dict(after.pop("meta"))
    assert (meta["generation"], meta["commits"], meta["tenancy"]) == ("7-abc", "99", "mail-00")
    assert meta["schema"] == dict(before.pop("meta"))["schema"]
    assert after == before and schema(path) == was
    assert (made.lost, made.rows) == ({}, sum(map(len, before.values())) + len(meta) - 0)
    assert quick_check(path) == [] and path.stat().st_mode & 0o777 == 0o600


def test_every_page_in_turn_costs_what_stands_on_it_alone(stopped):
    path = stopped
    before, sound = contents(path), path.read_bytes()
    connection = apsw.Connection(str(path))
    of_schema = {page for (page,) in connection.execute("SELECT pageno FROM dbstat WHERE name = 'sqlite_schema'")}
    connection.close()
    for page in range(len(sound) // PAGE):
        path.write_bytes(sound)
        overwrite(path, page)
        if page + 1 in of_schema:  # nothing is known of the others
            with pytest.raises((apsw.CorruptError, apsw.NotADBError)):
                rebuild(path, MARK, 13, run_nothing)
            continue
        made = rebuild(path, MARK, 13, run_nothing)
        after = contents(path)
        gone = sum(len(before[name] - after[name]) for name in before if name != "meta")
        assert gone <= 60 and (not gone or made.lost), page
        assert not any(after[name] - before[name] for name in before if name != "meta")
        assert quick_check(path) == []


def test_what_is_in_the_log_alone_is_kept(damaged):
    """As a kill leaves it."""
    damaged.loop.run(damaged.inbox.append([damaged.message(number) for number in range(60, 70)]))
    left = damaged.data.parent / "killed"
    shutil.copytree(damaged.data, left)
    path = left / "mail-00.db"
    assert (left / "mail-00.db-wal").stat().st_size
    rebuild(path, MARK, 13, run_nothing)
    assert len(contents(path)["message"]) == 70
    assert not (left / "mail-00.db-wal").exists()


STEPS = ["fsync", "link", "replace"]


@pytest.mark.parametrize("step", [*STEPS, "sync_directory"])
def test_whatever_fails_leaves_one_of_the_two_files_whole(stopped, monkeypatch, step):
    path = stopped
    overwrite(path, 30)
    before = path.read_bytes()

    def fails(*args):
        raise OSError(5, "for a test")

    monkeypatch.setattr(*((os, step) if step in STEPS else (sqlite_rebuild, step)), fails)
    with pytest.raises(OSError, match="for a test"):
        rebuild(path, MARK, 13, run_nothing)
    monkeypatch.undo()
    assert (path.read_bytes() == before) is (step in STEPS)
    assert not list(path.parent.glob("*.rebuilding"))
    rebuild(path, MARK, 13, run_nothing)
    assert quick_check(path) == []


def test_a_file_is_put_right_before_it_takes_the_place_of_the_other(stopped):
    """After a crash in between it would be taken for one of which nothing was lost."""
    path = stopped
    before = path.read_bytes()

    def right(run, made):
        assert path.read_bytes() == before
        run(write_number, 7)

    rebuild(path, MARK, 13, right)
    assert dict(contents(path)["meta"])["number 7"] == "7"

    def fails(run, made):
        raise StoreDamaged("for a test")

    before = path.read_bytes()
    with pytest.raises(StoreDamaged, match="for a test"):
        rebuild(path, MARK, 13, fails)
    assert path.read_bytes() == before and not list(path.parent.glob("*.rebuilding"))


def test_a_backup_may_begin_to_read_as_soon_as_the_new_file_is_there(stopped):
    rebuild(stopped, MARK, 13, run_nothing)
    assert {path.name for path in stopped.parent.glob("mail-00.db*")} == {"mail-00.db.damaged-1", "mail-00.db"}
    reader = apsw.Connection(str(stopped), flags=apsw.SQLITE_OPEN_READONLY)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM meta").fetchall()
    server = apsw.Connection(str(stopped))
    assert server.pragma("journal_mode", "wal") == "wal"
    server.close()
    reader.close()


def test_without_room_for_another_file_it_stays_as_it_is(stopped, monkeypatch):
    path = stopped
    before = path.read_bytes()
    monkeypatch.setattr(sqlite_rebuild, "RESERVE", 1 << 60)
    with pytest.raises(ConfigurationError, match="there must be room"):
        rebuild(path, MARK, 13, run_nothing)
    assert path.read_bytes() == before


async def alone():
    return True


@pytest.mark.parametrize("table", ["message", "placement", "blob"])
def test_a_partition_in_use_is_made_anew_and_serves_what_is_left(damaged, table):
    damaged.damage(table)
    loop, engine = damaged.loop, damaged.engine
    loop.run(engine.write("mail-00", lambda tx: None))
    commits = loop.run(engine.read("mail-00", read_mark)).commits
    was = loop.run(damaged.ann.status_of("Trash")).uidvalidity
    begun = engine.rebuild("mail-00", alone, lambda run, made: put_right(run, made.lost, ["ann"]))
    made, refused = loop.together(begun, engine.read("mail-00", read_mark))
    assert isinstance(refused, StoreUnavailable)
    assert set(made.lost) == {table}
    assert quick_check(damaged.data / "mail-00.db") == [] and engine.damage() == {}
    assert loop.run(engine.read("mail-00", read_mark)).commits > commits  # for the next backup
    check = damaged.store.check("ann")
    loop.run(check.mend())
    loop.run(check.keep(loop.run(check.look(-1))))
    assert loop.run(check.rows()) == []
    found = loop.run(damaged.inbox.snapshot())
    readable = [row[0] for row in damaged.rows(list(found.uids), ["blob"])[0]]
    recovered = [one for one in loop.run(damaged.ann.mailboxes()) if one.name == "Recovered"]
    elsewhere = loop.run(damaged.ann.open(recovered[0].id).snapshot()).uids if recovered else []
    if table == "placement":
        assert len(found.uids) + len(elsewhere) == 60  # nothing is lost but places
    else:
        assert len(found.uids) == 60
    assert (loop.run(damaged.ann.status_of("Trash")).uidvalidity > was) is (table == "placement")
    assert 40 < len(readable) + len(elsewhere) <= 60
    loop.run(damaged.inbox.append([damaged.message(99)]))
    assert max(loop.run(damaged.inbox.snapshot()).uids) == 61
    loop.run(engine.stop())
    damaged.open()
    assert damaged.engine.damage() == {}


def test_content_is_needed_though_the_page_that_says_so_is_lost(damaged):
    """A sweep may come before the rest is mended, or the server may end."""
    damaged.damage("blob_ref")
    begun = damaged.engine.rebuild("mail-00", alone, lambda run, made: put_right(run, made.lost, ["ann"]))
    assert list(damaged.loop.run(begun).lost) == ["blob_ref"]
    assert not any("reference" in fault for fault in damaged.loop.run(damaged.store.check("ann").rows()))


def test_the_file_of_whoever_does_not_let_go_stays_and_serves(damaged):
    damaged.damage("message")

    async def busy():
        return False

    before = damaged.data.joinpath("mail-00.db").stat().st_ino
    with pytest.raises(ConfigurationError, match="another process may have it open"):
        damaged.loop.run(damaged.engine.rebuild("mail-00", busy, lambda run, made: None))
    assert damaged.data.joinpath("mail-00.db").stat().st_ino == before
    assert len(damaged.loop.run(damaged.inbox.snapshot()).uids) == 60


def test_while_a_file_is_made_anew_nobody_else_opens_it(damaged):
    damaged.damage("message")
    engine, refused = damaged.engine, []

    async def others():
        for other in (engine.take_in("mail-00", True, run_nothing), engine.rebuild("mail-00", alone, run_nothing)):
            try:
                await other
            except ConfigurationError as error:
                refused.append(str(error))
        return True

    damaged.loop.run(engine.rebuild("mail-00", others, run_nothing))
    assert refused == ["mail-00: its file is being worked on"] * 2
    assert len(damaged.loop.run(damaged.inbox.snapshot()).uids) == 60


def test_an_older_file_in_the_place_of_one_that_is_not_served_is_not_made_the_latest(damaged):
    loop, path = damaged.loop, damaged.data / "mail-00.db"
    page = loop.run(damaged.engine.read("mail-00", leaves, "message"))[3] - 1
    loop.run(damaged.engine.stop())
    yesterday = path.read_bytes()
    damaged.open()
    loop.run(damaged.inbox.append([damaged.message(number) for number in range(60, 70)]))
    loop.run(damaged.engine.stop())
    latest = path.read_bytes()
    path.write_bytes(b"none " * 1000)
    damaged.open()
    for octets in (yesterday, latest):
        assert list(damaged.engine.damage()) == ["mail-00.db"]
        path.write_bytes(octets)
        overwrite(path, page)
        begun = damaged.engine.rebuild("mail-00", alone, run_nothing)
        if octets is yesterday:
            with pytest.raises(ConfigurationError, match="it is older than what was acknowledged"):
                loop.run(begun)
        else:
            assert loop.run(begun).lost == {"message": 1}
    assert damaged.engine.damage() == {} and len(loop.run(damaged.inbox.snapshot()).uids) == 70


def run_nothing(*args):
    pass


def test_an_account_whose_row_is_lost_has_its_mail_again(damaged):
    uidvalidity = damaged.loop.run(damaged.inbox.snapshot()).uidvalidity
    [page] = damaged.loop.run(damaged.engine.read("mail-00", leaves, "account"))
    damaged.loop.run(damaged.engine.stop())
    overwrite(damaged.data / "mail-00.db", page - 1)
    damaged.open()
    damaged.loop.run(
        damaged.engine.rebuild("mail-00", alone, lambda run, made: put_right(run, made.lost, ["ann", "bob"]))
    )
    damaged.loop.run(damaged.store.check("ann").mend())
    found = damaged.loop.run(damaged.inbox.snapshot())
    assert len(found.uids) == 60 and found.uidvalidity > uidvalidity
    assert damaged.loop.run(damaged.store.verify()) == []
    assert damaged.loop.run(damaged.store.account_ids()) == {"ann", "bob"}


def test_what_is_still_written_while_a_partition_is_let_go_is_kept_and_served(damaged):
    damaged.damage("message")
    engine = damaged.engine
    commits = damaged.loop.run(engine.read("mail-00", read_mark)).commits
    writes = [engine.write("mail-00", write_number, number) for number in range(3 * BATCH)]  # several transactions
    damaged.loop.together(*writes, engine.rebuild("mail-00", alone, run_nothing))
    assert engine.damage() == {}
    found = dict(damaged.loop.run(engine.read("mail-00", lambda tx: tx.execute("SELECT key, value FROM meta"))))
    assert [found.get(f"number {number}") for number in range(3 * BATCH)] == [
        str(number) for number in range(3 * BATCH)
    ]
    assert damaged.loop.run(engine.read("mail-00", read_mark)).commits > commits + 3  # for the next backup


def write_number(tx, number):
    tx.execute("INSERT INTO meta (key, value) VALUES (?, ?)", (f"number {number}", str(number)))
