"""Many operations one after another, as import and export need them: on the server, or on its store that stays open meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from mailnode.admin.control_client import ask
from mailnode.admin.operations import OpenFile, OperationFailed, Reason
from mailnode.ctl.parts import LOCKED, LOOK, Place, WallWaits
from mailnode.errors import DirectoryLocked

PATIENCE = 60.0  # seconds for a server that has gone, as for a restart
FIRST_LOOK = 0.2  # seconds until it is looked for again; twice as many each time

_clock = WallWaits()


class StandingCalls:
    """Does operations by name. A server that goes away is waited for: it may be started anew."""

    def __init__(self, do: Callable[[str, Mapping[str, object]], object], waits: bool) -> None:
        """:param waits: whether it may be away for a while."""
        self._do = do
        self._waits = waits

    def call(self, name: str, /, **arguments: object) -> object:
        """Do one; it may be done twice. :raises OperationFailed:"""
        until = _clock.monotonic() + PATIENCE
        wait = FIRST_LOOK
        given = {key: _handed_over(value) for key, value in arguments.items()}
        while True:
            try:
                return self._do(name, given)
            except FileNotFoundError:
                failed = OperationFailed(Reason.UNREACHABLE, "the server went away")
            except OperationFailed as error:
                if error.reason is not Reason.UNREACHABLE:
                    raise
                failed = error
            if not self._waits or _clock.monotonic() > until:
                raise failed
            _clock.sleep(wait)
            wait *= 2


@contextmanager
def standing_calls(place: Place) -> Iterator[StandingCalls]:
    """Yield what does operations, on the server that runs, or on the store until this ends. :raises OperationFailed:"""
    with suppress(FileNotFoundError):
        ask(place.data(), "ping", {})
        yield StandingCalls(lambda name, arguments: ask(place.data(), name, arguments), True)
        return
    from mailnode.ctl import direct

    until = _clock.monotonic() + LOCKED
    while True:
        try:
            with direct.operations(place.config()) as do:
                yield StandingCalls(do, False)
                return
        except DirectoryLocked as error:
            if _clock.monotonic() >= until:
                raise OperationFailed(Reason.UNREACHABLE, str(error)) from None
        _clock.sleep(LOOK)


def _handed_over(value: object) -> object:
    """Return an argument as operations take it: of a file its descriptor."""
    fileno = getattr(value, "fileno", None)
    return OpenFile(fileno()) if callable(fileno) else value
