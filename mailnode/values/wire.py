"""What a sans-I/O connection answers to ``next_event()`` when it has no event."""

from __future__ import annotations

import enum


class Signal(enum.Enum):
    """The two answers of ``next_event()`` that are not events."""

    NEED_DATA = enum.auto()  # nothing complete in the buffer
    PAUSED = enum.auto()  # the previous event has not been answered; ask again after send()


NEED_DATA = Signal.NEED_DATA
PAUSED = Signal.PAUSED
