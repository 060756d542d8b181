"""What every serving process sets for itself before it does anything."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable

from mailnode.interfaces.reactor import IServerReactor
from mailnode.net.descriptors import raise_limit
from mailnode.net.threads import SWITCH_INTERVAL

COLLECT_AT = (5_000, 80, 50)  # objects made since the last collection, and collections until an older generation's

LAST_RESORT = 20  # seconds after the grace time


def end_by_force(grace: float) -> None:
    """Have the kernel end this process some time after its grace time, should nothing else have: no thread of ours is
    needed for that, whatever holds the interpreter. What was acknowledged is on disk by then as at any other time."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, grace + LAST_RESORT)


def prepare_process(reactor: IServerReactor, monotonic: Callable[[], float]) -> None:
    """Set what stays until the end: files for the owner alone, as many as are allowed, quick threads, a clock that
    never steps."""
    os.umask(0o077)
    raise_limit()
    sys.setswitchinterval(SWITCH_INTERVAL)
    reactor.seconds = monotonic  # type: ignore[method-assign]  # Twisted's own follows the wall clock: set back, it would hold every timer
    # What is loaded now stays; and of what a message makes, nearly all is free again without looking for cycles.
    gc.freeze()
    gc.set_threshold(*COLLECT_AT)
