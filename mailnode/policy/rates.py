"""How much may come from one place in a time. What protects the machine itself, by connections and commands, is not this but
the listener's own limits: here senders are counted, by all processes together, and told to come again."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from zope.interface import implementer

from mailnode.interfaces.policy import IPluginContext, IPolicy, IPolicyMemory
from mailnode.policy.options import OptionModel, OptionSeconds
from mailnode.policy.sender import verified_domain
from mailnode.values.networks import client_key, neighbours_key
from mailnode.values.policy import PASS, PolicyRequest, Verdict

SPACE = "rates"  # of the memory
HOUR = 3600.0  # seconds
DEFER = Verdict("defer", "4.7.1", "Too much mail from there, try again later")


class RateOptions(OptionModel):
    """One limit."""

    by: Literal["address", "network", "domain"] = Field(
        description="What is counted: an address (of IPv6 a /64), a /24 or /48, or the sender's domain where SPF passes for it."
    )
    messages: int = Field(0, ge=0, le=1_000_000, description="Messages in that time; 0: they are not counted.")
    recipients: int = Field(0, ge=0, le=1_000_000, description="Recipients in that time; 0: they are not counted.")
    within: OptionSeconds = Field(HOUR, description="The time.")


class RatesOptions(OptionModel):
    """Of the policy."""

    limits: list[RateOptions] = Field(
        [
            RateOptions(by="address", messages=300, recipients=3000, within=HOUR),
            RateOptions(by="network", messages=1500, recipients=15_000, within=HOUR),
            RateOptions(by="domain", messages=3000, recipients=0, within=HOUR),
        ],
        max_length=20,
        description="The limits.",
    )


OPTIONS = RatesOptions


def make(options: RatesOptions, context: IPluginContext) -> IPolicy:
    """Return the policy."""
    return RatesPolicy(options, context.memory)


@implementer(IPolicy)
class RatesPolicy:
    """Counts messages at MAIL and recipients at RCPT, before anybody looks whether they exist."""

    name = "rates"
    stages = frozenset({"mail", "rcpt"})
    only_strangers = True

    def __init__(self, options: RatesOptions, memory: IPolicyMemory) -> None:
        self._limits = options.limits
        self._memory = memory

    async def judge(self, request: PolicyRequest) -> Verdict:
        """See :class:`IPolicy`."""
        counts = []
        for one in self._limits:
            most = one.messages if request.stage == "mail" else one.recipients
            what = _counted(one.by, request) if most else ""
            if what:
                counts.append((f"{request.stage}:{one.within:.0f}:{one.by}:{what}", most, one.within))
        if not counts or await self._memory.take(SPACE, counts):
            return PASS
        return DEFER


def _counted(by: str, request: PolicyRequest) -> str:
    if by == "address":
        return client_key(request.origin.peer)
    if by == "network":
        return neighbours_key(request.origin.peer)
    return verified_domain(request.found)
