"""A resolver for policies: records in a dict."""

from zope.interface import implementer

from mailnode.errors import NoSuchName, ResolverFailure
from mailnode.interfaces.outbound import IResolver, Records


@implementer(IResolver)
class Zone:
    """``txt``: name -> text, texts, or None for a name with other records; "fails" is no answer."""

    def __init__(self, txt=None, addresses=None):
        self.records = {"TXT": txt or {}, "A": addresses or {}}
        self.asked = []

    async def _look(self, kind, name):
        self.asked.append((kind, name))
        found = self.records[kind].get(name, NoSuchName)
        if found is NoSuchName:
            raise NoSuchName("no such name")
        if found == "fails":
            raise ResolverFailure("no answer")
        return [found] if isinstance(found, str) else list(found or ())

    async def txt(self, name):
        return Records(text.encode() for text in await self._look("TXT", name))

    async def mx(self, domain):
        await self._look("A", domain)
        return Records()

    async def addresses(self, host):
        return Records(await self._look("A", host))

    async def tlsa(self, name):
        return Records()
