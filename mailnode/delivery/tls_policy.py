"""How a connection to another server must be encrypted: the one place that decides.

By DANE (RFC 7672); where it says nothing about a server, by the MTA-STS policy of the domain (RFC 8461), which never goes
before DANE (RFC 8461 2); else TLS is opportunistic. A server that may not be used just now is left out, and when none is left
the mail waits.

A message may want more or less (RFC 8689): REQUIRETLS is for verified servers alone, and where there are none the mail goes
back; under ``TLS-Required: No`` nobody is asked what a domain publishes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger

from mailnode.delivery.dane import Dane, TlsaUnknown
from mailnode.delivery.mta_sts import MtaSts, StsUnknown
from mailnode.delivery.mx import Hop, NoRoute
from mailnode.interfaces.outbound import VERIFIED, TlsRule
from mailnode.values.envelope import TLS_OPTIONAL, TLS_REQUIRED
from mailnode.values.events import emit
from mailnode.values.reason import WaitReason, tls_reason
from mailnode.values.sts_policy import StsPolicy
from mailnode.values.tls_report import TlsSession, reported_policy

_log = Logger()

LEVELS = (
    "none",
    "opportunistic",
    "required",
    "verified",
    "implicit",
)  # that an administrator may choose for a next hop
WAITS = "4.7.5"  # RFC 3463 3.8: cryptographic failure
GOES_BACK = "5.7.10"  # RFC 8689 4.2.1: encryption needed
_FAULTS = {"tlsa-invalid": "no TLSA record can be used", "validation-failure": "the MX is not in the policy"}


@dataclass(frozen=True, slots=True)
class Decision:
    """``level``: one of interfaces.outbound.Target. ``rule``: whose it is, None when nobody has one. ``reason``: why it is so,
    by RFC 8460 4.3, when something is wrong over there. ``refused``: in words, why the server may not be used at all."""

    level: str = "opportunistic"
    rule: TlsRule | None = None
    reason: str = ""
    refused: str = ""


class TlsPolicy:
    """Decides by domain and server. A next hop that an administrator chose has the level chosen with it."""

    def __init__(
        self,
        dane: Dane | None = None,
        mta_sts: MtaSts | None = None,
        note: Callable[[TlsSession], None] = lambda session: None,
    ) -> None:
        """:param dane: and :param mta_sts: None: not asked. :param note: is told of servers that may not be used."""
        self._dane = dane
        self._note = note
        self._mta_sts = mta_sts

    async def decide(self, domain: str, hops: Sequence[Hop], wanted: str = "") -> dict[str, Decision]:
        """Return what holds for each server, by host, found by MX for a domain (its key); those that may not be used are
        missing. :param wanted: by the message, ``tls`` of its MailOptions. :raises NoRoute: none may."""
        servers = {hop.host: hop for hop in hops}
        if wanted == TLS_OPTIONAL:
            return dict.fromkeys(servers, Decision())  # RFC 8689 8.4
        asked = [Deferred.fromCoroutine(self._by_dane(domain, hop)) for hop in servers.values()]
        decided = dict(zip(servers, await gatherResults(asked, consumeErrors=True), strict=True))
        left = [host for host, decision in decided.items() if decision.rule is None]
        certain = wanted == TLS_REQUIRED and not all(servers[host].named for host in left)
        policy = await self._sts_policy(domain, certain) if left else None
        if policy is not None:
            decided |= {host: by_sts(policy, host) for host in left}
        _tell(domain, decided)
        for host, decision in decided.items():
            if decision.refused:
                self._note(expected(domain, host, decision))
        if wanted == TLS_REQUIRED:
            return _verified(domain, servers, decided)
        usable = {host: decision for host, decision in decided.items() if not decision.refused}
        if not usable:
            first = next(iter(decided.values()))
            text = "; ".join(decision.refused for decision in decided.values())
            raise NoRoute(WAITS, text, tls_reason(first.reason))
        return usable

    async def _sts_policy(self, domain: str, certain: bool) -> StsPolicy | None:
        """:raises NoRoute: it must be known for ``certain`` and is not."""
        try:
            return await self._mta_sts.find(domain, certain=certain) if self._mta_sts is not None else None
        except StsUnknown as unknown:
            raise NoRoute(WAITS, f"REQUIRETLS: {unknown} (sts-policy-fetch-error)", WaitReason.REQUIRETLS) from None

    async def _by_dane(self, domain: str, hop: Hop) -> Decision:
        try:
            rule = await self._dane.rule(domain, hop) if self._dane is not None else None
        except TlsaUnknown as unknown:
            reason = "dnssec-invalid"
            return Decision("refused", TlsRule("dane"), reason, f"DANE: {unknown} ({reason})")
        if rule is None:
            return Decision()
        return Decision("dane", rule) if rule.tlsa else Decision("required", rule, "tlsa-invalid")


def by_sts(policy: StsPolicy, host: str) -> Decision:
    """Return what a policy says of an MX (RFC 8461 4, 5)."""
    reason = "" if policy.allows(host) else "validation-failure"
    if policy.mode == "testing":
        return Decision("opportunistic", TlsRule("sts-testing", published=policy.lines), reason)
    if reason:
        refused = f"MTA-STS: the MX {host} is not in the policy ({reason})"
        return Decision("refused", TlsRule("sts", published=policy.lines), reason, refused)
    return Decision("verified", TlsRule("sts", published=policy.lines))


def expected(domain: str, host: str, decision: Decision) -> TlsSession:
    """Return what is known of a connection to a server of a domain before there is one."""
    rule = decision.rule
    if rule is None:
        policy = reported_policy(domain)
    elif rule.policy == "dane":
        policy = reported_policy(rule.names[0] if rule.names else host, "tlsa", rule.published)
    else:
        policy = reported_policy(domain, "sts", rule.published)
    why = decision.refused or _FAULTS.get(decision.reason, "")
    return TlsSession(domain, policy, host, result=decision.reason, reason=why)


def verified(domain: str, hop: Hop, decision: Decision) -> Decision:
    """Return what holds for mail that was sent with REQUIRETLS (RFC 8689 4.2.1): a certificate that is verified, of a server
    that DNSSEC or an MTA-STS policy, in whatever mode, names for the domain."""
    if decision.refused or decision.level in VERIFIED:
        return decision
    in_policy = decision.rule is not None and decision.rule.policy == "sts-testing" and not decision.reason
    if hop.named or in_policy:
        return replace(decision, level="verified")
    refused = f"neither DNSSEC nor MTA-STS says that {hop.host} is a server of {domain} (mx-not-validated)"
    return replace(decision, level="refused", refused=refused)


def _verified(domain: str, servers: Mapping[str, Hop], decided: Mapping[str, Decision]) -> dict[str, Decision]:
    """Do :func:`verified` for all, and leave out whom it refuses. :raises NoRoute: it refuses all."""
    made = {host: verified(domain, servers[host], decision) for host, decision in decided.items()}
    usable = {host: decision for host, decision in made.items() if not decision.refused}
    if not usable:
        unsure = any(decision.reason == "dnssec-invalid" for decision in made.values())
        reasons = "; ".join(decision.refused for decision in made.values())
        raise NoRoute(WAITS if unsure else GOES_BACK, f"REQUIRETLS: {reasons}", WaitReason.REQUIRETLS)
    return usable


def _tell(domain: str, decided: Mapping[str, Decision]) -> None:
    """Log what there are rules for, servers under the same in one line."""
    alike: dict[tuple[str, str, str], list[str]] = {}
    for host, decision in decided.items():
        if decision.rule is not None:
            alike.setdefault((decision.rule.policy, decision.level, decision.reason), []).append(host)
    for (policy, level, reason), hosts in alike.items():
        emit(_log, "queue.tls_policy", domain=domain, hosts=",".join(hosts), policy=policy, level=level, reason=reason)
