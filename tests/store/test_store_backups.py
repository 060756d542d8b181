"""Backups beside databases that are in use, and where these are on a server of their own."""

from __future__ import annotations

import json
import os
import shutil
from functools import partial

import pytest
from store_support import make_facts

from mailnode.errors import BackupRefused
from mailnode.net.no_reactor import CallingThread
from mailnode.store.backups import databases, making
from mailnode.store.backups.databases import DatabaseSnapshot
from mailnode.store.backups.directory import BackupDirectory, digest_of
from mailnode.store.backups.making import BackupRun, StoredFiles
from mailnode.store.backups.restoring import Restoring, is_begun
from mailnode.store.blobs.local import LocalBlobs
from mailnode.store.blobs.places import FILES
from mailnode.store.engines.sqlite import SqliteEngine
from mailnode.store.facades.mail_store import MailStore
from mailnode.values.mailbox import NewMessage

NOW = 1_790_000_000.0


def put(tx, value):
    tx.execute("INSERT INTO meta (key, value) VALUES (?, ?)", (f"probe {value}", "x" * 5_000))


def found(path):
    connection = databases.opened(path)
    [(count,)] = connection.execute("SELECT count(*) FROM meta WHERE key LIKE 'probe%'").fetchall()
    connection.close()
    return count


@pytest.fixture
def running(tmp_path, loop):
    """An engine in use, with some rows in its mail partition and queue."""
    engine = SqliteEngine(tmp_path / "data", 1, loop.call_from_thread)
    loop.run(engine.start())
    for tenancy in ("mail-00", "queue"):
        loop.run(engine.write(tenancy, lambda tx: [put(tx, number) for number in range(300)]))
    yield engine
    loop.run(engine.stop())


@pytest.fixture
def stored(tmp_path):
    return StoredFiles(tmp_path / "data", tmp_path / "data" / "blobs", 1)


@pytest.fixture
def kept(tmp_path):
    return BackupDirectory(tmp_path / "kept")


def test_all_databases_are_of_one_moment_whatever_is_written_meanwhile(running, stored, kept, loop, monkeypatch):
    monkeypatch.setattr(databases, "PAGES", 20)
    written = []

    def meanwhile():
        loop.run(running.write("mail-00", put, f"later {len(written)}"))
        written.append(len(written))

    made = BackupRun(kept, stored, meanwhile).run(NOW)
    assert len(written) > 10
    assert found(kept.path / made.name / "mail-00.db") == found(kept.path / made.name / "queue.db") == 300
    assert made.faults == ()


def test_the_queue_is_looked_at_before_the_mailboxes(running, stored, kept, loop, monkeypatch):
    looked = []

    class Looking(DatabaseSnapshot):
        def __init__(self, path):
            looked.append(path.stem)
            super().__init__(path)

    monkeypatch.setattr(making, "DatabaseSnapshot", Looking)
    BackupRun(kept, stored).run(NOW)
    assert looked == ["queue", "directory", "mail-00"]


def test_a_log_that_grows_too_long_meanwhile_ends_it(running, stored, kept, monkeypatch):
    monkeypatch.setattr(databases, "LONGEST_LOG", 1)
    with pytest.raises(BackupRefused, match="more was written meanwhile"):
        BackupRun(kept, stored).run(NOW)
    assert kept.names() == []


def test_two_of_one_second_stand_in_their_order(running, stored, kept):
    names = [BackupRun(kept, stored).run(NOW).name for _ in range(2)]
    assert names == kept.names() and len(set(names)) == 2


def test_two_runs_at_once_are_refused(running, stored, kept):
    kept.make()
    with kept.locked(), pytest.raises(BackupRefused, match="another command"):
        BackupRun(kept, stored).run(NOW)


def test_where_databases_are_on_a_server_of_their_own_all_files_are_copied(tmp_path, kept, loop, blobs):
    blobs.prepare()
    staged = loop.run(blobs.put_file(os.urandom(1000)))
    store = StoredFiles(tmp_path / "data", blobs.path(staged.ref.blob_id).parents[3], 1, has_databases=False)
    made = BackupRun(kept, store).run(NOW)
    assert (made.databases, made.files) == (0, 1)
    with pytest.raises(BackupRefused, match="PostgreSQL's own tools"):
        Restoring(kept, "", store).run()


@pytest.mark.parametrize("line", ["../../etc/passwd 5 " + "0" * 64, "0123 5 xyz", "0123"])
def test_a_list_that_was_tampered_with_is_refused(running, stored, kept, tmp_path, line):
    made = BackupRun(kept, stored).run(NOW)
    (kept.path / made.name / "files").write_text(line + "\n")
    with pytest.raises(BackupRefused, match="damaged"):
        list(kept.listed(made.name))


def test_a_list_that_was_cut_is_refused_before_anything_is_written(with_files, stored, kept, tmp_path):
    made = BackupRun(kept, stored).run(NOW).name
    path = kept.path / made / "files"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(BackupRefused, match="the list of files is damaged"):
        Restoring(kept, made, StoredFiles(tmp_path / "new", tmp_path / "new" / "blobs", 1)).run()
    assert not (tmp_path / "new").exists()
    BackupRun(kept, stored).run(NOW - 60)
    files = {file.name for file in (kept.blobs / FILES).glob("*/*/*")}
    with pytest.raises(BackupRefused, match="the list of files is damaged"):
        making.prune(kept, 1)
    assert files == {file.name for file in (kept.blobs / FILES).glob("*/*/*")} != set(), "it may need any of them"


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"databases": lambda all_: [one for one in all_ if one["name"] != "mail-00"]}, "each database once"),
        ({"databases": lambda all_: [*all_, all_[0]]}, "each database once"),
        ({"databases": lambda all_: [{**all_[0], "name": 5}, *all_[1:]]}, "is damaged"),
        ({"databases": lambda all_: [{**all_[0], "name": "../x"}, *all_[1:]]}, "is damaged"),
        ({"databases": lambda all_: [{**all_[0], "octets": "5"}, *all_[1:]]}, "is damaged"),
        ({"octets": lambda _: -1}, "is damaged"),
        ({"partitions": lambda _: [1]}, "is damaged"),
    ],
)
def test_a_manifest_that_lies_is_refused_before_anything_is_written(running, stored, kept, tmp_path, told, why):
    made = BackupRun(kept, stored).run(NOW).name
    path = kept.path / made / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, **{name: lie(manifest[name]) for name, lie in told.items()}}))
    with pytest.raises(BackupRefused, match=why):
        Restoring(kept, made, StoredFiles(tmp_path / "new", tmp_path / "new" / "blobs", 1)).run()
    assert not (tmp_path / "new").exists()


def test_a_backup_of_another_number_of_partitions_is_refused(running, stored, kept, tmp_path):
    BackupRun(kept, stored).run(NOW)
    with pytest.raises(BackupRefused, match="partitions must be 1"):
        Restoring(kept, "", StoredFiles(tmp_path / "new", tmp_path / "new" / "blobs", 2)).run()


# cut off at each step


class Cut(BaseException):
    """The process ends here."""


class Steps:
    """Lets a process make so many changes that others may see, or that are to last, and ends it then."""

    NAMES = ("fsync", "link", "rename", "unlink", "mkdir")

    def __init__(self, monkeypatch, allowed):
        self._left = allowed
        for name in self.NAMES:
            monkeypatch.setattr(os, name, self._counting(getattr(os, name)))

    def _counting(self, step):
        def counted(*args, **kwargs):
            if not self._left:
                raise Cut
            self._left -= 1
            return step(*args, **kwargs)

        return counted


def cut_off(monkeypatch, allowed, work):
    """Do some work with so many steps; return whether it came to its end."""
    with monkeypatch.context() as patched:
        Steps(patched, allowed)
        try:
            work()
        except Cut:
            return False
    return True


@pytest.fixture
def with_files(running, stored, loop, hints, clock, tmp_path):
    """Places messages in files of the running store."""
    blobs = LocalBlobs(stored.blobs, CallingThread(), clock)
    blobs.prepare()
    mail = MailStore(running, blobs, hints, clock, 1)
    loop.run(mail.provision("ann"))

    def place():
        staged = loop.run(blobs.put_file(os.urandom(1000)))
        loop.run(mail.account("ann").open(1).append([NewMessage(staged, make_facts(1000), 1_700_000_000_000_000)]))

    for _ in range(2):
        place()
    return place


def test_a_backup_cut_off_at_any_step_leaves_all_others_whole(with_files, stored, kept, monkeypatch):
    BackupRun(kept, stored).run(NOW)
    with_files()
    steps = 0
    while not cut_off(monkeypatch, steps, partial(BackupRun(kept, stored).run, NOW + 1 + steps)):
        steps += 1
        for name in kept.names():
            assert making.check(kept, name) == []
    assert steps > 20
    latest = kept.names()[-1]
    assert making.check(kept, latest) == []
    assert kept.manifest(latest).files == 3


def test_a_restore_cut_off_at_any_step_is_gone_on_with_and_no_server_starts(
    with_files, stored, kept, tmp_path, monkeypatch
):
    made = BackupRun(kept, stored).run(NOW)
    manifest = kept.manifest(made.name)
    steps, ended = 0, False
    while not ended:
        data = tmp_path / f"new-{steps}"
        store = StoredFiles(data, data / "blobs", 1)
        ended = cut_off(monkeypatch, steps, Restoring(kept, "", store).run)
        assert ended or is_begun(data) or not list(data.glob("*.db"))
        Restoring(kept, "", store).run()
        for one in manifest.databases:
            assert digest_of(data / f"{one.name}.db") == (one.octets, one.digest)
        assert len(list((store.blobs / "files").glob("*/*/*"))) == 2
        shutil.rmtree(data)
        steps += 1
    assert steps > 20
