"""What the filters of accounts have learnt, in the partitions their mail lies in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from zope.interface import implementer

from mailnode.errors import StoreUnavailable
from mailnode.interfaces.learning import ILearning
from mailnode.interfaces.runtime import IClock
from mailnode.store.engines.engine import Engine, mail_tenancy
from mailnode.store.units import acts, filter_rows
from mailnode.values.learning import GOOD, JUNK, ActedPage, FilterState, Learnt, Lesson, SenderCounts, WordCounts

STATES_KNOWN = 10.0  # seconds for which it need not be looked up how much filters have learnt
STATES = 10_000  # filters of which that is remembered
NOTHING_LEARNT = FilterState()
MAX_WORDS = 30_000  # of an account
MAX_LEARNT = 2_000  # messages of a kind that counts are of
MAX_SENDERS = 1_000  # of an account
MESSAGES_KEPT = 180 * 86_400  # seconds a message that was learnt is remembered
SENDERS_KEPT = 400 * 86_400  # seconds a sender is remembered since something was learnt of it


@implementer(ILearning)
class Filters:
    """Runs units; remembers for a while how much filters have learnt: most have learnt nothing."""

    def __init__(self, engine: Engine, partition: Callable[[str], int], partitions: int, clock: IClock) -> None:
        """:param partition: tells in which one an account lives."""
        self._engine = engine
        self._partition = partition
        self._partitions = partitions
        self._clock = clock
        self._states: dict[str, FilterState] = {}
        self._since = 0.0

    # judging

    async def learnt(self, account_ids: Sequence[str]) -> Mapping[str, FilterState]:
        """See :class:`IFilters`."""
        now = self._clock.seconds()
        if not self._since <= now < self._since + STATES_KNOWN or len(self._states) > STATES:
            self._states, self._since = {}, now
        states = self._states
        for tenancy, ids in self._by_tenancy([one for one in account_ids if one not in states]):
            found = await self._engine.read(tenancy, filter_rows.states, ids)
            states.update({one: found.get(one, NOTHING_LEARNT) for one in ids})
        return {one: states[one] for one in account_ids}

    async def words(self, account_ids: Sequence[str], words: Sequence[int]) -> Mapping[str, WordCounts]:
        """See :class:`IFilters`."""
        found: dict[str, WordCounts] = {}
        for tenancy, ids in self._by_tenancy(account_ids if words else ()):
            found.update(await self._engine.read(tenancy, filter_rows.words, ids, words))
        return found

    async def senders(self, account_ids: Sequence[str], sender: str) -> Mapping[str, SenderCounts]:
        """See :class:`IFilters`."""
        found: dict[str, SenderCounts] = {}
        for tenancy, ids in self._by_tenancy(account_ids):
            found.update(await self._engine.read(tenancy, filter_rows.senders, ids, sender, self._now()))
        return found

    # learning

    async def behind(self, after: str) -> list[str]:
        """See :class:`ILearning`."""
        found: list[str] = []
        for number in range(self._partitions):
            if mail_tenancy(number) not in self._engine.out_of_service:
                found += await self._engine.read(mail_tenancy(number), filter_rows.behind, after)
        return sorted(found)[: filter_rows.ACCOUNTS]

    async def acted(self, account_id: str, since: int, after: tuple[int, int, int] | None) -> ActedPage:
        """See :class:`ILearning`."""
        return await self._engine.read(self._tenancy(account_id), acts.acted, account_id, since, after)

    async def known(self, account_id: str, messages: Sequence[int]) -> Mapping[int, Learnt]:
        """See :class:`ILearning`."""
        return await self._engine.read(self._tenancy(account_id), filter_rows.known, account_id, messages)

    async def learn(self, account_id: str, lessons: Sequence[Lesson]) -> int:
        """See :class:`ILearning`."""
        tenancy = self._tenancy(account_id)
        learnt = await self._engine.write(tenancy, filter_rows.learn, account_id, lessons, self._now())
        self._states.pop(account_id, None)
        return learnt

    async def looked(self, account_id: str, until: int) -> None:
        """See :class:`ILearning`."""
        await self._engine.write(self._tenancy(account_id), filter_rows.looked, account_id, until)

    async def tidy(self, account_id: str) -> bool:
        """See :class:`ILearning`. It is done in pieces: between two of them counts are of both measures, and say a little less."""
        tenancy, state = self._tenancy(account_id), await self.state(account_id)
        too_much = False
        for kind, learnt in ((JUNK, state.junk), (GOOD, state.good)):
            if learnt > MAX_LEARNT:
                too_much = True
                await self._engine.write(tenancy, filter_rows.halve, account_id, kind)
                for piece in range(filter_rows.PIECES):
                    await self._engine.write(tenancy, filter_rows.halve_words, account_id, kind, piece)
        if state.words > MAX_WORDS:
            too_much = True
            surplus = state.words - MAX_WORDS * 3 // 4
            most = await self._engine.read(tenancy, filter_rows.rarest, account_id, surplus)
            for piece in range(filter_rows.PIECES):
                await self._engine.write(tenancy, filter_rows.drop_words, account_id, most, piece)
        if state.senders > MAX_SENDERS:
            too_much = True
            await self._engine.write(tenancy, filter_rows.drop_senders, account_id, MAX_SENDERS * 3 // 4)
        return too_much

    # what people ask for, and upkeep

    async def state(self, account_id: str) -> FilterState:
        """See :class:`ILearning`."""
        found = await self._engine.read(self._tenancy(account_id), filter_rows.states, [account_id])
        return found.get(account_id, NOTHING_LEARNT)

    async def forget(self, account_id: str) -> None:
        """See :class:`ILearning`."""
        await self._engine.write(self._tenancy(account_id), filter_rows.forget, account_id)
        self._states.pop(account_id, None)

    async def sweep(self, now: float) -> int:
        """See :class:`ILearning`."""
        total = 0
        before = int((now - MESSAGES_KEPT) * 1_000_000), int((now - SENDERS_KEPT) * 1_000_000)
        for number in range(self._partitions):
            try:
                while some := await self._engine.write(mail_tenancy(number), filter_rows.sweep, *before):
                    total += some
            except StoreUnavailable:
                continue  # the engine has logged why
        return total

    def _now(self) -> int:
        return int(self._clock.seconds() * 1_000_000)

    def _tenancy(self, account_id: str) -> str:
        return mail_tenancy(self._partition(account_id))

    def _by_tenancy(self, account_ids: Sequence[str]) -> list[tuple[str, list[str]]]:
        groups: dict[str, list[str]] = {}
        for account_id in account_ids:
            groups.setdefault(self._tenancy(account_id), []).append(account_id)
        return sorted(groups.items())
