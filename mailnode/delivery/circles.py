"""Mail that comes back to an address here that has led it on before.

A copy that goes to other servers for a recipient here bears that recipient in a Delivered-To field. What comes with such a field
is led on for nobody it names: it would go round until its hops are too many. Mailboxes here are no matter of this: a copy that
a list sends to a member, or that somebody sends once more, belongs there.
"""

from __future__ import annotations

from itertools import islice

from mailnode.errors import BadAddress
from mailnode.message.compose import delivered_to
from mailnode.message.headers import fields
from mailnode.values.address import Address, parse_address

_NAME = b"delivered-to"
MAX_VISITS = 100  # fields that are looked at, the highest ones


def mark(recipient: Address) -> bytes:
    """Return the field for the top of what is led on for a recipient; b"" where it cannot be named in ASCII, or not at all."""
    if not recipient.domain or not recipient.local.isascii():
        return b""
    return delivered_to(str(Address(recipient.local, recipient.domain_key)))


def visited(header: bytes) -> frozenset[str]:
    """Return the keys of the addresses that a message has come to already, by its header block."""
    named = islice((field.value for field in fields(header) if field.is_named(_NAME)), MAX_VISITS)
    keys = set()
    for value in named:
        try:
            keys.add(parse_address(value.decode("utf-8", "replace")).key)
        except BadAddress:
            pass  # another server's way to say it
    return frozenset(keys)
