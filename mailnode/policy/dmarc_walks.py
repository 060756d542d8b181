"""Walks to records of DMARC (RFC 9989 4.10) that were just made: the next message is often of the same domain."""

from __future__ import annotations

from mailnode.interfaces.outbound import Records
from mailnode.interfaces.runtime import IClock
from mailnode.message.dmarc import walk
from mailnode.policy.timely import TimelyResolver
from mailnode.values.dmarc import Walked

AGAIN = 1.0  # seconds in which a domain's walk is as it was, or fewer where a record on it may not be kept for so long
MAX_JUST_WALKED = 1_000  # of those at a time


class RecentWalks:
    """Of all messages."""

    def __init__(self, clock: IClock) -> None:
        self._clock = clock
        self._walked: dict[str, tuple[float, Walked]] = {}  # until when

    async def walk(self, domain: str, resolver: TimelyResolver) -> Walked:
        """Return what a walk finds. :param domain: in lower-case A-labels.

        :raises mailnode.errors.ResolverFailure: what is there cannot be told."""
        known = self._walked.get(domain)
        # A clock that was set back makes nothing stay.
        if known is not None and 0.0 < known[0] - self._clock.seconds() <= AGAIN:
            return known[1]
        began, seconds = self._clock.seconds(), AGAIN

        async def look_up(name: str) -> Records[bytes]:
            nonlocal seconds
            records = await resolver.txt(name)
            seconds = min(seconds, records.ttl)
            return records

        walked = await walk(domain, look_up)
        if seconds > 0.0:
            if len(self._walked) >= MAX_JUST_WALKED:
                self._walked.clear()
            self._walked[domain] = began + seconds, walked
        return walked
