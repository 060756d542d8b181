"""Which sessions have the arrays of their views at hand, and when these are packed: not used for a while, or too many."""

from __future__ import annotations

from itertools import islice
from typing import Protocol

from mailnode.interfaces.runtime import IClock, IDelayed

UNUSED = 60.0  # seconds after which the arrays of a view that nothing looked into are packed
MOST = 4_000_000  # messages of open views, all sessions together; above it the one longest unused is packed at once
_TRIED = 16  # sessions asked in one turn of the reactor; the busy ones say no
_LATER = 1.0  # seconds until the next try after all of them were busy


class HasView(Protocol):
    """A session with a view."""

    def pack_view(self) -> bool:
        """Pack the view's arrays, or see to it that they will be. False: not while a command runs."""


class OpenViews:
    """The open views, in the order of their use. One for all sessions of the process."""

    def __init__(self, clock: IClock, unused: float = UNUSED, most: int = MOST) -> None:
        """:param clock: for durations alone. :param unused: seconds until arrays are packed. :param most: messages."""
        self._clock = clock
        self._unused = unused
        self._most = most
        self._open: dict[HasView, tuple[float, int]] = {}  # when it was used, messages; the longest unused first
        self._timer: IDelayed | None = None
        self.messages = 0

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, session: HasView) -> bool:
        return session in self._open

    def used(self, session: HasView, messages: int) -> None:
        """Note that a command or a change just looked into an open view. :param messages: its size."""
        self._remove(session)
        self._open[session] = (self._clock.seconds(), messages)
        self.messages += messages
        if self._timer is None:
            self._timer = self._clock.callLater(self._unused, self._look)
        if self.messages > self._most:
            self._look_in(0)

    def forget(self, session: HasView) -> None:
        """The session has no open view any more."""
        self._remove(session)
        if not self._open and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _remove(self, session: HasView) -> None:
        known = self._open.pop(session, None)
        if known is not None:
            self.messages -= known[1]

    def _look_in(self, seconds: float) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = self._clock.callLater(seconds, self._look)

    def _look(self) -> None:
        """Pack one view, if it is time; others have their turn before the next."""
        self._timer = None
        for session in list(islice(self._open, _TRIED)):
            used_at, messages = self._open[session]
            waits = used_at + self._unused - self._clock.seconds()
            if waits > 0 and self.messages <= self._most:
                self._look_in(waits)
                return
            self._remove(session)
            if session.pack_view():
                if self._open:
                    self._look_in(0)
                return
            self._open[session] = (self._clock.seconds(), messages)
            self.messages += messages
        if self._open:
            self._look_in(_LATER)
