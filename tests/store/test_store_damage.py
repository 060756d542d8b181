"""Database files that cannot be read: what may be lost is made anew, a bad partition leaves the others, rows are skipped."""

from __future__ import annotations

import pytest
from store_support import Loop
from twisted.logger import globalLogPublisher

from mailnode.errors import ConfigurationError, StoreUnavailable
from mailnode.store.engine import DIRECTORY, EPHEMERAL, QUEUE
from mailnode.store.engine_remote import RemoteEngine
from mailnode.store.engine_sqlite import SqliteEngine
from mailnode.store.sqlite_files import KEPT

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
