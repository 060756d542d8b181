"""A mail partition goes out of service and comes back while the others are served, in the process that owns it and in others."""

from __future__ import annotations

import shutil

import pytest
from test_store_older_files import MAIL, Site, get, kept, put, put_back

from mailnode.errors import ConfigurationError, StoreUnavailable
from mailnode.store.engines.engine import DIRECTORY
from mailnode.store.engines.generations import read_known, read_mark
from mailnode.store.engines.remote import RemoteEngine

OTHER = "mail-01"


@pytest.fixture(params=[True, False])
def site(request, tmp_path):
    """With threads and without."""
    site = Site(tmp_path / "data")
    if not request.param:
        site.loop.call_from_thread = None
    site.session(MAIL, "queue", "directory")
    return site


@pytest.fixture
def older(site):
    """A server on an older partition; and the octets of the latest."""
    before = kept(site, MAIL)
    site.session(MAIL, OTHER)
    latest = kept(site, MAIL)
    put_back(site, MAIL, before)
    engine = site.start()
    yield engine, latest
    site.stop(engine)


def nothing(run):
    pass


def take_in(site, engine, older=False, prepare=nothing):
    return site.loop.run(engine.take_in(MAIL, older, prepare))


def is_served(site, engine):
    try:
        site.loop.run(engine.write(MAIL, put, "now"))
    except StoreUnavailable:
        return False
    return site.loop.run(engine.read(MAIL, get)) == [("now",)]


def test_an_older_file_stays_out_until_it_is_accepted(site, older):
    engine, _ = older
    with pytest.raises(ConfigurationError, match=r"older than what was acknowledged"):
        take_in(site, engine)
    assert not is_served(site, engine) and list(engine.damage()) == ["mail-00.db"]
    assert take_in(site, engine, older=True, prepare=lambda run: run(get)) == [("x",)]
    assert is_served(site, engine) and engine.damage() == {}
    site.stop(engine)
    assert site.older() == set()
    site.session(MAIL)
    assert site.older() == set()


def test_the_latest_file_put_back_is_served_without_a_word(site, older):
    engine, latest = older
    put_back(site, MAIL, latest)
    take_in(site, engine)
    assert is_served(site, engine) and engine.damage() == {}
    site.stop(engine)
    assert site.older() == set()


def test_what_is_served_cannot_be_taken_in(site, older):
    engine, _ = older
    with pytest.raises(ConfigurationError, match=r"is in service"):
        site.loop.run(engine.take_in(OTHER, True, nothing))


def test_another_partition_s_file_and_none_at_all_stay_out(site, older):
    engine, latest = older
    put_back(site, MAIL, kept(site, OTHER))
    with pytest.raises(ConfigurationError, match=r"it is the file mail-01\.db"):
        take_in(site, engine, older=True)
    put_back(site, MAIL, b"x" * 9000)
    with pytest.raises(ConfigurationError, match=r"not a database"):
        take_in(site, engine, older=True)
    put_back(site, MAIL, latest)
    take_in(site, engine)
    assert is_served(site, engine)


def test_what_fails_before_it_is_served_leaves_it_as_it_was(site, older):
    engine, _ = older

    def fails(run):
        run(put, "half")
        raise StoreUnavailable("the disk failed")

    with pytest.raises(StoreUnavailable):
        take_in(site, engine, older=True, prepare=fails)
    assert not is_served(site, engine)
    site.stop(engine)
    assert site.older() == {MAIL}


def test_a_kill_between_the_file_and_the_directory_raises_no_alarm(site, older, monkeypatch):
    """The directory is told last, by a unit of its own."""
    engine, _ = older
    known = site.loop.run(engine.read(DIRECTORY, read_known))[MAIL]

    async def write(*args):
        raise StoreUnavailable("killed here")

    monkeypatch.setattr(engine, "write", write)
    with pytest.raises(StoreUnavailable):
        take_in(site, engine, older=True)
    monkeypatch.undo()
    assert site.loop.run(engine.read(DIRECTORY, read_known))[MAIL] == known
    left = site.copy(site.data, "killed")
    site.stop(engine)
    shutil.rmtree(site.data)
    left.rename(site.data)
    assert site.older() == set()


def test_what_was_taken_is_finished_and_what_comes_then_refused(site):
    engine = site.start()
    begun = [engine.write(MAIL, put, str(number)) for number in range(50)]
    *done, refused = site.loop.together(*begun, engine.leave_out(MAIL, "for a test"), engine.read(MAIL, get))
    assert done == [None] * 51
    assert isinstance(refused, StoreUnavailable)
    site.write(engine, OTHER)
    site.loop.run(engine.leave_out(MAIL, "again"))
    assert engine.damage() == {"mail-00.db": f"{site.data / 'mail-00.db'}: for a test"}
    assert take_in(site, engine, prepare=lambda run: run(get)) == [("49",)]
    before = site.loop.run(engine.read(MAIL, read_mark)).commits
    assert is_served(site, engine)
    assert site.loop.run(engine.read(MAIL, read_mark)).commits == before + 1
    site.stop(engine)
    assert site.older() == set()


def test_other_processes_serve_what_the_owner_does(tmp_path):
    site = Site(tmp_path / "data")
    engine = site.start()

    async def ask(name):
        return dict(engine.out_of_service)

    worker = RemoteEngine(site.data, 2, site.loop.call_from_thread, ask)
    site.loop.run(worker.start())
    site.write(engine, MAIL, "before")
    assert site.loop.run(worker.read(MAIL, get)) == [("before",)]
    site.loop.run(engine.leave_out(MAIL, "for a test"))
    site.loop.run(worker.look_at_service())
    with pytest.raises(StoreUnavailable):
        site.loop.run(worker.read(MAIL, get))
    (site.data / "new").write_bytes(kept(site, MAIL))
    (site.data / "new").replace(site.data / "mail-00.db")  # another inode, with the log of before
    take_in(site, engine)
    site.write(engine, MAIL, "after")
    site.loop.run(worker.look_at_service())
    assert site.loop.run(worker.read(MAIL, get)) == [("after",)]
    site.loop.run(worker.stop())
    site.stop(engine)
