"""How one client is told of messages, by what it has enabled."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Manner:
    """``uid``: what is told unasked carries the UID (RFC 9051 7.5.2, RFC 7162 3.2.4). ``modseq``: flag changes carry MODSEQ too
    (RFC 7162 3.2.4). ``vanished``: VANISHED stands in the place of EXPUNGE
    (RFC 7162 3.2.10). ``uid_only``: no number is said that is not a UID (RFC 9586 3)."""

    uid: bool = False
    modseq: bool = False
    vanished: bool = False
    uid_only: bool = False


def manner_of(enabled: Set[str]) -> Manner:
    """Return what follows from the extensions that are enabled."""
    if not enabled:
        return _NOTHING_ENABLED
    uid_only, modseq = "UIDONLY" in enabled, "CONDSTORE" in enabled
    return _manner(modseq or "IMAP4REV2" in enabled, modseq, uid_only or "QRESYNC" in enabled, uid_only)


_manner = lru_cache(maxsize=None)(Manner)
_NOTHING_ENABLED = Manner()
