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
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

import pytest
from postgres_cluster import Cluster, binaries
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailnode.store import blobs_local, verify
from mailnode.store.blobs_local import LocalBlobs
from mailnode.store.engine import Engine, mail_tenancy
from mailnode.store.engine_sqlite import SqliteEngine
from mailnode.store.mail_store import MailStore
from mailnode.values.facts import MessageFacts, Part, SortKeys
from mailnode.values.mailbox import NewMessage

T = TypeVar("T")
PARTITIONS = 2
PATIENCE = 20  # seconds until a hanging test fails


class Loop:
    """What the reactor thread is to the store: a queue of calls."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Callable[..., object], tuple[Any, ...]]] = SimpleQueue()

    def call_from_thread(self, function: Callable[..., object], *args: Any) -> None:
        self._calls.put((function, args))

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._finish(Deferred.fromCoroutine(coroutine))

    def together(self, *coroutines: Coroutine[Any, Any, Any]) -> list[Any]:
        """Return results, or the exceptions themselves, in order."""
        started = [Deferred.fromCoroutine(coroutine) for coroutine in coroutines]
        outcomes = []
        for deferred in started:
            try:
                outcomes.append(self._finish(deferred))
            except Exception as error:
                outcomes.append(error)
        return outcomes

    def _finish(self, deferred: Deferred[T]) -> T:
        outcome: list[Any] = []
        deferred.addBoth(outcome.append)
        while not outcome:
            function, args = self._calls.get(timeout=PATIENCE)
            function(*args)
        result = outcome[0]
        if hasattr(result, "raiseException"):
            result.raiseException()
        return result


def memory_engine(directory: Path, loop: Loop) -> Engine:
    return SqliteEngine(None, PARTITIONS)


def file_engine(directory: Path, loop: Loop) -> Engine:
    return SqliteEngine(directory / "data", PARTITIONS, loop.call_from_thread)


def postgres_engine(directory: Path, loop: Loop) -> Engine:
    from mailnode.store.engine_postgres import PostgresEngine

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


class InlineThreads:
    """Runs at once what would run in a thread."""

    async def run(self, pool: str, function: Callable[..., T], *args: Any) -> T:
        return function(*args)


class RecordingHints:
    def __init__(self) -> None:
        self.published: list[tuple[str, int]] = []

    def publish(self, account_id: str, modseq: int) -> None:
        self.published.append((account_id, modseq))


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
    return LocalBlobs(tmp_path / "blobs", InlineThreads(), clock)


@pytest.fixture
def files(blobs: LocalBlobs, monkeypatch: pytest.MonkeyPatch) -> LocalBlobs:
    """The same, with its directories (not synced: that alone takes half a second)."""
    with monkeypatch.context() as patched:
        patched.setattr(blobs_local, "sync_directory", lambda directory: None)
        blobs.prepare()
    return blobs


@pytest.fixture
def store(engine: Engine, blobs: LocalBlobs, hints: RecordingHints, clock: Clock, loop: Loop) -> Iterator[MailStore]:
    store = MailStore(engine, blobs, hints, clock, PARTITIONS)
    loop.run(store.provision("ann"))
    hints.published.clear()
    yield store
    assert faults(engine, loop) == []


def faults(engine: Engine, loop: Loop, partitions: int = PARTITIONS) -> list[str]:
    found = []
    for number in range(partitions):
        tenancy = mail_tenancy(number)
        for account_id in loop.run(engine.read(tenancy, verify.account_ids)):
            found += loop.run(engine.read(tenancy, verify.account, account_id))
        found += loop.run(engine.read(tenancy, verify.unreferenced_inline))
    return found


def make_facts(size: int, message_id: str = "", references: tuple[str, ...] = (), fill: int = 0) -> MessageFacts:
    """Facts of a message nobody parsed. ``fill``: octets of kept header fields."""
    return MessageFacts(
        size=size,
        header_size=min(size, 20),
        envelope=b"(envelope)",
        bodystructure=b"(bodystructure)",
        body=b"(body)",
        fields=b"Subject: x\r\n" + b"f" * fill,
        parts=(Part("", "leaf", 0, 20, size, 1, "text/plain", "us-ascii", "7bit"),),
        sort=SortKeys(subject="x", message_id=message_id, references=references),
    )


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
