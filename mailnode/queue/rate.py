"""At most so many messages in any minute, and in any hour, to one destination.

What was sent is remembered one by one, so that the bound holds in every stretch of time, wherever it begins.
"""

from __future__ import annotations

from collections import deque

MINUTE, HOUR = 60.0, 3600.0


class Rate:
    """Counts messages. Times are the queue's seconds, which never run back."""

    def __init__(self, per_minute: int = 0, per_hour: int = 0) -> None:
        """:param per_minute, per_hour: 0: as many as come."""
        self._spans: list[tuple[float, int, deque[float]]] = [
            (span, most, deque()) for span, most in ((MINUTE, per_minute), (HOUR, per_hour)) if most
        ]

    def room(self, now: float) -> int | None:
        """How many more may begin now; None: any number."""
        self._forget(now)
        return min((most - len(sent) for _, most, sent in self._spans), default=None)

    def note(self, now: float) -> None:
        """A message begins."""
        self._forget(now)
        for _, _, sent in self._spans:
            sent.append(now)

    def next_at(self, now: float) -> float | None:
        """When the next may begin; None: now."""
        self._forget(now)
        return max((sent[0] + span for span, most, sent in self._spans if len(sent) >= most), default=None)

    def _forget(self, now: float) -> None:
        for span, _, sent in self._spans:
            while sent and now - sent[0] >= span:
                sent.popleft()
