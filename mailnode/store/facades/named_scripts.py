"""Which scripts METADATA names for mailboxes (RFC 6785 2.3.1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from zope.interface import implementer

from mailnode.interfaces.runtime import IClock
from mailnode.interfaces.scripts import INamedScripts
from mailnode.store.engines.engine import Engine, mail_tenancy
from mailnode.store.facades.directory import Directory
from mailnode.store.units import metadata
from mailnode.values.mailbox_event import SCRIPT_ENTRY

KNOWN = 60.0  # seconds for which it need not be looked up: a process that dies may have told nobody of a change
MOST_KNOWN = 10_000  # accounts of which it is remembered
ACCOUNT = 0  # in the place of a mailbox's id: all mailboxes that have no entry of their own

_NONE: Mapping[int, str] = {}


@implementer(INamedScripts)
class NamedScripts:
    """Remembers the names, which mostly are none, until the directory forgets: each change touches it."""

    def __init__(self, engine: Engine, partition: Callable[[str], int], directory: Directory, clock: IClock) -> None:
        """:param partition: tells in which one an account lives. :param directory: of this process, and of the same engine."""
        self._engine = engine
        self._partition = partition
        self._directory = directory
        self._clock = clock
        self._known: dict[str, Mapping[int, str]] = {}
        self._since = 0.0
        directory.on_forget(self._forget)

    async def of(self, account_id: str, mailbox_id: int) -> str:
        """See :class:`INamedScripts`."""
        now = self._clock.seconds()
        if not self._since <= now < self._since + KNOWN or len(self._known) >= MOST_KNOWN:
            self._forget()
            self._since = now
        known = self._known
        names = known.get(account_id)
        if names is None:
            tenancy = mail_tenancy(self._partition(account_id))
            values = await self._engine.read(tenancy, metadata.everywhere, account_id, SCRIPT_ENTRY)
            names = {one: _name(value) for one, value in values.items()} or _NONE
            known[account_id] = names  # which is forgotten, if somebody told of a change meanwhile
        return names[mailbox_id] if mailbox_id in names else names.get(ACCOUNT, "")

    async def changed(self) -> None:
        """See :class:`INamedScripts`."""
        self._forget()
        await self._directory.touch()

    def _forget(self) -> None:
        self._known = {}  # another one: what is being read is not put into it


def _name(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return ""  # RFC 6785 2.3.1: of an entry that is no use no script is run, and no other is looked for
