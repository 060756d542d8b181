"""How fast tries begin that nobody waits for: one in a few turns of the reactor.

When very much is due at once, all that the machine can do is done in any case; the question is what a new message finds
before it. A turn of the reactor carries a step of each session and each try that is under way, so it lasts as long as there
are of them. Tries that begin by turns, not by time, pace themselves: where a turn takes long, fewer begin.
"""

from __future__ import annotations

from collections import deque

from twisted.internet.defer import Deferred

from mailnode.interfaces.runtime import IClock


class Starts:
    """Who waits goes on in the order of coming."""

    def __init__(self, clock: IClock, turns: int) -> None:
        """:param turns: from one to the next; 0: nobody waits."""
        self._clock = clock
        self._between = turns
        self._left = 0  # turns until the next may go on; 0: nobody went on lately
        self._waiting: deque[Deferred[None]] = deque()

    async def wait(self) -> None:
        """Return when it is the caller's turn; at once where nobody else had it lately."""
        if not self._between:
            return
        if self._left:
            turn: Deferred[None] = Deferred()
            self._waiting.append(turn)
            await turn
        else:
            self._begin()

    def _begin(self) -> None:
        self._left = self._between
        self._clock.callLater(0, self._pass)

    def _pass(self) -> None:
        self._left -= 1
        if self._left:
            self._clock.callLater(0, self._pass)
        elif self._waiting:
            self._begin()
            self._waiting.popleft().callback(None)
