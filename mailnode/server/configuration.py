"""The configuration a server is given: of a file, checked with all it points at, or the demonstration's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from mailnode.config.demo import demo_config
from mailnode.config.loader import Checks, load
from mailnode.config.schema import Config, PolicyEntry
from mailnode.errors import ConfigurationError
from mailnode.interfaces.policy import IAsksProgram, IPolicy
from mailnode.net.client_certificate import read_authorities
from mailnode.net.no_reactor import CallingThread, StandingClock
from mailnode.net.programs import Programs
from mailnode.net.resolver import Resolver
from mailnode.net.tls import check_pair
from mailnode.server import plugins
from mailnode.server.plugins import NoFilters, NothingCounted, PluginContext, UnchangedMemory
from mailnode.values.policy import ListedPolicy
from mailnode.values.program import ProgramEndpoint


def configuration(
    file: Path | None,
    data: Path | None,
    port_offset: int = 0,
    text: bytes | None = None,
    *,
    with_certificates: bool = True,
) -> Config:
    """Return the configuration of a file, or the embedded default, checked with all it points at.

    :param data: in place of the file's data directory; needed without a file.
    :param text: in place of what stands in the file.
    :param with_certificates: look at the certificate files too.
    :raises ConfigurationError: every mistake.
    """
    if file is not None:
        pairs = check_pair if with_certificates else _no_mistakes
        return load(file, data, Checks(pairs, _policy_mistakes, _checker_mistakes, _authority_mistakes), text)
    return demo_config((data or Path("mailnode-data")).absolute(), port_offset)


def _no_mistakes(certificate: Path, key: Path) -> list[tuple[str, str]]:
    return []


def listed_policies(config: Config) -> list[ListedPolicy]:
    """Return what is told of a configuration's policies, where no server runs. :raises ConfigurationError:"""
    entries = config.policies()
    places = [(place, entry.name, entry.on_failure, entry.options) for place, entry in entries]
    return plugins.listed(places, _policies(entries))


def programs(config: Config) -> list[tuple[str, str, ProgramEndpoint]]:
    """Return the programs that a configuration's policies ask: where it names each, the policy, the place.

    :raises ConfigurationError:"""
    entries = config.policies()
    return [
        (key, policy.name, IAsksProgram(policy).place)
        for (key, _), policy in zip(entries, _policies(entries), strict=True)
        if IAsksProgram.providedBy(policy)
    ]


def _policy_mistakes(entries: Sequence[tuple[str, PolicyEntry]]) -> list[str]:
    return _mistakes(lambda: _policies(entries))


def _policies(entries: Sequence[tuple[str, PolicyEntry]]) -> list[IPolicy]:
    """Make policies that nobody will ask."""
    clock = StandingClock()
    resolver = Resolver(clock, ["127.0.0.1"])  # type: ignore[arg-type]  # policies are made only: it asks nobody
    programs = Programs(clock, resolver)  # type: ignore[arg-type]  # the same
    context = PluginContext(
        clock, resolver, CallingThread(), programs, "localhost", UnchangedMemory(), NothingCounted(), NoFilters()
    )
    wanted = [(key, entry.name, entry.options) for key, entry in entries]
    return plugins.make_policies(wanted, context)


def _checker_mistakes(texts: Sequence[str]) -> list[str]:
    return _mistakes(lambda: plugins.make_checkers(texts))


def _authority_mistakes(path: Path) -> list[str]:
    return _mistakes(lambda: read_authorities(path))


def _mistakes(make: Callable[[], object]) -> list[str]:
    try:
        make()
    except ConfigurationError as error:
        return error.mistakes
    return []
