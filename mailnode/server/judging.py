"""The chain of policies that a configuration asks for, and trials of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from zope.interface import implementer

from mailnode.config.schema import Config
from mailnode.delivery.forwarding import Forwarding
from mailnode.delivery.router import Router
from mailnode.interfaces.policy import IPluginContext, IPolicy, IPolicyFactory, ITrials
from mailnode.interfaces.reactor import IServerReactor
from mailnode.interfaces.runtime import IClock, IThreads
from mailnode.net.clock import WallClock
from mailnode.net.no_reactor import CallingThread, StandingClock, run_on_reactor
from mailnode.net.programs import Programs
from mailnode.net.recording import RecordingResolver
from mailnode.net.resolver import Resolver
from mailnode.policy.chain import ChainedPolicy, PolicyChain
from mailnode.policy.decision import Thresholds
from mailnode.server import plugins
from mailnode.server.plugins import NothingCounted, PluginContext, UnchangedMemory
from mailnode.server.stores import Stores
from mailnode.smtp.trial import MailTrial
from mailnode.values.policy import ListedPolicy, PolicyAnswer
from mailnode.values.trial import Tried, TriedMail

AT_ONCE = 16  # questions to DNS of one trial: their sockets are of the descriptors kept back


def make_chain(
    config: Config, context: IPluginContext, timers: IClock, note: Callable[[PolicyAnswer], None]
) -> tuple[PolicyChain, list[ListedPolicy]]:
    """Return the policies of a configuration, and what is told of them. :raises ConfigurationError: one cannot be made.

    :param note: is told of every answer."""
    entries = config.policies()
    policies = _make(config, context)
    listed = plugins.listed(
        [(place, entry.name, entry.on_failure, entry.options) for place, entry in entries], policies
    )
    return PolicyChain(_links(config, policies), timers, context.hostname, _thresholds(config), note), listed


def _make(
    config: Config, context: IPluginContext, factories: Mapping[str, IPolicyFactory] | None = None
) -> list[IPolicy]:
    return plugins.make_policies(
        [(key, entry.name, entry.options) for key, entry in config.policies()], context, factories
    )


def _links(config: Config, policies: Sequence[IPolicy]) -> list[ChainedPolicy]:
    entries = config.policies()
    return [ChainedPolicy(policy, entry.on_failure) for policy, (_, entry) in zip(policies, entries, strict=True)]


def _thresholds(config: Config) -> Thresholds:
    return Thresholds(config.judgement.junk_at, config.judgement.refuse_at)


@implementer(ITrials)
class Trials:
    """On a reactor. Each has policies and a resolver of its own, which know nothing of earlier mail."""

    def __init__(
        self,
        config: Config,
        stores: Stores,
        reactor: IServerReactor,
        clock: IClock,
        threads: IThreads,
        own_addresses: Callable[[], Collection[str]] = tuple,
    ) -> None:
        """:param own_addresses: returns IP addresses of this machine."""
        self._config = config
        self._stores = stores
        self._reactor = reactor
        self._clock = clock
        self._threads = threads
        self._own_addresses = own_addresses
        self.largest = config.limits.message_size

    async def judge(self, mail: TriedMail) -> Tried:
        """See :class:`ITrials`."""
        config, reactor, stores = self._config, self._reactor, self._stores
        dns, hostname = config.dns, config.server.hostname
        resolver = RecordingResolver(Resolver(reactor, dns.servers, at_once=AT_ONCE, validates=dns.validates), reactor)
        context = PluginContext(
            self._clock,
            resolver,
            self._threads,
            Programs(reactor, resolver),
            hostname,
            UnchangedMemory(stores.policy_memory),
            NothingCounted(),
            stores.filters,
        )
        factories = await self._threads.run("disk", plugins.policy_factories)
        policies = _make(config, context, factories)
        chain = PolicyChain(_links(config, policies), reactor, hostname, _thresholds(config), past_refusals=True)
        tried = await MailTrial(mail, chain, self._router(), self._clock, hostname).run(stores.blobs)
        judgement = config.judgement
        return replace(tried, lookups=tuple(resolver.lookups), junk_at=judgement.junk_at, refuse_at=judgement.refuse_at)

    def _router(self) -> Router:
        config, stores = self._config, self._stores
        return Router(
            stores.directory,
            stores.mail,
            refuse_foreign=not config.queue.outgoing,
            own_addresses=self._own_addresses(),
            own_names=[config.server.hostname],
            forwarding=Forwarding(stores.directory, self._clock, config.server.hostname),
        )


@implementer(ITrials)
class TrialsAlone:
    """Where no reactor runs: one does for each, and who asks is blocked meanwhile."""

    def __init__(self, config: Config, stores: Stores) -> None:
        """:param stores: open, and used from the calling thread."""
        self._config = config
        self._stores = stores
        self.largest = config.limits.message_size

    async def judge(self, mail: TriedMail) -> Tried:
        """See :class:`ITrials`."""
        return run_on_reactor(lambda reactor: self._on(reactor).judge(mail))

    def _on(self, reactor: IServerReactor) -> Trials:
        clock = WallClock(StandingClock().seconds, reactor)
        return Trials(self._config, self._stores, reactor, clock, CallingThread())
