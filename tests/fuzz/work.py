"""What an input costs, counted: lines of Python that are run, and octets of memory that are taken at a time."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from types import FrameType
from typing import Any


def lines_run(call: Callable[[], object]) -> int:
    """Return how many lines of Python a call runs, in whatever module."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        if event == "line":
            count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


def octets_taken(call: Callable[[], object]) -> int:
    """Return how many octets more than before a call holds at most."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        call()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return most - before


def octets_looked_at(call: Callable[[], object]) -> int:
    """Return of how many octets those were whose own methods a call called: ``split()`` of a buffer is all of that buffer."""
    count = 0

    def note(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        owner = getattr(argument, "__self__", None) if event == "c_call" else None
        if isinstance(owner, bytes | bytearray):
            count += len(owner)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(before)
    return count
