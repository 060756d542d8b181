"""Mail that came through a list: which notices its reverse-path may be sent (RFC 3461 5.2 leaves it to the reverse-path alone).

A list takes the dead out by notices of failure, at an address of its own. What it can do nothing with it is not sent, and what
stands for the list's members it is sent nothing at all: they would all hear of each failure, or of each other's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

from mailnode.message.headers import fields
from mailnode.values.address import Address
from mailnode.values.envelope import ALL_NOTICES, FAILURES_ALONE, NO_NOTICES

_OF_LISTS = frozenset({b"list-id", b"list-post", b"list-unsubscribe"})  # RFC 2919, RFC 2369
_PRECEDENCE = b"precedence"
_BULK = frozenset({b"list", b"bulk", b"junk"})
_POSTED_TO = frozenset({b"to", b"cc", b"list-post"})
_REQUEST = "-request"  # whom subscribers write to (RFC 2142 6)
_IN_ADDRESS = rb"[0-9a-z!#$%&'*+/=?^_`{|}~.@\x80-\xff-]"


def notices_owed(names: Sequence[bytes], block: bytes, reverse_path: Address | None) -> str:
    """Return which notices the reverse-path may be sent: ``ALL_NOTICES``, ``FAILURES_ALONE`` or ``NO_NOTICES``.

    :param names: of the fields in the header block, lower case.
    """
    if reverse_path is None or not (_OF_LISTS.intersection(names) or _PRECEDENCE in names):
        return ALL_NOTICES
    is_listed, posted_to = False, []
    for field in fields(block):
        name = field.name.lower()
        is_listed = is_listed or name in _OF_LISTS or (name == _PRECEDENCE and field.value.lower() in _BULK)
        if name in _POSTED_TO:
            posted_to.append(_unquoted(field.value) if name == b"list-post" else field.value)
    if not is_listed:
        return ALL_NOTICES
    if reverse_path.base().local.lower().endswith(_REQUEST) or _names(posted_to, reverse_path):
        return NO_NOTICES
    return FAILURES_ALONE


def _names(values: Sequence[bytes], address: Address) -> bool:
    """Whether an address stands in one of these, in whatever case, its domain in either form."""
    ways = {str(address).lower(), f"{address.local}@{address.domain_key}".lower()}
    alike = rb"(?<!%b)(?:%b)(?!%b)" % (_IN_ADDRESS, b"|".join(re.escape(way.encode()) for way in ways), _IN_ADDRESS)
    return any(re.search(alike, value.lower()) for value in values)


def _unquoted(value: bytes) -> bytes:
    """Return addresses of ``mailto`` URIs as they are written elsewhere (RFC 6068 2)."""
    return unquote_to_bytes(value.replace(b"?", b" "))
