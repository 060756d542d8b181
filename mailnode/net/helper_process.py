"""The other side of :mod:`mailnode.net.processes`: a process that runs what it is asked to. It loads nothing it does not need."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.context import SpawnContext, SpawnProcess
from types import ModuleType


class _Process(SpawnProcess):
    """One that does not load again the module which the server began with, and all of the server with it."""

    def start(self) -> None:
        """Start it, while the server has no such module; spawning needs no other thread's help."""
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            super().start()
        finally:
            sys.modules["__main__"] = main


class Context(SpawnContext):
    """Starts such processes. It stands here because a process loads the module of its class."""

    Process = _Process


def begin(nice: int) -> None:
    """Leave signals of the terminal to the server, and end when the server is gone, however it went."""
    os.nice(nice)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def loaded(function: Callable[..., object]) -> None:
    """Have the module of a function that is to run here: whoever was sent it has loaded that."""
