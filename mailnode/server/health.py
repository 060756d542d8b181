"""Whether a server takes mail, as ``/health`` tells it."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.logger import Logger

from mailnode.config.version import VERSION
from mailnode.errors import DomainError
from mailnode.interfaces.runtime import IClock
from mailnode.server.stores import OwnStores

TIMEOUT = 5.0  # seconds the store may take to answer

_log = Logger()


class HealthReport:
    """Looks when it is asked."""

    def __init__(self, stores: OwnStores, clock: IClock, hint: Callable[[], str]) -> None:
        """:param hint: returns what is about to go wrong with certificates, in words; "" for nothing."""
        self._hint = hint
        self._stores = stores
        self._clock = clock
        self._trouble = ""  # what was found last
        self.draining = False  # the server comes to its end

    async def report(self) -> dict[str, object]:
        """Whether mail is taken: ``status`` "ok", "draining", "store" when it does not answer or its files are gone, "full"
        when the disk is, or "damaged" when something is: ``files`` of the database, so many things that were ``found`` so when
        they were read or compared, so many messages that are ``set_aside``. All else is served. ``certificates``: why the last
        try to renew them failed."""
        if self.draining:
            return {"status": "draining"}
        asking = Deferred.fromCoroutine(self._ask_store())
        asking.addTimeout(TIMEOUT, self._clock)  # type: ignore[arg-type]
        try:
            status = await asking
        except (DomainError, DeferredTimeout):
            status = "store"
        if status == "ok" and (damage := self._damage()):
            return {"status": "damaged", "version": VERSION, **damage}
        if status != "ok":
            return {"status": status}
        hint = self._hint()
        return {"status": "ok", "version": VERSION, **({"certificates": hint} if hint else {})}

    def _damage(self) -> dict[str, object]:
        """Return what is known to be damaged, and was not acknowledged."""
        found, aside = self._stores.unacknowledged(), sum(self._stores.known_damage.set_aside.values())
        if not found and not aside:
            return {}
        files = sorted(name for name in found if name.endswith(".db"))
        return {"files": files, "found": len(found) - len(files), "set_aside": aside}

    async def _ask_store(self) -> str:
        """Return what is said of it."""
        if trouble := await self._stores.trouble():
            if trouble != self._trouble:
                _log.warn("the store does not take mail: {trouble}", trouble=trouble)
            self._trouble = trouble
            return "store"
        self._trouble = ""
        await self._stores.directory.domains()
        return "full" if await self._stores.is_full() else "ok"
