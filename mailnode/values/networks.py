"""Networks of a setting, and whether an address lies in one of them."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Networks = Sequence[Network]


def within(peer: str, networks: Networks) -> bool:
    """Whether an IP address lies in one of the networks; IPv4 addresses mapped into IPv6 count as IPv4."""
    if not networks:
        return False
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in network for network in networks)
