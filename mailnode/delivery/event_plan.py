"""What the outcome of a mailbox's script comes to for a message that is in the mailbox already (RFC 6785 3): pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mailnode.sieve.actions import DiscardMessage, FileMessage, KeepMessage, SieveAction
from mailnode.values.flags import split_flags


@dataclass(frozen=True, slots=True)
class FlagDifference:
    """Flags that are to be set and taken away: bits of system flags, and keywords."""

    set_bits: int = 0
    set_keywords: tuple[str, ...] = ()
    cleared_bits: int = 0
    cleared_keywords: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EventPlan:
    """What is to be done, in this order. ``files``: messages of their own, whatever becomes of this one (3.3). ``sends``: the
    rest, which goes through the queue. ``kept``: it stays as it was, but for ``flags``; else it is marked with \\Deleted (3.3
    to 3.5), and its flags are left alone."""

    files: tuple[FileMessage, ...]
    sends: tuple[SieveAction, ...]
    kept: bool
    flags: FlagDifference = FlagDifference()


def event_plan(actions: Iterable[SieveAction], flags: Sequence[str]) -> EventPlan:
    """Return the plan. What a script made of the content is for ``files`` and ``sends`` alone (3.1): messages do not change.

    :param flags: that the script was told the message has.
    """
    files: list[FileMessage] = []
    sends: list[SieveAction] = []
    keep: KeepMessage | None = None
    for action in actions:
        if isinstance(action, KeepMessage):
            keep = action
        elif isinstance(action, FileMessage):
            files.append(action)
        elif not isinstance(action, DiscardMessage):
            sends.append(action)
    if keep is None:
        return EventPlan(tuple(files), tuple(sends), False)
    return EventPlan(tuple(files), tuple(sends), True, difference(flags, keep.flags))


def difference(before: Sequence[str], after: Sequence[str]) -> FlagDifference:
    """Return what makes flags of others: so that what somebody else changes meanwhile stays."""
    set_bits, set_keywords = split_flags(_without(after, before))
    cleared_bits, cleared_keywords = split_flags(_without(before, after))
    return FlagDifference(set_bits, set_keywords, cleared_bits, cleared_keywords)


def _without(names: Sequence[str], others: Sequence[str]) -> list[str]:
    folded = {other.lower() for other in others}
    return [name for name in names if name.lower() not in folded]
