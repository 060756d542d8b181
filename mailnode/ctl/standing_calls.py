"""Many operations one after another, as import and export need them: on the server, or on its store that stays open meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from mailnode.admin.control_client import ask
from mailnode.admin.operations import OpenFile, OperationFailed, Reason
from mailnode.ctl.parts import LOCKED, LOOK, Place, WallWaits
from mailnode.errors import DirectoryLocked
from mailnode.moving.model import MovingClock

PATIENCE = 60.0  # seconds for a server that has gone, as for a restart
BUSY_PATIENCE = 1800.0  # seconds for one that is too busy
FIRST_LOOK = 0.2  # seconds until it is asked again; twice as many each time
LONGEST_LOOK = 30.0


class StandingCalls:
    """Does operations by name. A server that is busy is waited for, and one that goes away: it may be started anew."""

    def __init__(
        self, do: Callable[[str, Mapping[str, object]], object], waits: bool, clock: MovingClock | None = None
    ) -> None:
        """:param waits: whether the server may be away for a while."""
        self._do = do
        self._waits = waits
        self._clock = clock or WallWaits()

    def call(self, name: str, /, **arguments: object) -> object:
        """Do one; it may be done twice. :raises OperationFailed:"""
        began = self._clock.monotonic()
        wait = FIRST_LOOK
        given = {key: _handed_over(value) for key, value in arguments.items()}
        while True:
            try:
                return self._do(name, given)
            except FileNotFoundError:
                failed = OperationFailed(Reason.UNREACHABLE, "the server went away")
            except OperationFailed as error:
                failed = error
            if self._clock.monotonic() - began > self._patience(failed.reason):
                raise failed
            self._clock.sleep(wait)
            wait = min(wait * 2, LONGEST_LOOK)

    def _patience(self, reason: Reason) -> float:
        """Return the seconds for which what failed is tried again; below 0: it is not."""
        if reason is Reason.BUSY:
            return BUSY_PATIENCE
        return PATIENCE if reason is Reason.UNREACHABLE and self._waits else -1.0


@contextmanager
def standing_calls(place: Place) -> Iterator[StandingCalls]:
    """Yield what does operations, on the server that runs, or on the store until this ends. :raises OperationFailed:"""
    with suppress(FileNotFoundError):
        ask(place.data(), "ping", {})
        yield StandingCalls(lambda name, arguments: ask(place.data(), name, arguments), True)
        return
    from mailnode.ctl import direct

    clock = WallWaits()
    until = clock.monotonic() + LOCKED
    while True:
        try:
            with direct.operations(place.config()) as do:
                yield StandingCalls(do, False)
                return
        except DirectoryLocked as error:
            if clock.monotonic() >= until:
                raise OperationFailed(Reason.UNREACHABLE, str(error)) from None
        clock.sleep(LOOK)


def _handed_over(value: object) -> object:
    """Return an argument as operations take it: of a file its descriptor."""
    fileno = getattr(value, "fileno", None)
    return OpenFile(fileno()) if callable(fileno) else value
