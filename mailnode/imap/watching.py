"""One look at the store for all accounts that idle sessions of this process watch: hints may be lost.

The cost of it is one reading unit a partition and interval, however many sessions there are; each of them asks for itself
only when its account has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.logger import Logger

from mailnode.errors import DomainError
from mailnode.interfaces.runtime import IClock, IDelayed
from mailnode.interfaces.store import IMailStore

POLL_SECONDS = 5.0

_log = Logger()

Heard: TypeAlias = Callable[[int | None], None]  # the account's modseq; None: the account is gone


class _Watched:
    """One account."""

    __slots__ = ("heard", "modseq")

    def __init__(self) -> None:
        self.modseq: int | None = None  # at the last look; None: there was none
        self.heard: list[Heard] = []


class Watching:
    """One for all sessions of the process."""

    def __init__(self, clock: IClock, mail: IMailStore, seconds: float = POLL_SECONDS) -> None:
        self._clock = clock
        self._mail = mail
        self._seconds = seconds
        self._accounts: dict[str, _Watched] = {}
        self._timer: IDelayed | None = None
        self._looking = False

    def watch(self, account_id: str, heard: Heard) -> Callable[[], None]:
        """Call back at the next look, and at each later one that finds another modseq; returns what ends it."""
        watched = self._accounts.setdefault(account_id, _Watched())
        watched.heard.append(heard)
        if self._timer is None and not self._looking:
            self._timer = self._clock.callLater(self._seconds, self._look)

        def end() -> None:
            if heard in watched.heard:
                watched.heard.remove(heard)
            if not watched.heard and self._accounts.get(account_id) is watched:
                del self._accounts[account_id]
                if not self._accounts and self._timer is not None:
                    self._timer.cancel()
                    self._timer = None

        return end

    def _look(self) -> None:
        self._timer = None
        self._looking = True
        ensureDeferred(self._look_at_all())

    async def _look_at_all(self) -> None:
        partitions: dict[int, list[str]] = {}
        for account_id in self._accounts:
            partitions.setdefault(self._mail.partition(account_id), []).append(account_id)
        looks = [Deferred.fromCoroutine(self._look_at(accounts)) for accounts in partitions.values()]
        for look in looks:
            await look
        self._looking = False
        if self._accounts:
            self._timer = self._clock.callLater(self._seconds, self._look)

    async def _look_at(self, account_ids: Sequence[str]) -> None:
        """Look at the accounts of one partition. One that does not answer says so itself; it is asked again."""
        try:
            found = await self._mail.modseqs(account_ids)
        except DomainError:
            return
        except Exception:
            _log.failure("the modseqs of watched accounts could not be read")
            return
        for account_id in account_ids:
            watched, modseq = self._accounts.get(account_id), found.get(account_id)
            if watched is not None and (modseq is None or modseq != watched.modseq):
                watched.modseq = modseq
                for heard in tuple(watched.heard):
                    heard(modseq)
