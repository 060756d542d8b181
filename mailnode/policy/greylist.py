"""Greylisting: who is new is asked to come again. Programs that send junk seldom do.

By default it judges at the end of the message: then DMARC has been looked at, and mail that its author's domain vouches for, and
from people whom somebody here wrote to, waits for nothing; nor does RCPT say more of who lives here than it does without. ``at =
"rcpt"`` spares the octets of what is put off, and puts everybody new off.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from zope.interface import implementer

from mailnode.errors import ConfigurationError
from mailnode.interfaces.policy import IPluginContext, IPolicy, IPolicyMemory
from mailnode.interfaces.runtime import IClock
from mailnode.message.vouched_sender import is_vouched_for
from mailnode.policy.options import OptionModel, OptionSeconds
from mailnode.policy.sender import address_key, sender_domain, verified_domain
from mailnode.values.networks import neighbours_key
from mailnode.values.policy import PASS, PolicyRequest, Verdict

SPACE, KNOWN = "greylist", "known"  # of the memory: tries, and who is no stranger
CORRESPONDENT_DAYS = 400  # who was written to is known for so long
CLEAN = 2.0  # a message with a higher score makes nobody known
DAY = 86_400.0


class GreylistOptions(OptionModel):
    """Of the policy."""

    at: Literal["end", "rcpt"] = Field("end", description="Where it judges: at the end of the message, or at RCPT.")
    by: Literal["domain", "address"] = Field(
        "domain", description="Whether all addresses of a sender's domain are one, or each is another."
    )
    delay: OptionSeconds = Field(300.0, description="For how long what is new is put off.")
    retry_within: OptionSeconds = Field(DAY, description="After that long the first try is forgotten.")
    remember: OptionSeconds = Field(35 * DAY, description="For how long who came again is let in at once.")
    known: bool = Field(
        True,
        description="Whether those are let in at once whom a user wrote to, where SPF or a signature vouches for them, and senders "
        "of a network and domain from where mail came before that was no junk.",
    )
    dmarc: bool = Field(
        True, description="Whether what DMARC passes is let in at once; only at the end of the message."
    )


OPTIONS = GreylistOptions


def make(options: GreylistOptions, context: IPluginContext) -> IPolicy:
    """Return the policy. :raises ConfigurationError: nobody would ever be let in."""
    if options.delay >= options.retry_within:
        raise ConfigurationError(["retry_within: must be longer than delay, or every try is the first one"])
    return GreylistPolicy(options, context.memory, context.clock)


@implementer(IPolicy)
class GreylistPolicy:
    """Is asked about users' mail too: whom they write to is no stranger from then on."""

    name = "greylist"
    only_strangers = False

    def __init__(self, options: GreylistOptions, memory: IPolicyMemory, clock: IClock) -> None:
        self.stages = frozenset({options.at, "end"})
        self._options = options
        self._memory = memory
        self._clock = clock
        wait = max(1, round(options.delay / 60))
        self._defer = Verdict(
            "defer", "4.7.1", f"Not known here yet, try again in {wait} minute{'s' if wait > 1 else ''}"
        )

    async def judge(self, request: PolicyRequest) -> Verdict:
        """See :class:`IPolicy`."""
        if request.known:
            if request.submission and request.stage == "end":
                self._note_correspondents(request)
            return PASS
        named = sender_domain if self._options.by == "domain" else address_key
        sender, place = named(request.reverse_path), _place(request)
        waits = False
        if request.stage == self._options.at and not await self._is_known(request, sender, place):
            for recipient in _recipients(request):
                waits |= await self._must_wait(f"{place} {sender} {recipient}")
        if waits:
            return self._defer
        if request.stage == "end" and not request.found.quarantine and request.found.score <= CLEAN:
            await self._keep(KNOWN, f"{place} {sender}", self._options.remember)
        return PASS

    async def _is_known(self, request: PolicyRequest, sender: str, place: str) -> bool:
        if self._options.dmarc and request.found.result("dmarc") == "pass":
            return True
        if not self._options.known:
            return False
        if await self._memory.recall(KNOWN, f"{place} {sender}") is not None:
            return True
        path = request.reverse_path
        if path is None or not is_vouched_for(path, request.found.results):  # anybody can write a name
            return False
        return await self._memory.recall(KNOWN, address_key(path)) is not None

    async def _must_wait(self, key: str) -> bool:
        """Return whether a try is too early, and remember it."""
        now = self._clock.seconds()
        said = await self._memory.recall(SPACE, key) or ""
        word, _, moment = said.partition(" ")
        if word == "in":
            await self._keep(SPACE, key, self._options.remember)
            return False
        if word != "since":
            self._memory.remember(SPACE, key, f"since {now:.0f}", self._options.retry_within)
            return True
        if now - float(moment) < self._options.delay:
            return True
        self._memory.remember(SPACE, key, f"in {now:.0f}", self._options.remember)
        return False

    async def _keep(self, space: str, key: str, seconds: float) -> None:
        """Remember from now on who has come in, unless that was noted today."""
        now = self._clock.seconds()
        said = await self._memory.recall(space, key)
        if said is None or now - float(said.partition(" ")[2]) > DAY:
            self._memory.remember(space, key, f"in {now:.0f}", seconds)

    def _note_correspondents(self, request: PolicyRequest) -> None:
        now = self._clock.seconds()
        for recipient in _recipients(request):
            self._memory.remember(KNOWN, recipient, f"written {now:.0f}", CORRESPONDENT_DAYS * DAY)


def _recipients(request: PolicyRequest) -> list[str]:
    """Return whom a question is about, by key."""
    if request.recipient is not None:
        return [address_key(request.recipient.address)]
    return [address_key(one.address) for one in request.envelope.recipients] if request.envelope is not None else []


def _place(request: PolicyRequest) -> str:
    """Return what sends: the domain that SPF has found it may send for, whose servers are many and take turns, or its network."""
    domain = verified_domain(request.found)
    return f"spf:{domain}" if domain else neighbours_key(request.origin.peer)
