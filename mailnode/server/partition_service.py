"""Mail partitions that are not served come into service while the server runs, and all others are served meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.errors import ConfigurationError
from mailnode.server.stores import OwnStores
from mailnode.store.engines.engine import mail_tenancy
from mailnode.store.facades.taking_in import begin_again, end_what_the_dead_held


class PartitionService:
    """Of the process that owns the files."""

    def __init__(self, stores: OwnStores) -> None:
        self._stores = stores

    async def accept_older(self, files: Sequence[str]) -> int:
        """Serve partitions though they are older than what was acknowledged, with new UIDVALIDITYs; return how many accounts
        they have. :raises ConfigurationError: one cannot be; those before it are served."""
        directory, mail = self._stores.directory, self._stores.mail
        count = 0
        for name, number in self._numbers(files):
            ids = [one.id for one in await directory.accounts() if mail.partition(one.id) == number]
            count += await self._stores.take_in(name, True, lambda run, ids=ids: begin_again(run, ids))  # type: ignore[misc]
            await self._stores.mail_changed()
        return count

    async def reopen(self, files: Sequence[str]) -> None:
        """Serve partitions whose latest files are there. :raises ConfigurationError: as above."""
        for name, _ in self._numbers(files):
            await self._stores.take_in(name, False, end_what_the_dead_held)
            await self._stores.mail_changed()

    def _numbers(self, files: Sequence[str]) -> list[tuple[str, int]]:
        known = {mail_tenancy(number): number for number in range(self._stores.partitions)}
        for name in files:
            if name not in known:
                raise ConfigurationError(
                    [f"{name}: while the server runs this is for {', '.join(known)}: for all else stop it first"]
                )
        return [(name, known[name]) for name in dict.fromkeys(files)]
