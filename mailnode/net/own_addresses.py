"""The addresses of this machine's interfaces, as Linux tells them. Blocks, for small files."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

FOUR, SIX = Path("/proc/net/fib_trie"), Path("/proc/net/if_inet6")
MAX_FILE = 4 * 1024 * 1024  # octets
_ADDRESS = re.compile(r"\|-- ([0-9.]+)")


def own_addresses(four: Path = FOUR, six: Path = SIX) -> list[str]:
    """Return them, without loopback and link-local ones; none where they cannot be read."""
    found: dict[ipaddress.IPv4Address | ipaddress.IPv6Address, None] = {}
    found.update(dict.fromkeys(_four(_read(four))))
    found.update(dict.fromkeys(_six(_read(six))))
    return [str(one) for one in found if not (one.is_loopback or one.is_link_local or one.is_unspecified)]


def _four(text: str) -> list[ipaddress.IPv4Address]:
    found, last = [], ""
    for line in text.splitlines():
        if named := _ADDRESS.search(line):
            last = named[1]
        elif last and "/32 host LOCAL" in line:
            found.append(ipaddress.IPv4Address(last))
    return found


def _six(text: str) -> list[ipaddress.IPv6Address]:
    lines = [line.split() for line in text.splitlines()]
    return [ipaddress.IPv6Address(int(line[0], 16)) for line in lines if len(line) == 6]


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE).decode("ascii", "replace")
    except OSError:
        return ""
