"""Who may look into messages now, of all searches of this process.

Decoding is long Python work, and one login may ask for any amount of it: it is done by processes that do nothing else,
so that mail that comes in never waits behind it. An account has ``OF_ACCOUNT`` searches at work, its others wait in the
order in which they came. All of them together hold the text of ``AT_ONCE`` steps in memory: of some small messages, or of
one part of a large one; whoever made a step goes to the end of the line for the next.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar, TypeVarTuple

from twisted.internet.defer import DeferredSemaphore

from mailnode.interfaces.runtime import IProcesses

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

OF_ACCOUNT = 2  # searches that look into messages at a time
AT_ONCE = 2  # steps at a time: while one is worked on, the next is read


class Searches:
    """One for all sessions of the process."""

    def __init__(self, processes: IProcesses, of_account: int = OF_ACCOUNT, at_once: int = AT_ONCE) -> None:
        """:param processes: for nothing but this."""
        self._processes = processes
        self._of_account = of_account
        self._accounts: dict[str, DeferredSemaphore] = {}
        self._steps = DeferredSemaphore(at_once)

    @asynccontextmanager
    async def of(self, account_id: str) -> AsyncIterator[None]:
        """Be one of the account's searches at work."""
        places = self._accounts.setdefault(account_id, DeferredSemaphore(self._of_account))
        await places.acquire()
        try:
            yield
        finally:
            places.release()
            if places.tokens == self._of_account:
                self._accounts.pop(account_id, None)

    @asynccontextmanager
    async def step(self) -> AsyncIterator[None]:
        """Be one of those who hold text: to be begun before it is read."""
        await self._steps.acquire()
        try:
            yield
        finally:
            self._steps.release()

    async def judge(self, function: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run a module-level function where searches run. :raises mailnode.errors.Busy:"""
        judged: T = await self._processes.run(function, *args)
        return judged
