"""Where accounts keep their filter scripts."""

from __future__ import annotations

from zope.interface import Interface

from mailnode.values.scripts import ScriptInfo, ScriptQuota, ScriptVersion, StoredScript


class IScripts(Interface):
    """Scripts of accounts, in the partitions their mail lies in. At most one of an account is active. What is written here is
    durable when it returns, and known to every process of this server.

    All raise :class:`~mailnode.errors.NoSuchAccount` and :class:`~mailnode.errors.StoreUnavailable`.
    """

    async def listing(account_id: str) -> list[ScriptInfo]:
        """Return all scripts of an account, by name."""

    async def read(account_id: str, name: str, version: int = 0) -> StoredScript:
        """Return a script; ``version`` 0 is the newest. :raises NoSuchScript: none of that name, or no such version any more."""

    async def versions(account_id: str, name: str) -> list[ScriptVersion]:
        """Return the versions that are kept, the newest first. :raises NoSuchScript:"""

    async def check_room(account_id: str, name: str, size: int, quota: ScriptQuota) -> None:
        """Find out whether a script of so many octets could be stored now (HAVESPACE). :raises ScriptQuotaReached:
        :raises BadScriptName:"""

    async def put(
        account_id: str, name: str, source: bytes, quota: ScriptQuota, instead_of: str | None = None
    ) -> ScriptInfo:
        """Store a script, or a further version of it; the same source again is no new version. An active one stays active. The
        source is not compiled here: who stores has done so.

        :param instead_of: the digest of what must be there until then, "" for nothing; None: whatever is.
        :raises ScriptQuotaReached: :raises BadScriptName: :raises ScriptChanged: something else is there.
        """

    async def activate(account_id: str, name: str) -> None:
        """Make a script the only active one; "": none is. :raises NoSuchScript:"""

    async def delete(account_id: str, name: str) -> None:
        """Remove a script and its versions. :raises NoSuchScript: :raises ScriptActive: it is the active one."""

    async def rename(account_id: str, old: str, new: str) -> None:
        """Give a script another name; an active one stays active. :raises NoSuchScript: :raises AlreadyExists: the new name is
        taken. :raises BadScriptName:"""

    async def active(account_id: str) -> StoredScript | None:
        """Return the active script. That there is none is remembered and costs nothing."""


class INamedScripts(Interface):
    """Which scripts run when something happens to messages in mailboxes: their names are entries of METADATA (RFC 6785 2.3.1)."""

    async def of(account_id: str, mailbox_id: int) -> str:
        """Return the name of a mailbox's script, "" where it has none, which is remembered and costs nothing.

        :raises StoreUnavailable:"""

    async def changed() -> None:
        """Entries were set or copied. Returns when every process of this server looks again."""
