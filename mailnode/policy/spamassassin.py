"""Asks spamd what SpamAssassin makes of a message."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from zope.interface import implementer

from mailnode.interfaces.policy import IAsksProgram, IPluginContext, IPolicy
from mailnode.interfaces.programs import IPrograms
from mailnode.policy.outside import PIECE, Asked, AskedOptions, Octets, Place, pieces, unasked
from mailnode.policy.wire.fields import weightiest
from mailnode.policy.wire.spamd import SpamdAnswer, SpamdReply, request_head
from mailnode.values.policy import PolicyRequest, Verdict
from mailnode.values.program import ProgramEndpoint


class SpamassassinOptions(AskedOptions):
    """See each field."""

    endpoint: Place = Field(
        ProgramEndpoint("127.0.0.1", 783), description="Where spamd listens: ``tcp:HOST:PORT`` or ``unix:/PATH``."
    )
    at_once: int = Field(5, ge=1, le=1000, description="How many messages it is asked about at a time; others wait.")
    largest: Octets = Field(512 * 1024, description="It is not asked about larger messages, which take it long.")
    user: Annotated[str, Field(pattern=r"^[A-Za-z0-9._@+-]{0,100}$")] = Field(
        "", description="Whose rules and words count, as spamd knows users. Empty: those of all."
    )
    scale: float = Field(1.0, ge=0, le=100, description="What its score is multiplied by.")
    spam: Literal["score", "quarantine"] = Field(
        "score", description="Whether what it takes for spam is junk by its score or in any case."
    )


OPTIONS = SpamassassinOptions


@implementer(IPolicy, IAsksProgram)
class SpamassassinPolicy:
    """See this module."""

    name = "spamassassin"
    stages = frozenset(["end"])

    def __init__(self, options: SpamassassinOptions, context: IPluginContext) -> None:
        self.only_strangers = not options.users
        self.place = options.endpoint
        self._options = options
        self._programs: IPrograms = context.programs
        self._spamd = Asked(context.clock, options)

    async def judge(self, request: PolicyRequest) -> Verdict:
        """See :class:`IPolicy`."""
        left_out = unasked(self._options, request)
        if left_out is not None:
            return left_out
        answer = await self._spamd.ask(lambda: self._check(request))
        junk = self._options.spam == "quarantine" and answer.score >= answer.needed
        reason = f"{answer.score:.1f} of {answer.needed:.1f}{weightiest(answer.rules)}"
        return Verdict("quarantine" if junk else "pass", score=answer.score * self._options.scale, reason=reason)

    async def _check(self, request: PolicyRequest) -> SpamdAnswer:
        link = await self._programs.connect(self._options.endpoint, self._options.timeout)
        try:
            await link.write(request_head(request.size, self._options.user))
            async for data in pieces(request):
                if link.answered:
                    break
                await link.write(data)
            reply, ended = SpamdReply(), False
            while (answer := reply.answer(ended)) is None:
                more = await link.read(PIECE)
                ended = not more
                reply.receive(more)
            return answer
        finally:
            link.abort()


def make(options: SpamassassinOptions, context: IPluginContext) -> IPolicy:
    """Return the policy."""
    return SpamassassinPolicy(options, context)
