"""A message as a backup has it."""

from __future__ import annotations

from typing import NamedTuple

from mailnode.values.blob import BlobRef
from mailnode.values.facts import SortKeys


class BackedUpMessage(NamedTuple):
    """One that stood in a mailbox when the backup was made."""

    uid: int
    flags: int  # system bits
    keywords: tuple[str, ...]
    size: int  # RFC822.SIZE: prefix and blob
    internaldate: int  # UTC microseconds
    internaldate_offset: int  # minutes east
    prefix: bytes
    blob: BlobRef
    keys: SortKeys  # what it says of itself
    uidvalidity: int  # of its mailbox
    uidl: str | None  # POP3 unique-id; None: made of UIDVALIDITY and UID
