"""A resolver for policies: records in a dict."""

from twisted.internet.defer import Deferred
from zope.interface import implementer

from mailnode.errors import NoSuchName, ResolverFailure
from mailnode.interfaces.outbound import IResolver, MxRecord, Records


@implementer(IResolver)
class Zone:
    """``txt``: name -> text, texts, or None for a name with other records; "fails" is no answer. ``ptr``: address -> names.
    ``waits``: names of which there is no answer at all."""

    def __init__(self, txt=None, addresses=None, mx=None, ptr=None, ttl=0.0, waits=()):
        self.records = {"TXT": txt or {}, "A": addresses or {}, "MX": mx or {}, "PTR": ptr or {}}
        self.ttl = ttl
        self.waits = waits
        self.asked = []

    async def _look(self, kind, name):
        self.asked.append((kind, name))
        if name in self.waits:
            await Deferred()
        found = self.records[kind].get(name, NoSuchName)
        if found is NoSuchName:
            raise NoSuchName("no such name")
        if found == "fails":
            raise ResolverFailure("no answer")
        return [found] if isinstance(found, str) else list(found or ())

    async def txt(self, name):
        return Records((text.encode() for text in await self._look("TXT", name)), ttl=self.ttl)

    async def mx(self, domain):
        if domain in self.records["MX"]:
            return Records((MxRecord(10, host) for host in await self._look("MX", domain)), ttl=self.ttl)
        await self._look("A", domain)
        return Records()

    async def a(self, host):
        return Records((one for one in await self._look("A", host) if ":" not in one), ttl=self.ttl)

    async def aaaa(self, host):
        return Records((one for one in await self._look("A", host) if ":" in one), ttl=self.ttl)

    async def ptr(self, address):
        return Records(await self._look("PTR", address), ttl=self.ttl)

    async def addresses(self, host):
        return Records(await self._look("A", host))

    async def tlsa(self, name):
        return Records()
