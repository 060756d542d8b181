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
    unusable: tuple[str, ...] = ()  # why the version that should be in place of the file is not


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
        state = VersionState() if versions is None else _known(versions)
        trial, digest = state.trial, digest_of(text)
        if versions is not None and state.refuses(digest):
            return self._instead_or(text, versions, state.fallback, starting)
        on_trial = trial is not None and state.of(trial.number).digest == digest
        if versions is not None and trial is not None and on_trial and now >= trial.until:
            return self._instead_or(text, versions, trial.fallback, starting, failed=True)
        try:
            return ChosenConfig(text, self.of_text(text, with_certificates=starting))
        except ConfigurationError:
            if versions is None or trial is None or not on_trial or not starting:
                raise
            return self._instead(versions, trial.fallback, starting, failed=True)

    def _instead_or(
        self, text: bytes, versions: ConfigVersions, number: int, starting: bool, *, failed: bool = False
    ) -> ChosenConfig:
        """Return a version in place of the file. A server that starts takes the file rather than not to start at all.

        :raises ConfigurationError: every mistake."""
        try:
            return self._instead(versions, number, starting, failed=failed)
        except ConfigurationError as error:
            if not starting:
                raise
            try:
                config = self.of_text(text, with_certificates=True)
            except ConfigurationError as other:
                raise ConfigurationError([*error.mistakes, *other.mistakes]) from None
            return ChosenConfig(text, config, unusable=tuple(error.mistakes))

    def _instead(
        self, versions: ConfigVersions, number: int, with_certificates: bool, *, failed: bool = False
    ) -> ChosenConfig:
        """:raises ConfigurationError: every mistake, of that version."""
        text = versions.text(number)
        try:
            config = self.of_text(text, with_certificates=with_certificates)
        except ConfigurationError as error:
            said = f"version {number} of the configuration, which stands in for the file"
            raise ConfigurationError([f"{said}: {mistake}" for mistake in error.mistakes]) from None
        return ChosenConfig(text, config, number, failed)

    def _versions(self, text: bytes) -> ConfigVersions | None:
        """Return those of the data directory that a text names; None: it names none."""
        if self.file is None:
            return None
        try:
            data = self.data or data_of(parse_octets(text, self.file), self.file)
        except ConfigurationError:
            return None
        return ConfigVersions(data / VERSIONS)


def _known(versions: ConfigVersions) -> VersionState:
    """:raises ConfigurationError: what is known of versions cannot be read."""
    try:
        return versions.state()
    except OSError as error:
        raise ConfigurationError([f"{error.filename or VERSIONS}: cannot be read: {error.strerror}"]) from None
