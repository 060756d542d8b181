"""Fixtures of the store's contract tests.

``engine`` is a started engine with two mail partitions; every test that takes it runs once for each name in
``ENGINES``. To plug another engine in, add a name and a function to that table: it takes the test's temporary
directory and a :class:`Loop`, and returns an engine that is not started (or skips by name when its server is missing).

``loop.run(coroutine)`` runs a coroutine to its end, delivering what threads hand over with ``loop.call_from_thread``;
no reactor is needed. ``loop.together(*coroutines)`` starts all before it waits, so that their units share a commit.

``store`` is a mail store on ``engine`` with an account ``ann``; when the test ends, its rows are checked for
consistency.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from postgres_cluster import Cluster, binaries
from queue_support import Post
from store_support import PARTITIONS, Loop, RecordingHints, make_facts
from twisted.internet.task import Clock

from mailnode.net.no_reactor import CallingThread
from mailnode.store.blobs.local import LocalBlobs
from mailnode.store.engines.engine import Engine
from mailnode.store.engines.sqlite import SqliteEngine
from mailnode.store.facades.mail_store import MailStore
from mailnode.store.facades.queue import Queue
from mailnode.values.mailbox import NewMessage


def memory_engine(directory: Path, loop: Loop) -> Engine:
    return SqliteEngine(None, PARTITIONS)


def file_engine(directory: Path, loop: Loop) -> Engine:
    return SqliteEngine(directory / "data", PARTITIONS, loop.call_from_thread)


def postgres_engine(directory: Path, loop: Loop) -> Engine:
    from mailnode.store.engines.postgres import PostgresEngine

    return PostgresEngine(running_cluster().url, PARTITIONS, loop.call_from_thread, prefix="contract", connections=4)


_clusters: list[Cluster] = []


def running_cluster() -> Cluster:
    """Return the PostgreSQL server of this test session, started when it is first asked for."""
    if not _clusters:
        programs = binaries()
        if programs is None:
            if os.environ.get("MAILNODE_TESTS_STRICT") == "1":
                pytest.fail("no PostgreSQL server is installed (initdb)")
            pytest.skip("no PostgreSQL server is installed (initdb)")
        cluster = Cluster(programs)
        cluster.start()
        _clusters.append(cluster)
    return _clusters[0]


@pytest.fixture
def cluster() -> Cluster:
    return running_cluster()


@pytest.fixture(scope="session", autouse=True)
def _stop_cluster() -> Iterator[None]:
    yield
    while _clusters:
        _clusters.pop().stop()


ENGINES: dict[str, Callable[[Path, Loop], Engine]] = {
    "sqlite-memory": memory_engine,
    "sqlite-file": file_engine,
    "postgres": postgres_engine,
}


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture(params=list(ENGINES))
def engine(request: pytest.FixtureRequest, tmp_path: Path, loop: Loop) -> Iterator[Engine]:
    engine = ENGINES[request.param](tmp_path, loop)
    loop.run(engine.start())
    if request.param == "postgres":
        running_cluster().empty("contract")
    yield engine
    loop.run(engine.stop())


NOW = 1_800_000_000.0  # where the tests' clock begins


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.advance(NOW)
    return clock


@pytest.fixture
def hints() -> RecordingHints:
    return RecordingHints()


@pytest.fixture
def blobs(tmp_path: Path, clock: Clock) -> LocalBlobs:
    """Not prepared: good for inline content only."""
    return LocalBlobs(tmp_path / "blobs", CallingThread(), clock)


@pytest.fixture
def files(blobs: LocalBlobs) -> LocalBlobs:
    """The same, prepared."""
    blobs.prepare()
    return blobs


@pytest.fixture
def store(engine: Engine, blobs: LocalBlobs, hints: RecordingHints, clock: Clock, loop: Loop) -> Iterator[MailStore]:
    store = MailStore(engine, blobs, hints, clock, PARTITIONS)
    loop.run(store.provision("ann"))
    hints.published.clear()
    yield store
    assert loop.run(store.verify()) == []


@pytest.fixture
def make(loop: Loop, blobs: LocalBlobs) -> Callable[..., NewMessage]:
    """``make(content, message_id, references, fill, **fields of NewMessage)`` stages a message."""

    def make(
        content: bytes = b"Subject: x\r\n\r\nhello\r\n",
        message_id: str = "",
        references: tuple[str, ...] = (),
        fill: int = 0,
        **fields: Any,
    ) -> NewMessage:
        staged = loop.run(blobs.put(content))
        facts = make_facts(len(content), message_id, references, fill)
        return NewMessage(staged, facts, fields.pop("internaldate", 1_700_000_000_000_000), **fields)

    return make


@pytest.fixture
def queue(engine: Engine, blobs: LocalBlobs) -> Queue:
    return Queue(engine, blobs)


@pytest.fixture
def post(queue: Queue, blobs: LocalBlobs, loop: Loop) -> Post:
    return Post(queue, blobs, loop)
