"""Where a server's configuration comes from: its file, or, where what stands there was tried and put back, the version before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mailnode.config.file import data_of, parse_octets, read_octets
from mailnode.config.schema import Config
from mailnode.config.versions import ConfigVersions, VersionState, digest_of
from mailnode.errors import ConfigurationError
from mailnode.server.configuration import configuration

VERSIONS = "config-versions"  # in the data directory


@dataclass(frozen=True, slots=True)
class ChosenConfig:
    """What is to be in use. ``failed``: the trial of what stands in the file is over, and it is put back, which is to be written
    down."""

    text: bytes  # of the file, or of the version in its place; b"" for the demonstration's
    config: Config
    instead: int = 0  # the number of the version in place of the file; 0: it is the file
    failed: bool = False


@dataclass(frozen=True, slots=True)
class ConfigSource:
    """A file, or the demonstration's configuration. ``data``: in place of the file's data directory; needed without a file."""

    file: Path | None
    data: Path | None
    port_offset: int = 0

    def text(self) -> bytes:
        """Return what stands in the file now. :raises ConfigurationError:"""
        return b"" if self.file is None else read_octets(self.file)

    def of_text(self, text: bytes, *, with_certificates: bool = False) -> Config:
        """Return the configuration of a text, as if it stood in the file, checked with all it points at.

        :raises ConfigurationError: every mistake.
        """
        return configuration(self.file, self.data, self.port_offset, text, with_certificates=with_certificates)

    def choose(self, now: float, *, starting: bool = False) -> ChosenConfig:
        """Return what is to be in use; nothing is written.

        :param now: UTC seconds. :param starting: look at the certificates too, and put back what is on trial and cannot be
            started with.
        :raises ConfigurationError: every mistake.
        """
        text = self.text()
        versions = self._versions(text)
        state = VersionState() if versions is None else versions.state()
        trial, digest = state.trial, digest_of(text)
        if versions is not None and state.refuses(digest):
            return self._instead(versions, state.fallback, starting)
        on_trial = trial is not None and state.of(trial.number).digest == digest
        if versions is not None and trial is not None and on_trial and now >= trial.until:
            return self._instead(versions, trial.fallback, starting, failed=True)
        try:
            return ChosenConfig(text, self.of_text(text, with_certificates=starting))
        except ConfigurationError:
            if versions is None or trial is None or not on_trial or not starting:
                raise
            return self._instead(versions, trial.fallback, starting, failed=True)

    def _instead(
        self, versions: ConfigVersions, number: int, with_certificates: bool, *, failed: bool = False
    ) -> ChosenConfig:
        text = versions.text(number)
        return ChosenConfig(text, self.of_text(text, with_certificates=with_certificates), number, failed)

    def _versions(self, text: bytes) -> ConfigVersions | None:
        """Return those of the data directory that a text names; None: it names none."""
        if self.file is None:
            return None
        try:
            data = self.data or data_of(parse_octets(text, self.file), self.file)
        except ConfigurationError:
            return None
        return ConfigVersions(data / VERSIONS)
