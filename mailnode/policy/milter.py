"""Asks a milter: a filter that was written for Sendmail and Postfix, at every stage of a session."""

from __future__ import annotations

from twisted.internet.defer import ensureDeferred
from zope.interface import implementer

from mailnode.interfaces.policy import IAsksProgram, IHearsSessions, IPluginContext, IPolicy
from mailnode.interfaces.programs import IPrograms
from mailnode.policy.milter_session import MilterOptions, MilterSession
from mailnode.values.policy import STAGES, PolicyRequest, Verdict

OPTIONS = MilterOptions


@implementer(IPolicy, IHearsSessions, IAsksProgram)
class MilterPolicy:
    """See this module. One connection to the milter for each session."""

    stages = frozenset(STAGES)

    def __init__(self, options: MilterOptions, context: IPluginContext) -> None:
        self.name = options.called
        self.only_strangers = not options.users
        self.place = options.endpoint
        self._options = options
        self._context = context
        self._programs: IPrograms = context.programs
        self._sessions: dict[str, MilterSession] = {}

    async def judge(self, request: PolicyRequest) -> Verdict:
        """See :class:`IPolicy`."""
        key = request.origin.session
        if key not in self._sessions:
            context = self._context
            self._sessions[key] = MilterSession(self._programs, context.clock, self._options, context.hostname)
        return await self._sessions[key].judge(request)

    def session_ended(self, session: str) -> None:
        """See :class:`IHearsSessions`."""
        ended = self._sessions.pop(session, None)
        if ended is not None:
            ensureDeferred(ended.end())


def make(options: MilterOptions, context: IPluginContext) -> IPolicy:
    """Return the policy."""
    return MilterPolicy(options, context)
