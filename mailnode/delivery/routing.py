"""Where mail for a domain that is not ours goes: to its own servers, found by MX, or to a next hop that somebody chose.

The table is read from the top, and the first route that names a domain has it. What a route leads to is also what mail is
queued under: all domains of one next hop are one destination, tried together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from mailnode.delivery.tls_policy import LEVELS
from mailnode.values.address import domain_key

EVERY_DOMAIN = "*"


@dataclass(frozen=True, slots=True)
class NextHop:
    """One server. ``host``: a name, or an IP address. ``tls``: one of :data:`mailnode.delivery.tls_policy.LEVELS`.

    :raises ValueError: an unknown level, or a password that would go over an open connection.
    """

    host: str
    port: int = 587
    tls: str = "verified"
    username: str = ""
    password: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.tls not in LEVELS:
            raise ValueError("tls: unknown level")
        if self.username and self.tls in ("none", "opportunistic"):
            raise ValueError("tls: a next hop with a login needs required, verified or implicit")

    @property
    def destination(self) -> str:
        """What recipients are queued under. No domain has such a key: none but an address literal has a colon."""
        return f"{self.host.strip('[]')}:{self.port}"


@dataclass(frozen=True, slots=True)
class Route:
    """``domains``: names, ``.name`` for all below a name, or ``*``. ``next_hop`` None: their own servers, by MX."""

    domains: Collection[str]
    next_hop: NextHop | None


class RoutingTable:
    """Routes, the first that names a domain first."""

    def __init__(self, routes: Sequence[Route] = ()) -> None:
        """:raises ValueError: two next hops of one host and port that are not the same."""
        self._routes = [(frozenset(map(_key, route.domains)), route.next_hop) for route in routes]
        self._next_hops: dict[str, NextHop] = {}
        for hop in (route.next_hop for route in routes):
            if hop is not None and self._next_hops.setdefault(hop.destination, hop) != hop:
                raise ValueError(f"{hop.destination}: two next hops of one name")

    def destination(self, domain: str) -> str:
        """Return what mail for a domain is queued under. :raises mailnode.errors.BadAddress: it is none."""
        key = domain_key(domain)
        hop = self.next_hop(key)
        return key if hop is None else hop.destination

    def next_hop(self, destination: str) -> NextHop | None:
        """Return where a destination's mail goes, a domain's key or what a route was called; None: by MX."""
        if destination in self._next_hops:
            return self._next_hops[destination]
        wanted = {EVERY_DOMAIN, *_names(destination)}
        return next((hop for domains, hop in self._routes if not wanted.isdisjoint(domains)), None)

    def is_stale(self, destination: str) -> bool:
        """Whether mail was queued for a next hop that the table does not have any more."""
        return destination not in self._next_hops and _is_next_hop(destination)


def _names(key: str) -> Iterator[str]:
    """Yield by what a route may name a domain: ``a.b.c`` by itself, by ``.b.c`` and by ``.c``."""
    yield key
    while dot := key.find(".", 1) + 1:
        key = key[dot - 1 :]
        yield key


def _key(domain: str) -> str:
    """Return a domain of a route as it is compared."""
    if domain == EVERY_DOMAIN:
        return domain
    below = domain.startswith(".")
    return "." * below + domain_key(domain[below:])


def _is_next_hop(destination: str) -> bool:
    # "smarthost" is what the only next hop was called before there was a table.
    return destination == "smarthost" or (":" in destination and not destination.startswith("["))
