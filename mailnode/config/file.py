"""Reads the configuration file, and no more: commands that ask a running server need nothing else of it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, TypeAlias

from mailnode.errors import ConfigurationError

# What stands in a file, or in a section of one: of whatever types TOML knows, not checked yet.
ConfigTable: TypeAlias = dict[str, Any]

MAX_FILE = 1_048_576  # octets


def data_directory(path: Path) -> Path:
    """Return only the data directory of a file, whatever else is wrong with it: where a running server is found.

    :raises ConfigurationError: the file cannot be read, or does not say.
    """
    return data_of(parse(path), path)


def data_of(table: ConfigTable, path: Path) -> Path:
    """Return the data directory of what was read of a file. :raises ConfigurationError: it does not say."""
    server = table.get("server")
    data = server.get("data") if isinstance(server, dict) else None
    if not isinstance(data, str) or not data:
        raise ConfigurationError(["server.data: is required"])
    return path.absolute().parent / data


def parse(path: Path) -> ConfigTable:
    """Return what stands in a file, unchecked. :raises ConfigurationError: it cannot be read, or is not TOML."""
    return parse_octets(read_octets(path), path)


def read_octets(path: Path) -> bytes:
    """Return what stands in a file. :raises ConfigurationError: it cannot be read, or is too large."""
    try:
        with path.open("rb") as file:
            octets = file.read(MAX_FILE + 1)
    except OSError as error:
        raise ConfigurationError([f"{path}: cannot be read: {error.strerror}"]) from None
    if len(octets) > MAX_FILE:
        raise ConfigurationError([f"{path}: larger than {MAX_FILE} octets"])
    return octets


def parse_octets(octets: bytes, path: Path) -> ConfigTable:
    """Return what a text says, unchecked. :param path: where it stands. :raises ConfigurationError: it is not TOML."""
    try:
        return tomllib.loads(octets.decode("utf-8-sig"))  # editors of Windows write the mark
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise ConfigurationError([f"{path}: line {line}: not UTF-8"]) from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigurationError([f"{path}: not TOML: {error}"]) from None
