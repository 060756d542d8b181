"""Who speaks in a session: a command, or what IDLE pushes; one at a time, in the order in which they asked."""

from __future__ import annotations

from collections import deque

from twisted.internet.defer import Deferred


class Turn:
    """A lock that makes a Deferred for those alone who have to wait; nearly nobody has."""

    __slots__ = ("taken", "waiting")

    def __init__(self) -> None:
        self.taken = False
        self.waiting: deque[Deferred[None]] | None = None  # who wants it next

    async def take(self) -> None:
        """Wait until nobody else has it."""
        if not self.taken:
            self.taken = True
            return
        waiting: Deferred[None] = Deferred()
        if self.waiting is None:
            self.waiting = deque()
        self.waiting.append(waiting)
        await waiting

    def give(self) -> None:
        """Let the next one have it."""
        if self.waiting:
            self.waiting.popleft().callback(None)
        else:
            self.taken = False
