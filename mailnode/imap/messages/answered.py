"""What messages of a mailbox said to a search key."""

from __future__ import annotations

from array import array
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answered:
    """The messages that were asked, in any order, and for each an octet: whether the key holds."""

    uids: array[int]
    holds: bytes

    @property
    def octets(self) -> int:
        """How much memory it takes."""
        return len(self.uids) * self.uids.itemsize + len(self.holds)
