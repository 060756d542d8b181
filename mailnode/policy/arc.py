"""Who sent the message on, and what they found before they changed it (ARC, RFC 8617). Anybody can seal anything: a chain means
something where everybody who sealed it is trusted, and then policy "dmarc" believes what they saw."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field, field_validator
from zope.interface import implementer

from mailnode.interfaces.policy import IPluginContext, IPolicy
from mailnode.message.verifying import has_chain
from mailnode.message.vouching import TRUSTED
from mailnode.policy.options import OptionModel
from mailnode.policy.signature_check import SignatureCheck
from mailnode.values.address import domain_key
from mailnode.values.policy import PASS, PolicyRequest, Verdict


class ArcOptions(OptionModel):
    """Nobody is trusted by default."""

    trusted_sealers: list[str] = Field(
        [],
        description="Domains of lists and forwarders whose seals are believed, those below them too: where all who sealed are "
        "among them, what they say of DMARC, SPF and DKIM counts where DMARC fails.",
    )

    @field_validator("trusted_sealers")
    @classmethod
    def _keys(cls, domains: list[str]) -> list[str]:
        return [domain_key(domain) for domain in domains]


OPTIONS = ArcOptions


@implementer(IPolicy)
class ArcPolicy:
    """Asked when the message has come."""

    name = "arc"
    stages = frozenset({"end"})
    only_strangers = True

    def __init__(self, options: ArcOptions, check: SignatureCheck) -> None:
        self._trusted = tuple(f".{domain}" for domain in options.trusted_sealers)
        self._check = check

    async def judge(self, request: PolicyRequest) -> Verdict:
        """See :class:`IPolicy`."""
        if not has_chain(request.header):
            return PASS
        body = await self._check.body_of(request)
        chain = await self._check.chain(request.header, body, request.dns_left())
        result, reason = chain.result, ""
        if self._trusts(chain.sealers):
            result = result._replace(properties=(*result.properties, (TRUSTED, chain.sealers[-1])))
            reason = f"sent on by {chain.sealers[-1]}, which is trusted"
        return Verdict(reason=reason, results=(result,))

    def _trusts(self, sealers: Sequence[str]) -> bool:
        return bool(sealers) and all(f".{sealer}".endswith(self._trusted) for sealer in sealers)


def make(options: ArcOptions, context: IPluginContext) -> IPolicy:
    """Return the policy."""
    return ArcPolicy(options, SignatureCheck(context.resolver, context.threads, context.clock))
