"""Names of IMAP capabilities, as people write them who want some hidden."""

from __future__ import annotations

import re

MOST_HIDDEN = 50  # capabilities of one account
# capability = atom (RFC 3501 9); a name that is longer is none we know
_NAME = re.compile(r"[A-Z0-9][A-Z0-9=+._-]{0,39}\Z")
_NEEDED = frozenset({"IMAP4REV1", "STARTTLS", "LOGINDISABLED"})  # without which nobody could use the server


def capability_name(text: str) -> str:
    """Return a capability that may be hidden, in capitals. :raises ValueError: no such name, or one that all need."""
    name = text.upper()
    if not _NAME.match(name):
        raise ValueError("not the name of a capability")
    if name in _NEEDED or name.startswith("AUTH="):
        raise ValueError(f"{name} cannot be hidden")
    return name
