"""How a recipient found a sender's mail so far: by the domain that was authenticated, else by the network it comes from."""

from __future__ import annotations

from pydantic import Field
from zope.interface import implementer

from mailnode.errors import StoreUnavailable
from mailnode.interfaces.policy import IPluginContext, IPolicy
from mailnode.message.senders import sender
from mailnode.policy.options import OptionModel
from mailnode.policy.own import accounts_behind, milder
from mailnode.values.learning import SenderCounts
from mailnode.values.policy import PASS, PolicyRequest, Verdict

OF_NETWORK = 0.5  # what a network says counts for less: others may send from there


class ReputationOptions(OptionModel):
    """Of this policy."""

    enough: float = Field(
        3.0, ge=1, description="So many messages have to be known; one of four months ago is half of one."
    )
    junk: float = Field(3.0, ge=0, le=100, description="The score of who sends nothing but junk.")
    good: float = Field(3.0, ge=0, le=100, description="What is taken from the score of who never does.")


OPTIONS = ReputationOptions


def make(options: OptionModel, context: IPluginContext) -> IPolicy:
    """Return the policy."""
    assert isinstance(options, ReputationOptions)
    return Reputation(options, context)


@implementer(IPolicy)
class Reputation:
    """Says something about each recipient that knows the sender."""

    name = "reputation"
    stages = frozenset({"end"})
    only_strangers = True

    def __init__(self, options: ReputationOptions, context: IPluginContext) -> None:
        self._options = options
        self._filters = context.filters

    async def judge(self, request: PolicyRequest) -> Verdict:
        """See :class:`IPolicy`. When the store cannot say, there is no opinion."""
        behind = accounts_behind(request)
        known = sender(request.found.results, request.origin.peer)
        if not behind or not known:
            return PASS
        try:
            asked = sorted({one for accounts in behind.values() for one in accounts})
            learnt = await self._filters.learnt(asked)
            counts = await self._filters.senders([one for one in asked if learnt[one].senders], known)
        except StoreUnavailable:
            return PASS
        return milder(behind, {account: self._verdict(known, one) for account, one in counts.items()})

    def _verdict(self, known: str, counts: SenderCounts) -> Verdict:
        seen = counts.junk + counts.good
        if seen < self._options.enough:
            return PASS
        lean = (counts.junk - counts.good) / (seen + 1) * (OF_NETWORK if "/" in known else 1.0)
        score = lean * (self._options.junk if lean > 0 else self._options.good)
        if abs(score) < 0.1:
            return PASS
        return Verdict(score=score, reason=f"you took {counts.junk:.0f} of {seen:.0f} messages from {known} for junk")
