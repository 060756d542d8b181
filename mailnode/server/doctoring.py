"""The daily look of a server at itself, and the mail about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from mailnode.config.schema import Config
from mailnode.delivery.news_mail import NewsMail
from mailnode.errors import Busy
from mailnode.server.process import MailProcess
from mailnode.server.services import Startable
from mailnode.store.disk.kept_record import KeptRecord
from mailnode.upkeep.daily_doctor import DailyDoctor
from mailnode.upkeep.sweeper import Sweeper
from mailnode.values.item import Item

FIRST, ROUNDS = 60.0, 300.0  # seconds after start, and between looks whether something is due
RECORD = "doctor.json"  # in the data directory


class Doctoring:
    """What is started and stopped of it."""

    def __init__(
        self,
        config: Callable[[], Config],
        process: MailProcess,
        look: Callable[[], Awaitable[Sequence[Item]]],
        give_up: Callable[[], None],
    ) -> None:
        """:param look: returns all items. :param give_up: ends a look that is under way, by Busy."""
        self._config = config
        self._process = process
        self._look = look
        self._give_up = give_up
        self._sweeper = Sweeper(self._round, process.runtime.clock, FIRST, ROUNDS, name="the daily look")
        self._daily: DailyDoctor | None = None

    def service(self) -> Startable:
        """It, as a step of the process; the rooms are there when it starts."""
        process = self._process
        within = process.closing.step
        return process.service("daily look", self._sweeper.start, self._stop, within=lambda: process.grace() + within)

    async def _stop(self) -> None:
        self._give_up()
        await self._sweeper.stop()

    async def _round(self, now: float) -> None:
        if self._daily is None:
            self._daily = self._made()
        with suppress(Busy):
            await self._daily.round(now)

    def _made(self) -> DailyDoctor:
        process, config = self._process, self._config()
        stores, rooms, runtime = process.stores, process.serving.rooms, process.runtime
        mail = NewsMail(
            stores.directory,
            stores.queue,
            stores.blobs,
            rooms.delivery,
            rooms.signer,
            runtime.hints,
            rooms.routing,
            rooms.schedule.expires,
            config.server.hostname,
        )
        return DailyDoctor(
            self._look,
            KeptRecord(config.server.data / RECORD, runtime.threads),
            mail,
            lambda: self._config().doctor.settings(),
            config.server.hostname,
        )
