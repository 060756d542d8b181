"""Reads the filter scripts that the configuration names (:doc:`sieve`), and says what is wrong with them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from mailnode.config.schema import Config
from mailnode.errors import ConfigurationError
from mailnode.values.address import domain_key
from mailnode.values.scripts import ScriptsAround, ServerScriptSet, StoredScript

SUFFIX = ".sieve"  # of scripts in the directory of those that may be included
MAX_INCLUDED = 1000  # of them
MAX_SOURCE = 1_048_576  # octets


def read_server_scripts(config: Config) -> ServerScriptSet:
    """Return the scripts of the server, each of which can be compiled. Blocks.

    :raises ConfigurationError: what cannot be read, and each mistake with its line and column.
    """
    reading = _ScriptFiles()
    sieve = config.sieve
    found = ServerScriptSet(
        reading.around("sieve.before", sieve.before, "sieve.after", sieve.after),
        {
            domain_key(entry.name): reading.around(
                f"domain[{index}].sieve_before", entry.sieve_before, f"domain[{index}].sieve_after", entry.sieve_after
            )
            for index, entry in enumerate(config.domain)
            if entry.sieve_before or entry.sieve_after
        },
        reading.folder("sieve.global_scripts", sieve.global_scripts),
    )
    if reading.mistakes:
        raise ConfigurationError(reading.mistakes)
    return found


class _ScriptFiles:
    def __init__(self) -> None:
        self.mistakes: list[str] = []

    def around(self, before_key: str, before: Iterable[Path], after_key: str, after: Iterable[Path]) -> ScriptsAround:
        return self._all(before_key, before), self._all(after_key, after)

    def folder(self, key: str, path: Path | None) -> dict[str, StoredScript]:
        """Return what stands in a directory, by name."""
        if path is None:
            return {}
        try:
            files = sorted(one for one in path.iterdir() if one.suffix == SUFFIX)[: MAX_INCLUDED + 1]
        except OSError as error:
            self.mistakes.append(f"{key}: {path}: cannot be read: {error.strerror}")
            return {}
        if len(files) > MAX_INCLUDED:
            self.mistakes.append(f"{key}: {path}: more than {MAX_INCLUDED} scripts")
            return {}
        return {file.stem: script for file in files if (script := self._read(key, file)) is not None}

    def _all(self, key: str, paths: Iterable[Path]) -> tuple[StoredScript, ...]:
        found = [self._read(key, path) for path in paths]
        return tuple([script for script in found if script is not None])

    def _read(self, key: str, path: Path) -> StoredScript | None:
        # The language is loaded only where there are such scripts: other commands and servers do without it.
        from mailnode.sieve.checker import compile_script
        from mailnode.sieve.faults import ScriptRefused

        try:
            with path.open("rb") as file:
                source = file.read(MAX_SOURCE + 1)
        except OSError as error:
            self.mistakes.append(f"{key}: {path}: cannot be read: {error.strerror}")
            return None
        try:
            compile_script(source)
        except ScriptRefused as refused:
            self.mistakes += [f"{key}: {path}:{one.line}:{one.column}: {one.text}" for one in refused.mistakes]
            return None
        return StoredScript(str(path), source, hashlib.sha256(source).hexdigest())
