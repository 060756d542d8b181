"""What was expunged, or went with its mailbox, and can come back."""

from __future__ import annotations

from typing import NamedTuple

from mailnode.values.facts import SortKeys


class DeletedMailbox(NamedTuple):
    """A mailbox that may hold such messages. It may be there no more."""

    mailbox_id: int
    name: str  # full; of one that is there no more, what it would be now
    stands: bool


class DeletedMessage(NamedTuple):
    """A message that stands nowhere any more, at the place where it was last."""

    mailbox_id: int
    uid: int
    deleted_at: int  # UTC microseconds
    size: int  # RFC822.SIZE
    internaldate: int  # UTC microseconds
    digest: bytes  # SHA-256 of the content
    keys: SortKeys  # what it says of itself
