"""Fixtures of the store's contract tests.

``engine`` is a started engine with two mail partitions; every test that takes it runs once for each name in
``ENGINES``. To plug another engine in, add a name and a function to that table: it takes the test's temporary
directory and a :class:`Loop`, and returns an engine that is not started (or skips by name when its server is missing).

``loop.run(coroutine)`` runs a coroutine to its end, delivering what threads hand over with ``loop.call_from_thread``;
no reactor is needed. ``loop.together(*coroutines)`` starts all before it waits, so that their units share a commit.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

import pytest
from twisted.internet.defer import Deferred

from mailnode.store.engine import Engine
from mailnode.store.engine_sqlite import SqliteEngine

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


ENGINES: dict[str, Callable[[Path, Loop], Engine]] = {
    "sqlite-memory": memory_engine,
    "sqlite-file": file_engine,
}


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture(params=list(ENGINES))
def engine(request: pytest.FixtureRequest, tmp_path: Path, loop: Loop) -> Iterator[Engine]:
    engine = ENGINES[request.param](tmp_path, loop)
    loop.run(engine.start())
    yield engine
    loop.run(engine.stop())
