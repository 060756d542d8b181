"""Policies and the plug-ins that make them."""

from __future__ import annotations

from typing import Any, TypeAlias

from zope.interface import Attribute, Interface

from mailnode.values.policy import PolicyRequest, Verdict


class IPolicy(Interface):
    """One policy. Asked at the stages it names, at most once a stage (rcpt: once a recipient)."""

    name = Attribute("str: for the log and for tags")
    stages = Attribute("frozenset[str]: of values.policy.STAGES")
    only_strangers = Attribute("bool: not asked about what users, servers of ours and those that may relay send")

    async def judge(request: PolicyRequest) -> Verdict:
        """Return a verdict. What it raises is logged and counts as no opinion, or as defer where the configuration
        says ``on_failure = "defer"``; so is what cannot be carried out, such as a field without its CRLF."""


# Options of a plug-in as the configuration file has them: of whatever types TOML knows. The plug-in looks at them.
PolicyOptions: TypeAlias = dict[str, Any]


class IPolicyFactory(Interface):
    """A plug-in that makes a policy. Found by ``twisted.plugin`` (also provide ``twisted.plugin.IPlugin``)."""

    name = Attribute("str: the name in ``[[policy]] name``")
    help = Attribute("str: one sentence")
    options = Attribute("dict[str, str]: option -> help; values come from the configuration as they are")

    def make(options: PolicyOptions, context: IPluginContext) -> IPolicy:
        """Return a policy. :raises mailnode.errors.ConfigurationError: a bad option."""


class IPluginContext(Interface):
    """What a plug-in may use of the server."""

    clock = Attribute("interfaces.runtime.IClock")
    resolver = Attribute("interfaces.outbound.IResolver")
    threads = Attribute("interfaces.runtime.IThreads")
    hostname = Attribute("str: this server's name, in A-labels")


class IPolicyChain(Interface):
    """All policies in order; the one place that decides."""

    def judges(stage: str, known: bool) -> bool:
        """Whether any policy has a say at a stage; else nobody need be asked, and the verdict is PASS.

        :param known: as in ``PolicyRequest``.
        """

    async def ask(request: PolicyRequest) -> Verdict:
        """One verdict of all policies: the first refuse or defer wins; tags, headers, results and reasons add up, and at stage
        "end" they decide. Deadline 30 s: then defer."""
