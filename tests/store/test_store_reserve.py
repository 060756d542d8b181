"""Room kept back for a full disk: who may use it, and when it is made anew."""

from __future__ import annotations

import errno
import os
import resource
import signal
from collections import namedtuple

import apsw
import pytest

from mailnode.errors import DiskFull, StoreUnavailable
from mailnode.net.no_reactor import CallingThread
from mailnode.store.blobs.local import LocalBlobs
from mailnode.store.disk import reserve as reserve_module
from mailnode.store.disk.reserve import NEEDED, OPENING, RESERVE, Reserve
from mailnode.store.engines.engine import GROWING
from mailnode.store.engines.sqlite_jobs import Job
from mailnode.store.engines.sqlite_tenancy import Tenancy

Free = namedtuple("Free", "f_bavail f_frsize")


@pytest.fixture
def disk(monkeypatch):
    """How many octets are free, as the file system says."""
    free = [NEEDED]
    monkeypatch.setattr(reserve_module.os, "statvfs", lambda path: Free(free[0] // 512, 512))
    return free


@pytest.fixture
def said():
    return []


@pytest.fixture
def reserve(tmp_path, said):
    return Reserve(tmp_path, lambda event, **fields: said.append((event, fields)))


def test_it_is_made_given_back_and_made_anew(tmp_path, reserve, said, disk):
    reserve.begin()
    assert os.stat(tmp_path / "reserve").st_blocks * 512 >= RESERVE
    assert not reserve.full()
    assert reserve.give_back() and not reserve.give_back()
    disk[0] = NEEDED - 512
    assert reserve.full() and not (tmp_path / "reserve").exists()
    disk[0] = NEEDED
    assert not reserve.full()
    assert [event for event, _ in said] == ["store.room", "store.full", "store.room"]
    assert {fields["path"] for _, fields in said} == {str(tmp_path)}


def test_what_one_process_gives_back_all_know(tmp_path, reserve, disk):
    reserve.begin()
    other = Reserve(tmp_path, lambda event, **fields: None)
    disk[0] = 0
    assert not other.full()
    assert reserve.give_back()
    assert other.full() and not other.give_back()


def test_while_another_makes_it_mail_is_taken(tmp_path, reserve, disk):
    reserve.begin()
    reserve.give_back()
    (tmp_path / "reserve.new").touch()  # which is done where there is room only
    assert not reserve.full()


def test_a_start_on_a_full_disk_gives_it_back_first(tmp_path, reserve, disk):
    reserve.begin()
    disk[0] = RESERVE // 2 - 512
    reserve.begin()
    assert not (tmp_path / "reserve").exists()


def test_what_a_start_needs_is_kept_for_it(tmp_path, reserve, disk):
    reserve.end(3)
    assert os.stat(tmp_path / "reserve.start").st_blocks * 512 >= 3 * OPENING
    reserve.begin()
    assert not (tmp_path / "reserve.start").exists()


def test_what_there_is_is_kept_for_a_start_where_that_is_less(tmp_path, reserve):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (OPENING + 512, before[1]))
        reserve.end(3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert os.stat(tmp_path / "reserve.start").st_size == OPENING + 512


def test_what_cannot_be_made_whole_is_not_there(tmp_path, reserve, disk, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(reserve_module.os, "posix_fallocate", full)
    assert reserve.full()
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_gone_is_not_called_full(tmp_path):
    assert not Reserve(tmp_path / "gone", lambda event, **fields: None).full()


def bring(tx, number):
    tx.execute("INSERT INTO probe (a) VALUES (?)", (number,))
    return number


def change(tx, number):
    tx.execute("INSERT INTO probe (a) VALUES (?)", (-number,))
    return number


def meet_it(tx):
    if not met:
        met.append(1)
        raise apsw.FullError("database or disk is full")
    return "done"


met: list[int] = []


@pytest.fixture
def tenancy(tmp_path, reserve, disk, monkeypatch):
    monkeypatch.setattr("mailnode.store.engines.sqlite_tenancy.GROWING", GROWING | {bring})
    met.clear()
    reserve.begin()
    tenancy = Tenancy("probe", str(tmp_path / "probe.db"), reserve=reserve)
    tenancy.open()
    tenancy.run(lambda tx: tx.execute("CREATE TABLE probe (a BIGINT PRIMARY KEY)"))
    yield tenancy
    tenancy.close()


@pytest.mark.parametrize("alone", [True, False])
def test_a_full_disk_refuses_what_brings_mail_and_does_the_rest(tenancy, disk, alone):
    disk[0] = 0
    first = Job(meet_it)
    jobs = [first] if alone else [Job(bring, (1,)), first, Job(change, (2,))]
    tenancy.run_batch(jobs)
    assert first.outcome() == "done"
    if not alone:
        assert isinstance(jobs[0].error, DiskFull) and jobs[2].outcome() == 2
    later = [Job(bring, (3,)), Job(change, (4,))]
    tenancy.run_batch(later)
    assert isinstance(later[0].error, DiskFull) and later[1].outcome() == 4
    lonely = Job(bring, (5,))
    tenancy.run_batch([lonely])
    assert isinstance(lonely.error, DiskFull)
    disk[0] = NEEDED
    tenancy.run_batch([lonely])
    assert lonely.outcome() == 5


def test_blob_files_are_refused_and_the_first_that_fails_gives_it_back(
    tmp_path, reserve, disk, loop, clock, monkeypatch
):
    reserve.begin()
    disk[0] = 0
    blobs = LocalBlobs(tmp_path / "blobs", CallingThread(), clock, inline=0, reserve=reserve)
    blobs.prepare()
    content = os.urandom(10_000)
    staged = loop.run(blobs.put(content))

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "writev", full)
        with pytest.raises(DiskFull):
            loop.run(blobs.put(content))
    assert not (tmp_path / "reserve").exists()
    with pytest.raises(DiskFull):
        loop.run(blobs.put(content))
    assert loop.run(blobs.read_staged(staged)) == content
    disk[0] = NEEDED
    assert loop.run(blobs.put(content)).ref.size == len(content)


# a store that cannot write


@pytest.fixture
def unwritable(store, engine, monkeypatch):
    """Have every writing unit refused."""

    async def refuse(*args, **kwargs):
        raise StoreUnavailable("nothing was kept")

    return lambda: monkeypatch.setattr(engine, "write", refuse)


def test_a_mailbox_is_opened_without_claiming_what_is_recent(store, loop, make, unwritable):
    inbox = store.account("ann").open(1)
    loop.run(inbox.append([make(), make()]))
    before = loop.run(inbox.snapshot())
    unwritable()
    snapshot = loop.run(inbox.snapshot(claim_recent=True))
    assert (snapshot.recent_from, list(snapshot.uids)) == (before.recent_from, [1, 2])
    assert loop.run(inbox.changes(0, claim_recent=True)).recent_from == before.recent_from


def test_a_maildrop_is_read_without_a_lease_and_deletes_nothing(store, loop, make, unwritable, monkeypatch):
    account = store.account("ann")
    loop.run(account.open(1).append([make(b"Subject: x\r\n\r\nx\r\n"), make()]))
    unwritable()
    drop = loop.run(account.maildrop(1, 60.0))
    assert len(drop.messages) == 2
    assert loop.run(drop.retrieve(drop.messages[0])).endswith(b"x\r\n")
    loop.run(drop.renew())
    with pytest.raises(StoreUnavailable):
        loop.run(drop.commit(drop.messages[:1]))
    loop.run(drop.commit([]))
    loop.run(drop.release())
    monkeypatch.undo()
    assert len(loop.run(account.open(1).snapshot()).uids) == 2
