"""What is remembered of an account's scripts, so that it is not done twice: who was answered, what came before, what was told."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

ANSWERED = "answered"  # a sender, by vacation (RFC 5230 4.2)
SEEN = "seen"  # an id of messages, by duplicate (RFC 7352)
TOLD = "told"  # the account, that a script fails


class ScriptMemory(NamedTuple):
    """One thing. ``key``: :func:`key_of` what it is known by. ``until``: UTC seconds, as long as it holds."""

    account_id: str
    kind: str
    key: str
    until: float


def key_of(*parts: str) -> str:
    """Return what something is remembered by: of one length, whatever a script or a stranger makes of the parts."""
    joined = "\0".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()
