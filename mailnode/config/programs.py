"""What a check says of programs beside the server that policies ask: whether anybody listens where one should."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from mailnode.config.checkup import User, as_user
from mailnode.values.program import ProgramEndpoint

PATIENCE = 2.0  # seconds for each to take a connection


def absent(user: User, programs: Sequence[tuple[str, str, ProgramEndpoint]]) -> list[str]:
    """Return a warning for each program that takes no connection of this user. Blocks.

    :param programs: where the configuration names each, the policy, and the program's place. :raises ConfigurationError: nobody
        but root can look with another's rights."""
    return as_user(user, lambda: [text for one in programs if (text := _absent(*one, user.name))])


def _absent(key: str, policy: str, place: ProgramEndpoint, user: str) -> str:
    try:
        _connect(place)
    except OSError as error:
        why = "no answer" if isinstance(error, TimeoutError) else error.strerror or str(error)
        return f"{key}: {policy}: {place}: the user {user} reaches nobody there ({why}): until then the policy fails"
    return ""


def _connect(place: ProgramEndpoint) -> None:
    if place.port:
        socket.create_connection((place.host, place.port), PATIENCE).close()
        return
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        client.connect(place.host)
