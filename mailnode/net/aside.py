"""Calls that block, from an event loop of :mod:`asyncio`, each in a thread of its own that nobody has to wait for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


async def aside(function: Callable[[*Ts], T], *args: *Ts) -> T:
    """Return what a call returns. Who gives up waiting leaves the thread behind, which keeps no process from ending: the loop's
    own executor would be waited for, however long a disk does not answer."""
    loop = asyncio.get_running_loop()
    waiting: asyncio.Future[T] = loop.create_future()

    def end(result: T | None, error: Exception | None) -> None:
        if waiting.done():
            return
        if error is not None:
            waiting.set_exception(error)
        else:
            waiting.set_result(result)  # type: ignore[arg-type]  # T where there is no error

    def run() -> None:
        result, failure = None, None
        try:
            result = function(*args)
        except Exception as error:
            failure = error
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(end, result, failure)

    threading.Thread(target=run, name="mailnode-aside", daemon=True).start()
    return await waiting
