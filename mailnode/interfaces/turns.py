"""One at a time, or a few: in general, and by key."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

from twisted.internet.defer import Deferred


class Places:
    """Lets so many things be done at a time, in the order they came: ``async with places:``.

    Places are handed on by a loop, not from within one another: of those who wait many may end at once, as when a service stops
    or all find what the first has fetched, and each would stand on the stack of the one before.
    """

    def __init__(self, at_once: int = 1) -> None:
        """:param at_once: how many."""
        self._at_once = self._free = at_once
        self._waiting: deque[Deferred[None]] = deque()
        self._handing_on = False

    @property
    def idle(self) -> bool:
        """Whether nobody has a place, or waits for one."""
        return self._free == self._at_once and not self._waiting

    async def acquire(self) -> None:
        """Wait for a place. Who is cancelled leaves the line."""
        if self._free and not self._waiting:
            self._free -= 1
            return
        mine: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(mine)
        await mine

    def release(self) -> None:
        """Give a place back: whoever has waited longest goes on."""
        self._free += 1
        if self._handing_on:
            return  # the loop sees it
        self._handing_on = True
        while self._free and self._waiting:
            self._free -= 1
            self._waiting.popleft().callback(None)
        self._handing_on = False

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(self, *_: object) -> None:
        self.release()


class Turns:
    """Lets things be done one at a time, or a few, by key, in the order they came. Keys nobody waits for take no room."""

    def __init__(self, at_once: int = 1) -> None:
        """:param at_once: how many of one key."""
        self._at_once = at_once
        self._places: dict[Hashable, Places] = {}

    def __len__(self) -> int:
        return len(self._places)

    @asynccontextmanager
    async def of(self, key: Hashable | None) -> AsyncIterator[None]:
        """Wait for the turn. :param key: None: nobody waits."""
        if key is None:
            yield
            return
        places = self._places.setdefault(key, Places(self._at_once))
        try:
            async with places:
                yield
        finally:
            # Those who had the turn meanwhile may have ended too, and others begun anew.
            if places.idle and self._places.get(key) is places:
                del self._places[key]
