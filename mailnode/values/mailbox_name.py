"""Mailbox names: Unicode, NFC, levels separated by ``/``. The encoding on the wire is the protocol's matter."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from mailnode.errors import BadMailboxName
from mailnode.values.composed import compose

SEPARATOR = "/"
MAX_OCTETS = 255
MAX_DEPTH = 32
INBOX = "INBOX"


@lru_cache(maxsize=1024)
def mailbox_name(text: str) -> str:
    """Return the canonical name: NFC, INBOX in capitals where it is the whole first level, one trailing separator cut.

    :raises BadMailboxName: empty, an empty level, control characters, over 255 octets or 32 levels.
    """
    name = compose(text)
    if name.endswith(SEPARATOR):
        name = name[:-1]
    levels = name.split(SEPARATOR)
    if levels[0].isascii() and levels[0].upper() == INBOX:
        levels[0] = INBOX
    name = SEPARATOR.join(levels)
    if len(levels) > MAX_DEPTH or not all(levels):
        raise BadMailboxName("empty level or too deep")
    if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in name):
        raise BadMailboxName("control character")
    if len(name.encode("utf-8")) > MAX_OCTETS:
        raise BadMailboxName("too long")
    return name


def split(name: str) -> list[str]:
    """Return the levels of a canonical name, outermost first."""
    return name.split(SEPARATOR)
