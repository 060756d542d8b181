"""Slowing down guesses, over all protocols alike.

Failures are counted by network (IPv4 /24, IPv6 /64), by login from a network, and by login. A network from which the
account logged in well lately is not held up by what strangers do: nobody can lock a user out from afar.
"""

from __future__ import annotations

import ipaddress

from mailnode.interfaces.store import IEphemeral

HALF_LIFE = 600.0  # seconds in which a count of failures halves
GOOD_HALF_LIFE = 14 * 86400.0
FREE = 3.0  # failures that cost nothing but the usual delay
FREE_LOGIN = 20.0  # of one login from all networks together
MAX_DELAY = 15.0  # seconds
FAILURE_DELAY = 1.0  # seconds every failure is answered late


def network(peer: str) -> str:
    """Return the /24 or /64 a peer is in; the peer itself when it is no IP address (a UNIX socket)."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 64), strict=False))


class Throttle:
    """Counts failures and says how long to wait before the next try is looked at."""

    def __init__(self, counters: IEphemeral) -> None:
        self._counters = counters

    async def delay(self, login: str, peer: str, now: float) -> float:
        """Return seconds to wait before this try; 0.0 to :data:`MAX_DELAY`."""
        net = network(peer)
        excess = max(
            await self._counters.get(f"auth:net:{net}", now, HALF_LIFE) - FREE,
            await self._counters.get(f"auth:pair:{login}:{net}", now, HALF_LIFE) - FREE,
        )
        if await self._counters.get(f"auth:good:{login}:{net}", now, GOOD_HALF_LIFE) < 0.5:
            excess = max(excess, await self._counters.get(f"auth:login:{login}", now, HALF_LIFE) - FREE_LOGIN)
        return 0.0 if excess <= 0 else min(MAX_DELAY, 0.5 * 2 ** min(excess, 10.0))

    async def failed(self, login: str, peer: str, now: float) -> None:
        """Count a failure."""
        net = network(peer)
        for key in (f"auth:net:{net}", f"auth:pair:{login}:{net}", f"auth:login:{login}"):
            await self._counters.add(key, 1.0, now, HALF_LIFE)

    async def succeeded(self, login: str, peer: str, now: float) -> None:
        """Forgive this login from this network and remember the network as good."""
        net = network(peer)
        await self._counters.clear(f"auth:pair:{login}:{net}")
        if await self._counters.get(f"auth:good:{login}:{net}", now, GOOD_HALF_LIFE) < 0.9:
            await self._counters.add(f"auth:good:{login}:{net}", 1.0, now, GOOD_HALF_LIFE)
