"""SPF (RFC 7208): whether the domains that a client names, in HELO and in MAIL, let it send."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from pydantic import Field
from zope.interface import implementer

from mailnode.errors import BadAddress
from mailnode.interfaces.policy import IPluginContext, IPolicy
from mailnode.policy.options import OptionModel, score
from mailnode.policy.spf_check import SpfCheck
from mailnode.policy.spf_query import SpfIdentity, SpfOutcome
from mailnode.values.address import domain_key
from mailnode.values.authentication import AuthenticationResult
from mailnode.values.networks import ip_address
from mailnode.values.policy import PASS, PolicyRequest, Verdict

MAX_EXPLANATION = 200  # characters of what a domain has its refused senders told
MAX_KEPT = 256  # verdicts that need not be made again
POSTMASTER = "postmaster"  # who speaks where nobody is named (RFC 7208 2.3, 2.4)

_WORDS = {
    "pass": "{domain} lets {address} send",
    "fail": "{domain} says that {address} may not send for it",
    "softfail": "{domain} says that {address} probably may not send for it",
    "neutral": "{domain} says nothing about {address}",
    "none": "{domain} does not say who may send for it",
    "permerror": "what {domain} says cannot be used: {told}",
    "temperror": "DNS does not say now who may send for {domain}",
}
_NOT_SHOWN = re.compile(r"[^ -~]")


class SpfOptions(OptionModel):
    """Of the policy."""

    fail: float = score(2.0, "the sender's domain says that the client may not send for it (``-all``)")
    softfail: float = score(1.0, "it says that the client probably may not (``~all``)")
    neutral: float = score(0.0, "it says nothing about the client")
    none: float = score(0.0, "it says nothing about anybody")
    permerror: float = score(0.5, "what it says cannot be read, or takes too many look-ups")
    helo_fail: float = score(1.0, "the domain by which the client calls itself says that it may not")
    refuse_fail: bool = Field(
        False,
        description="Whether mail is refused at MAIL where the sender's domain says ``-all``. Mail that was forwarded, by "
        "servers that do not rewrite its sender, is then refused too, whoever signed it.",
    )


OPTIONS = SpfOptions


def make(options: SpfOptions, context: IPluginContext) -> IPolicy:
    """Return the policy."""
    return SpfPolicy(options, SpfCheck(context.resolver, context.threads, context.clock, context.hostname))


@implementer(IPolicy)
class SpfPolicy:
    """Asks DNS; a client on this machine has no address that anybody could publish."""

    name = "spf"
    stages = frozenset({"helo", "mail"})
    only_strangers = True

    def __init__(self, options: SpfOptions, check: SpfCheck) -> None:
        self._options = options
        self._scores = {
            "fail": options.fail,
            "softfail": options.softfail,
            "neutral": options.neutral,
            "none": options.none,
            "permerror": options.permerror,
        }
        self._check = check
        # Of one client and sender many messages come.
        self._of_mail: Callable[[SpfOutcome, SpfIdentity], Verdict] = lru_cache(MAX_KEPT)(self._mail_verdict)

    async def judge(self, request: PolicyRequest) -> Verdict:
        """See :class:`IPolicy`."""
        address = _address(request.origin.peer)
        if not address:
            return PASS
        helo, sender = request.origin.helo, request.reverse_path
        if sender is not None and request.stage != "helo":
            who = SpfIdentity(address, sender.local, _domain(sender.domain), helo)
        else:
            who = SpfIdentity(address, POSTMASTER, _domain(helo), helo)
        if request.stage == "helo":
            return self._of_helo(await self._check.find(who), helo, who.address)
        return self._of_mail(await self._check.find(who), who)

    def _of_helo(self, outcome: SpfOutcome, helo: str, address: str) -> Verdict:
        result = AuthenticationResult("spf", outcome.result, (("smtp.helo", helo),))
        if outcome.result != "fail":
            return Verdict(results=(result,))
        reason = f"{helo}, which it calls itself, says that {address} may not send for it"
        return Verdict(score=self._options.helo_fail, reason=reason, results=(result,))

    def _mail_verdict(self, outcome: SpfOutcome, who: SpfIdentity) -> Verdict:
        options, word = self._options, outcome.result
        words = f"{word}, {_words(outcome, who)}"
        told = _shown(outcome.text) if word in ("permerror", "temperror") else ""
        sender = f"{who.local}@{who.domain}"
        result = AuthenticationResult("spf", word, (("smtp.mailfrom", sender),), told)
        verdict = Verdict(score=self._scores.get(word, 0.0), reason=words, results=(result,))
        if word != "fail" or not options.refuse_fail:
            return verdict
        text = f"Refused by the SPF policy of {who.domain}: {who.address} may not send for it"
        if outcome.text:  # RFC 7208 6.2: it is said who says so
            text += f". It explains: {_shown(outcome.text)}"
        return Verdict("refuse", "5.7.23", text, reason=words, results=(result,))  # RFC 7372 3.2


@lru_cache(MAX_KEPT)
def _address(peer: str) -> str:
    """Return the address by which a client is asked about, "" for one on this machine."""
    address = ip_address(peer)
    return "" if address is None or address.is_loopback else str(address)


def _domain(name: str) -> str:
    """Return a domain as DNS is asked for it; "" for what is none."""
    try:
        return domain_key(name)
    except BadAddress:
        return ""


def _words(outcome: SpfOutcome, who: SpfIdentity) -> str:
    told = _shown(outcome.text) if outcome.result == "permerror" else ""
    return _WORDS[outcome.result].format(domain=who.domain or "the sender", address=who.address, told=told)


def _shown(text: str) -> str:
    """Return a stranger's words as one short line."""
    text = text.removeprefix("SPF Permanent Error: ").removeprefix("SPF Temporary Error: ")
    return _NOT_SHOWN.sub("?", text)[:MAX_EXPLANATION].strip()
