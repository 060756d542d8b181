"""What an account's filter learns of, and what it has learnt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

JUNK, GOOD = "junk", "good"


@dataclass(frozen=True, slots=True)
class WordCounts:
    """How many messages an account's filter has learnt of each kind, and in how many of them words were, as (junk, good) by
    their numbers; those it does not know are left out."""

    junk: int = 0
    good: int = 0
    words: Mapping[int, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SenderCounts:
    """How much of a sender's mail an account took for junk, and how much not: messages, of which older ones count less."""

    junk: float = 0.0
    good: float = 0.0


@dataclass(frozen=True, slots=True)
class Acted:
    """Where a message stands after somebody did something with it, or may have.

    ``place``: "junk", "good" (wherever people keep mail) or "" (trash, drafts, sent mail). ``keyword``: what the keywords say,
    "junk", "good" or "". ``moved``: it was put there later than it came. ``liked``: it was answered, or flagged.
    """

    mailbox_id: int
    uid: int
    placed: int  # modseq of the placement's making
    place: str
    keyword: str
    moved: bool
    liked: bool


@dataclass(frozen=True, slots=True)
class ActedPage:
    """What to look at next: ``until``, the modseq that is reached at the end; ``after``, where the next page begins, None behind
    the last one."""

    acted: tuple[Acted, ...]
    until: int
    after: tuple[int, int, int] | None  # mailbox, modseq, UID


@dataclass(frozen=True, slots=True)
class Learnt:
    """What is remembered of a message: as which kind it was learnt, what its keywords said and where it stood then, and whose
    reputation it counts for; "" nobody's."""

    kind: str
    keyword: str
    placed: int
    sender: str


@dataclass(frozen=True, slots=True)
class Lesson:
    """A message to be learnt. ``message``: its key; ``words``: their numbers; ``before``: what was remembered of it."""

    message: int
    words: tuple[int, ...]
    now: Learnt
    before: Learnt | None = None


@dataclass(frozen=True, slots=True)
class FilterState:
    """What a filter has learnt in all. ``learnt_at``: UTC seconds, 0.0: never."""

    junk: int = 0
    good: int = 0
    words: int = 0
    senders: int = 0
    learnt_at: float = 0.0
