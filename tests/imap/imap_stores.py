"""Which store the session tests run on: the fake, and the real one in memory."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from imap_world import World, fake_account

from mailnode.net.no_reactor import CallingThread, run_now
from mailnode.store.blobs.local import LocalBlobs
from mailnode.store.engines.sqlite import SqliteEngine
from mailnode.store.facades.mail_store import MailStore


def sqlite_account(world: World, directory: Path):
    """The store itself, in memory; blob files, where there are any, below the test's directory."""
    engine = world.engine = SqliteEngine(None, 1)
    run_now(engine.start())
    blobs = LocalBlobs(directory, CallingThread(), world.clock)
    blobs.prepare()
    store = world.store = MailStore(engine, blobs, world.hints, world.clock)
    run_now(store.provision("acc"))
    return store.account("acc")


@pytest.fixture(params=["fake", "sqlite"])
def make_world(request, tmp_path) -> Callable[..., World]:
    """Return what makes a world with an empty account."""
    if request.param == "fake":
        return partial(World, fake_account)
    return partial(World, partial(sqlite_account, directory=tmp_path))


@pytest.fixture
def file_world(tmp_path) -> World:
    """A world on the store itself, whose large messages are files."""
    return World(partial(sqlite_account, directory=tmp_path))
