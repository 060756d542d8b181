"""The name servers of a zone itself: an authority asks them, and some have a change later than the first."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mailnode.interfaces.dns import DnsQuestion, IDnsLookup
from mailnode.values.published import DnsRecord

MAX_SERVERS = 8  # addresses that are asked


class OwnServers:
    """Asks every server of a zone, or the resolver where none of them answers us."""

    def __init__(self, dns: IDnsLookup, at: Callable[[str], IDnsLookup]) -> None:
        """:param dns: the resolver. :param at: returns what asks the server at an address."""
        self._dns = dns
        self._at = at

    async def have(self, zone: str, record: DnsRecord) -> bool:
        """Whether all that answer have a record."""
        question = DnsQuestion(record.name, record.type)
        asked = [(await self._at(address).ask([question]))[question] for address in await self._addresses(zone)]
        answers = [one for one in asked if not one.failed] or [(await self._dns.ask([question]))[question]]
        return all(record.value in one.values for one in answers)

    async def _addresses(self, zone: str) -> Sequence[str]:
        named = DnsQuestion(zone, "NS")
        hosts = (await self._dns.ask([named]))[named].values
        wanted = [DnsQuestion(host, kind) for host in hosts[:MAX_SERVERS] for kind in ("A", "AAAA")]
        answers = await self._dns.ask(wanted)
        return [address for one in wanted for address in answers[one].values][:MAX_SERVERS]
