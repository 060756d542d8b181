"""What messages are ordered by, the orders and threads made of it, and what searches found, kept for the next time.

What a message says never changes, nor which message a UID names; so nothing that is kept has to be compared with the store.
Columns grow by messages that come. An order or thread is known by the messages it was made of: a flag that changes leaves it
valid, a message that comes or goes makes another of it.
"""

from __future__ import annotations

import secrets
from array import array
from collections import OrderedDict
from collections.abc import Hashable
from typing import TypeAlias

from mailnode.imap.messages.answered import Answered
from mailnode.imap.messages.columns import Column
from mailnode.interfaces.turns import Turns

OCTETS = 48 * 1024 * 1024  # of columns, orders and threads that are kept
ANSWERS = 16 * 1024 * 1024  # octets of what searches found that are kept, apart from these
ENTRIES = 1000  # of either, how many
_ENTRY = 500  # octets that an entry takes besides its own, about

Kept: TypeAlias = "Answered | Column | bytes | array[int]"


class MessageKeys:
    """Of all mailboxes this process serves; what was longest unused goes first."""

    def __init__(self, octets: int = OCTETS, entries: int = ENTRIES) -> None:
        """:param octets, entries: that may be kept."""
        self.secret = secrets.token_bytes(16)
        self.epoch = 0  # how often all was forgotten: what is found under way then is kept where nobody looks for it
        self._entries = entries
        self._left = octets
        self._kept: OrderedDict[Hashable, tuple[Kept, int]] = OrderedDict()
        self.filling = Turns()  # by mailbox: one reads its columns, who comes second finds them

    def clear(self) -> None:
        """Forget everything."""
        self.epoch += 1
        self._left += sum([octets for _, octets in self._kept.values()])
        self._kept.clear()

    def get(self, key: Hashable) -> Kept | None:
        """Return what is kept under a key."""
        known = self._kept.get(key)
        if known is None:
            return None
        self._kept.move_to_end(key)
        return known[0]

    def keep(self, key: Hashable, value: Kept) -> None:
        """Keep something, in place of what was kept under this key."""
        octets = _ENTRY + (value.octets if isinstance(value, Answered | Column) else memoryview(value).nbytes)
        before = self._kept.pop(key, None)
        if before is not None:
            self._left += before[1]
        self._kept[key] = value, octets
        self._left -= octets
        while self._left < 0 or len(self._kept) > self._entries:
            self._left += self._kept.popitem(last=False)[1][1]
