"""Another configuration for a server that runs: all of what can change, or nothing when there is a mistake anywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from twisted.logger import Logger

from mailnode.config.changes import changed_keys, live
from mailnode.config.holder import Holder
from mailnode.config.schema import Config
from mailnode.config.server_scripts import read_server_scripts
from mailnode.errors import ConfigurationError, DomainError
from mailnode.interfaces.accounts import IDirectory
from mailnode.interfaces.turns import Places
from mailnode.net.tls import CertificateStore
from mailnode.values.events import emit
from mailnode.values.scripts import ServerScriptSet

_log = Logger()


def certificate_files(config: Config) -> list[tuple[Path, Path]]:
    """Return the (certificate, key) files of a configuration, the default's first; none without TLS."""
    tls = config.tls
    if tls is None:
        return []
    return [(tls.certificate, tls.key), *((name.certificate, name.key) for name in tls.name)]


@dataclass(frozen=True, slots=True)
class Changes:
    """What a reload did: keys that were taken over, keys that were not, and why nothing was."""

    applied: list[str]
    needs_restart: list[str]
    mistakes: list[str]


class Reloading:
    """Takes configurations over, one at a time."""

    def __init__(
        self,
        holder: Holder,
        certificates: CertificateStore,
        directory: IDirectory,
    ) -> None:
        self._holder = holder
        self._certificates = certificates
        self._directory = directory
        self._one_at_a_time = Places()
        try:
            self._scripts = read_server_scripts(holder.config)
        except ConfigurationError:  # told at the start, and again by whoever runs them
            self._scripts = ServerScriptSet()

    async def take(self, read: Callable[[], Config]) -> Changes:
        """Take over what can change, or nothing. :param read: returns the configuration that is wanted."""
        async with self._one_at_a_time:
            try:
                applied, needs_restart = await self._take_over(read())
                mistakes: list[str] = []
            except ConfigurationError as error:
                applied, needs_restart, mistakes = [], [], error.mistakes
        emit(_log, "server.reload", applied=",".join(applied), needs_restart=",".join(needs_restart))
        for mistake in mistakes:
            _log.warn("nothing was taken over: {mistake}", mistake=mistake)
        return Changes(applied, needs_restart, mistakes)

    async def _take_over(self, wanted: Config) -> tuple[list[str], list[str]]:
        """Return the keys that were taken over and those that were not. :raises ConfigurationError: nothing was."""
        config = self._holder.config
        taken = live(config, wanted)
        scripts = read_server_scripts(taken)
        read = self._certificates.read(certificate_files(taken))
        if taken.domain != config.domain:
            try:
                await self._directory.set_fixed_domains([domain.name for domain in taken.domain])
            except DomainError:
                raise ConfigurationError(["domain: the store cannot be written at the moment; see the log"]) from None
        # From here on nothing fails and nothing waits: all of it comes into use at once.
        applied = changed_keys(config, taken)
        if self._certificates.use(read):
            applied = [key for key in applied if not key.startswith("tls.")] + ["tls"]
        if scripts != self._scripts and not any(key.startswith(("sieve.", "domain")) for key in applied):
            applied.append("sieve")  # what stands in the files
        self._scripts = scripts
        if applied:
            self._holder.swap(taken)
        return applied, changed_keys(taken, wanted)
