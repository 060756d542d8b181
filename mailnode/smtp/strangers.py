"""What a process remembers of strangers: how much of each there was in the last minute, and whose mail was taken lately.

All of it is in memory, bounded, and of this process alone: each of several counts what it serves itself. Who is forgotten for want
of room begins anew.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from twisted.logger import Logger

from mailnode.interfaces.runtime import IClock
from mailnode.values.events import emit
from mailnode.values.networks import client_key, neighbours_key

MAX_COUNTS = 20_000  # that are remembered: of clients and their neighbours, two for each kind of thing
MAX_KNOWN = 10_000  # clients whose mail was taken
KNOWN_SECONDS = 7 * 86400.0  # for which that is remembered
_MINUTE = 60.0

_log = Logger()


@dataclass(frozen=True, slots=True)
class Rates:
    """How much there may be of one client in a minute; 0: any number. ``neighbours``: how many times as much of it and the clients
    beside it together."""

    connections: int = 0
    messages: int = 0
    recipients: int = 0
    refused_recipients: int = 0
    neighbours: int = 4

    def most(self, what: str) -> int:
        """Return how much, by the name of the field."""
        return {
            "connections": self.connections,
            "messages": self.messages,
            "recipients": self.recipients,
            "refused_recipients": self.refused_recipients,
        }[what]


UNBOUNDED = Rates()


@dataclass(slots=True)
class _Count:
    """``level``: of what there was, as much as has not run off by ``at``, at so much a minute as there may be."""

    level: float
    at: float
    told: float = float("-inf")


class Strangers:
    """Those of all listeners of a process."""

    def __init__(self, clock: IClock) -> None:
        """:param clock: one that does not step."""
        self._clock = clock
        self._counts: OrderedDict[tuple[str, str], _Count] = OrderedDict()
        self._known: OrderedDict[str, float] = OrderedDict()

    # How much

    def add(self, what: str, peer: str, rates: Rates) -> bool:
        """Count one more connection, message ..., unless that is too much; return whether it was counted.

        :param what: a field of :class:`Rates`."""
        counts = list(self._of(what, peer, rates))
        if self._first_full(counts, what, peer):
            return False
        for count, _ in counts:
            count.level += 1
        return True

    def is_full(self, what: str, peer: str, rates: Rates) -> bool:
        """Whether one more would be too much."""
        return self._first_full(list(self._of(what, peer, rates)), what, peer)

    def _of(self, what: str, peer: str, rates: Rates) -> Iterator[tuple[_Count, int]]:
        """Yield the counts of a client and its neighbours, as they are now, each with what there may be."""
        most, now = rates.most(what), self._clock.seconds()
        if not most:
            return
        for key, times in ((client_key(peer), 1), (neighbours_key(peer), rates.neighbours)):
            count = self._counts.setdefault((what, key), _Count(0.0, now))
            self._counts.move_to_end((what, key))
            count.level = max(0.0, count.level - (now - count.at) * most * times / _MINUTE)
            count.at = now
            yield count, most * times
        while len(self._counts) > MAX_COUNTS:
            self._counts.popitem(last=False)

    def _first_full(self, counts: list[tuple[_Count, int]], what: str, peer: str) -> bool:
        for count, most in counts:
            if count.level + 1 > most:
                if count.at - count.told >= _MINUTE:
                    count.told = count.at
                    emit(_log, "client.limited", peer=peer, what=what, limit=most)
                return True
        return False

    # Who

    def is_known(self, peer: str) -> bool:
        """Whether mail of this client was taken lately."""
        since = self._known.get(client_key(peer))
        return since is not None and self._clock.seconds() - since < KNOWN_SECONDS

    def taken(self, peer: str) -> None:
        """A message of this client was taken, and not for junk."""
        key = client_key(peer)
        self._known[key] = self._clock.seconds()
        self._known.move_to_end(key)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)


class Newcomer:
    """The client of one session, should it be a stranger; nothing is counted of others."""

    def __init__(self, strangers: Strangers | None, rates: Rates) -> None:
        self._strangers = strangers
        self._rates = rates
        self._peer = ""

    def comes(self, peer: str) -> None:
        """It is at this address. :param peer: "": it is no stranger, or nothing is known of where it is."""
        self._peer = peer

    @property
    def is_unknown(self) -> bool:
        """Whether it is a stranger whose mail was not taken lately."""
        return self._strangers is not None and bool(self._peer) and not self._strangers.is_known(self._peer)

    def adds(self, what: str) -> bool:
        """Count one more connection, message ... of it, unless that is too much; whether there may be one more."""
        return self._strangers is None or not self._peer or self._strangers.add(what, self._peer, self._rates)

    def is_full(self, what: str) -> bool:
        """Whether there may be no further one."""
        return (
            self._strangers is not None and bool(self._peer) and self._strangers.is_full(what, self._peer, self._rates)
        )

    def taken(self) -> None:
        """A message of it was taken, and not for junk."""
        if self._strangers is not None and self._peer:
            self._strangers.taken(self._peer)
