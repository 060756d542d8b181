"""Capabilities that some programs are not told of, because they use them wrongly."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

_NOBODY: Mapping[str, frozenset[str]] = {}


@dataclass(frozen=True, slots=True)
class Hiding:
    """What is hidden, in capitals, from everyone and from clients by what they call themselves (in small letters)."""

    everyone: frozenset[str] = frozenset()
    clients: Mapping[str, frozenset[str]] = field(default_factory=lambda: _NOBODY)

    def of_client(self, name: bytes) -> frozenset[str]:
        """Return what is hidden from the client that calls itself so by ID (RFC 2971 3.3)."""
        return self.clients.get(name.decode("utf-8", "replace").lower(), frozenset())


NOTHING_HIDDEN = Hiding()

# Capabilities that are part of IMAP4rev2 (RFC 9051, Appendix E, 2 and 3): without one of them it is not whole. SPECIAL-USE is
# not among them, its attributes are said or not as one likes.
_OF_REV2 = {
    "BINARY", "CHILDREN", "ENABLE", "ESEARCH", "IDLE", "LIST-EXTENDED", "LIST-STATUS", "MOVE", "NAMESPACE", "SEARCHRES",
    "STATUS=SIZE", "UIDPLUS", "UNSELECT",
}  # fmt: skip
# An item of STATUS that came with two: it is hidden when both are.
DELETED = "STATUS=DELETED"
_OF_DELETED = frozenset({"IMAP4REV2", "QUOTA"})  # RFC 9051 6.3.11, RFC 9208 4.1.4
# One whose capability has a value, which stands in its name.
APPEND_LIMIT = "STATUS=APPENDLIMIT"  # RFC 7889 3.1

IMAPSIEVE = "IMAPSIEVE"  # the same

# What makes no sense, or cannot be said, without another one.
_NEED = {
    "ACL": {"LIST-MYRIGHTS", "RIGHTS=KXTE"},
    "CATENATE": {"URL-PARTIAL"},
    "CONDSTORE": {"QRESYNC"},
    "CONTEXT=SEARCH": {"CONTEXT=SORT"},
    "ENABLE": {"QRESYNC", "UIDONLY", "UTF8=ACCEPT"},
    "ESEARCH": {"CONTEXT=SEARCH", "CONTEXT=SORT", "ESORT", "MULTISEARCH", "PARTIAL", "SEARCHRES"},
    "ESORT": {"CONTEXT=SORT"},
    "LIST-EXTENDED": {"LIST-METADATA", "LIST-MYRIGHTS", "LIST-STATUS"},
    "METADATA": {IMAPSIEVE, "LIST-METADATA"},
    "QUOTA": {"QUOTA=RES-MAILBOX", "QUOTA=RES-MESSAGE", "QUOTA=RES-STORAGE", "QUOTASET"},
    "SORT": {"CONTEXT=SORT", "ESORT", "SORT=DISPLAY"},
    "SPECIAL-USE": {"CREATE-SPECIAL-USE"},
}


def with_what_needs_them(hidden: Set[str]) -> Set[str]:
    """Return capabilities with those that need one of them."""
    found = frozenset(hidden).union(*(needing for name, needing in _NEED.items() if name in hidden))
    if not found.isdisjoint(_OF_REV2):
        found |= {"IMAP4REV2"}
    if any(name.startswith("APPENDLIMIT=") for name in found):
        found |= {APPEND_LIMIT}
    return found | {DELETED} if found >= _OF_DELETED else found
