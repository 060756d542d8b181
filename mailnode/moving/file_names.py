"""Names of files and directories for mailboxes: what cannot stand in one is written as ``%`` and two hexadecimal digits."""

from __future__ import annotations

import hashlib
import re

MAX_OCTETS = 200  # of one name; longer ones are cut, and told apart by a digest
_ESCAPED = re.compile(r"%([0-9A-Fa-f]{2})")
_TO_ESCAPE = re.compile(r"[%/\x00-\x1f\x7f]|^\.")


def file_level(level: str) -> str:
    """Return what a level of a mailbox's name is as a file's name."""
    written = _TO_ESCAPE.sub(lambda found: f"%{ord(found[0]):02X}", level)
    octets = written.encode("utf-8", "replace")
    if len(octets) <= MAX_OCTETS:
        return written
    digest = hashlib.sha256(octets).hexdigest()[:8]
    return octets[:MAX_OCTETS].decode("utf-8", "ignore") + "~" + digest


def folder_level(name: str) -> str:
    """Return the level of a mailbox's name that a file's name stands for."""
    readable = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), readable)
