"""Full and failing disks under the store: nothing is acknowledged that is not there, nobody loses for a neighbour, and
when the disk is well again so is the store."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path

import apsw
import pytest
from fault_store import MAIL, Loop, Store
from fault_vfs import SYNC, WRITE, Faults, FaultVFS, FaultyOs

from mailnode import durable
from mailnode.errors import DiskFull, StoreUnavailable
from mailnode.store.blobs import file as blob_file
from mailnode.store.engines.engine import QUEUE
from mailnode.store.engines.migrate import version, write_again
from mailnode.store.engines.sqlite import SqliteEngine
from mailnode.store.engines.sqlite_jobs import Job
from mailnode.store.engines.sqlite_tenancy import Tenancy
from mailnode.values.queue import DELIVERED, Outcome, Settlement

# kind of call, error of a write, whether all later calls fail too, whether a failed sync loses what was written
KINDS = [
    pytest.param(WRITE, errno.ENOSPC, False, False, id="full-once"),
    pytest.param(WRITE, errno.ENOSPC, True, False, id="full"),
    pytest.param(WRITE, errno.EIO, True, False, id="write-error"),
    pytest.param(SYNC, errno.EIO, False, False, id="sync-error-once"),
    pytest.param(SYNC, errno.EIO, False, True, id="sync-error-once-forgetful"),
    pytest.param(SYNC, errno.EIO, True, True, id="sync-error-forgetful"),
]
MOST = 200  # calls of any scenario here


@pytest.fixture
def memory(tmp_path):
    """A directory in memory where there is one: the faults are ours, waiting for a real disk shows nothing more."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    directory = Path(tempfile.mkdtemp(prefix="mailnode-faults-", dir="/dev/shm"))
    yield directory
    shutil.rmtree(directory)


class Disk:
    """A directory on a disk that can fail, and stores opened on it one after another."""

    def __init__(self, directory, error, forgetful):
        self.directory = directory
        self.blobs = directory.parent / "blobs"  # one for all: it has a thousand directories
        self.faults = Faults()
        self.faults.lift()
        self.vfs = FaultVFS("faulty", self.faults, error, forgetful)

    def open(self):
        return Store(self.directory, self.blobs, "faulty", Loop())

    def look(self):
        """Open what is there with the system's own VFS."""
        return Store(self.directory, self.blobs)


def every_call(memory, kind, error, lasting, forgetful, scenario):
    """Run a scenario on a fresh disk with the fault at its first call, its second, and so on until none is hit."""
    for number in range(1, MOST):
        disk = Disk(memory / str(number), error, forgetful)
        try:
            scenario(disk, lambda disk=disk, number=number: disk.faults.arm(kind, number, lasting))
            if not disk.faults.hits:
                assert number > 1, "the scenario never makes such a call"
                return
        finally:
            disk.vfs.unregister()
    raise AssertionError("the scenario does not end")


def split(outcomes, names):
    """Return acknowledged names; everybody else must have been told that nothing was kept."""
    acknowledged = set()
    for name, outcome in zip(names, outcomes, strict=True):
        if isinstance(outcome, Exception):
            assert isinstance(outcome, StoreUnavailable), outcome
        else:
            acknowledged.add(name)
    return acknowledged


def check_mail(store, acknowledged, attempted):
    present = store.present()
    both = {"m3"}
    for account, mine in (("ann", {"m1", "m3", "m4"}), ("bea", {"m2", "m3"})):
        assert len(set(present[account])) == len(present[account])
        assert acknowledged & mine <= set(present[account]) <= attempted & mine
    assert (both & set(present["ann"])) == (both & set(present["bea"]))
    assert store.faults() == []


@pytest.mark.parametrize(("kind", "error", "lasting", "forgetful"), KINDS)
def test_two_deliveries_batched_with_a_third(memory, kind, error, lasting, forgetful):
    def scenario(disk, arm):
        store = disk.open()
        jobs = (("m1", ("ann",)), ("m2", ("bea",)), ("m3", ("ann", "bea")))
        outcomes = store.batch(MAIL, *(store.deliver(*job) for job in jobs), before=arm)
        disk.faults.lift()
        acknowledged = split(outcomes, ("m1", "m2", "m3"))
        if not disk.faults.hits:
            assert acknowledged == {"m1", "m2", "m3"}
        check_mail(store, acknowledged, {"m1", "m2", "m3"})
        store.loop.run(store.deliver("m4", ("ann",)))  # the disk is well: so is the store
        acknowledged.add("m4")
        check_mail(store, acknowledged, {"m1", "m2", "m3", "m4"})
        store.stop()
        again = disk.look()
        check_mail(again, acknowledged, {"m1", "m2", "m3", "m4"})
        again.stop()

    every_call(memory, kind, error, lasting, forgetful, scenario)


@pytest.mark.parametrize(("kind", "error", "lasting", "forgetful"), KINDS)
def test_a_repeated_delivery_leaves_one_copy(memory, kind, error, lasting, forgetful):
    """What was refused is tried again, as a queue or a sender does: applied once."""

    def scenario(disk, arm):
        store = disk.open()
        store.batch(MAIL, store.deliver("m1", ("ann",)), store.deliver("m2", ("bea",)), before=arm)
        disk.faults.lift()
        for job in (("m1", ("ann",)), ("m2", ("bea",))):
            store.loop.run(store.deliver(*job))
        assert store.present() == {"ann": ["m1"], "bea": ["m2"]}
        store.stop()

    every_call(memory, kind, error, lasting, forgetful, scenario)


@pytest.mark.parametrize(("kind", "error", "lasting", "forgetful"), KINDS)
def test_a_checkpoint_that_fails_loses_nothing(memory, kind, error, lasting, forgetful):
    def scenario(disk, arm):
        store = disk.open()
        for number in range(5):
            store.loop.run(store.deliver(f"m{number}", ("ann",)))
        arm()
        try:
            store.engine._tenancies[MAIL].checkpoint(wait=True)
        except apsw.Error:
            assert disk.faults.hits
        during = store.loop.begin(store.deliver("m5", ("ann",)))
        store.loop.wait(during)
        disk.faults.lift()
        store.loop.run(store.deliver("m6", ("ann",)))
        acknowledged = {f"m{number}" for number in (0, 1, 2, 3, 4, 6)} | split(during, ["m5"])
        assert acknowledged <= set(store.present()["ann"]) <= acknowledged | {"m5"}
        store.stop()
        again = disk.look()
        assert acknowledged <= set(again.present()["ann"]) <= acknowledged | {"m5"}
        assert again.faults() == []
        again.stop()

    every_call(memory, kind, error, lasting, forgetful, scenario)


# SMTP trap 35: at every write of the queue
@pytest.mark.parametrize(("kind", "error", "lasting", "forgetful"), KINDS)
def test_the_queue_keeps_what_it_took_and_settles_what_it_said(memory, kind, error, lasting, forgetful):
    def scenario(disk, arm):
        store = disk.open()
        store.loop.run(store.enqueue("q1", "b.example"))
        [claim] = store.loop.run(store.queue.claim("b.example", store.clock.seconds(), 60.0, 10))
        done = Settlement(claim.token, (Outcome("q1", 0, DELIVERED),))
        outcomes = store.batch(QUEUE, store.enqueue("q2"), store.queue.settle(done), store.enqueue("q3"), before=arm)
        disk.faults.lift()
        assert outcomes[1] is not False
        acknowledged = split(outcomes, ("q2", "settled", "q3"))
        for look in (store, None):
            here = look or disk.look()
            queued = here.queued()
            assert acknowledged - {"settled"} <= queued
            if "settled" in acknowledged:
                assert "q1" not in queued
            assert here.faults() == []
            if look is not None:
                here.loop.run(here.enqueue("q4"))
                acknowledged.add("q4")
            here.stop()

    every_call(memory, kind, error, lasting, forgetful, scenario)


@pytest.mark.parametrize(("kind", "error", "lasting", "forgetful"), KINDS[:4])
def test_a_large_message_is_whole_or_absent(memory, monkeypatch, kind, error, lasting, forgetful):
    """The file layer: opening, writing, syncing file and directory, renaming."""

    def scenario(disk, arm):
        monkeypatch.setattr(blob_file, "os", FaultyOs(disk.faults, error))
        store = disk.open()
        disk.vfs.faults = Faults()  # only files fail here
        disk.vfs.faults.lift()
        arm()
        outcome = store.loop.begin(store.deliver("m1", ("ann",), 600_000))
        store.loop.wait(outcome)
        disk.faults.lift()
        acknowledged = split(outcome, ["m1"])
        assert bool(acknowledged) != bool(disk.faults.hits)
        assert set(store.present()["ann"]) == acknowledged
        store.loop.run(store.deliver("m4", ("ann",), 600_000))
        store.stop()
        again = disk.look()
        assert set(again.present()["ann"]) == acknowledged | {"m4"}
        assert list((disk.blobs / "incoming").iterdir()) == []
        assert again.faults() == []
        again.stop()

    every_call(memory, kind, error, lasting, forgetful, scenario)


# SMTP trap 35: power cuts
def test_an_acknowledged_message_is_out_of_a_power_cuts_reach(memory, monkeypatch):
    """Nothing that was written waits for a sync when delivery and queue return."""
    disk = Disk(memory / "1", errno.EIO, True)
    files = FaultyOs(disk.faults, errno.EIO)
    try:
        store = disk.open()
        monkeypatch.setattr(blob_file, "os", files)
        monkeypatch.setattr(durable, "os", files)
        store.loop.run(store.deliver("m1", ("ann",), 600_000))
        assert files.trace[-5:] == ["write", "rename", "sync", "open", "sync"]  # name, file, directory
        assert any(file.name.endswith("mail-00.db-wal") for file in disk.vfs.files)
        assert disk.vfs.unsynced("mail-00.db-wal") == 0
        store.loop.run(store.enqueue("q1"))
        assert any(file.name.endswith("queue.db-wal") for file in disk.vfs.files)
        assert disk.vfs.unsynced("queue.db-wal") == 0
        store.stop()
    finally:
        disk.vfs.unregister()


# SMTP trap 34: errors of write and sync
@pytest.mark.parametrize("kind", [WRITE, SYNC])
@pytest.mark.parametrize("name", ["directory", "queue", MAIL])
def test_a_file_that_cannot_be_written_is_told_until_it_can(memory, name, kind):
    loop, faults = Loop(), Faults()
    faults.lift()
    vfs = FaultVFS("faulty-told", faults, errno.EIO)
    engine = SqliteEngine(memory / "data", 1, loop.call_from_thread, vfs=vfs.name)
    loop.run(engine.start())
    faults.arm(kind, 1, True)
    with pytest.raises(StoreUnavailable):
        loop.run(engine.write(name, write_again))
    for _ in range(2):
        assert str(memory / "data" / f"{name}.db") in engine.trouble()
        loop.run(engine.try_again())
    faults.lift()
    loop.run(engine.try_again())
    assert engine.trouble() == ""
    loop.run(engine.write(name, write_again))
    loop.run(engine.stop())


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_a_store_that_cannot_write_stops_and_gives_the_directory_free(memory, error):
    loop, faults = Loop(), Faults()
    faults.lift()
    vfs = FaultVFS("faulty-stop", faults, error)
    engine = SqliteEngine(memory / "data", 1, loop.call_from_thread, vfs=vfs.name)
    loop.run(engine.start())
    faults.arm(WRITE, 1, True)
    for name in ("directory", "queue", MAIL):
        with pytest.raises(StoreUnavailable):
            loop.run(engine.write(name, write_again))
    loop.run(engine.stop())
    faults.lift()
    again = SqliteEngine(memory / "data", 1, loop.call_from_thread)
    loop.run(again.start())
    assert again.damage() == {}
    loop.run(again.stop())


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT])
def test_a_commit_that_meets_a_full_disk_leaves_the_file_open(memory, error):
    # Opened anew it needs room: for shared memory, and to move the log into the file.
    faults = Faults()
    faults.lift()
    vfs = FaultVFS("faulty-full", faults, error)
    tenancy = Tenancy("probe", str(memory / "probe.db"), vfs=vfs.name)
    tenancy.open()
    tenancy.run(version)
    tenancy.run_batch([Job(mark, ("one",))])
    faults.arm(WRITE, 1, True)
    refused = Job(mark, ("two",))
    tenancy.run_batch([refused])
    assert faults.hits
    assert isinstance(refused.error, DiskFull)
    assert tenancy.is_open
    reading = Job(marks)
    tenancy.run_read(reading)
    assert reading.outcome() == [("one",)]
    faults.lift()
    tenancy.run_batch([Job(mark, ("three",))])
    assert tenancy.run(marks) == [("one",), ("three",)]
    tenancy.close()


@pytest.mark.parametrize("opened", [1, 2])
def test_a_disk_that_could_only_be_read_for_a_while_is_written_again(memory, opened):
    # SQLite opens to read what it cannot write: the writer's connection, or that of checkpoints, would stay so.
    faults = Faults()
    faults.lift()
    vfs = FaultVFS("faulty-read-only", faults, errno.EIO)
    tenancy = Tenancy("probe", str(memory / "probe.db"), vfs=vfs.name)
    tenancy.open()
    tenancy.run(version)
    faults.arm(SYNC, 1, False)
    vfs.read_only = opened
    for number in range(opened + 1):
        refused = Job(mark, (f"refused {number}",))
        tenancy.run_batch([refused])
        assert isinstance(refused.error, StoreUnavailable)
    assert not vfs.read_only
    tenancy.run_batch([Job(mark, ("one",))])
    assert ("one",) in tenancy.run(marks)
    tenancy.close()
    vfs.unregister()


def mark(tx, key):
    tx.execute("INSERT INTO meta (key, value) VALUES (?, '')", (key,))


def marks(tx):
    return tx.execute("SELECT key FROM meta ORDER BY rowid")
