"""Policies and the plug-ins that make them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from zope.interface import Attribute, Interface

from mailnode.values.policy import PolicyAnswer, PolicyRequest, PolicyTotal, Verdict
from mailnode.values.trial import Tried, TriedMail


class IPolicy(Interface):
    """One policy. Asked at the stages it names, at most once a stage (rcpt: once a recipient)."""

    name = Attribute("str: for the log and for tags")
    stages = Attribute("frozenset[str]: of values.policy.STAGES")
    only_strangers = Attribute("bool: not asked about what users, servers of ours and those that may relay send")

    async def judge(request: PolicyRequest) -> Verdict:
        """Return a verdict. What it raises is logged and counts as no opinion, or as defer where the configuration
        says ``on_failure = "defer"``; so is what cannot be carried out, such as a field without its CRLF."""


class IHearsSessions(Interface):
    """A policy that keeps something for each session, by its id, provides this as well."""

    def session_ended(session: str) -> None:
        """Nothing will be asked about a session any more; perhaps nothing ever was. What this raises is a slip of the policy."""


class IAsksProgram(Interface):
    """A policy that asks a program beside the server provides this as well."""

    place = Attribute("values.program.ProgramEndpoint: where it listens")


# Options of a plug-in as the configuration file has them: of whatever types TOML knows. The plug-in looks at them.
PolicyOptions: TypeAlias = dict[str, Any]


class IPolicyFactory(Interface):
    """A plug-in that makes a policy. Found by ``twisted.plugin`` (also provide ``twisted.plugin.IPlugin``)."""

    name = Attribute("str: the name in ``[[policy]] name``")
    help = Attribute("str: one sentence")
    options = Attribute("dict[str, str]: option -> help; values come from the configuration as they are")

    def make(options: PolicyOptions, context: IPluginContext) -> IPolicy:
        """Return a policy. :raises mailnode.errors.ConfigurationError: a bad option."""


class IPolicyMemory(Interface):
    """What policies remember, shared by all processes of a server, and by all servers of a database. It may be lost: it is
    written without sync, in batches, and no mail waits for that. Nothing is raised: when the store is not available, nothing is
    remembered.

    What stands for one use is a space, such as "greylist": a short name, the program's. Each has room of its own: when it is full,
    what would expire first goes. Keys are kept as digests.
    """

    async def recall(space: str, key: str) -> str | None:
        """What is remembered under a key, None where nothing is. What another process has remembered in the last seconds may
        be missing."""

    def remember(space: str, key: str, said: str, seconds: float) -> None:
        """Keep up to 200 printable characters for so long, in the place of what stands there."""

    def forget(space: str, key: str) -> None:
        """Remember nothing under a key any more."""

    async def take(space: str, counts: Sequence[tuple[str, int, float]]) -> bool:
        """Add 1 to each count, (key, most, seconds), unless one of them got above its ``most`` in so many seconds: then to none,
        and the answer is False. Counts decay: that many may come at once, and as many in each such time after that."""


class IPolicyTally(Interface):
    """How often each policy answered what, by hours; it may be lost. Written without sync; nobody waits for that."""

    def note(answer: PolicyAnswer) -> None:
        """Count an answer."""

    async def totals(since: float) -> list[PolicyTotal]:
        """What was counted from the hour of a moment (UTC seconds) on, by policy, stage and answer. What other processes counted
        in the last seconds is missing. :raises mailnode.errors.StoreUnavailable:"""


class IPluginContext(Interface):
    """What a plug-in may use of the server."""

    clock = Attribute("interfaces.runtime.IClock")
    resolver = Attribute("interfaces.outbound.IResolver")
    threads = Attribute("interfaces.runtime.IThreads")
    programs = Attribute("interfaces.programs.IPrograms")
    hostname = Attribute("str: this server's name, in A-labels")
    memory = Attribute("IPolicyMemory: what policies remember")
    dmarc_counts = Attribute("interfaces.dmarc.IDmarcCounts: what came of mail, for reports")
    filters = Attribute("interfaces.learning.IFilters: what accounts took for junk")


class IPolicyChain(Interface):
    """All policies in order; the one place that decides."""

    def judges(stage: str, known: bool) -> bool:
        """Whether any policy has a say at a stage; else nobody need be asked, and the verdict is PASS. At "end" also
        where any has a say at another stage.

        :param known: as in ``PolicyRequest``.
        """

    async def ask(request: PolicyRequest) -> Verdict:
        """One verdict of all policies: the first refuse or defer wins; tags, headers, results and reasons add up, and at stage
        "end" they decide. Deadline 30 s: then defer."""

    hears_sessions = Attribute("bool: a policy wants to hear of the ends of sessions")

    def session_ended(session: str) -> None:
        """Say so to the policies that want to hear of it. Once for a session, when nothing is being asked about it."""


class ITrials(Interface):
    """Judges messages to see what would become of them."""

    largest: int = Attribute("Octets of the largest message that the server takes.")

    async def judge(mail: TriedMail) -> Tried:
        """Ask every policy of the configuration about a message as of a stranger's. Nothing is delivered, learnt, counted or
        remembered; programs beside the server that policies ask do hear of it."""
