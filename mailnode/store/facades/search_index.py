"""The search index of all accounts, beside their mail: what is there always belongs to the messages in the same file."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from twisted.internet.defer import Deferred, FirstError, gatherResults
from zope.interface import implementer

from mailnode.errors import StoreDamaged, StoreUnavailable
from mailnode.interfaces.search import IIndexing
from mailnode.store.engines.engine import Engine, mail_tenancy
from mailnode.store.facades.runs import runs_of
from mailnode.store.search import segments, tiers
from mailnode.store.search.terms import decides, patterns_of
from mailnode.store.units import search_index
from mailnode.store.units.search_index import Held, LookedFor
from mailnode.values.search import INDEX_VERSION, Holders, Needle, Segment, SegmentPlace, ToIndex

LOOKED_TOGETHER = 2 * 1024 * 1024  # octets of terms that one unit looks through
AT_ONCE = 2  # units of one search
SAMPLED = 3  # units after which a search of more than twice as many is given up, if nearly all messages are to be asked anyhow
IN_VAIN = 0.9  # of them, for each text
OCTETS_A_MICROSECOND = 300  # that are looked through
OF_A_SEGMENT = 100  # microseconds besides


@implementer(IIndexing)
class SearchIndex:
    """Runs units; keeps nothing."""

    build = staticmethod(segments.build)

    def __init__(
        self, engine: Engine, partition: Callable[[str], int], partitions: int, version: int = INDEX_VERSION
    ) -> None:
        """:param partition: tells in which one an account lives. :param version: what counts as indexed."""
        self._engine = engine
        self._partition = partition
        self._partitions = partitions
        self._version = version

    # searching

    async def candidates(
        self,
        account_id: str,
        mailbox_id: int,
        uids: tuple[int, int],
        needles: Sequence[Needle],
        worth: float,
        ensure_there: Callable[[], None],
    ) -> list[Holders] | None:
        """See :class:`ISearchIndex`."""
        wanted = list(map(_looked_for, needles))
        if not any(one.patterns for one in wanted):
            return None
        zones = search_index.zones_of(wanted)
        tenancy = self._tenancy(account_id)
        try:
            span, places = await self._engine.read(
                tenancy, search_index.overlapping, account_id, mailbox_id, uids, self._version, zones
            )
            costs = sum(place.octets / OCTETS_A_MICROSECOND + OF_A_SEGMENT for place in places)
            if not places or costs > worth:
                return None
            held = await self._look(account_id, places, wanted, ensure_there)
            if held is None:
                return None
            await self._note_damage(account_id, places, held)
            unknown = await self._engine.read(
                tenancy, search_index.uids_between, account_id, mailbox_id, _between(span, places, held)
            )
            found = []
            for number in range(len(needles)):
                ids = array("Q"), array("Q")
                for one in held:
                    if isinstance(one, list):
                        for all_ids, some in zip(ids, one[number], strict=True):
                            all_ids.extend(some)
                ensure_there()
                surely, maybe = [await self._uids_of(account_id, mailbox_id, some) for some in ids]
                found.append(Holders(surely, maybe.union(unknown) - surely))
        except StoreUnavailable:
            return None  # the engine has logged why; whoever reads messages finds out whether that works
        return found

    async def _uids_of(self, account_id: str, mailbox_id: int, ids: array[int]) -> set[int]:
        if not ids:
            return set()
        tenancy = self._tenancy(account_id)
        return set(await self._engine.read(tenancy, search_index.uids_of, account_id, mailbox_id, ids))

    async def _look(
        self,
        account_id: str,
        places: Sequence[SegmentPlace],
        wanted: Sequence[LookedFor],
        ensure_there: Callable[[], None],
    ) -> list[Held] | None:
        """Return what all segments say; None: a sample of them shows that it helps nobody."""
        groups = list(runs_of(places, lambda place: place.octets, LOOKED_TOGETHER))
        held: dict[int, list[Held]] = {}

        async def look_at(waiting: Iterator[int]) -> None:
            for number in waiting:
                ensure_there()
                held[number] = await self._look_into(account_id, groups[number], wanted)

        async def look_at_all(numbers: Sequence[int]) -> None:
            waiting = iter(numbers)
            try:
                await gatherResults(
                    [Deferred.fromCoroutine(look_at(waiting)) for _ in range(AT_ONCE)], consumeErrors=True
                )
            except FirstError as error:
                error.subFailure.raiseException()

        if len(groups) > 2 * SAMPLED:
            await look_at_all([0, len(groups) // 2, len(groups) - 1])
            if all(_is_in_vain(groups[number], said) for number, said in held.items()):
                return None
        await look_at_all([number for number in range(len(groups)) if number not in held])
        return [one for number in range(len(groups)) for one in held[number]]

    async def _look_into(
        self, account_id: str, group: Sequence[SegmentPlace], wanted: Sequence[LookedFor]
    ) -> list[Held]:
        try:
            return await self._engine.read(self._tenancy(account_id), search_index.look, account_id, group, wanted)
        except StoreDamaged:
            return [search_index.DAMAGED] * len(group)

    async def _note_damage(self, account_id: str, places: Sequence[SegmentPlace], held: Sequence[Held]) -> None:
        damaged = [place for place, one in zip(places, held, strict=True) if one == search_index.DAMAGED]
        if damaged:
            with suppress(StoreUnavailable):
                await self._engine.write(self._tenancy(account_id), search_index.note_damaged, account_id, damaged)

    # indexing

    async def behind(self, after: str) -> list[tuple[str, int]]:
        """See :class:`IIndexing`."""
        found: list[tuple[str, int]] = []
        for tenancy in self._served():
            found += await self._engine.read(tenancy, search_index.behind, after, self._version)
        return sorted(found)[: search_index.ACCOUNTS]

    async def indexed(self, after: str) -> list[str]:
        """See :class:`IIndexing`."""
        found: list[str] = []
        for tenancy in self._served():
            found += await self._engine.read(tenancy, search_index.indexed, after)
        return sorted(found)[: search_index.ACCOUNTS]

    async def to_index(self, account_id: str) -> ToIndex:
        """See :class:`IIndexing`."""
        return await self._engine.read(self._tenancy(account_id), search_index.to_index, account_id, self._version)

    async def to_join(self, account_id: str, messages: int) -> list[tuple[SegmentPlace, Segment]]:
        """See :class:`IIndexing`."""
        tenancy = self._tenancy(account_id)
        places = await self._engine.read(tenancy, search_index.places, account_id)
        count = tiers.merged(places, messages)
        if not count:
            return []
        wanted = places[-count:]
        found = await self._engine.read(tenancy, search_index.read, account_id, wanted)
        return list(zip(wanted, found, strict=True)) if len(found) == count else []

    async def add(
        self, account_id: str, work: ToIndex, segment: Segment | None, joined: Sequence[SegmentPlace]
    ) -> bool:
        """See :class:`IIndexing`."""
        return await self._engine.write(
            self._tenancy(account_id),
            search_index.add,
            account_id,
            work.since,
            work.until,
            segment,
            joined,
            self._version,
        )

    async def with_removed(self, account_id: str) -> tuple[SegmentPlace, Segment | None, frozenset[int]] | None:
        """See :class:`IIndexing`."""
        tenancy = self._tenancy(account_id)
        place = await self._engine.read(tenancy, search_index.with_removed, account_id)
        if place is None:
            return None
        try:
            [segment] = await self._engine.read(tenancy, search_index.read, account_id, [place])
            ids = segments.ids_of(segment)
        except (StoreDamaged, ValueError):
            return place, None, frozenset()
        there = await self._engine.read(tenancy, search_index.existing, account_id, place.first, place.last)
        return place, segment, frozenset(ids).difference(there)

    async def replace(self, account_id: str, place: SegmentPlace, segment: Segment | None) -> None:
        """See :class:`IIndexing`."""
        tenancy = self._tenancy(account_id)
        await self._engine.write(tenancy, search_index.replace, account_id, place, segment, self._version)

    async def forget(self, account_id: str) -> None:
        """See :class:`IIndexing`."""
        while await self._engine.write(self._tenancy(account_id), search_index.forget, account_id):
            pass

    def _served(self) -> list[str]:
        tenancies = map(mail_tenancy, range(self._partitions))
        return [tenancy for tenancy in tenancies if tenancy not in self._engine.out_of_service]

    def _tenancy(self, account_id: str) -> str:
        return mail_tenancy(self._partition(account_id))


def _looked_for(needle: Needle) -> LookedFor:
    deciding = needle.deciding if decides(needle.text) else frozenset[int]()
    zones = needle.zones - deciding
    return LookedFor(tuple(patterns_of(needle.text)), tuple(sorted(zones)), tuple(sorted(deciding)))


def _is_in_vain(places: Sequence[SegmentPlace], held: Sequence[Held]) -> bool:
    """Whether for each text nearly all messages are to be asked."""
    for place, one in zip(places, held, strict=True):
        if isinstance(one, list) and any(len(maybe) < IN_VAIN * place.messages for _, maybe in one):
            return False
    return True


def _between(span: tuple[int, int], places: Sequence[SegmentPlace], held: Sequence[Held]) -> list[tuple[int, int]]:
    """Return spans of ids of which nothing is known: behind the last segment, between two, where one is gone or damaged."""
    spans = []
    begin = span[0]
    for place, one in zip(places, held, strict=True):
        if isinstance(one, list):
            if place.first > begin:
                spans.append((begin, place.first - 1))
            begin = max(begin, place.last + 1)
    if begin <= span[1]:
        spans.append((begin, span[1]))
    return spans
