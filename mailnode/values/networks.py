"""IP networks, and which of them a peer is in."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Networks = Sequence[Network]


def within(peer: str, networks: Networks) -> bool:
    """Whether an IP address lies in one of the networks; IPv4 addresses mapped into IPv6 count as IPv4."""
    if not networks:
        return False
    address = ip_address(peer)
    return address is not None and any(address in network for network in networks)


def ip_address(peer: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return a peer's IP address, an IPv4 one that is mapped into IPv6 as itself; None: a UNIX socket has none."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
