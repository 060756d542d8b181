"""The edges of checks: the network and the machine, as they are looked at. A replacement shows another world.

Every method comes to an end within some seconds, and tells failures as data: a check is about what is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

from zope.interface import Interface

from mailnode.values.machine import (
    Dialled,
    DiskSpace,
    Fetched,
    Memory,
    PathState,
    ShownCertificate,
    UnitState,
)


class INetwork(Interface):
    """What can be tried on the network."""

    async def own_addresses() -> Sequence[str]:
        """The addresses of the machine's interfaces, without loopback and link-local ones."""

    async def dial(address: str, port: int) -> Dialled:
        """Open a connection and close it. :param address: an IP address."""

    async def greet(address: str, port: int, hostname: str) -> Dialled:
        """Open a connection to an SMTP server, say EHLO and QUIT, keep what it says. :param address: an IP address."""

    async def can_listen(address: str, port: int) -> Dialled:
        """Whether a port is free, by listening on it for a moment. :param address: "" for all of IPv4."""

    async def certificate(address: str, port: int, name: str, starttls: bool) -> ShownCertificate:
        """Look at what a TLS server shows to a client that asks for ``name``. :param starttls: of SMTP, before it."""

    async def fetch(address: str, host: str, path: str, port: int = 443) -> Fetched:
        """GET over HTTPS, with a certificate that must be right; no redirect is followed."""

    async def clock_offset(address: str) -> float | None:
        """How many seconds a time server (SNTP, RFC 4330) is before this machine; None: no answer that counts."""


class IMachine(Interface):
    """What can be seen of the machine."""

    async def space(path: str) -> DiskSpace | None:
        """Room on the file system that a path is on, or is to be made on; None: it cannot be seen."""

    async def sync_seconds(path: str) -> Sequence[float]:
        """How long each of some small writes took until the disk said that it has them, in a file of its own that is removed;
        empty: nothing can be written there."""

    async def memory() -> Memory | None:
        """Memory there is; None: it cannot be seen."""

    async def look_at(path: str) -> PathState:
        """What stands at a path."""

    async def user() -> tuple[int, str]:
        """Number and name of who looks."""

    async def unit(name: str) -> UnitState:
        """What systemd says of a unit."""

    async def clock_is_kept() -> bool | None:
        """Whether the kernel is told the time by somebody (adjtimex); None: it cannot be asked."""
