"""The scripts of the server: those that run around the scripts of accounts, and those that these may include."""

from __future__ import annotations

from zope.interface import implementer

from mailnode.interfaces.sieve import IServerScripts
from mailnode.values.scripts import ScriptsAround, ServerScriptSet, StoredScript


@implementer(IServerScripts)
class ServerScripts:
    """Those of the configuration of the moment."""

    def __init__(self) -> None:
        self.use(ServerScriptSet())

    def use(self, scripts: ServerScriptSet) -> None:
        """Have these in place of the ones before."""
        self._scripts = scripts
        self.has_any = any(map(any, (scripts.everywhere, *scripts.domains.values())))

    def included(self, name: str) -> StoredScript | None:
        """See :class:`IServerScripts`."""
        return self._scripts.included.get(name)

    def around(self, domain: str) -> ScriptsAround:
        """See :class:`IServerScripts`. Those of the domain stand nearer to the account's."""
        before, after = self._scripts.everywhere
        own_before, own_after = self._scripts.domains.get(domain, ((), ()))
        return before + own_before, own_after + after
