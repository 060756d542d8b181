"""How a connection to another server must be encrypted: the one place that decides.

DANE (RFC 7672) goes before what an administrator did not choose otherwise; where it says nothing, TLS is opportunistic.
A server that may not be used at all just now is left out, and when none is left the mail waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twisted.logger import Logger

from mailnode.delivery.dane import Dane, TlsaUnknown
from mailnode.delivery.mx import Hop, NoRoute
from mailnode.interfaces.outbound import TlsRule
from mailnode.values.events import emit

_log = Logger()

LEVELS = (
    "none",
    "opportunistic",
    "required",
    "verified",
    "implicit",
)  # that an administrator may choose for a next hop
WAITS = "4.7.5"  # RFC 3463 3.8: cryptographic failure


@dataclass(frozen=True, slots=True)
class Decision:
    """``level``: one of interfaces.outbound.Target. ``rule``: whose it is, None when nobody has one."""

    level: str = "opportunistic"
    rule: TlsRule | None = None


class TlsPolicy:
    """Decides by domain and server. A next hop that an administrator chose has the level chosen with it."""

    def __init__(self, dane: Dane | None = None) -> None:
        """:param dane: None: not asked."""
        self._dane = dane

    async def decide(self, domain: str, hops: Sequence[Hop]) -> dict[str, Decision]:
        """Return what holds for each server, by host, found by MX for a domain (its key); those that may not be used are
        missing. :raises NoRoute: none may."""
        decided: dict[str, Decision] = {}
        refused: dict[str, str] = {}
        for hop in {hop.host: hop for hop in hops}.values():
            try:
                decided[hop.host] = await self._decide(domain, hop)
            except TlsaUnknown as unknown:
                refused[hop.host] = f"DANE: {unknown} (dnssec-invalid)"
                _tell(domain, hop.host, "dane", "refused", "dnssec-invalid")
        if not decided:
            raise NoRoute(WAITS, "; ".join(refused.values()))
        return decided

    async def _decide(self, domain: str, hop: Hop) -> Decision:
        rule = await self._dane.rule(domain, hop) if self._dane is not None else None
        if rule is None:
            return Decision()
        decision = Decision("dane" if rule.tlsa else "required", rule)
        _tell(domain, hop.host, rule.policy, decision.level, "" if rule.tlsa else "tlsa-invalid")
        return decision


def _tell(domain: str, host: str, policy: str, level: str, reason: str) -> None:
    emit(_log, "queue.tls_policy", domain=domain, host=host, policy=policy, level=level, reason=reason)
