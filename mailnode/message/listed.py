"""Mail that came through a list: which notices its reverse-path may be sent (RFC 3461 5.2 leaves it to the reverse-path alone).

A list takes the dead out by notices of failure, at an address of its own. What it can do nothing with it is not sent, and what
stands for the list's members it is sent nothing at all: they would all hear of each failure, or of each other's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

from mailnode.message.headers import scan_fields, unfold
from mailnode.values.address import Address
from mailnode.values.envelope import ALL_NOTICES, FAILURES_ALONE, NO_NOTICES

MAX_LOOKED = 64 * 1024  # octets of a header block that addresses are looked for in
MAX_POST = 2048  # octets of List-Post fields

_OF_LISTS = frozenset({b"list-id", b"list-post", b"list-unsubscribe"})  # RFC 2919, RFC 2369
_PRECEDENCE = b"precedence"
_BULK = frozenset({b"list", b"bulk", b"junk"})
_ASKED = (_PRECEDENCE, b"to", b"cc", b"list-post")
_REQUEST = "-request"  # whom subscribers write to (RFC 2142 6)
_IN_ADDRESS = rb"[0-9a-z!#$%&'*+/=?^_`{|}~.@\x80-\xff-]"


def notices_owed(names: Sequence[bytes], block: bytes, reverse_path: Address | None) -> str:
    """Return which notices the reverse-path may be sent: ``ALL_NOTICES``, ``FAILURES_ALONE`` or ``NO_NOTICES``.

    :param names: of the fields in the header block, lower case.
    """
    is_listed = not _OF_LISTS.isdisjoint(names)
    if reverse_path is None or not (is_listed or _PRECEDENCE in names):
        return ALL_NOTICES
    found: dict[bytes, list[bytes]] = {name: [] for name in _ASKED}
    for _, name, start, end in scan_fields(block[:MAX_LOOKED]):
        if (known := name.lower()) in found:
            found[known].append(unfold(block[start:end]))
    if not is_listed and not any(value.lower() in _BULK for value in found[_PRECEDENCE]):
        return ALL_NOTICES
    posted_to = [*found[b"to"], *found[b"cc"], _unquoted(b"\n".join(found[b"list-post"])[:MAX_POST])]
    if reverse_path.base().local.lower().endswith(_REQUEST) or _names(b"\n".join(posted_to), reverse_path):
        return NO_NOTICES
    return FAILURES_ALONE


def _names(values: bytes, address: Address) -> bool:
    """Whether an address stands in these, in whatever case, its domain in either form."""
    ways = {str(address).lower(), f"{address.local}@{address.domain_key}".lower()}
    alike = rb"(?<!%b)(?:%b)(?!%b)" % (_IN_ADDRESS, b"|".join(re.escape(way.encode()) for way in ways), _IN_ADDRESS)
    lowered = values.decode("utf-8", "replace").lower().encode()  # octets are searched faster
    return re.search(alike, lowered) is not None


def _unquoted(value: bytes) -> bytes:
    """Return addresses of ``mailto`` URIs as they are written elsewhere (RFC 6068 2)."""
    return unquote_to_bytes(value.replace(b"?", b" "))
