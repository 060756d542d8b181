"""Asking lists in DNS: each question once for a while, and none of a list that is not fit to be heeded."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailnode.errors import DomainError, NoSuchName
from mailnode.interfaces.outbound import IResolver, Records
from mailnode.interfaces.runtime import IClock
from mailnode.policy.dns_lists import MAX_NAME, DnsList, NotAnswering, shown, test_labels
from mailnode.values.events import emit

T = TypeVar("T")

DAY = 86_400.0  # seconds
HOUR = 3600.0  # between looks whether a list is fit, and lines of the log about it
REMEMBERED = 20_000  # answers
LISTED_SECONDS = 300.0  # that what is listed is remembered at most; its records may say less
UNLISTED_SECONDS = 60.0
FAILED_SECONDS = 10.0

_log = Logger()


@dataclass(frozen=True, slots=True)
class Listed:
    """A list has what was asked about. ``said``: why, in its words."""

    list: DnsList
    what: str
    weight: float
    said: str

    @property
    def text(self) -> str:
        """That in words."""
        said = f": {self.said}" if self.said else ""
        return f"{self.what} is listed in {self.list.zone}{said}"


class ListLookups:
    """Of one process."""

    def __init__(self, resolver: IResolver, clock: IClock, policy: str) -> None:
        """:param policy: whose lists they are, for the log."""
        self._resolver = resolver
        self._clock = clock
        self._policy = policy
        self._known: dict[str, tuple[Listed | None, float]] = {}  # by name in DNS, and until when; the oldest first
        self._asked: dict[str, list[Deferred[Listed | None]]] = {}  # who waits for what
        self._fit: dict[str, tuple[bool, float]] = {}  # by zone, and until when
        self._looking: dict[str, list[Deferred[bool]]] = {}  # who waits whether a zone is fit
        self._told: dict[tuple[str, str], float] = {}

    async def look(self, one: DnsList, labels: str, what: str) -> Listed | None:
        """Return what a list says of what is there under these labels; None where it says nothing, or nothing to rely on.

        :param what: they stand for, for people."""
        name = f"{labels}.{one.zone}"
        if len(name) > MAX_NAME:
            return None
        known = self._known.get(name)
        if known is not None and self._clock.seconds() < known[1]:
            return known[0]
        waits: Deferred[Listed | None] = Deferred()
        waiting = self._asked.setdefault(name, [])
        waiting.append(waits)
        if len(waiting) == 1:  # who asks the same meanwhile gets this answer, whoever of them is cut off
            Deferred.fromCoroutine(self._ask(one, name, what)).addBoth(self._answer, name)
        return await waits

    def _answer(self, found: tuple[Listed | None, float] | Failure, name: str) -> None:
        if isinstance(found, Failure):
            _log.failure("a list in DNS could not be asked", found)
            found = None, FAILED_SECONDS
        self._known.pop(name, None)
        self._known[name] = found[0], self._clock.seconds() + found[1]
        if len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]
        for waits in self._asked.pop(name):
            waits.callback(found[0])

    async def _ask(self, one: DnsList, name: str, what: str) -> tuple[Listed | None, float]:
        """Return what a list says, and for how many seconds."""
        fit, until = self._fit.get(one.zone, (True, 0.0))
        if until <= self._clock.seconds():
            fit = await self._look_whether_fit(one)
        if not fit:
            return None, UNLISTED_SECONDS
        try:
            answers = await self._resolver.a(name)
            weight = one.weight(answers)
        except NoSuchName:
            return None, UNLISTED_SECONDS
        except NotAnswering as error:
            self._tell(one, str(error))
            return None, UNLISTED_SECONDS
        except DomainError:
            self._tell(one, "DNS does not answer")
            return None, FAILED_SECONDS
        if weight is None:
            return None, UNLISTED_SECONDS
        seconds = min(max(answers.ttl, FAILED_SECONDS), LISTED_SECONDS)
        return Listed(one, what, weight, await self._said(name)), seconds

    async def _said(self, name: str) -> str:
        try:
            texts: Records[bytes] = await self._resolver.txt(name)
        except DomainError:
            return ""
        return shown(min(texts, default=b""))

    async def _look_whether_fit(self, one: DnsList) -> bool:
        """Return whether a list does not say what no list says (RFC 5782 5), and remember it for an hour."""
        waits: Deferred[bool] = Deferred()
        waiting = self._looking.setdefault(one.zone, [])
        waiting.append(waits)
        if len(waiting) == 1:
            Deferred.fromCoroutine(self._test(one)).addBoth(self._tested, one)
        return await waits

    async def _test(self, one: DnsList) -> tuple[bool, float]:
        """Return whether it is fit, and for how many seconds that is so."""
        for never, always in test_labels(one):
            try:
                if await self._lists(one, never):
                    self._tell(one, f"it lists {never}.{one.zone}, which no list does: it is not asked for an hour")
                    return False, HOUR
                if not await self._lists(one, always):
                    self._tell(
                        one, f"it does not list {always}.{one.zone}, which every list does: it may have died", DAY
                    )
            except DomainError:
                return True, FAILED_SECONDS
        return True, HOUR

    async def _lists(self, one: DnsList, labels: str) -> bool:
        try:
            return bool(await self._resolver.a(f"{labels}.{one.zone}"))
        except NoSuchName:
            return False

    def _tested(self, found: tuple[bool, float] | Failure, one: DnsList) -> None:
        if isinstance(found, Failure):
            _log.failure("a list in DNS could not be tested", found)
            found = True, FAILED_SECONDS
        fit, seconds = found
        if not fit:  # what it has said is worth nothing either
            self._known = {name: kept for name, kept in self._known.items() if not name.endswith(f".{one.zone}")}
        self._fit[one.zone] = fit, self._clock.seconds() + seconds
        for waits in self._looking.pop(one.zone):
            waits.callback(fit)

    def _tell(self, one: DnsList, reason: str, seconds: float = HOUR) -> None:
        """Log it, once in so many seconds."""
        now = self._clock.seconds()
        if now < self._told.get((one.zone, reason), 0.0):
            return
        if len(self._told) > 1000:
            self._told.clear()
        self._told[one.zone, reason] = now + seconds
        emit(_log, "policy.list_unfit", warning=True, policy=self._policy, zone=one.zone, reason=reason)


async def within(
    clock: IClock, seconds: float, looks: Sequence[Coroutine[Deferred[object], object, T | None]]
) -> list[T]:
    """Return what was found in that time, in order; what ends later goes on, for those that ask then."""
    found: list[T | None] = [None] * len(looks)
    ended: Deferred[None] = Deferred()
    left = len(looks)

    def note(one: T | None, place: int) -> None:
        nonlocal left
        found[place] = one
        left -= 1
        if not left and not ended.called:
            ended.callback(None)

    for place, look in enumerate(looks):
        Deferred.fromCoroutine(look).addCallback(note, place)
    if left:
        timer = clock.callLater(seconds, lambda: None if ended.called else ended.callback(None))
        try:
            await ended
        finally:
            if timer.active():
                timer.cancel()
    return [one for one in found if one is not None]
