"""Whether a domain has signed the message (DKIM, RFC 6376). A signature that does not hold is as good as none (6.1)."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field
from zope.interface import implementer

from mailnode.interfaces.policy import IPluginContext, IPolicy
from mailnode.message.verifying import is_signed
from mailnode.policy.options import OptionModel
from mailnode.policy.signature_check import NOT_SIGNED, SignatureCheck
from mailnode.values.authentication import AuthenticationResult
from mailnode.values.policy import PolicyRequest, Verdict


class DkimOptions(OptionModel):
    """What speaks for what is little: everybody can sign with a domain of their own. Policy "dmarc" compares it with From."""

    passed: float = Field(-0.1, allow_inf_nan=False, description="Added to the score where a signature holds.")
    failed: float = Field(
        0.1, allow_inf_nan=False, description="Added to the score where there are signatures, and none of them holds."
    )
    unsigned: float = Field(0.0, allow_inf_nan=False, description="Added to the score where there is no signature.")


OPTIONS = DkimOptions


@implementer(IPolicy)
class DkimPolicy:
    """Asked when the message has come."""

    name = "dkim"
    stages = frozenset({"end"})
    only_strangers = True

    def __init__(self, options: DkimOptions, check: SignatureCheck) -> None:
        self._options = options
        self._check = check
        reason = "not signed" if options.unsigned else ""
        self._unsigned = Verdict(score=options.unsigned, reason=reason, results=NOT_SIGNED)

    async def judge(self, request: PolicyRequest) -> Verdict:
        """See :class:`IPolicy`."""
        results = await self._check.read_ahead(request)
        if results is None:
            if not is_signed(request.header):
                return self._unsigned
            body = await self._check.body_of(request)
            results = await self._check.signatures(request.header, body, request.dns_left())
        score, reason = self._weigh(results)
        return Verdict(score=score, reason=reason, results=results)

    def _weigh(self, results: Sequence[AuthenticationResult]) -> tuple[float, str]:
        by_result: dict[str, AuthenticationResult] = {}
        for result in results:
            by_result.setdefault(result.result, result)
        if good := by_result.get("pass"):
            return self._options.passed, f"signed by {_domain(good)}"
        if "temperror" in by_result:
            return 0.0, "nobody can say now whether the signature holds"
        first = results[0]
        return self._options.failed, f"the signature of {_domain(first)} does not hold: {first.reason}"


def _domain(result: AuthenticationResult) -> str:
    return dict(result.properties).get("header.d", "nobody")


def make(options: DkimOptions, context: IPluginContext) -> IPolicy:
    """Return the policy."""
    return DkimPolicy(options, SignatureCheck(context.resolver, context.threads, context.clock))
