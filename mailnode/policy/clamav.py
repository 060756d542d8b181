"""Asks clamd whether a message has something in it that ClamAV knows."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from zope.interface import implementer

from mailnode.interfaces.policy import IAsksProgram, IPluginContext, IPolicy
from mailnode.interfaces.programs import IPrograms, ProgramFailed
from mailnode.policy.outside import PIECE, Asked, AskedOptions, Octets, Place, pieces, unasked
from mailnode.policy.wire import clamd
from mailnode.policy.wire.fields import shown
from mailnode.values.policy import PASS, PolicyRequest, Verdict
from mailnode.values.program import ProgramEndpoint


class ClamavOptions(AskedOptions):
    """See each field."""

    endpoint: Place = Field(
        ProgramEndpoint("/run/clamav/clamd.ctl"),
        description="Where clamd listens: ``unix:/PATH`` or ``tcp:HOST:PORT``.",
    )
    largest: Octets = Field(
        25 * 1024 * 1024,
        description="It is not asked about larger messages; clamd's ``StreamMaxLength`` must not be less.",
    )
    users: bool = Field(True, description="Ask also about what users and those that may relay send.")
    found: Literal["refuse", "quarantine"] = Field("refuse", description="What becomes of a message with a find.")
    suspicions: dict[str, float] = Field(
        {}, description="Beginnings of names, such as ``PUA.``, with the score that such a find is instead of that."
    )


OPTIONS = ClamavOptions


@implementer(IPolicy, IAsksProgram)
class ClamavPolicy:
    """See this module."""

    name = "clamav"
    stages = frozenset(["end"])

    def __init__(self, options: ClamavOptions, context: IPluginContext) -> None:
        self.only_strangers = not options.users
        self.place = options.endpoint
        self._options = options
        self._programs: IPrograms = context.programs
        self._clamd = Asked(context.clock, options)

    async def judge(self, request: PolicyRequest) -> Verdict:
        """See :class:`IPolicy`."""
        left_out = unasked(self._options, request)
        if left_out is not None:
            return left_out
        answer = await self._clamd.ask(lambda: self._scan(request))
        if answer.error:
            raise ProgramFailed(f"{self._clamd.place}: {shown(answer.error)}")
        return self._verdict(shown(answer.found)) if answer.found else PASS

    def _verdict(self, name: str) -> Verdict:
        reason = f"found {name}"
        for beginning, score in self._options.suspicions.items():
            if name.startswith(beginning):
                return Verdict(score=score, reason=reason)
        if self._options.found == "quarantine":
            return Verdict("quarantine", reason=reason)
        return Verdict("refuse", "5.7.1", f"Message has malware in it: {name}", reason=reason)

    async def _scan(self, request: PolicyRequest) -> clamd.ClamdAnswer:
        link = await self._programs.connect(self._options.endpoint, self._options.timeout)
        try:
            await link.write(clamd.COMMAND)
            async for data in pieces(request):
                if link.answered:  # it has seen enough, or takes no more
                    break
                await link.write(clamd.piece(data))
            await link.write(clamd.END)
            said = b""
            while (answer := clamd.answer(said)) is None:
                more = await link.read(PIECE)
                if not more:
                    raise ProgramFailed(f"{self._clamd.place}: the connection was ended before an answer")
                said += more
            return answer
        finally:
            link.abort()


def make(options: ClamavOptions, context: IPluginContext) -> IPolicy:
    """Return the policy."""
    return ClamavPolicy(options, context)
