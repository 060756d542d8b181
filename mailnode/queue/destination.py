"""One destination: how many tries may run to it at once, learned from how they end.

RFC 5321 4.5.4.1 asks for concurrency with restraint. The window starts small and moves by 1/N a try, so that it takes a
whole window of good or bad tries to change it by one. A destination that asks for less (421, or a complaint of too many)
has its window halved, once for all tries that were under way at that time, and half the cap for a while. After three
windows of failures it counts as dead for a while: what is due for it is put off without a connection until one try has
probed it.
"""

from __future__ import annotations

from dataclasses import dataclass

from mailnode.queue.allotment import Allotment
from mailnode.values.attempt import Attempt

DEAD_COHORTS = 3.0


@dataclass(frozen=True, slots=True)
class DestinationSettings:
    """Tries at once to one destination (``start``, at most ``cap``); seconds a destination counts as dead, and seconds its
    cap is halved for when it asked for less."""

    start: int = 5
    cap: int = 20
    dead_for: float = 300.0
    slow_for: float = 600.0


class Destination:
    """What is known of one destination. Times are the queue's seconds."""

    def __init__(
        self, name: str, settings: DestinationSettings, learns: bool = True, allotment: Allotment | None = None
    ) -> None:
        """:param allotment: of its route; None: it has as much as it likes."""
        self.name = name
        self.allotment = allotment or Allotment()
        self.running = 0
        self.filling = False
        self.again = False
        self.fresh = False  # something new came for it, and was not claimed yet
        self._newest_had_it = False  # the last claim was of the newest
        self.used = 0.0
        self.why: Attempt | None = None  # the failure that says why it is dead
        self._settings = settings
        self._learns = learns
        self._window = float(settings.start)
        self._cohorts = 0.0
        self._dead_until = 0.0
        self._slow_until = 0.0
        self._halved = 0.0  # when the window was halved last

    def room(self, now: float) -> int:
        """How many more tries may start."""
        room, allotted = self.limit(now) - self.running, self.allotment.room(now)
        return room if allotted is None else min(room, allotted)

    def limit(self, now: float) -> int:
        """How many tries may run at once."""
        if not self._learns:
            return self._settings.cap
        if self._cohorts >= DEAD_COHORTS:
            return 1
        cap = self._settings.cap // 2 if now < self._slow_until else self._settings.cap
        return max(1, min(cap, int(self._window)))

    def is_dead(self, now: float) -> bool:
        """Whether tries are to be put off without a connection."""
        return now < self._dead_until

    def take_newest(self) -> bool:
        """Whether the next claim is of the newest: where something new came, but not twice running, so that what is older
        gets half of the tries."""
        newest = self.fresh and not self._newest_had_it
        self._newest_had_it = newest
        self.fresh = self.fresh and not newest
        return newest

    def has_learned_nothing(self, now: float) -> bool:
        """Whether nothing has been learned that is worth keeping."""
        return self._cohorts == 0 and self._window >= self._settings.start and now >= self._slow_until

    def learn(self, now: float, began: float, reached: bool, slow_down: bool, why: Attempt | None) -> None:
        """Take note of how a try ended that began at a time. :param slow_down: the destination asked for less."""
        if not self._learns:
            return
        if slow_down:
            self._slow_until = now + self._settings.slow_for
            if began > self._halved:
                self._window = max(1.0, self._window / 2)
                self._halved = now
        if not reached:
            self._cohorts += 1 / self._window
            if not slow_down:
                self._window = max(1.0, self._window - 1 / self._window)
            if self._cohorts >= DEAD_COHORTS:
                self._dead_until = now + self._settings.dead_for
                self.why = why
            return
        self._cohorts = self._dead_until = 0.0
        if not slow_down:
            self._window = min(float(self._settings.cap), self._window + 1 / self._window)
