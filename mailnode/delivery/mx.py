"""From a domain to the servers to try, in order (RFC 5321 5.1, RFC 7505).

Order: preference, equal ones shuffled; a host's addresses alternate between the families, IPv6 first; what failed to
answer lately comes last. At most five hosts with two addresses of each family.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import cast

from twisted.internet.defer import Deferred, DeferredList
from twisted.python.failure import Failure

from mailnode.errors import NoSuchName, ResolverFailure
from mailnode.interfaces.outbound import IResolver, MxRecord, Records
from mailnode.interfaces.runtime import IClock
from mailnode.values.reason import WaitReason

MAX_HOSTS = 5
MAX_ADDRESSES = 2  # of one host and family
UNHEALTHY_SECONDS = 600.0
MAX_UNHEALTHY = 10_000  # addresses remembered
WORST = 1 << 16  # more than any preference of an MX


@dataclass(frozen=True, slots=True)
class Hop:
    """One server to try. ``host`` is the name its certificate is checked against. Hops of the same ``preference`` are
    equally good; a lower one is better. ``secure``: DNSSEC validated the way from the domain to the address. ``alias``: the
    name that has the address, where ``host`` is another name for it. ``named``: that it is a server of the domain is said by DNS
    that DNSSEC validated, or needs no saying: it is the domain itself."""

    host: str
    address: str
    preference: int = 0
    secure: bool = False
    alias: str = ""
    named: bool = False


class NoRoute(Exception):
    """There is no server to try. ``status`` is an RFC 3463 code, 5.y.z when trying again is of no use."""

    def __init__(self, status: str, text: str, reason: WaitReason = WaitReason.DNS) -> None:
        super().__init__(text)
        self.reason = reason
        self.status = status
        self.text = text


class Health:
    """Addresses that did not answer lately."""

    def __init__(self, clock: IClock) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    def failed(self, address: str) -> None:
        """Remember that an address did not answer."""
        now = self._clock.seconds()
        if len(self._until) >= MAX_UNHEALTHY:
            self._until = {name: until for name, until in self._until.items() if until > now}
            if len(self._until) >= MAX_UNHEALTHY:
                self._until.clear()
        self._until[address] = now + UNHEALTHY_SECONDS

    def works(self, address: str) -> None:
        """Forget what was held against an address."""
        self._until.pop(address, None)

    def is_good(self, address: str) -> bool:
        """Whether nothing is held against it. A clock that was set back cannot hold it for longer."""
        until = self._until.get(address)
        now = self._clock.seconds()
        return until is None or not now < until <= now + UNHEALTHY_SECONDS


class Routes:
    """Finds the servers of domains."""

    def __init__(
        self,
        resolver: IResolver,
        health: Health,
        own_names: Collection[str],
        own_addresses: Collection[str],
        shuffle: Callable[[list[MxRecord]], None],
    ) -> None:
        """:param own_names: A-label names this server answers to: mail that leads to them has come in a circle.
        :param own_addresses: IP addresses at which it takes mail for others; none where several servers share one."""
        self._resolver = resolver
        self._health = health
        self._own_names = {name.lower() for name in own_names}
        self._own_addresses = {str(ipaddress.ip_address(address)) for address in own_addresses}
        self._shuffle = shuffle

    async def find(self, domain: str) -> tuple[Hop, ...]:
        """Return the servers of a domain key in the order to try them; at least one. :raises NoRoute:"""
        if domain.startswith("["):
            return self._literal(domain)
        answer = await self._records(domain)
        records = self._without_us(self._in_order(list(answer)))
        found = await self._addresses([record.host for record in records])
        hops = self._hops(records, found, implicit=[record.host for record in records] == [domain])
        return tuple(
            replace(hop, secure=hop.secure and answer.secure, named=answer.secure or hop.host == domain) for hop in hops
        )

    async def find_host(self, host: str) -> tuple[Hop, ...]:
        """Return the addresses of one host, named or given by address: a next hop; no MX is asked. :raises NoRoute:"""
        try:
            return (Hop(host, str(ipaddress.ip_address(host.strip("[]")))),)
        except ValueError:
            pass
        found = await self._addresses([host])
        addresses = found[host]
        if isinstance(addresses, tuple) and addresses:
            return self._healthy_first([Hop(host, address) for address in _alternating(addresses)])
        raise NoRoute("4.4.3", f"no address is known for {host}")  # a mistake in the configuration will be mended

    # Records

    def _literal(self, domain: str) -> tuple[Hop, ...]:
        """RFC 5321 4.1.3: an address literal is the server itself."""
        address = str(ipaddress.ip_address(domain[1:-1].removeprefix("IPv6:")))
        if address in self._own_addresses:
            raise NoRoute("5.4.6", f"mail for {domain} loops back to this server", WaitReason.LOOP)
        return (Hop(domain, address, named=True),)

    async def _records(self, domain: str) -> Records[MxRecord]:
        try:
            records = await self._resolver.mx(domain)
        except NoSuchName:
            raise NoRoute("5.1.2", f"the domain {domain} does not exist") from None
        except ResolverFailure:
            raise NoRoute("4.4.3", f"the mail servers of {domain} cannot be looked up at present") from None
        if not records:
            return Records([MxRecord(0, domain)], secure=records.secure)  # RFC 5321 5.1: the implicit MX
        real = [record for record in records if record.host]
        if not real:
            raise NoRoute("5.1.10", f"the domain {domain} does not accept mail", WaitReason.REFUSED)  # RFC 7505 3
        usable = [record for record in real if not _is_address(record.host)]
        if not usable:
            raise NoRoute("5.4.4", f"the mail servers of {domain} are not named by host names")
        return Records(usable, secure=records.secure)

    def _in_order(self, records: list[MxRecord]) -> list[MxRecord]:
        self._shuffle(records)
        return sorted(records, key=lambda record: record.preference)

    def _without_us(self, records: list[MxRecord]) -> list[MxRecord]:
        """RFC 5321 5.1: where we stand in the list, we and what is not better than we are left out."""
        for record in records:
            if record.host in self._own_names:
                return self._better(records, record)
        return records

    def _better(self, records: Sequence[MxRecord], ours: MxRecord) -> list[MxRecord]:
        better = [record for record in records if record.preference < ours.preference]
        if not better:
            raise NoRoute("5.4.6", f"mail loops back to this server ({ours.host})", WaitReason.LOOP)
        return better

    # Addresses

    async def _addresses(self, hosts: Iterable[str]) -> dict[str, Records[str] | Exception]:
        """Ask for all hosts at once; what one lacks or fails to tell stands in its place."""
        names = list(dict.fromkeys(hosts))[:MAX_HOSTS]
        asked: list[Deferred[object]] = [Deferred.fromCoroutine(self._resolver.addresses(name)) for name in names]
        ended: Sequence[tuple[bool, object]] = await DeferredList(asked, consumeErrors=True)
        found: dict[str, Records[str] | Exception] = {}
        for name, (_, value) in zip(names, ended, strict=True):
            if not isinstance(value, Failure):
                told = cast(Records[str], value)
                addresses = (str(ipaddress.ip_address(address)) for address in told)
                found[name] = Records(addresses, secure=told.secure, name=told.name)
            elif isinstance(value.value, NoSuchName | ResolverFailure):
                found[name] = value.value
            else:
                value.raiseException()
        return found

    def _hops(
        self, records: list[MxRecord], found: dict[str, Records[str] | Exception], implicit: bool
    ) -> tuple[Hop, ...]:
        """Put the addresses in order; leave out what leads back to us."""
        for record in records:
            addresses = found.get(record.host)
            if isinstance(addresses, tuple) and self._own_addresses.intersection(addresses):
                records = self._better(records, record)
                break
        hops: list[Hop] = []
        unsure = False
        for record in records:
            addresses = found.get(record.host, Records())
            if isinstance(addresses, Records):
                hops += [
                    Hop(record.host, address, record.preference, addresses.secure, addresses.name)
                    for address in _alternating(addresses)
                ]
            else:
                unsure = unsure or isinstance(addresses, ResolverFailure)
        if hops:
            return self._healthy_first(hops)
        names = ", ".join(dict.fromkeys(record.host for record in records[:MAX_HOSTS]))
        if unsure:
            raise NoRoute("4.4.3", f"the addresses of {names} cannot be looked up at present")
        if implicit:
            raise NoRoute("5.1.2", f"the domain {names} has no mail server")
        raise NoRoute("5.4.4", f"the mail servers have no address: {names}")

    def _healthy_first(self, hops: list[Hop]) -> tuple[Hop, ...]:
        ranked = [
            hop if self._health.is_good(hop.address) else replace(hop, preference=hop.preference + WORST)
            for hop in hops
        ]
        return tuple(sorted(ranked, key=lambda hop: hop.preference))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _alternating(addresses: Iterable[str]) -> list[str]:
    """The families in turn, IPv6 first, a few of each; the resolver's order within a family."""
    six = [address for address in addresses if ":" in address][:MAX_ADDRESSES]
    four = [address for address in addresses if ":" not in address][:MAX_ADDRESSES]
    mixed = []
    for index in range(MAX_ADDRESSES):
        mixed += six[index : index + 1] + four[index : index + 1]
    return mixed
