"""What every serving process sets for itself before it does anything."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from typing import Any

from mailnode.net.threads import SWITCH_INTERVAL

COLLECT_AT = (20_000, 20, 50)  # objects made since the last collection, and collections until an older generation's


def prepare_process(reactor: Any, monotonic: Callable[[], float]) -> None:
    """Set what stays until the end: files for the owner alone, quick threads, a clock that never steps."""
    os.umask(0o077)
    sys.setswitchinterval(SWITCH_INTERVAL)
    reactor.seconds = monotonic  # Twisted's own follows the wall clock: set back, it would hold every timer
    # What is loaded now stays; and of what a message makes, nearly all is free again without looking for cycles.
    gc.freeze()
    gc.set_threshold(*COLLECT_AT)
