"""The SQLite engine's own promises: group commit, what an engine error does to a batch, the log, start and refusal."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import threading
from itertools import pairwise

import apsw
import pytest
from twisted.internet.defer import Deferred

from mailnode.errors import ConfigurationError, NoSuchMailbox, StoreUnavailable
from mailnode.store.engines import migrate, sqlite_pool, sqlite_tenancy, sqlite_threads
from mailnode.store.engines import sqlite as engine_sqlite
from mailnode.store.engines.engine import DIRECTORY, mail_tenancy
from mailnode.store.engines.migrate import Migration
from mailnode.store.engines.sqlite import SqliteEngine
from mailnode.store.engines.sqlite_jobs import Job
from mailnode.store.engines.sqlite_tenancy import Tenancy

MAIL = mail_tenancy(0)


def make_table(tx):
    tx.execute("CREATE TABLE probe (a BIGINT PRIMARY KEY, b BLOB)")


def add(tx, number, size=1):
    tx.execute("INSERT INTO probe (a, b) VALUES (?, ?)", (number, b"x" * size))
    return number


def numbers(tx):
    return [row[0] for row in tx.execute("SELECT a FROM probe ORDER BY a")]


def domain_error(tx):
    add(tx, 100)
    raise NoSuchMailbox("gone")


def lost_transaction(tx):
    """What SQLite does by itself after some I/O errors."""
    add(tx, 100)
    tx.execute("ROLLBACK")
    raise apsw.IOError("disk I/O error")


def io_error(tx):
    add(tx, 100)
    raise apsw.IOError("disk I/O error")


def full(tx):
    add(tx, 100)
    raise apsw.FullError("database or disk is full")


def lost_and_swallowed(tx):
    add(tx, 100)
    tx.execute("ROLLBACK")
    return "never mind"


def lost_and_called_a_domain_error(tx):
    add(tx, 100)
    tx.execute("ROLLBACK")
    raise NoSuchMailbox("gone")


class Reports(list):
    def __call__(self, event, **fields):
        self.append((event, fields["tenancy"]))


@pytest.fixture
def reports():
    return Reports()


@pytest.fixture(params=["memory", "file"])
def tenancy(request, tmp_path, reports):
    path = ":memory:" if request.param == "memory" else str(tmp_path / "probe.db")
    tenancy = Tenancy("probe", path, report=reports)
    tenancy.open()
    tenancy.run(make_table)
    yield tenancy
    tenancy.close()


def outcome(job):
    return job.error if job.error is not None else job.result


# files that lose their names


def move_directory(data):
    data.rename(data.with_name("away"))
    return lambda: data.with_name("away").rename(data)


def replace_directory(data):
    back = move_directory(data)
    shutil.copytree(data.with_name("away"), data)

    def restore():
        shutil.rmtree(data)
        back()

    return restore


def move_file(name):
    def move(data):
        (data / name).rename(data / "away")
        return lambda: (data / "away").rename(data / name)

    return move


def replace_file(name):
    def replace(data):
        back = move_file(name)(data)
        shutil.copy(data / "away", data / name)
        return back

    return replace


LOSSES = [move_directory, replace_directory]
LOSSES += [do(name) for do in (move_file, replace_file) for name in ("probe.db", "probe.db-wal")]


@pytest.mark.parametrize("lose", LOSSES)
@pytest.mark.parametrize("most", [1, 3])
def test_nothing_is_acknowledged_into_files_without_a_name(tmp_path, lose, most):
    data = tmp_path / "data"
    data.mkdir()
    said = []
    tenancy = Tenancy("probe", str(data / "probe.db"), report=lambda event, **fields: said.append((event, fields)))
    tenancy.open()
    tenancy.run(make_table)
    tenancy.run_batch([Job(add, (0,))])
    assert tenancy.trouble() == ""
    back = lose(data)
    for number in range(10, 10 + 2 * most, most):
        jobs = [Job(add, (number + more,)) for more in range(most)]
        tenancy.run_batch(jobs)
        assert all(isinstance(job.error, StoreUnavailable) and job.result is None for job in jobs)
    assert str(data / "probe.db") in tenancy.trouble()
    assert [event for event, _ in said] == ["store.failed"]
    assert str(data / "probe.db") in said[0][1]["error"]
    back()
    job = Job(add, (1,))
    tenancy.run_batch([job])
    assert job.outcome() == 1 and tenancy.trouble() == ""
    assert [event for event, _ in said] == ["store.failed", "store.recovered"]
    tenancy.close()


def test_a_connection_is_not_opened_on_another_file(tmp_path):
    path = tmp_path / "probe.db"
    tenancy = Tenancy("probe", str(path))
    tenancy.open()
    tenancy.run(make_table)
    other = Tenancy("probe", str(tmp_path / "other.db"))
    other.open()
    other.run(make_table)
    other.close()
    (tmp_path / "other.db").rename(path)
    job = Job(numbers)
    tenancy.run_read(job)
    assert isinstance(job.error, StoreUnavailable)
    assert str(path) in str(job.error.__cause__)


# group commit


def test_a_batch_is_one_commit(tenancy):
    commits = []
    tenancy._writer.set_commit_hook(lambda: bool(commits.append(1)))
    jobs = [Job(add, (number,)) for number in range(50)]
    tenancy.run_batch(jobs)
    assert [job.result for job in jobs] == list(range(50))
    assert len(commits) == 1


def test_a_domain_error_keeps_the_batch(tenancy, reports):
    jobs = [Job(add, (1,)), Job(domain_error), Job(add, (2,))]
    tenancy.run_batch(jobs)
    assert isinstance(jobs[1].error, NoSuchMailbox)
    assert tenancy.run(numbers) == [1, 2]
    assert reports == []


@pytest.mark.parametrize("trouble", [lost_transaction, io_error, full, lost_and_swallowed])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_engine_error_takes_only_its_unit(tenancy, reports, trouble, place):
    jobs = [Job(add, (1,)), Job(add, (2,))]
    jobs.insert(place, Job(trouble))
    tenancy.run_batch(jobs)
    assert isinstance(jobs[place].error, StoreUnavailable)
    assert jobs[place].result is None
    assert sorted(job.result for job in jobs if job.error is None) == [1, 2]
    assert tenancy.run(numbers) == [1, 2]
    assert ("store.failed", "probe") in reports


def test_a_domain_error_over_a_lost_transaction_is_not_believed(tenancy):
    jobs = [Job(add, (1,)), Job(lost_and_called_a_domain_error), Job(add, (2,))]
    tenancy.run_batch(jobs)
    assert isinstance(jobs[1].error, StoreUnavailable)
    assert tenancy.run(numbers) == [1, 2]


def test_no_result_is_kept_of_a_run_that_was_undone(tenancy):
    seen = []

    def count_runs(tx):
        seen.append(add(tx, 5))
        return len(seen)

    jobs = [Job(count_runs), Job(io_error)]
    tenancy.run_batch(jobs)
    assert jobs[0].result == 2
    assert tenancy.run(numbers) == [5]


def refuse_commit(tenancy):
    """Make the next COMMIT fail: what a unit of this connection can do to it."""
    tenancy._writer.set_commit_hook(lambda: True)


def test_a_failed_commit_refuses_all_and_recovers_first(tenancy, reports):
    refuse_commit(tenancy)
    jobs = [Job(add, (1,)), Job(add, (2,))]
    tenancy.run_batch(jobs)
    assert all(isinstance(job.error, StoreUnavailable) and job.result is None for job in jobs)
    if tenancy.in_memory:
        tenancy._writer.set_commit_hook(None)
    after = Job(add, (3,))
    tenancy.run_batch([after])
    assert outcome(after) == 3
    assert tenancy.run(numbers) == [3]
    assert reports[-1] == ("store.recovered", "probe")


def test_nothing_is_acknowledged_until_the_checkpoint_succeeds(tmp_path, reports, monkeypatch):
    tenancy = Tenancy("probe", str(tmp_path / "probe.db"), report=reports)
    tenancy.open()
    tenancy.run(make_table)
    tenancy.run_batch([Job(add, (1,))])
    refuse_commit(tenancy)
    tenancy.run_batch([Job(add, (2,))])

    def fail(self, wait=False):
        raise apsw.IOError("disk I/O error")

    with monkeypatch.context() as patched:
        patched.setattr(Tenancy, "checkpoint", fail)
        for number in (3, 4):
            job = Job(add, (number,))
            tenancy.run_batch([job])
            assert isinstance(job.error, StoreUnavailable)
    assert "store.recovered" not in [event for event, _ in reports]
    reading = Job(numbers)
    tenancy.run_read(reading)
    assert reading.result == [1]
    tenancy.run_batch([Job(add, (5,))])
    assert tenancy.run(numbers) == [1, 5]
    tenancy.close()


def test_a_busy_writer_does_not_keep_readers_from_their_snapshot(tmp_path):
    tenancy = Tenancy("probe", str(tmp_path / "probe.db"))
    tenancy.open()
    tenancy.run(make_table)

    def read_in_between(tx):
        add(tx, 1)
        inner = Job(numbers)
        thread = threading.Thread(target=tenancy.run_read, args=(inner,))
        thread.start()
        thread.join(10)
        return inner.outcome()

    job = Job(read_in_between)
    tenancy.run_batch([job])
    assert outcome(job) == []
    tenancy.close()


def test_readers_cannot_write(tmp_path):
    tenancy = Tenancy("probe", str(tmp_path / "probe.db"))
    tenancy.open()
    tenancy.run(make_table)
    job = Job(add, (1,))
    tenancy.run_read(job)
    assert isinstance(job.error, StoreUnavailable)
    assert tenancy.run(numbers) == []
    tenancy.close()


def sync_error(tx):
    """A sync that fails before COMMIT: when a batch outgrows the page cache."""
    add(tx, 100)
    error = apsw.IOError("disk I/O error")
    error.extendedresult = apsw.SQLITE_IOERR_FSYNC
    raise error


def test_a_sync_that_fails_before_commit_refuses_all_as_well(tmp_path, reports):
    tenancy = Tenancy("probe", str(tmp_path / "probe.db"), report=reports)
    tenancy.open()
    tenancy.run(make_table)
    jobs = [Job(add, (1,)), Job(sync_error), Job(add, (2,))]
    tenancy.run_batch(jobs)
    assert all(isinstance(job.error, StoreUnavailable) for job in jobs)
    after = Job(add, (3,))
    tenancy.run_batch([after])
    assert outcome(after) == 3
    assert tenancy.run(numbers) == [3]
    assert ("store.recovered", "probe") in reports
    tenancy.close()


def test_an_interrupted_unit_leaves_no_transaction(tenancy):
    def interrupted(tx):
        add(tx, 100)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tenancy.run_batch([Job(interrupted)])
    after = Job(add, (1,))
    tenancy.run_batch([after])
    assert outcome(after) == 1
    assert tenancy.run(numbers) == [1]


# the write-ahead log


def test_a_checkpoint_is_asked_for_once(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite_tenancy, "CHECKPOINT_AT", 0)
    wanted = []
    tenancy = Tenancy("probe", str(tmp_path / "probe.db"), checkpoint_wanted=wanted.append)
    tenancy.open()
    tenancy.run(make_table)
    for number in range(5):
        tenancy.run_batch([Job(add, (number,))])
    assert len(wanted) == 1
    tenancy.checkpoint()
    tenancy.run_batch([Job(add, (5,))])
    assert len(wanted) == 2
    tenancy.close()


def test_a_checkpoint_that_leaves_the_log_is_not_repeated_after_each_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite_tenancy, "CHECKPOINT_AT", 10)
    monkeypatch.setattr(sqlite_tenancy, "CHECKPOINT_AGAIN", 8)
    asked = []

    def move(tenancy):
        asked.append(tenancy._wal_pages)
        tenancy.checkpoint()

    tenancy = Tenancy("probe", str(tmp_path / "probe.db"), checkpoint_wanted=move)
    tenancy.open()
    tenancy.run(make_table)
    reader = apsw.Connection(str(tmp_path / "probe.db"))
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM sqlite_schema").fetchall()  # the log cannot begin anew
    while tenancy._wal_pages < 50:
        tenancy.run_batch([Job(add, (tenancy._wal_pages,))])
    assert 3 <= len(asked) <= 5
    assert all(later - earlier > 8 for earlier, later in pairwise(asked))
    reader.close()
    asked.clear()
    tenancy.checkpoint()
    while tenancy._wal_pages > 12 or not asked:  # it begins anew, and grows again
        tenancy.run_batch([Job(add, (tenancy._wal_pages,))])
    assert asked[0] <= 12
    tenancy.close()


def test_the_log_is_moved_when_it_is_long_and_bounded_when_it_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite_tenancy, "CHECKPOINT_AT", 20)
    monkeypatch.setattr(sqlite_tenancy, "WAL_LIMIT", 60)
    wanted = []
    tenancy = Tenancy("probe", str(tmp_path / "probe.db"), checkpoint_wanted=wanted.append)
    tenancy.open()
    tenancy.run(make_table)
    largest = 0
    for number in range(100):
        tenancy.run_batch([Job(add, (number, 9000))])
        largest = max(largest, (tmp_path / "probe.db-wal").stat().st_size)
    assert wanted
    assert largest < 80 * 4200
    assert tenancy.run(numbers) == list(range(100))
    tenancy.close()


def test_the_writer_waits_but_once_for_somebody_who_reads_for_long(tmp_path, monkeypatch, reports):
    monkeypatch.setattr(sqlite_tenancy, "WAL_LIMIT", 60)
    monkeypatch.setattr(sqlite_pool, "BUSY_MILLISECONDS", 1)
    tenancy = Tenancy("probe", str(tmp_path / "probe.db"), report=reports)
    tenancy.open()
    tenancy.run(make_table)
    reader = apsw.Connection(str(tmp_path / "probe.db"), flags=apsw.SQLITE_OPEN_READONLY)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM sqlite_master").fetchall()
    number = 0
    while tenancy._wal_pages < 3 * 60:
        tenancy.run_batch([Job(add, (number, 9000))])
        number += 1
    assert 2 <= len(reports) <= 3, "once for each WAL_LIMIT pages"
    reader.close()
    while tenancy._wal_pages >= 3 * 60:
        tenancy.run_batch([Job(add, (number, 9000))])
        number += 1
        assert number < 500
    tenancy.close()


def test_a_failing_checkpoint_after_commit_takes_nothing_back(tmp_path, monkeypatch, reports):
    monkeypatch.setattr(sqlite_tenancy, "WAL_LIMIT", 0)
    tenancy = Tenancy("probe", str(tmp_path / "probe.db"), report=reports)
    tenancy.open()
    tenancy.run(make_table)

    def fail(*args, **kwargs):
        raise apsw.IOError("disk I/O error")

    monkeypatch.setattr(tenancy, "_connect", fail)
    job = Job(add, (1,))
    tenancy.run_batch([job])
    assert outcome(job) == 1
    assert reports == [("store.failed", "probe")]
    tenancy.close()


def test_synchronous_is_full_where_it_counts(tmp_path, loop):
    engine = SqliteEngine(tmp_path / "data", 1)
    loop.run(engine.start())
    levels = {name: tenancy._writer.pragma("synchronous") for name, tenancy in engine._tenancies.items()}
    assert levels == {"directory": 2, "queue": 2, "mail-00": 2, "ephemeral": 0}
    loop.run(engine.stop())


# the engine


def test_units_that_wait_share_commits(tmp_path, loop):
    engine = SqliteEngine(tmp_path / "data", 1, loop.call_from_thread)
    loop.run(engine.start())
    loop.run(engine.write(MAIL, make_table))
    commits = []
    engine._tenancies[MAIL]._writer.set_commit_hook(lambda: bool(commits.append(1)))
    gate = threading.Event()

    def wait(tx):
        gate.wait(10)

    waiting = [engine.write(MAIL, wait), *(engine.write(MAIL, add, number) for number in range(100))]
    threading.Timer(0.05, gate.set).start()
    assert loop.together(*waiting)[1:] == list(range(100))
    assert len(commits) <= 3
    loop.run(engine.stop())


def test_of_patient_units_few_go_at_a_time_and_others_between(tmp_path, loop, monkeypatch):
    engine = SqliteEngine(tmp_path / "data", 1, loop.call_from_thread)
    loop.run(engine.start())
    loop.run(engine.write(MAIL, make_table))
    gate, order = threading.Event(), []

    def old(tx):
        order.append("old")

    def new(tx):
        order.append("new")

    monkeypatch.setattr(sqlite_threads, "PATIENT", {old})
    monkeypatch.setattr(sqlite_threads, "PATIENT_AT_ONCE", 4)
    waiting = [engine.write(MAIL, lambda tx: gate.wait(10))]
    waiting += [engine.write(MAIL, old) for _ in range(10)] + [engine.write(MAIL, new) for _ in range(2)]
    threading.Timer(0.05, gate.set).start()
    loop.together(*waiting, engine.stop())
    assert order == ["new"] * 2 + ["old"] * 10 or order == ["old"] * 4 + ["new"] * 2 + ["old"] * 6


def test_units_of_one_turn_are_handed_over_at_its_end(tmp_path, loop, monkeypatch):
    monkeypatch.setattr(engine_sqlite, "WAITING", 3)
    later = []
    engine = SqliteEngine(tmp_path / "data", 1, loop.call_from_thread, lambda *call: later.append(call))
    loop.run(engine.start())
    table = Deferred.fromCoroutine(engine.write(MAIL, make_table))
    waiting = [Deferred.fromCoroutine(engine.write(MAIL, add, number)) for number in range(2)]
    refused = Deferred.fromCoroutine(engine.write(MAIL, add, 2))
    assert isinstance(failure_of(refused), StoreUnavailable)
    [(delay, end_of_turn)] = later
    assert delay == 0 and not table.called
    end_of_turn()
    assert loop.together(*map(awaited, waiting)) == [0, 1]
    again = Deferred.fromCoroutine(engine.write(MAIL, add, 3))
    assert len(later) == 2
    assert loop.together(awaited(again), engine.stop()) == [3, None]  # the turn need not end for it
    later.pop()[1]()


async def awaited(deferred):
    return await deferred


def failure_of(deferred):
    caught = []
    deferred.addErrback(lambda failure: caught.append(failure.value))
    return caught[0]


def test_outcomes_arrive_in_one_hop(tmp_path, loop):
    hops = []

    def call_from_thread(function, *args):
        hops.append(function)
        loop.call_from_thread(function, *args)

    engine = SqliteEngine(tmp_path / "data", 1, call_from_thread)
    loop.run(engine.start())
    loop.run(engine.write(MAIL, make_table))
    hops.clear()
    loop.together(*(engine.write(MAIL, add, number) for number in range(200)))
    assert len(hops) < 100
    loop.run(engine.stop())


def test_too_many_waiting_units_are_refused(tmp_path, loop, monkeypatch):
    monkeypatch.setattr(engine_sqlite, "WAITING", 3)
    engine = SqliteEngine(tmp_path / "data", 1, loop.call_from_thread)
    loop.run(engine.start())
    gate = threading.Event()
    waiting = [engine.write(MAIL, lambda tx: gate.wait(10)) for _ in range(10)]
    threading.Timer(0.05, gate.set).start()
    outcomes = loop.together(*waiting)
    assert sum(isinstance(result, StoreUnavailable) for result in outcomes) >= 5
    assert outcomes[0] is True
    loop.run(engine.stop())


def test_too_many_waiting_reads_are_refused_and_stop_finishes_the_others(tmp_path, loop, monkeypatch):
    monkeypatch.setattr(engine_sqlite, "WAITING", 3)
    engine = SqliteEngine(tmp_path / "data", 1, loop.call_from_thread)
    loop.run(engine.start())
    gate = threading.Event()
    busy = [engine.read(MAIL, lambda tx, number: gate.wait(10) and number, number) for number in range(12)]
    threading.Timer(0.05, gate.set).start()
    outcomes = loop.together(*busy, engine.stop())
    refused = [isinstance(result, StoreUnavailable) for result in outcomes[:-1]]
    assert len(busy) - sqlite_threads.READERS - 3 <= sum(refused) <= len(busy) - 3  # the threads may not be up at first
    assert [result for result, no in zip(outcomes, refused, strict=False) if not no] == [
        number for number, no in enumerate(refused) if not no
    ]


def test_stop_finishes_what_was_taken(tmp_path, loop):
    engine = SqliteEngine(tmp_path / "data", 1, loop.call_from_thread)
    loop.run(engine.start())
    loop.run(engine.write(MAIL, make_table))
    outcomes = loop.together(*(engine.write(MAIL, add, number) for number in range(20)), engine.stop())
    assert outcomes == [*range(20), None]
    loop.run(engine.stop())
    again = SqliteEngine(tmp_path / "data", 1)
    loop.run(again.start())
    assert loop.run(again.read(MAIL, numbers)) == list(range(20))
    loop.run(again.stop())


def test_nothing_is_left_of_the_log_after_stop(tmp_path, loop):
    engine = SqliteEngine(tmp_path / "data", 1, loop.call_from_thread)
    loop.run(engine.start())
    loop.run(engine.stop())
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == [
        "commits",
        "directory.db",
        "ephemeral.db",
        "mail-00.db",
        "mailnode.lock",
        "queue.db",
    ]
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "data").iterdir())


# start


def refused(loop, engine):
    with pytest.raises(ConfigurationError) as caught:
        loop.run(engine.start())
    (mistake,) = caught.value.mistakes
    return mistake


def test_a_second_server_is_refused(tmp_path, loop):
    first = SqliteEngine(tmp_path, 1)
    loop.run(first.start())
    mistake = refused(loop, SqliteEngine(tmp_path, 1))
    assert mistake.startswith("server.data: ")
    assert "another server" in mistake
    loop.run(first.stop())
    second = SqliteEngine(tmp_path, 1)
    loop.run(second.start())
    loop.run(second.stop())


def test_another_number_of_partitions_is_refused_before_anything_is_made(tmp_path, loop):
    engine = SqliteEngine(tmp_path, 2)
    loop.run(engine.start())
    loop.run(engine.stop())
    assert refused(loop, SqliteEngine(tmp_path, 3)).startswith("server.partitions: ")
    assert not (tmp_path / "mail-02.db").exists()
    loop.run(engine.start())
    loop.run(engine.stop())


def test_a_newer_schema_is_refused_and_left_alone(tmp_path, loop):
    engine = SqliteEngine(tmp_path, 1)
    loop.run(engine.start())
    loop.run(engine.write(MAIL, lambda tx: tx.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")))
    loop.run(engine.stop())
    mistake = refused(loop, SqliteEngine(tmp_path, 1))
    assert mistake.startswith("store.url: mail-00 has schema 99")


def test_a_file_system_without_locks_is_refused(tmp_path, loop, monkeypatch):
    def no_locks(*args):
        raise OSError(errno.ENOLCK, "No locks available")

    for name in ("flock", "lockf"):
        with monkeypatch.context() as patched:
            patched.setattr(fcntl, name, no_locks)
            assert "no locks" in refused(loop, SqliteEngine(tmp_path, 1))
    engine = SqliteEngine(tmp_path, 1)
    loop.run(engine.start())
    loop.run(engine.stop())


def test_a_directory_that_cannot_be_written_is_refused_by_name(tmp_path, loop, monkeypatch):
    data = tmp_path / "data"
    data.mkdir()
    if os.geteuid() == 0:  # root may write anywhere: what the kernel would say to others

        def denied(path, *args, **kwargs):
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(os, "open", denied)
    else:
        data.chmod(0o500)
    mistake = refused(loop, SqliteEngine(data, 1))
    assert str(data) in mistake
    assert "Permission denied" in mistake


def test_what_is_not_a_database_is_refused(tmp_path, loop):
    (tmp_path / "directory.db").write_bytes(b"something else entirely" * 1000)
    mistake = refused(loop, SqliteEngine(tmp_path, 1))
    assert mistake.startswith("server.data: ")
    engine = SqliteEngine(tmp_path, 1)
    (tmp_path / "directory.db").unlink()
    loop.run(engine.start())
    loop.run(engine.stop())


# migrations


@pytest.fixture
def next_schema(tmp_path, loop, monkeypatch):
    """A store of today, and a server that knows one schema more for mail."""
    engine = SqliteEngine(tmp_path, 1)
    loop.run(engine.start())
    loop.run(engine.write(MAIL, make_table))
    loop.run(engine.write(MAIL, add, 7))
    loop.run(engine.stop())
    known = migrate.known

    def more(kind):
        statements = ("ALTER TABLE probe ADD COLUMN c TEXT",)
        return [*known(kind), *([Migration("mail", len(known("mail")) + 1, statements)] if kind == "mail" else [])]

    monkeypatch.setattr(migrate, "known", more)
    return more


def test_a_migration_runs_once_after_a_copy(tmp_path, loop, next_schema):
    for _ in range(2):
        engine = SqliteEngine(tmp_path, 1)
        loop.run(engine.start())
        assert loop.run(engine.read(MAIL, lambda tx: tx.execute("SELECT a, c FROM probe"))) == [(7, None)]
        loop.run(engine.stop())
    (copy,) = (tmp_path / "before-migration").glob("*.db")
    connection = apsw.Connection(str(copy))
    assert list(connection.execute("SELECT * FROM probe")) == [(7, b"x")]
    connection.close()


def test_a_failing_migration_leaves_the_old_schema(tmp_path, loop, monkeypatch, next_schema):
    def broken(kind):
        steps = next_schema(kind)
        if kind == "mail":
            steps[-1] = Migration("mail", steps[-1].number, ("ALTER TABLE probe ADD COLUMN c TEXT", "NO SUCH WORD"))
        return steps

    monkeypatch.setattr(migrate, "known", broken)
    assert "syntax error" in refused(loop, SqliteEngine(tmp_path, 1))
    monkeypatch.undo()
    engine = SqliteEngine(tmp_path, 1)
    loop.run(engine.start())
    assert loop.run(engine.read(MAIL, lambda tx: tx.execute("SELECT * FROM probe"))) == [(7, b"x")]
    loop.run(engine.stop())


@pytest.mark.parametrize("kind", ["mail", "directory", "queue", "ephemeral"])
def test_schemas_are_numbered_without_gaps(kind):
    steps = migrate.known(kind)
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    assert all(step.statements for step in steps)


def test_words_for_postgresql():
    statement = "CREATE TABLE t (a BLOB NOT NULL, blob_id TEXT) WITHOUT ROWID"
    assert migrate.to_postgres(statement).split() == [
        "CREATE",
        "TABLE",
        "t",
        "(a",
        "BYTEA",
        "NOT",
        "NULL,",
        "blob_id",
        "TEXT)",
    ]


def test_the_directory_remembers_partitions(tmp_path, loop):
    engine = SqliteEngine(tmp_path, 3)
    loop.run(engine.start())
    sql = "SELECT value FROM meta WHERE key = 'partitions'"
    assert loop.run(engine.read(DIRECTORY, lambda tx: tx.execute(sql))) == [("3",)]
    loop.run(engine.stop())


def remove(path):
    path.unlink()


def empty(path):
    os.truncate(path, 0)


def cut(path):
    os.truncate(path, path.stat().st_size - 1)


@pytest.mark.parametrize(
    ("name", "harm", "words"),
    [
        ("-wal", remove, f"{os.strerror(errno.ENOENT)}: it was moved or removed while in use"),
        ("-shm", remove, f"{os.strerror(errno.ENOENT)}: it was moved or removed while in use"),
        ("-wal", empty, "it was shortened while in use"),
        ("-wal", cut, "it was shortened while in use"),
    ],
)
def test_nothing_is_acknowledged_when_what_stands_beside_a_file_was_harmed(tmp_path, name, harm, words):
    said = []
    tenancy = Tenancy("probe", str(tmp_path / "probe.db"), report=lambda event, **fields: said.append((event, fields)))
    tenancy.open()
    tenancy.run(make_table)
    first, second, third = (Job(add, (number,)) for number in range(3))
    tenancy.run_batch([first])
    assert first.outcome() == 0 and tenancy.trouble() == ""
    path = tmp_path / f"probe.db{name}"
    harm(path)
    assert tenancy.trouble() == f"{path}: {words}"
    for job in (second, third):
        tenancy.run_batch([job])
        with pytest.raises(StoreUnavailable):
            job.outcome()
    assert tenancy.trouble() == f"{path}: {words}"
    assert [event for event, _ in said] == ["store.failed"]
    assert said[0][1]["error"] == f"nothing is acknowledged: {path}: {words}"
    tenancy.close()


def test_a_log_we_empty_or_begin_anew_is_no_trouble(tmp_path):
    said = []
    tenancy = Tenancy("probe", str(tmp_path / "probe.db"), report=lambda event, **fields: said.append((event, fields)))
    tenancy.open()
    tenancy.run(make_table)
    for number in range(40):
        job = Job(add, (number, 20_000))
        tenancy.run_batch([job])
        assert job.outcome() == number
        if number % 3 == 0:
            tenancy.checkpoint(wait=number % 2 == 0)
        assert tenancy.trouble() == ""
    tenancy.close()
    assert said == []
