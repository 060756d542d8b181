"""How tests start processes: none outlives the tests, however these end."""

from __future__ import annotations

import atexit
import ctypes
import os
import signal
import subprocess
import threading
import weakref
from typing import Any

PATIENCE = (
    120  # seconds that a start, or an end, may take on a loaded machine; tests wait for events and meet it only to fail
)

_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None, use_errno=True).prctl
_started: weakref.WeakSet[subprocess.Popen[Any]] = weakref.WeakSet()


def start(command: Any, **keys: Any) -> subprocess.Popen[Any]:
    """Start a process as ``Popen`` does. It is killed when this one ends, in whatever way.

    The kernel takes the end of the thread that started it for ours: so that is the main thread.
    """
    assert threading.current_thread() is threading.main_thread()
    ours = os.getpid()

    def die_with_us() -> None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != ours:  # too late for the signal
            os._exit(1)

    process: subprocess.Popen[Any] = subprocess.Popen(command, preexec_fn=die_with_us, **keys)
    _started.add(process)
    return process


def end(process: subprocess.Popen[Any]) -> None:
    """Kill a process if it still runs, and wait for its end."""
    if process.poll() is None:
        process.kill()
    process.wait()


@atexit.register
def end_all() -> None:
    """Kill what still runs of all that was started; also between two runs of tests in one process."""
    for process in list(_started):
        end(process)
