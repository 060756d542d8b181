"""IP networks, and which of them a peer is in."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Networks = Sequence[Network]

REMEMBERED = 1024  # addresses whose networks need not be worked out again: each is counted several times a message

_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")  # IPv4 addresses behind a translator


def within(peer: str, networks: Networks) -> bool:
    """Whether an IP address lies in one of the networks; IPv4 addresses mapped into IPv6 count as IPv4."""
    if not networks:
        return False
    address = ip_address(peer)
    return address is not None and any(address in network for network in networks)


@lru_cache(maxsize=REMEMBERED)
def ip_address(peer: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return a peer's IP address, an IPv4 one that is mapped into IPv6 as itself; None: a UNIX socket has none."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def is_loopback(peer: str) -> bool:
    """Whether a peer is on this machine: at a loopback address, or at a UNIX socket, which has none."""
    address = ip_address(peer)
    return address is None or address.is_loopback


@lru_cache(maxsize=REMEMBERED)
def client_key(host: str) -> str:
    """Return by what clients are counted: an IPv4 address, an IPv6 /64 network, "" for what has no address."""
    return _network(host, 32, 64)


@lru_cache(maxsize=REMEMBERED)
def neighbours_key(host: str) -> str:
    """Return the network of a client and those beside it, which often are one's: IPv4 /24, IPv6 /48; "" without an address."""
    return _network(host, 24, 48)


def _network(host: str, bits: int, bits6: int) -> str:
    address = ip_address(host)
    if address is None:
        return ""
    if address.version == 4:
        return str(address) if bits == 32 else str(ipaddress.IPv4Network((int(address), bits), strict=False))
    return str(ipaddress.IPv6Network((int(address), bits6), strict=False))


def unmapped(host: str) -> str:
    """Return a host as a socket tells it, but an IPv4 address that came in on one for both families as what it is."""
    if not host.lower().startswith("::ffff:"):
        return host
    address = ip_address(host)
    return host if address is None or address.version == 6 else str(address)


def is_public_literal(key: str) -> bool:
    """Whether the address of an address literal (the key of a domain) is one of the world's: not loopback, private,
    reserved or multicast. An IPv6 address that carries an IPv4 address is what it carries."""
    address = ipaddress.ip_address(key[1:-1].removeprefix("IPv6:"))
    if isinstance(address, ipaddress.IPv6Address):
        translated = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _TRANSLATED else None
        address = address.ipv4_mapped or address.sixtofour or translated or address
    return address.is_global and not (address.is_multicast or address.is_reserved)
