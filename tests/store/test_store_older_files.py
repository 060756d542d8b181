"""Files that are older than what was acknowledged are found at start, whatever made them so."""

from __future__ import annotations

import shutil

import pytest
from store_support import Loop

from mailnode.errors import ConfigurationError, StoreUnavailable
from mailnode.store.engines.commit_counts import FILE, CommitCounts
from mailnode.store.engines.sqlite import SqliteEngine
from mailnode.store.engines.sqlite_tenancy import Tenancy

MAIL = "mail-00"


def put(tx, value):
    tx.execute(
        "INSERT INTO meta (key, value) VALUES ('probe', ?) ON CONFLICT (key) DO UPDATE SET value = ?", (value,) * 2
    )


def get(tx):
    return tx.execute("SELECT value FROM meta WHERE key = 'probe'")


class Site:
    """A data directory, and servers on it."""

    def __init__(self, data):
        self.data = data
        self.loop = Loop()

    def start(self, **options):
        engine = SqliteEngine(self.data, 2, self.loop.call_from_thread, **options)
        self.loop.run(engine.start())
        return engine

    def stop(self, engine):
        self.loop.run(engine.stop())

    def write(self, engine, tenancy, value="x"):
        self.loop.run(engine.write(tenancy, put, value))

    def session(self, *writes):
        """Start, write, stop."""
        engine = self.start()
        for tenancy in writes:
            self.write(engine, tenancy)
        self.stop(engine)

    def copy(self, name, to):
        """Copy a data directory as a kill would leave it: with its logs."""
        shutil.copytree(self.data, self.data.parent / to)
        return self.data.parent / to

    def older(self):
        """Start, say which files are older, stop."""
        engine = self.start()
        found = {name.removesuffix(".db") for name in engine.damage()}
        self.stop(engine)
        return found

    def refusal(self):
        with pytest.raises(ConfigurationError) as refused:
            self.start()
        return str(refused.value)


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path / "data")
    site.session(MAIL, "queue", "directory")
    return site


def kept(site, name):
    """The octets of a file."""
    return (site.data / f"{name}.db").read_bytes()


def put_back(site, name, octets):
    (site.data / f"{name}.db").write_bytes(octets)


def test_files_that_belong_together_are_taken(site):
    assert site.older() == set()
    site.session(MAIL)
    assert site.older() == set()


@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize("starts", [0, 1, 3])
def test_an_older_partition_put_back_is_found(site, starts, beside):
    before = kept(site, MAIL)
    site.session(MAIL)
    for _ in range(starts):
        site.session()
    put_back(site, MAIL, before)
    if not beside:
        (site.data / FILE).unlink()
    assert site.older() == {MAIL}
    assert site.older() == {MAIL}  # and again, until somebody does something


def test_a_copy_of_before_the_last_start_is_found_though_nothing_was_written_since(site):
    before = kept(site, MAIL)
    for _ in range(2):
        site.session()
    put_back(site, MAIL, before)
    assert site.older() == {MAIL}


def killed(site, *writes):
    """Leave the data directory as a kill does after these writes."""
    engine = site.start()
    for tenancy in writes:
        site.write(engine, tenancy)
    left = site.copy(site.data, "killed")
    site.stop(engine)
    shutil.rmtree(site.data)
    left.rename(site.data)


def test_a_kill_is_no_alarm(site):
    killed(site, MAIL, MAIL, "queue", "directory")
    assert (site.data / f"{MAIL}.db-wal").stat().st_size
    assert site.older() == set()


@pytest.mark.parametrize("name", [MAIL, "queue"])
def test_a_log_lost_after_a_kill_is_found(site, name):
    killed(site, name)
    (site.data / f"{name}.db-wal").unlink()
    assert site.older() == {name}


def test_a_log_cut_short_after_a_kill_is_found(site):
    killed(site, MAIL, MAIL)
    log = site.data / f"{MAIL}.db-wal"
    with log.open("r+b") as file:
        file.truncate(log.stat().st_size - 2000)
    assert site.older() == {MAIL}


@pytest.mark.parametrize("name", [MAIL, "queue"])
def test_a_file_that_is_gone_is_found(site, name):
    (site.data / f"{name}.db").unlink()
    assert site.older() == {name}


@pytest.mark.parametrize("beside", [True, False])
def test_an_older_directory_is_refused(site, beside):
    before = kept(site, "directory")
    site.session("directory")
    site.session()
    put_back(site, "directory", before)
    if not beside:
        (site.data / FILE).unlink()
    assert "accept-older directory" in site.refusal()
    (site.data / "directory.db").unlink()
    assert "accept-older directory" in site.refusal()


def test_a_whole_data_directory_put_back_is_no_alarm(site):
    before = site.copy(site.data, "backup")
    site.session(MAIL, "queue", "directory")
    site.session(MAIL)
    shutil.rmtree(site.data)
    before.rename(site.data)
    assert site.older() == set()


def test_the_count_beside_the_files_may_be_lost(site):
    (site.data / FILE).unlink()
    assert site.older() == set()
    (site.data / FILE).write_bytes(b"\xff" * 500)
    assert site.older() == set()


def test_a_start_that_was_interrupted_is_no_alarm(site):
    # The generation was written into a partition, and into the directory it was not.
    before = kept(site, "directory"), (site.data / FILE).read_bytes()
    site.session()
    put_back(site, "directory", before[0])
    (site.data / FILE).write_bytes(before[1])
    assert site.older() == set()
    assert site.older() == set()


def test_an_older_partition_gets_no_service_until_it_is_accepted(site):
    before = kept(site, MAIL)
    site.session(MAIL)
    put_back(site, MAIL, before)
    engine = site.start()
    with pytest.raises(StoreUnavailable):
        site.write(engine, MAIL)
    site.write(engine, "mail-01")
    site.stop(engine)
    engine = site.start(accept_older={MAIL})
    site.write(engine, MAIL)
    site.stop(engine)
    assert site.older() == {MAIL}  # nobody said that the work was done
    engine = site.start(accept_older={MAIL})
    site.loop.run(engine.accept())
    site.stop(engine)
    assert site.older() == set()
    put_back(site, MAIL, before)
    assert site.older() == {MAIL}


def test_a_unit_that_changes_nothing_is_not_counted(site):
    engine = site.start()
    before = engine._tenancies[MAIL].commits
    site.loop.run(engine.write(MAIL, get))
    assert engine._tenancies[MAIL].commits == before
    site.write(engine, MAIL)
    assert engine._tenancies[MAIL].commits == before + 1
    site.stop(engine)


@pytest.mark.parametrize(("one", "other"), [("mail-00", "mail-01"), ("mail-00", "queue"), ("mail-00", "directory")])
def test_files_that_changed_places_are_found_and_named(site, one, other):
    def change_places():
        here, there = kept(site, one), kept(site, other)
        put_back(site, one, there)
        put_back(site, other, here)

    change_places()
    if other.startswith("mail"):
        assert site.older() == {one, other}
        with pytest.raises(ConfigurationError, match=f"{one}.db: it is the file {other}.db"):
            site.start(accept_older=[one])
    else:
        assert f"{other}.db: it is the file {one}.db" in site.refusal()
    change_places()
    assert site.older() == set()


def test_a_partition_in_the_place_of_what_may_be_lost_is_put_aside(site):
    put_back(site, "ephemeral", kept(site, MAIL))
    assert site.older() == set()
    assert (site.data / "ephemeral.db.damaged-1").exists()


def accept(site, name):
    engine = site.start(accept_older=[name])
    site.loop.run(engine.accept())
    site.stop(engine)


def test_what_came_back_with_an_older_directory_stays_older_when_that_is_accepted(site):
    before = {name: kept(site, name) for name in (MAIL, "directory")}
    counts = (site.data / FILE).read_bytes()
    for _ in range(2):
        site.session(MAIL, "directory")
    for name, octets in before.items():
        put_back(site, name, octets)
    (site.data / FILE).write_bytes(counts)
    assert "directory.db" in site.refusal()
    accept(site, "directory")
    for _ in range(2):
        assert site.older() == {MAIL}
    accept(site, MAIL)
    assert site.older() == set()


@pytest.mark.parametrize("counted", ["as it was", "before all"])
def test_a_power_cut_at_any_moment_of_start_work_and_stop_is_no_alarm(site, monkeypatch, counted):
    """The count beside the files is written without a sync: a cut may leave an older one than the files say."""
    moments = []
    before = (site.data / FILE).read_bytes()

    def look(kind, name):
        act = getattr(kind, name)

        def acting(*args):
            moments.append(site.copy(site.data, f"moment-{len(moments)}"))
            done = act(*args)
            moments.append(site.copy(site.data, f"moment-{len(moments)}"))
            return done

        monkeypatch.setattr(kind, name, acting)

    look(Tenancy, "run")
    look(Tenancy, "run_batch")
    look(CommitCounts, "write")
    site.session(MAIL, "directory", MAIL, "queue")
    monkeypatch.undo()
    assert len(moments) > 20
    for moment in moments:
        if counted == "before all":
            (moment / FILE).write_bytes(before)
        assert Site(moment).older() == set(), moment.name
