"""What a search index is asked, and what it is told of messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mailnode.values.facts import FACTS_VERSION

# Raised with each change of the texts that are found in a message, or of how they are cut into terms. A newer scanner finds
# other parts: what was indexed before counts no more, and is indexed anew.
TEXT_VERSION = 3
KEPT_VERSION = 2  # the same with each change of how terms and their places are kept
INDEX_VERSION = FACTS_VERSION * 1000 + KEPT_VERSION * 100 + TEXT_VERSION

# Where texts of a message stand. What TEXT looks into is all of it; BODY is the last, the fields of ``SHOWN_FIELDS`` the first.
SHOWN, HEADER, BODY = ZONES = range(3)
SHOWN_FIELDS = frozenset({"from", "sender", "reply-to", "to", "cc", "bcc", "subject"})

MAX_NEEDLES = 8  # of one search that the index is asked for
MAX_INDEXED = 1024 * 1024  # octets of one message's texts, as sent; more text is not indexed, and always read


@dataclass(frozen=True, slots=True)
class Needle:
    """A text, folded as messages' texts are, that is looked for in some zones: it stands in one of them as a whole.
    ``deciding``: those of the zones that are cut from nothing but what is looked into, so that what stands there is held."""

    text: str
    zones: frozenset[int]
    deciding: frozenset[int] = frozenset()


class Holders(NamedTuple):
    """UIDs of messages that hold a text, and of others that may and are to be asked."""

    surely: set[int]
    maybe: set[int]


@dataclass(frozen=True, slots=True)
class IndexedText:
    """The folded texts of one message by zone; None: it is not indexed, because it cannot be read or has too much text."""

    message_id: int
    zones: Sequence[Sequence[str]] | None


class PackedZone(NamedTuple):
    """One zone of a segment: its terms, and in which messages each stands, which only a term that is found needs."""

    terms: bytes
    places: bytes


@dataclass(frozen=True, slots=True)
class Segment:
    """What is known of a run of an account's messages: those from ``first`` to ``last`` that are in ``messages``. Of all
    others nothing is known."""

    first: int
    last: int
    messages: bytes  # ids of messages, eight octets each, in order
    unknown: bytes  # which of these are not indexed after all, by place, two octets each
    zones: tuple[PackedZone, ...]  # by zone


@dataclass(frozen=True, slots=True)
class SegmentPlace:
    """Where a segment stands, and how large it is."""

    first: int
    last: int
    messages: int
    octets: int  # of its terms, unpacked


@dataclass(frozen=True, slots=True)
class IndexLag:
    """What is still to be indexed."""

    messages: int = 0
    since: float | None = None  # UTC seconds at which the oldest of these arrived


@dataclass(frozen=True, slots=True)
class Unindexed:
    """A message that is to be indexed, and where it stands; UID 0: nowhere any more."""

    message_id: int
    mailbox_id: int
    uid: int


@dataclass(frozen=True, slots=True)
class ToIndex:
    """The next messages of an account that are to be indexed: all that there are behind ``since``, up to ``until``. When both are
    the same there is nothing to do."""

    since: int
    until: int
    messages: tuple[Unindexed, ...]
    waiting: int  # with these, some of which may not be there any more
    arrived: float | None  # when the first of them did, UTC seconds
    stale: bool = False  # what is there is of another version, and to be forgotten first
