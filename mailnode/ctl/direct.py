"""Commands on the store itself, while no server runs: as the owner of the data directory, under its lock."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

from mailnode.admin.dispatch import run
from mailnode.admin.operations import UNREACHABLE, CommandFailed
from mailnode.config.schema import Config
from mailnode.errors import ConfigurationError
from mailnode.server.administration import with_store

_ONLY_RUNNING = ("reload", "status")


def run_directly(config: Config, command: str, arguments: dict[str, Any]) -> Any:
    """Open the store, run one command, close it. :raises CommandFailed:"""
    data = config.server.data
    if command in _ONLY_RUNNING:
        raise CommandFailed(UNREACHABLE, f"{data}: no server is running")
    check_owner(data)
    try:
        return with_store(config, lambda admin: run(admin, command, arguments))
    except ConfigurationError as error:
        raise CommandFailed(UNREACHABLE, "\n".join(error.mistakes)) from None


def check_owner(data: Path) -> None:
    """Refuse to work on somebody else's store: files made by the wrong user would lock the server out.

    :raises CommandFailed: not the owner, or no such directory.
    """
    try:
        owner = data.stat().st_uid
    except FileNotFoundError:
        raise CommandFailed(
            UNREACHABLE, f"{data}: there is no such directory: no server was started here yet"
        ) from None
    except OSError as error:
        raise CommandFailed(UNREACHABLE, f"{data}: {error.strerror}") from None
    if owner != os.geteuid():
        try:
            name = pwd.getpwuid(owner).pw_name
        except KeyError:
            name = str(owner)
        raise CommandFailed(UNREACHABLE, f"{data}: belongs to {name}; run this as {name}")
