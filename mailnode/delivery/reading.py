"""Small messages are read in another process where many come at once: all that is asked of one by one call, before it is judged."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import cast

from zope.interface import implementer

from mailnode.delivery.acceptance import TINY, is_trivial
from mailnode.errors import Busy
from mailnode.interfaces.delivery import IMessageReader, IReadAhead
from mailnode.interfaces.learning import IAskedFilters
from mailnode.interfaces.runtime import IBatches, IClock
from mailnode.values.reading import ReadMessage

MOST_ACCOUNTS = 50  # behind a message, whose filters are asked in the other process
MANY, MOMENT = 4, 0.05  # so many messages in so many seconds: the way to the other process is worth it


@implementer(IReadAhead)
class ReadAhead:
    """One message."""

    def __init__(
        self,
        batches: IBatches,
        clock: IClock,
        filters: IAskedFilters,
        content: bytes,
        header_size: int,
        accounts: Sequence[str],
    ) -> None:
        self.reading: ReadMessage | None = None
        self._batches = batches
        self._clock = clock
        self._filters = filters
        self._accounts = accounts
        self._content = content
        self._header_size = header_size
        self._asked = False

    async def read(self, keys: Mapping[str, Sequence[bytes] | None]) -> ReadMessage | None:
        """See :class:`IReadAhead`."""
        if not self._asked:
            self._asked = True
            # Plain tuples: of what else DNS says the other process knows nothing.
            plain = {name: None if records is None else tuple(records) for name, records in keys.items()}
            accounts = self._accounts
            filters = self._filters.asked(accounts) if len(accounts) <= MOST_ACCOUNTS else None
            try:
                (read,) = await self._batches.run(
                    self._content, self._header_size, plain, self._clock.seconds(), filters
                )
            except Busy:
                return None  # it died, is behind, or could not read this one
            self.reading = cast(ReadMessage, read)
        return self.reading


@implementer(IMessageReader)
class MessageReader:
    """Of one process of the server."""

    largest = TINY

    def __init__(self, batches: IBatches, clock: IClock, filters: IAskedFilters) -> None:
        """:param batches: runs what returns a :class:`ReadMessage`. :param clock: UTC."""
        self._batches = batches
        self._clock = clock
        self._filters = filters
        self._came: deque[float] = deque([0.0] * MANY, MANY)  # when the last few did

    def begin(self, content: bytes, header_size: int, accounts: Sequence[str]) -> ReadAhead | None:
        """See :class:`IMessageReader`."""
        if not self._are_many() or not is_trivial(content):
            return None
        return ReadAhead(self._batches, self._clock, self._filters, content, header_size, accounts)

    def _are_many(self) -> bool:
        """Whether many messages came a moment ago, this one among them."""
        now: float = self._clock.seconds()
        self._came.append(now)
        return 0.0 <= now - self._came[0] < MOMENT
