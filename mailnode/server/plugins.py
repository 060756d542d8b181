"""Plug-ins: found by interface with ``twisted.plugin``, ordered by the configuration, named when they fail."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.strcred import UnsupportedInterfaces, findCheckerFactories, makeChecker
from twisted.plugin import getPlugins
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mailnode.errors import ConfigurationError
from mailnode.interfaces.dmarc import IDmarcCounts
from mailnode.interfaces.learning import IFilters
from mailnode.interfaces.outbound import IResolver
from mailnode.interfaces.policy import IPluginContext, IPolicy, IPolicyFactory, IPolicyMemory, PolicyOptions
from mailnode.interfaces.programs import IPrograms
from mailnode.interfaces.runtime import IClock, IThreads
from mailnode.values.dmarc_report import DmarcSeen
from mailnode.values.learning import FilterState, SenderCounts, WordCounts
from mailnode.values.policy import STAGES, ListedPolicy

# Where the configuration names a policy, that name, on_failure and options.
PolicyPlace: TypeAlias = tuple[str, str, str, Mapping[str, object]]


@implementer(IPluginContext)
@dataclass(frozen=True, slots=True)
class PluginContext:
    """What a plug-in may use."""

    clock: IClock
    resolver: IResolver
    threads: IThreads
    programs: IPrograms
    hostname: str
    memory: IPolicyMemory
    dmarc_counts: IDmarcCounts
    filters: IFilters


@implementer(IDmarcCounts)
class NothingCounted:
    """For those that are not to count."""

    def note(self, seen: DmarcSeen) -> None:
        """Nothing."""


@implementer(IFilters)
class NoFilters:
    """For those that ask nobody: nobody has learnt anything."""

    async def learnt(self, account_ids: Sequence[str]) -> Mapping[str, FilterState]:
        """See :class:`IFilters`."""
        return {account_id: FilterState() for account_id in account_ids}

    async def words(self, account_ids: Sequence[str], words: Sequence[int]) -> Mapping[str, WordCounts]:
        """See :class:`IFilters`."""
        return {}

    async def senders(self, account_ids: Sequence[str], sender: str) -> Mapping[str, SenderCounts]:
        """See :class:`IFilters`."""
        return {}


@implementer(IPolicyMemory)
class UnchangedMemory:
    """What is remembered, for those that may ask and are to change nothing of it."""

    def __init__(self, memory: IPolicyMemory | None = None) -> None:
        """:param memory: None: there is none."""
        self._memory = memory

    async def recall(self, space: str, key: str) -> str | None:
        """See :class:`IPolicyMemory`."""
        said: str | None = await self._memory.recall(space, key) if self._memory is not None else None
        return said

    def remember(self, space: str, key: str, said: str, seconds: float) -> None:
        """Nothing."""

    def forget(self, space: str, key: str) -> None:
        """Nothing."""

    async def take(self, space: str, counts: Sequence[tuple[str, int, float]]) -> bool:
        """There is room."""
        return True


def policy_factories() -> dict[str, IPolicyFactory]:
    """Return every policy plug-in that is installed, by name."""
    return {factory.name: factory for factory in getPlugins(IPolicyFactory)}


def make_policies(
    wanted: Sequence[tuple[str, str, PolicyOptions]],
    context: IPluginContext,
    factories: Mapping[str, IPolicyFactory] | None = None,
) -> list[IPolicy]:
    """Make the configured policies in order.

    :param wanted: where each stands in the configuration, its name and its options.
    :param factories: of those that are installed; without it they are looked for, on disk.
    :raises ConfigurationError: every unknown name, unknown option and failure at once, with that place and the name.
    """
    factories = policy_factories() if factories is None else factories
    made: list[IPolicy] = []
    mistakes: list[str] = []
    for key, name, options in wanted:
        factory = factories.get(name)
        if factory is None:
            mistakes.append(f"{key}: no plug-in named {name!r}; there are: {_names(factories)}")
            continue
        unknown = sorted(set(options) - set(factory.options))
        if unknown:
            mistakes.append(f"{key}: {name} has no option {', '.join(unknown)}; it has: {_names(factory.options)}")
            continue
        try:
            policy = factory.make(options, context)
            verifyObject(IPolicy, policy)
            made.append(policy)
        except ConfigurationError as error:
            mistakes.extend(f"{key}: {name}: {mistake}" for mistake in error.mistakes)
        except Exception as error:  # a plug-in's own bug must name the plug-in, not end in a traceback
            mistakes.append(f"{key}: {name} cannot be made: {type(error).__name__}: {error}")
    mistakes = mistakes or _same_names(wanted, made, factories)
    if mistakes:
        raise ConfigurationError(mistakes)
    return made


def _same_names(
    wanted: Sequence[tuple[str, str, PolicyOptions]], made: Sequence[IPolicy], factories: Mapping[str, IPolicyFactory]
) -> list[str]:
    """One that may be called otherwise must be: the log and what is counted would not tell it from another."""
    names = [policy.name for policy in made]
    return [
        f"{key}: {plugin}: called: {name} is the name of another policy too"
        for (key, plugin, _), name in zip(wanted, names, strict=True)
        if "called" in factories[plugin].options and names.count(name) > 1
    ]


def listed(entries: Sequence[PolicyPlace], policies: Sequence[IPolicy]) -> list[ListedPolicy]:
    """Return what is told of policies that were made of these entries."""
    factories = policy_factories()
    return [
        ListedPolicy(
            policy.name,
            place,
            tuple(stage for stage in STAGES if stage in policy.stages),
            policy.only_strangers,
            on_failure,
            options,
            type(policy).__module__,
            factories[name].help,
        )
        for (place, name, on_failure, options), policy in zip(entries, policies, strict=True)
    ]


def make_checkers(specifications: Sequence[str]) -> list[ICredentialsChecker]:
    """Make Twisted's credential checkers from strings such as ``file:/etc/mailnode/passwd``.

    :raises ConfigurationError: every one that cannot be made, with ``auth.checkers[N]``.
    """
    made: list[ICredentialsChecker] = []
    mistakes: list[str] = []
    for index, specification in enumerate(specifications):
        try:
            made.append(makeChecker(specification))  # type: ignore[no-untyped-call]
        except UnsupportedInterfaces as error:
            mistakes.append(f"auth.checkers[{index}]: {error}")
        except Exception as error:  # whatever the plug-in's factory found wrong with its argument
            known = _names(factory.authType for factory in findCheckerFactories())  # type: ignore[no-untyped-call]
            mistakes.append(f"auth.checkers[{index}]: {type(error).__name__}: {error} (there are: {known})")
    if mistakes:
        raise ConfigurationError(mistakes)
    return made


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
