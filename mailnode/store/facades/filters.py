"""What the filters of accounts have learnt, in the partitions their mail lies in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from zope.interface import implementer

from mailnode.errors import StoreUnavailable
from mailnode.interfaces.learning import IAskedFilters, ILearning
from mailnode.interfaces.runtime import IClock
from mailnode.store.engines.engine import Engine, mail_tenancy
from mailnode.store.facades.known_words import KnownOfAccount, KnownWords
from mailnode.store.units import acts, filter_rows
from mailnode.values.learning import GOOD, JUNK, ActedPage, FilterState, Learnt, Lesson, SenderCounts, WordCounts
from mailnode.values.reading import AskedFilter

STATES_KNOWN = 10.0  # seconds for which it need not be looked up how much filters have learnt
STATES = 10_000  # filters of which that is remembered
NOTHING_LEARNT = FilterState()
MAX_WORDS = 30_000  # of an account
MAX_LEARNT = 2_000  # messages of a kind that counts are of
MAX_SENDERS = 1_000  # of an account
MESSAGES_KEPT = 180 * 86_400  # seconds a message that was learnt is remembered
SENDERS_KEPT = 400 * 86_400  # seconds a sender is remembered since something was learnt of it


@implementer(ILearning, IAskedFilters)
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
        self._known = KnownWords()

    # judging

    async def learnt(self, account_ids: Sequence[str]) -> Mapping[str, FilterState]:
        """See :class:`IFilters`."""
        now = self._clock.seconds()
        if not self._since <= now < self._since + STATES_KNOWN or len(self._states) > STATES:
            self._states, self._since = {}, now
        states = self._states
        told = {
            one: states[one] for one in account_ids if one in states
        }  # what is forgotten meanwhile was so when asked
        if len(told) == len(account_ids):  # as nearly always
            return told
        for tenancy, ids in self._by_tenancy([one for one in account_ids if one not in told]):
            found = await self._engine.read(tenancy, filter_rows.states, ids)
            for one in ids:
                told[one] = states[one] = found.get(one, NOTHING_LEARNT)
        return told

    async def words(self, account_ids: Sequence[str], words: Sequence[int]) -> Mapping[str, WordCounts]:
        """See :class:`IFilters`."""
        if not words:
            return {}
        states, now = await self.learnt(account_ids), self._clock.seconds()
        learnt = [one for one in account_ids if states[one] != NOTHING_LEARNT]
        known = {one: self._known.of(one, states[one], now) for one in learnt}
        missing = {one: some for one, of_account in known.items() if (some := of_account.missing(words))}
        for tenancy, ids in self._by_tenancy(list(missing)):
            asked = missing[ids[0]] if len(ids) == 1 else words
            said = await self._engine.read(tenancy, filter_rows.words, ids, asked)
            for one in ids:
                if one in said and not self._known.keep_words(known[one], asked, said[one]):  # it has just learnt
                    known[one] = await self._asked_anew(one, states[one], words)
        return {one: of_account.word_counts() for one, of_account in known.items() if of_account.counts is not None}

    def asked(self, account_ids: Sequence[str]) -> tuple[AskedFilter, ...]:
        """See :class:`IAskedFilters`."""
        now, states = self._clock.seconds(), self._states
        return tuple(
            [
                self._known.asked(one, states.get(one), now)
                for one in account_ids
                if states.get(one) is not NOTHING_LEARNT
            ]
        )

    async def _asked_anew(self, account_id: str, state: FilterState, words: Sequence[int]) -> KnownOfAccount:
        self._known.forget(account_id)
        said = await self._engine.read(self._tenancy(account_id), filter_rows.words, [account_id], words)
        known = self._known.of(account_id, state, self._clock.seconds())
        if account_id in said:
            self._known.keep_words(known, words, said[account_id])
        return known

    async def senders(self, account_ids: Sequence[str], sender: str) -> Mapping[str, SenderCounts]:
        """See :class:`IFilters`."""
        states, now = await self.learnt(account_ids), self._clock.seconds()
        known = {one: self._known.of(one, states[one], now) for one in account_ids if states[one].senders}
        unasked = [one for one, of_account in known.items() if sender not in of_account.senders]
        for tenancy, ids in self._by_tenancy(unasked):
            said = await self._engine.read(tenancy, filter_rows.senders, ids, sender, self._now())
            for one in ids:
                self._known.keep_sender(known[one], sender, said.get(one))
        counts = {one: of_account.senders[sender] for one, of_account in known.items()}
        return {one: found for one, found in counts.items() if found is not None}

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
        self._changed(account_id)
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
        if too_much:
            self._changed(account_id)
        return too_much

    # what people ask for, and upkeep

    async def state(self, account_id: str) -> FilterState:
        """See :class:`ILearning`."""
        found = await self._engine.read(self._tenancy(account_id), filter_rows.states, [account_id])
        return found.get(account_id, NOTHING_LEARNT)

    async def forget(self, account_id: str) -> None:
        """See :class:`ILearning`."""
        await self._engine.write(self._tenancy(account_id), filter_rows.forget, account_id)
        self._changed(account_id)

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

    def _changed(self, account_id: str) -> None:
        """Forget what is remembered of a filter."""
        self._states.pop(account_id, None)
        self._known.forget(account_id)

    def _now(self) -> int:
        return int(self._clock.seconds() * 1_000_000)

    def _tenancy(self, account_id: str) -> str:
        return mail_tenancy(self._partition(account_id))

    def _by_tenancy(self, account_ids: Sequence[str]) -> list[tuple[str, list[str]]]:
        if not account_ids:  # as nearly always: what was asked about is known
            return []
        groups: dict[str, list[str]] = {}
        for account_id in account_ids:
            groups.setdefault(self._tenancy(account_id), []).append(account_id)
        return sorted(groups.items())
