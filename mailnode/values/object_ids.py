"""Object identifiers (RFC 8474): a letter for the kind, the account that owns the object, its number there.

With the owner in them they are unique over all that one login can see, mailboxes of other people among it. Everything in
them is lower case but the letter, and none begins with a digit (RFC 8474 8.1).
"""

from __future__ import annotations

import re

MAILBOX, EMAIL, THREAD = b"F", b"M", b"T"

_OBJECT_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
_NUMBER = re.compile(r"[1-9][0-9]{0,18}")


def object_id(kind: bytes, owner: str, number: int) -> bytes:
    """Return the identifier of a mailbox, a message or a thread.

    :param owner: the account's id. :param number: within the account; not 0.
    """
    return b"%b%b-%d" % (kind, owner.encode("ascii"), number)


def mailbox_id_code(owner: str, number: int) -> bytes:
    """Return the response code that tells a mailbox's identifier (RFC 8474 4.1 and 4.2)."""
    return b"MAILBOXID (%b)" % object_id(MAILBOX, owner, number)


def is_object_id(text: str) -> bool:
    """Whether text has the form of an identifier, of whomever's making (RFC 8474 7)."""
    return _OBJECT_ID.fullmatch(text) is not None


def number_of(kind: bytes, owner: str, text: str) -> int:
    """Return the number an identifier stands for; 0: it is not of this kind and owner."""
    stem = f"{kind.decode('ascii')}{owner}-"
    digits = text[len(stem) :]
    return int(digits) if text.startswith(stem) and _NUMBER.fullmatch(digits) else 0
