"""When to try again, when to tell the sender, when to give up: arithmetic on UTC seconds, nothing else.

RFC 5321 4.5.4.1: a try at least 30 minutes after the last one is the general rule, sooner at first; give up after 4 to 5
days. The clock of a machine may step. Two measures answer that: :class:`QueueTime` never runs backward and never lets
the whole queue lie beyond the longest interval, so nothing stalls; and a recipient is given up only after a least number
of tries, so that a jump forward bounces nothing that was hardly tried. What a jump makes due at once is bounded by the
runner's concurrency.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """Times in seconds. ``intervals`` after the first, second ... failed try; the last one repeats.

    ``jitter``: each interval is changed by up to this share, either way. ``delay_after``: age at which a delay DSN goes
    out; 0 never. ``least_tries``: a recipient is not given up for age before that many tries.
    """

    intervals: tuple[float, ...] = (300.0, 600.0, 1200.0, 2400.0, 3600.0)
    jitter: float = 0.1
    lifetime: float = 5 * DAY
    null_lifetime: float = 2 * DAY
    delay_after: float = 4 * 3600.0
    least_tries: int = 4

    @property
    def longest(self) -> float:
        """The longest time between two tries of a recipient."""
        return max(self.intervals) * (1 + self.jitter)

    def expires(self, created: float, null_sender: bool) -> float:
        """When a new envelope gets too old: mail from the null sender earlier, nobody is told of it anyway."""
        return created + (self.null_lifetime if null_sender else self.lifetime)

    def interval(self, tries: int, random: Callable[[], float]) -> float:
        """Seconds from the ``tries``-th failed try (1 is the first) to the next. ``random`` yields [0, 1)."""
        base = self.intervals[min(max(tries, 1), len(self.intervals)) - 1]
        return base * (1 + self.jitter * (2 * random() - 1))

    def next_try(self, now: float, tries: int, expires: float, random: Callable[[], float]) -> float:
        """When to try again; the last try falls on the expiry instead of after it."""
        next_try = now + self.interval(tries, random)
        return expires if now < expires < next_try and tries >= self.least_tries else next_try

    def is_expired(self, now: float, created: float, expires: float, tries: int) -> bool:
        """Whether the recipient is given up after this many failed tries.

        An envelope from the future (its clock was wrong) is given up by its tries, as if its time had begun with them.
        """
        if tries < self.least_tries:
            return False
        if created > now + self.longest:
            return tries >= self._tries_within(expires - created)
        return now >= expires

    def is_delay_due(self, now: float, created: float, told: bool) -> bool:
        """Whether the sender is to be told now, once, that the message waits."""
        return not told and 0 < self.delay_after <= now - created

    def _tries_within(self, lifetime: float) -> int:
        tries, age = 1, 0.0
        for interval in self.intervals:
            age += interval
            tries += 1
            if age >= lifetime:
                return tries
        return tries + int((lifetime - age) // self.intervals[-1])


class QueueTime:
    """The time the queue lives by: the wall clock, but it never runs backward while the process lives."""

    def __init__(self) -> None:
        self._last = 0.0
        self._ahead = 0.0

    def at(self, wall: float) -> float:
        """Return the queue's time for a reading of the wall clock. After a step back it goes on from where it was."""
        if wall < self._last:
            self._ahead += self._last - wall
        self._last = wall
        return wall + self._ahead

    def bring_near(self, next_due: float, now: float, longest: float) -> float:
        """Step forward when the earliest try lies beyond the longest interval: the wall clock was set back while the
        process was down. Returns the queue's time, then at most ``longest`` before ``next_due``.

        :param longest: seconds nothing in the queue lies further ahead by right: the longest interval, or lease."""
        beyond = next_due - (now + longest)
        if beyond > 0:
            self._ahead += beyond
            now += beyond
        return now
