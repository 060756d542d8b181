"""Keeping a maildrop's lease while the session lives (RFC 1939 4: the lock lasts until QUIT or the end)."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import ensureDeferred
from twisted.python.failure import Failure

from mailnode.errors import Busy, DomainError, StoreUnavailable
from mailnode.interfaces.pause import pause
from mailnode.interfaces.runtime import IClock, IDelayed
from mailnode.interfaces.store import IMaildrop

RENEW_SECONDS = 30.0  # between renewals
RELEASE_PAUSES = (0.5, 2.0, 8.0)  # seconds until a release that the store could not write is tried again


class Lease:
    """Renews until :meth:`stop`, or until somebody else has the maildrop."""

    def __init__(
        self, drop: IMaildrop, clock: IClock, on_lost: Callable[[], None], on_trouble: Callable[[Failure], None]
    ) -> None:
        self._drop = drop
        self._clock = clock
        self._on_lost = on_lost
        self._on_trouble = on_trouble
        self._stopped = False
        self._timer: IDelayed | None = None
        self._schedule()

    def stop(self) -> None:
        """Renew no more."""
        self._stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _schedule(self) -> None:
        self._timer = self._clock.callLater(RENEW_SECONDS, self._renew)

    def _renew(self) -> None:
        ensureDeferred(self._renewal()).addErrback(self._on_trouble)

    async def _renewal(self) -> None:
        try:
            await self._drop.renew()
        except Busy:
            if not self._stopped:
                self._stopped = True
                self._on_lost()
        except DomainError:
            pass  # the next renewal may come through; if not, the token decides when the session commits
        if not self._stopped:
            self._schedule()


async def release(drop: IMaildrop, clock: IClock) -> None:
    """Let go of a maildrop, when the store can write it: whoever is told that nothing was deleted comes again soon."""
    for seconds in (*RELEASE_PAUSES, None):
        try:
            await drop.release()
        except StoreUnavailable:
            if seconds is None:
                return  # it runs out by itself
            await pause(clock, seconds)
        except DomainError:
            return
        else:
            return
