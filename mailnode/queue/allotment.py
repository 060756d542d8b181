"""What is bounded for mail that leaves by one route, whatever destinations it has: tries at once, and messages in a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mailnode.queue.rate import Rate
from mailnode.values.queue import UNLIMITED, DestinationLimits


class Allotment:
    """Counts the tries of all destinations that share it. Times are the queue's seconds."""

    def __init__(self, limits: DestinationLimits = UNLIMITED) -> None:
        """:param limits: 0: no bound."""
        self._rate = Rate(limits.per_minute, limits.per_hour)
        self._most = limits.concurrency
        self._running = 0
        self._promised = 0
        self._waiting: dict[str, None] = {}  # destinations, in order, that found everything taken or promised

    def room(self, now: float) -> int | None:
        """How many more tries may begin; None: any number."""
        rated, places = self._rate.room(now), self._places()
        known = [room - self._promised for room in (rated, places) if room is not None]
        return min(known, default=None)

    def next_at(self, now: float) -> float | None:
        """When there is room for another message; None: now, or when a try ends."""
        return self._rate.next_at(now)

    @contextmanager
    def promise(self, count: int) -> Iterator[None]:
        """Keep places for a claim that is under way."""
        self._promised += count
        try:
            yield
        finally:
            self._promised -= count

    def begin(self, now: float, counts: bool) -> None:
        """A try begins. :param counts: a message may leave by it."""
        self._running += 1
        if counts:
            self._rate.note(now)

    def end(self) -> None:
        """A try ended."""
        self._running -= 1

    def wait(self, name: str, now: float) -> None:
        """A destination waits until a try of another ends, or a claim that may leave something, where that is what it lacks."""
        rated, places = self._rate.room(now), self._places()
        is_promised = rated is not None and 0 < rated <= self._promised
        if is_promised or (places is not None and places <= self._promised):
            self._waiting[name] = None

    def next_waiting(self, now: float) -> str | None:
        """Return the destination that has waited longest, which does not wait any more, once there is room for it."""
        room = self.room(now)
        if not self._waiting or (room is not None and room <= 0):
            return None
        name = next(iter(self._waiting))
        del self._waiting[name]
        return name

    def _places(self) -> int | None:
        return self._most - self._running if self._most else None
