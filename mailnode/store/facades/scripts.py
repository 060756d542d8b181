"""Filter scripts of accounts, in the partitions their mail lies in."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from zope.interface import implementer

from mailnode.errors import BadScriptName, NoSuchScript
from mailnode.interfaces.runtime import IClock
from mailnode.interfaces.scripts import IScripts
from mailnode.store.engines.engine import Engine, Transaction, mail_tenancy
from mailnode.store.facades.directory import Directory
from mailnode.store.units import script_rows
from mailnode.values.scripts import ScriptInfo, ScriptQuota, ScriptVersion, StoredScript, script_name

P = ParamSpec("P")
T = TypeVar("T")

KNOWN = 60.0  # seconds for which the active script need not be looked up: a process that dies may have told nobody of a change
MOST_KNOWN = 10_000  # accounts of which it is remembered
OCTETS_KNOWN = 16 * 1024 * 1024  # of sources that are remembered


@implementer(IScripts)
class Scripts:
    """Runs units; remembers which script is active, also that there is none, until the directory forgets: each change of a script
    touches it, so that every process looks again before the change returns."""

    def __init__(self, engine: Engine, partition: Callable[[str], int], directory: Directory, clock: IClock) -> None:
        """:param partition: tells in which one an account lives. :param directory: of this process, and of the same engine."""
        self._engine = engine
        self._partition = partition
        self._directory = directory
        self._clock = clock
        self._known: dict[str, StoredScript | None] = {}
        self._octets = 0
        self._since = 0.0
        directory.on_forget(self._forget)

    async def listing(self, account_id: str) -> list[ScriptInfo]:
        """See :class:`IScripts`."""
        return await self._read(script_rows.listing, account_id)

    async def read(self, account_id: str, name: str, version: int = 0) -> StoredScript:
        """See :class:`IScripts`."""
        return await self._read(script_rows.read, account_id, _known_name(name), version)

    async def versions(self, account_id: str, name: str) -> list[ScriptVersion]:
        """See :class:`IScripts`."""
        return await self._read(script_rows.versions, account_id, _known_name(name))

    async def check_room(self, account_id: str, name: str, size: int, quota: ScriptQuota) -> None:
        """See :class:`IScripts`."""
        await self._read(script_rows.check_room, account_id, script_name(name), size, quota)

    async def put(
        self, account_id: str, name: str, source: bytes, quota: ScriptQuota, instead_of: str | None = None
    ) -> ScriptInfo:
        """See :class:`IScripts`."""
        digest, now = hashlib.sha256(source).hexdigest(), int(self._clock.seconds() * 1_000_000)
        return await self._change(
            script_rows.put, account_id, script_name(name), source, digest, quota, now, instead_of
        )

    async def activate(self, account_id: str, name: str) -> None:
        """See :class:`IScripts`."""
        await self._change(script_rows.activate, account_id, _known_name(name) if name else "")

    async def delete(self, account_id: str, name: str) -> None:
        """See :class:`IScripts`."""
        await self._change(script_rows.delete, account_id, _known_name(name))

    async def rename(self, account_id: str, old: str, new: str) -> None:
        """See :class:`IScripts`."""
        await self._change(script_rows.rename, account_id, _known_name(old), script_name(new))

    async def active(self, account_id: str) -> StoredScript | None:
        """See :class:`IScripts`."""
        now = self._clock.seconds()
        if not self._since <= now < self._since + KNOWN:
            self._forget()
            self._since = now
        known = self._known
        if account_id in known:
            return known[account_id]
        found = await self._read(script_rows.active, account_id)
        if known is self._known:  # else it may be older than a change that was told of meanwhile
            self._remember(account_id, found)
        return found

    def _remember(self, account_id: str, found: StoredScript | None) -> None:
        octets = len(found.source) if found is not None else 0
        if len(self._known) >= MOST_KNOWN or self._octets + octets > OCTETS_KNOWN:
            self._forget()
        self._octets += octets if account_id not in self._known else 0
        self._known[account_id] = found

    def _forget(self) -> None:
        self._known = {}  # another one: what is being read is not put into it
        self._octets = 0

    async def _read(
        self, unit: Callable[Concatenate[Transaction, str, P], T], account_id: str, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        tenancy = mail_tenancy(self._partition(account_id))
        return await self._engine.read(tenancy, unit, account_id, *args, **kwargs)

    async def _change(
        self, unit: Callable[Concatenate[Transaction, str, P], T], account_id: str, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a changing unit and tell everybody, also of what is as it was: who was cut off in between does it again."""
        tenancy = mail_tenancy(self._partition(account_id))
        try:
            result = await self._engine.write(tenancy, unit, account_id, *args, **kwargs)
        finally:
            self._forget()  # also when it failed: whether an engine kept it is not always known
        await self._directory.touch()
        return result


def _known_name(name: str) -> str:
    """Return a name that a script may have. :raises NoSuchScript: none has."""
    try:
        return script_name(name)
    except BadScriptName as error:
        raise NoSuchScript(name) from error
