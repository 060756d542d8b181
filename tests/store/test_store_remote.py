"""The engine of a process that does not write, beside the one that does, on the same files."""

import pytest
from store_support import Loop

from mailnode.errors import OverQuota, StoreUnavailable
from mailnode.store.engines.engine import mail_tenancy
from mailnode.store.engines.remote import RemoteEngine
from mailnode.store.engines.sqlite import SqliteEngine

MAIL = mail_tenancy(0)


def put(tx, key, value):
    tx.execute(
        "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (key, value),
    )
    return len(value)


def get(tx, key):
    rows = tx.execute("SELECT value FROM meta WHERE key = ?", (key,))
    return rows[0][0] if rows else None


def refuse(tx, key):
    put(tx, key, "not kept")
    raise OverQuota


@pytest.fixture
def loop():
    return Loop()


@pytest.fixture
def engines(tmp_path, loop):
    owner = SqliteEngine(tmp_path, 2, loop.call_from_thread)
    asked = []

    async def ask(name, tenancy="", unit=None, args=(), kwargs=None):
        if name == "out_of_service":
            return dict(owner.out_of_service)
        assert name == "write"
        asked.append(unit)
        return await owner.write(tenancy, unit, *args, **kwargs)

    worker = RemoteEngine(tmp_path, 2, loop.call_from_thread, ask)
    loop.run(owner.start())
    loop.run(worker.start())
    yield owner, worker, asked
    loop.run(worker.stop())
    loop.run(owner.stop())


def test_what_was_acknowledged_is_read_here_at_once(engines, loop):
    owner, worker, asked = engines
    for number in range(200):
        engine = (owner, worker)[number % 2]
        assert loop.run(engine.write(MAIL, put, "k", value=str(number))) == len(str(number))
        assert loop.run(worker.read(MAIL, get, "k")) == str(number)
        assert loop.run(owner.read(MAIL, get, "k")) == str(number)
    assert len(asked) == 100


def test_a_domain_error_is_that_and_nothing_is_kept(engines, loop):
    _, worker, _ = engines
    with pytest.raises(OverQuota):
        loop.run(worker.write(MAIL, refuse, "k"))
    assert loop.run(worker.read(MAIL, get, "k")) is None


def test_it_cannot_write_by_itself(engines, loop):
    _, worker, _ = engines
    with pytest.raises(StoreUnavailable):
        loop.run(worker.read(MAIL, put, "k", "v"))
    assert loop.run(worker.read(MAIL, get, "k")) is None


def test_it_reads_on_while_the_owner_checkpoints_and_starts_again(engines, loop, tmp_path):
    owner, worker, _ = engines
    loop.run(owner.write(MAIL, put, "k", "before"))
    assert loop.run(worker.read(MAIL, get, "k")) == "before"
    owner._tenancies[MAIL].checkpoint(wait=True)
    assert loop.run(worker.read(MAIL, get, "k")) == "before"
    loop.run(owner.stop())
    again = SqliteEngine(tmp_path, 2, loop.call_from_thread)
    loop.run(again.start())
    loop.run(again.write(MAIL, put, "k", "after"))
    assert loop.run(worker.read(MAIL, get, "k")) == "after"
    loop.run(again.stop())


def test_it_leaves_the_owner_s_lock_and_log_alone(engines, loop, tmp_path):
    owner, worker, _ = engines
    loop.run(owner.write(MAIL, put, "k", "v"))
    loop.run(worker.read(MAIL, get, "k"))
    size = (tmp_path / f"{MAIL}.db-wal").stat().st_size
    loop.run(worker.stop())
    assert size and (tmp_path / f"{MAIL}.db-wal").stat().st_size == size
    loop.run(owner.write(MAIL, put, "k", "w"))


def test_a_stopped_one_refuses(engines, loop):
    _, worker, asked = engines
    loop.run(worker.stop())
    for work in (worker.read(MAIL, get, "k"), worker.write(MAIL, put, "k", "v")):
        with pytest.raises(StoreUnavailable):
            loop.run(work)
    assert asked == []
