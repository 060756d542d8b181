"""What accounts sent, counted in memory; now and then what is new is written, without sync, and read back when an account
sends again. Nobody waits for the writing, and nothing breaks when it fails."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from zope.interface import implementer

from mailnode.errors import StoreUnavailable
from mailnode.interfaces.runtime import IClock
from mailnode.interfaces.sending import ISentCounts
from mailnode.store.engines.engine import EPHEMERAL, Engine
from mailnode.store.facades.write_back import WriteBack
from mailnode.store.units import sent_rows
from mailnode.values.sending import DAY, HOUR, NOTHING, Counted, Standing

BEFORE = 14 * 24  # hours of which the busiest is known
DAY_HOURS = 24
KEPT_DAYS = 400  # a recipient is known since it was written to last
FRESH_DAYS = 7  # between notes that somebody was written to
ACCOUNTS = 2_000  # in memory
KNOWN = 20_000  # recipients in memory
WAITING = 50_000  # recipients, and hours, to be written at most
UNIT_ROWS = 500  # of one writing unit


class _Ledger:
    """What is known of one account."""

    __slots__ = ("busiest", "hours", "loaded", "loud_held", "loud_since")

    def __init__(self, hours: dict[int, Counted], busiest: int, loud: tuple[float, bool], loaded: float) -> None:
        self.hours = hours
        self.busiest = busiest
        self.loud_since, self.loud_held = loud
        self.loaded = loaded


@implementer(ISentCounts)
class SentCounts:
    """Counts for one server. Several servers of one database add to the same rows, and see what others added when they
    read an account the next time."""

    def __init__(self, engine: Engine, clock: IClock, interval: float = 10.0) -> None:
        """:param interval: seconds between writes."""
        self._engine = engine
        self._ledgers: dict[str, _Ledger] = {}  # in the order of the last use
        self._added: dict[tuple[str, int], Counted] = {}  # to be written
        self._met: dict[tuple[str, bytes], int] = {}  # to be written
        self._known: dict[tuple[str, bytes], int] = {}  # the day noted of it
        self._write_back = WriteBack(clock, interval, self.write)

    # life

    def start(self) -> None:
        """Begin to write now and then."""
        self._write_back.start()

    async def stop(self) -> None:
        """Write what is new and end."""
        await self._write_back.stop()

    async def write(self) -> None:
        """Write what is new. What cannot be written is lost, as it may be."""
        try:
            while self._added or self._met:
                hours = [(key, self._added.pop(key)) for key in list(self._added)[:UNIT_ROWS]]
                met = [(*key, self._met.pop(key)) for key in list(self._met)[:UNIT_ROWS]]
                counted = [(*key, one.messages, one.recipients, one.strangers) for key, one in hours]
                await self._engine.write(EPHEMERAL, sent_rows.write, counted, met)
        except StoreUnavailable:
            pass  # the engine has logged why

    # counting

    async def standing(self, account_id: str, now: float) -> Standing:
        """See :class:`ISentCounts`. When the store cannot say, counting begins anew."""
        ledger = self._ledgers.pop(account_id, None)
        if ledger is None or not ledger.loaded <= now < ledger.loaded + DAY:
            loaded = await self._load(account_id, now)
            ledger = (
                self._ledgers.pop(account_id, None) or loaded
            )  # it may have been loaded for somebody else meanwhile
        self._ledgers[account_id] = ledger
        if len(self._ledgers) > ACCOUNTS:
            del self._ledgers[next(iter(self._ledgers))]
        hour = int(now // HOUR)
        for old in [one for one in ledger.hours if one <= hour - DAY_HOURS]:
            ledger.busiest = max(ledger.busiest, ledger.hours.pop(old).recipients)
        day = NOTHING
        for counted in ledger.hours.values():
            day = day.plus(counted)
        return Standing(
            ledger.hours.get(hour, NOTHING),
            ledger.hours.get(hour - 1, NOTHING),
            day,
            max([ledger.busiest, *(one.recipients for at, one in ledger.hours.items() if at < hour)]),
            ledger.loud_since,
            ledger.loud_held,
        )

    async def _load(self, account_id: str, now: float) -> _Ledger:
        hour = int(now // HOUR)
        try:
            hours, busiest, loud = await self._engine.read(
                EPHEMERAL, sent_rows.load, account_id, hour - DAY_HOURS + 1, hour - BEFORE, hour
            )
        except StoreUnavailable:
            hours, busiest, loud = {}, 0, (0.0, False)
        for (account, at), counted in self._added.items():
            if account == account_id:
                hours[at] = hours.get(at, NOTHING).plus(counted)
        return _Ledger(hours, busiest, loud, now)

    def count(self, account_id: str, counted: Counted, now: float) -> None:
        """See :class:`ISentCounts`."""
        hour = int(now // HOUR)
        ledger = self._ledgers.get(account_id)
        if ledger is not None:
            ledger.hours[hour] = ledger.hours.get(hour, NOTHING).plus(counted)
        self._added[account_id, hour] = self._added.get((account_id, hour), NOTHING).plus(counted)
        if len(self._added) > WAITING:
            del self._added[next(iter(self._added))]

    # recipients

    async def knows(self, account_id: str, recipient: str) -> bool:
        """See :class:`ISentCounts`. When the store cannot say, it does."""
        key = account_id, _digest(account_id, recipient)
        if key in self._known:
            return True
        try:
            day = await self._engine.read(EPHEMERAL, sent_rows.knows, *key)
        except StoreUnavailable:
            return True
        if day is None:
            return key in self._met  # an older one, that waits to be written
        self._remember(key, day)
        return True

    def met(self, account_id: str, recipients: Sequence[str], now: float) -> None:
        """See :class:`ISentCounts`."""
        today = int(now // DAY)
        for recipient in recipients:
            key = account_id, _digest(account_id, recipient)
            if self._known.get(key, 0) + FRESH_DAYS <= today:
                self._met[key] = today
                self._remember(key, today)
                if len(self._met) > WAITING:
                    del self._met[next(iter(self._met))]

    def _remember(self, key: tuple[str, bytes], day: int) -> None:
        self._known.pop(key, None)
        self._known[key] = day
        if len(self._known) > KNOWN:
            del self._known[next(iter(self._known))]

    # the loud, and upkeep

    async def set_loud(self, account_id: str, since: float, held: bool) -> None:
        """See :class:`ISentCounts`."""
        ledger = self._ledgers.get(account_id)
        if ledger is not None:
            ledger.loud_since, ledger.loud_held = since, held
        await self._engine.write(EPHEMERAL, sent_rows.set_loud, account_id, since, held)

    async def sweep(self, now: float) -> int:
        """See :class:`ISentCounts`."""
        total, hour, day = 0, int(now // HOUR) - BEFORE, int(now // DAY) - KEPT_DAYS
        while some := await self._engine.write(EPHEMERAL, sent_rows.sweep, hour, day):
            total += some
        return total


def _digest(account_id: str, recipient: str) -> bytes:
    text = f"{account_id} {recipient}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=16).digest()
