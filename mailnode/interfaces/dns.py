"""What DNS says at the moment, for comparing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from zope.interface import Interface


@dataclass(frozen=True, slots=True)
class DnsQuestion:
    """``name``: in A-labels, without trailing dot; "": the root. ``type``: A, AAAA, CAA, CNAME, MX, NS, PTR, SRV, TLSA or TXT."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class DnsAnswer:
    """What was answered. ``values`` are written as those of a ``DnsRecord`` are; empty also when there is no such name.

    ``failed``: nobody knows just now. ``secure``: the resolver says that it checked DNSSEC signatures. ``ttl``: for how many
    seconds it may be remembered from now on; 0 where there is nothing.
    """

    values: tuple[str, ...] = ()
    failed: bool = False
    secure: bool = False
    ttl: int = 0


class IDnsLookup(Interface):
    """Asks without remembering: what was changed a moment ago is seen as soon as the resolver sees it."""

    async def ask(questions: Collection[DnsQuestion]) -> Mapping[DnsQuestion, DnsAnswer]:
        """Ask all at once, at most some seconds; never fails."""
