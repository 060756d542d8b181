"""When segments are joined: few are to be looked through, and no term is to be written often.

The size of a segment says its tier: each is four times as large as the one before. When a tier has four segments behind one
another they become one; so a message is written once in each tier, and a search looks through three segments of each.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.store.search.segments import MAX_MESSAGES, MAX_OCTETS
from mailnode.values.search import SegmentPlace

FACTOR = 4


def _tier(messages: int) -> int:
    tier = 0
    while messages >= FACTOR:
        messages //= FACTOR
        tier += 1
    return tier


def merged(before: Sequence[SegmentPlace], messages: int) -> int:
    """Return how many of the last segments a new one joins. :param messages: how many are new, of about as many octets each as
    the others."""
    count = 0
    octets = 0
    while True:
        group = 0  # further ones of its tier
        tier = _tier(messages)
        more, size = 0, 0
        for one in reversed(before[: len(before) - count]):
            if _tier(one.messages) > tier or group == FACTOR - 1:
                break
            group += 1
            more += one.messages
            size += one.octets
        if group < FACTOR - 1 or messages + more > MAX_MESSAGES or octets + size > MAX_OCTETS:
            return count
        count += group
        messages += more
        octets += size
