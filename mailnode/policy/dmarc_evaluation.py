"""Whether the domain that a message says it is from vouches for it (RFC 9989 5.3)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from mailnode.errors import BadAddress, NoSuchName, ResolverFailure
from mailnode.policy.dmarc_walks import RecentWalks
from mailnode.policy.timely import TimelyResolver
from mailnode.values.address import domain_key
from mailnode.values.authentication import AuthenticationResult
from mailnode.values.dmarc import NONE, DmarcRecord, FoundRecord, Identifier, Walked

_MATTER = ("pass", "temperror")  # results of SPF and DKIM
MAX_SELECTOR = 63  # characters of one that are kept
MAX_KEPT = 256  # identifiers that need not be made again: the next message is often of the same domain
MAX_LOOKED = 20  # identifiers of a message that are looked at


class Evaluation(NamedTuple):
    """What came of a domain. ``result``: "pass", "fail", "none", "temperror" or "permerror". ``published``: the
    policy of its owner for it, of a fail; ``applied``: what that comes to where it is only tested. ``dkim``, ``spf``: whether
    one of that kind passes in alignment. ``reason``: in words, ASCII."""

    domain: str
    result: str
    reason: str
    found: FoundRecord | None = None
    published: str = NONE
    applied: str = NONE
    dkim: bool = False
    spf: bool = False


def identifiers(results: Sequence[AuthenticationResult], null_sender: bool) -> tuple[Identifier, ...]:
    """Return the domains that SPF and DKIM were asked about. :param null_sender: the name of the client stands for the
    reverse-path (RFC 9989 3.2.4)."""
    found = []
    for one in results:
        if one.method not in ("dkim", "spf"):
            continue
        known = dict(one.properties)
        if one.method == "dkim":
            named = _of_signature(known.get("header.d", ""), one.result, known.get("header.s", ""))
        else:
            name = known.get("smtp.mailfrom", "") or (known.get("smtp.helo", "") if null_sender else "")
            named = _of_sender(name.rpartition("@")[2], one.result)
        if named is not None:
            found.append(named)
    return tuple(found[:MAX_LOOKED])


@lru_cache(maxsize=MAX_KEPT)
def _of_signature(domain: str, result: str, selector: str) -> Identifier | None:
    key = _domain(domain)
    return Identifier("dkim", key, result, _shown(selector)) if key else None


@lru_cache(maxsize=MAX_KEPT)
def _of_sender(domain: str, result: str) -> Identifier | None:
    key = _domain(domain)
    return Identifier("spf", key, result) if key else None


def _domain(text: str) -> str:
    try:
        return domain_key(text.removesuffix("."))
    except BadAddress:
        return ""


def _shown(selector: str) -> str:
    """Return a selector as reports have it, whatever stands there."""
    return "".join(one if one.isascii() and one.isprintable() else "?" for one in selector[:MAX_SELECTOR])


class Evaluator:
    """Evaluates one message; what it has looked up it knows."""

    def __init__(
        self,
        resolver: TimelyResolver,
        recent: RecentWalks,
        results: Sequence[AuthenticationResult],
        null_sender: bool,
    ) -> None:
        """:param recent: walks that other messages needed. :param results: of SPF and DKIM.
        :param null_sender: see :func:`identifiers`."""
        self._resolver = resolver
        self._recent = recent
        self._results = results
        self.known = identifiers(results, null_sender)
        self._walks: dict[str, Walked] = {}

    async def evaluate(self, domain: str) -> Evaluation:
        """Evaluate a domain that the message says it is from, in lower-case A-labels."""
        try:
            return await self._evaluate(domain)
        except ResolverFailure:
            return Evaluation(domain, "temperror", f"DNS does not say what {domain} asks for")

    async def is_vouched_for(self, one: Evaluation, said: Sequence[AuthenticationResult]) -> bool:
        """Whether what others say they found would have made a failing domain pass, or does so in its name."""
        if any(
            (result.method, result.result) == ("dmarc", "pass")
            and _domain(dict(result.properties).get("header.from", "")) == one.domain
            for result in said
        ):
            return True
        if one.found is None:
            return False
        try:
            walked = await self._walk(one.domain)
            for identifier in identifiers(said, null_sender=False):
                if identifier.result == "pass" and await self._aligns(identifier, walked, one.found.record):
                    return True
        except ResolverFailure:
            pass
        return False

    async def _evaluate(self, domain: str) -> Evaluation:
        walked = await self._walk(domain)
        found = walked.policy
        if found is None:
            several = f", {walked.several[0]} has more than one" if walked.several else ""
            return Evaluation(domain, "none", f"{domain} has no record{several}")
        if not found.record.applies:
            return Evaluation(domain, "permerror", f"the record of {found.domain} says nothing that can be read", found)
        aligned = [
            one
            for one in self.known
            if one.result in _MATTER and (one.domain == walked.start or await self._aligns(one, walked, found.record))
        ]
        passed = {one.kind for one in aligned if one.result == "pass"}
        if passed:
            by = " and ".join(kind.upper() for kind in ("spf", "dkim") if kind in passed)
            reason = f"{by} passes for {domain}"
            return Evaluation(domain, "pass", reason, found, dkim="dkim" in passed, spf="spf" in passed)
        if any(one.result == "temperror" for one in aligned):  # RFC 9989 5.3.6
            return Evaluation(domain, "temperror", f"whether SPF or DKIM passes for {domain} cannot be told now", found)
        missing = [kind.upper() for kind in ("spf", "dkim") if all(one.method != kind for one in self._results)]
        if missing:  # where a policy failed, or is not asked, its result may be the one that counts
            return Evaluation(domain, "temperror", f"{' and '.join(missing)} was not looked at", found)
        policy = await self._policy(domain, found)
        return Evaluation(domain, "fail", self._why(domain), found, policy, found.record.applied(policy))

    async def _walk(self, domain: str) -> Walked:
        if domain not in self._walks:
            self._walks[domain] = await self._recent.walk(domain, self._resolver)
        return self._walks[domain]

    async def _aligns(self, one: Identifier, walked: Walked, record: DmarcRecord) -> bool:
        """Whether a domain is aligned with the author's (RFC 9989 4.10.2)."""
        if one.domain == walked.start:
            return True
        if record.strict_dkim if one.kind == "dkim" else record.strict_spf:
            return False
        organization = walked.organization
        if one.domain != organization and not one.domain.endswith(f".{organization}"):
            return False  # its own would be another one, whatever is published
        return (await self._walk(one.domain)).organization == organization

    async def _policy(self, domain: str, found: FoundRecord) -> str:
        record = found.record
        if found.domain == domain:
            return record.p
        exists = record.below(True) == record.below(False) or await self._exists(domain)
        return record.below(exists)

    async def _exists(self, domain: str) -> bool:
        """Whether there is such a name, with records of whatever kind (RFC 9989 3.2.13)."""
        try:
            await self._resolver.mx(domain)
        except NoSuchName:
            return False
        return True

    def _why(self, domain: str) -> str:
        """Return what SPF and DKIM found instead, in words."""
        words = []
        for kind in ("spf", "dkim"):
            of_kind = [one for one in self.known if one.kind == kind]
            best = next((one for one in of_kind if one.result == "pass"), None) or next(iter(of_kind), None)
            said = "none" if best is None else f"{best.result} for {best.domain}"
            words.append(f"{kind.upper()} {said}")
        return f"nothing vouches for {domain}: {', '.join(words)}"
