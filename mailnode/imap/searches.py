"""Who may search now, of all searches of this process: mail that comes in never waits behind them.

What they do in the reactor's thread they do one after the other, a slice at a time, and all of them together have one slice
of each of its rounds: however many sessions search, everybody else waits for one. Rows are read for ``AT_ONCE`` of them.

Decoding messages is long Python work, and one login may ask for any amount of it: it is done by processes that do nothing
else. All of them together hold the text of ``AT_ONCE`` steps in memory: of some small messages, or of one part of a large
one; whoever made a step goes to the end of the line for the next.

An account has ``OF_ACCOUNT`` searches at work that look into messages, and as many that look into rows, its others wait in
the order in which they came.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar, TypeVarTuple

from twisted.internet.defer import Deferred

from mailnode.interfaces.runtime import IClock, IProcesses
from mailnode.interfaces.turns import Places, Turns

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

OF_ACCOUNT = 2  # searches of one kind at work at a time
AT_ONCE = 2  # steps at a time: while one is worked on, the next is read
# Seconds of a round of the reactor that all searches have together; a delivery waits for some twenty rounds.
SLICE = 0.001  # what is begun in them is ended


class Searches:
    """One for all sessions of the process."""

    def __init__(self, processes: IProcesses, of_account: int = OF_ACCOUNT, at_once: int = AT_ONCE) -> None:
        """:param processes: for nothing but this."""
        self._processes = processes
        self._accounts = Turns(of_account)  # (account id, whether messages are looked into)
        self._steps = Places(at_once)
        self._reads = Places(at_once)
        self._began: float | None = None  # since when searches have this round
        self._line: deque[Deferred[None]] = deque()  # those whose slice is over

    async def slice(self, clock: IClock) -> None:
        """Go on, in this round of the reactor or one of the next. To be asked before every few milliseconds of work."""
        if self._began is None:
            self._begin(clock)
        elif self._line or self._is_over(clock):
            mine: Deferred[None] = Deferred()
            self._line.append(mine)
            await mine

    def _begin(self, clock: IClock) -> None:
        self._began = clock.seconds()
        clock.callLater(0, self._next_round, clock)

    def _is_over(self, clock: IClock) -> bool:
        return not 0 <= clock.seconds() - (self._began or 0.0) < SLICE  # the clock may have been set back

    def _next_round(self, clock: IClock) -> None:
        self._began = None
        if self._line:
            self._begin(clock)
        while self._line and not self._is_over(clock):
            self._line.popleft().callback(None)

    def of(self, account_id: str, messages: bool = True) -> AbstractAsyncContextManager[None]:
        """Be one of the account's searches at work. :param messages: that look into messages, not into rows alone."""
        return self._accounts.of((account_id, messages))

    def reading(self) -> AbstractAsyncContextManager[None]:
        """Be one of those for whom rows are read."""
        return self._reads

    def step(self) -> AbstractAsyncContextManager[None]:
        """Be one of those who hold text: to be begun before it is read."""
        return self._steps

    def prepare(self, function: Callable[..., object]) -> None:
        """Let the process that will run a function begin while what it is to work on is read."""
        self._processes.begin(function)

    async def judge(self, function: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run a module-level function where searches run. :raises mailnode.errors.Busy:"""
        judged: T = await self._processes.run(function, *args)
        return judged
