"""What clamd is sent and says: the command INSTREAM in its form with NUL at the end (clamd(8))."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailnode.policy.wire.unreadable import Unreadable

COMMAND = b"zINSTREAM\0"
END = bytes(4)  # a piece of no octets
MAX_REPLY = 4096  # octets
_REPLY = re.compile(r"(?:[0-9]+: )?(?:stream|instream\([^)]*\)): (?:(?P<ok>OK)|(?P<found>.+) FOUND|(?P<error>.+))")


@dataclass(frozen=True, slots=True)
class ClamdAnswer:
    """``found``: the name of what the message has in it, "" for nothing. ``error``: why that is not known."""

    found: str = ""
    error: str = ""


def piece(data: bytes) -> bytes:
    """Return a piece of the message, behind its length."""
    return len(data).to_bytes(4, "big") + data


def answer(said: bytes) -> ClamdAnswer | None:
    """Return the answer, None as long as it is not all there. :raises Unreadable:"""
    text, end, _ = said.partition(b"\0")
    if len(text) > MAX_REPLY:
        raise Unreadable(f"a reply of more than {MAX_REPLY} octets")
    if not end:
        return None
    line = text.decode("ascii", "backslashreplace").strip()
    reply = _REPLY.fullmatch(line)
    if reply is None or reply["error"]:
        if line.endswith("ERROR"):
            return ClamdAnswer(error=line)
        raise Unreadable("a reply that clamd does not give")
    return ClamdAnswer(reply["found"] or "")
