"""What tests of the store and of rooms above it stand on: a loop without reactor, fakes, facts nobody parsed."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from queue import SimpleQueue
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

from mailnode.values.facts import EncodedFacts, MessageFacts, Part, SortKeys, encode

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


class RecordingHints:
    def __init__(self) -> None:
        self.published: list[tuple[str, int]] = []
        self.listened = True  # whether every account has a session here, or none

    def publish(self, account_id: str, modseq: int) -> None:
        self.published.append((account_id, modseq))

    def has_listener(self, account_id: str) -> bool:
        return self.listened


def make_facts(size: int, message_id: str = "", references: tuple[str, ...] = (), fill: int = 0) -> EncodedFacts:
    """Facts of a message nobody parsed. ``fill``: octets of kept header fields."""
    return encode(
        MessageFacts(
            size=size,
            header_size=min(size, 20),
            envelope=b"(envelope)",
            bodystructure=b"(bodystructure)",
            body=b"(body)",
            fields=b"Subject: x\r\n" + b"f" * fill,
            parts=(Part("", "leaf", 0, 20, size, 1, "text/plain", "us-ascii", "7bit"),),
            sort=SortKeys(subject="x", message_id=message_id, references=references),
        )
    )
