"""The daily look, and the mail about what has changed since the one before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from twisted.logger import Logger

from mailnode.errors import DomainError
from mailnode.interfaces.doctor import IKeptRecord, INewsMail
from mailnode.upkeep.doctor_memory import (
    DoctorMemory,
    UnsentNews,
    as_octets,
    confirmed,
    differing,
    from_octets,
    has_calmed,
    not_after,
)
from mailnode.upkeep.doctor_news import news_lines, subject
from mailnode.values.doctor import DoctorSettings
from mailnode.values.events import emit
from mailnode.values.ids import new_id
from mailnode.values.item import Item, ItemState

MAX_LINES = 5_000  # of one message
AGAIN = 600.0  # seconds from the first look to the second, which alone makes something news

_log = Logger()

Look = Callable[[], Awaitable[Sequence[Item]]]


class DailyDoctor:
    """Looks once a day, and once more when something seems to have changed; tells what both looks say."""

    def __init__(
        self, look: Look, record: IKeptRecord, mail: INewsMail, settings: Callable[[], DoctorSettings], hostname: str
    ) -> None:
        """:param look: returns all items; it raises nothing but Busy, when the server
        ends. :param record: remembers between the looks."""
        self._look = look
        self._record = record
        self._mail = mail
        self._settings = settings
        self._hostname = hostname
        self._complained = "", ""  # of which news the log said last that they could not be sent, and why

    async def round(self, now: float) -> None:
        """Do what is due, if anything is: to be called every few minutes. Where nothing can be remembered, nothing is looked at.

        :param now: UTC seconds. :raises mailnode.errors.Busy: the server ends."""
        try:
            await self._do_due(now)
        except OSError as error:
            self._complain("", f"nothing can be remembered: {error.strerror}")

    async def _do_due(self, now: float) -> None:
        memory = await self._send(await self._remembered())
        settings = self._settings()
        if not settings.daily:
            return
        moment = datetime.fromtimestamp(now, UTC)
        day = moment.strftime("%Y-%m-%d")
        memory = not_after(memory, now, AGAIN)
        again = bool(memory.again_at) and now >= memory.again_at
        first = not memory.again_at and memory.day != day and moment.hour >= settings.hour
        if again or first:
            # On a full disk this fails, and not after a look, which would then come every few minutes.
            await self._record.write(as_octets(memory))
        if again:
            await self._look_again(memory, now)
        elif first:
            await self._look_first(replace(memory, day=day), now)

    async def _look_first(self, memory: DoctorMemory, now: float) -> None:
        items = await self._seen()
        suspected = differing(memory, items)
        if suspected or has_calmed(memory, now):
            memory = replace(memory, again_at=now + AGAIN, suspected=suspected)
        await self._record.write(as_octets(memory))

    async def _look_again(self, memory: DoctorMemory, now: float) -> None:
        items = await self._seen()
        memory, news = confirmed(memory, items, now)
        if news:
            lines = tuple(news_lines(news, items, self._hostname))
            before = memory.unsent.lines if memory.unsent is not None else ()
            told = (*before, *lines)[:MAX_LINES]
            unsent = UnsentNews(new_id(now), self._settings().tell, subject(self._hostname), told, now)
            memory = replace(memory, unsent=unsent)
        # Written with its envelope's id before it is sent: what a crash leaves is sent under that id again, and comes once.
        await self._record.write(as_octets(memory))
        await self._send(memory)

    async def _seen(self) -> Sequence[Item]:
        items = await self._look()
        counted = Counter(item.state for item in items)
        emit(
            _log,
            "doctor.looked",
            done=counted[ItemState.DONE],
            to_do=counted[ItemState.TO_DO],
            waiting=counted[ItemState.WAITING],
            failed=counted[ItemState.FAILED],
            skipped=counted[ItemState.SKIPPED],
        )
        return items

    async def _send(self, memory: DoctorMemory) -> DoctorMemory:
        """Send what is left to be sent; what cannot be sent now is tried in the next round."""
        unsent = memory.unsent
        if unsent is None:
            return memory
        try:
            await self._mail.send(unsent.envelope_id, unsent.to, unsent.subject, list(unsent.lines), unsent.created)
        except DomainError as error:
            reason = str(error) or type(error).__name__
            self._complain(unsent.envelope_id, reason)
            return memory
        memory = replace(memory, unsent=None)
        await self._record.write(as_octets(memory))
        emit(_log, "doctor.told", envelope=unsent.envelope_id, to=unsent.to or "postmaster")
        return memory

    def _complain(self, envelope_id: str, reason: str) -> None:
        """Say once that nobody is told, and why."""
        if (envelope_id, reason) != self._complained:
            emit(_log, "doctor.untold", warning=True, envelope=envelope_id, reason=reason)
        self._complained = envelope_id, reason

    async def _remembered(self) -> DoctorMemory:
        try:
            return from_octets(await self._record.read())
        except ValueError:
            _log.warn("what the doctor remembered is damaged: all that is wrong is told once more")
            return DoctorMemory()
