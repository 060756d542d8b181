"""The search index: what SEARCH asks it, and how it is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from zope.interface import Attribute, Interface

from mailnode.values.search import Holders, Needle, Segment, SegmentPlace, ToIndex


class ISearchIndex(Interface):
    """Tells which messages hold a text and which may: who asks looks into these, and finds the same without it."""

    async def candidates(
        account_id: str,
        mailbox_id: int,
        uids: tuple[int, int],
        needles: Sequence[Needle],
        worth: float,
        ensure_there: Callable[[], None],
    ) -> list[Holders] | None:
        """Return, for each text, the messages that hold it or may: of those from one UID to another, all others do not.
        None: nothing is known, or it takes longer to find out than to read.

        :param needles: at most ``values.search.MAX_NEEDLES``. :param worth: microseconds that reading would take.
        :param ensure_there: called between two units; what it raises ends the search.
        """

    async def forget(account_id: str) -> None:
        """Forget what is indexed of an account; it is indexed anew. :raises StoreUnavailable:"""


class IIndexing(ISearchIndex):
    """The same, and what indexes. One process of a server does it."""

    build = Attribute(
        "(texts, segments, ids of gone messages) -> Segment: a module-level function, for another process"
    )

    async def behind(after: str) -> list[tuple[str, int]]:
        """Some accounts that have something to be indexed or tidied, from behind ``after`` on, by id, and how many messages."""

    async def to_index(account_id: str) -> ToIndex:
        """Return the next messages to be indexed, a bounded number."""

    async def to_join(account_id: str, messages: int) -> list[tuple[SegmentPlace, Segment]]:
        """Return the segments that a new one of so many messages is to take in."""

    async def add(account_id: str, work: ToIndex, segment: Segment | None, joined: Sequence[SegmentPlace]) -> bool:
        """Add messages, in a segment made of them and of those before it. False: it was forgotten meanwhile, or the account
        is gone."""

    async def with_removed(account_id: str) -> tuple[SegmentPlace, Segment | None, frozenset[int]] | None:
        """Return a segment, and messages in it that are gone for good, or None; None in its place when it is damaged."""

    async def replace(account_id: str, place: SegmentPlace, segment: Segment | None) -> None:
        """Put a segment in the place of another, if that is still there."""

    async def indexed(after: str) -> list[str]:
        """Some accounts of which something is indexed, from behind ``after`` on, by id."""
