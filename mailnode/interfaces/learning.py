"""What accounts' filters have learnt, and how they learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from zope.interface import Interface

from mailnode.values.learning import ActedPage, FilterState, Learnt, Lesson, SenderCounts, WordCounts
from mailnode.values.reading import AskedFilter


class IFilters(Interface):
    """What accounts' filters have learnt, for those that judge. Nothing of it has to be the latest."""

    async def learnt(account_ids: Sequence[str]) -> Mapping[str, FilterState]:
        """Return what accounts' filters have learnt in all, as it was some seconds ago at most; without any, what it is by itself.

        :raises StoreUnavailable:
        """

    async def words(account_ids: Sequence[str], words: Sequence[int]) -> Mapping[str, WordCounts]:
        """Return what accounts know of words, of some others perhaps too; accounts that have learnt nothing are left out.

        It may have been so a minute ago. :raises StoreUnavailable:"""

    async def senders(account_ids: Sequence[str], sender: str) -> Mapping[str, SenderCounts]:
        """Return how accounts found a sender's mail so far; those that do not know it are left out. It may have been so a minute
        ago. :raises StoreUnavailable:"""


class IAskedFilters(Interface):
    """Filters that another process asks."""

    def asked(account_ids: Sequence[str]) -> tuple[AskedFilter, ...]:
        """Return what that process has to know of filters; accounts that have learnt nothing are left out. What is fresh is
        returned once: where it is lost nothing is told of those words until a minute later."""


class ILearning(IFilters):
    """The same, and what learns."""

    async def behind(after: str) -> list[str]:
        """Some accounts in which something was changed since it was looked at, from behind ``after`` on, by id."""

    async def acted(account_id: str, since: int, after: tuple[int, int, int] | None) -> ActedPage:
        """Return a page of what people did with messages. :param since: a modseq; 0: as far as it was looked at before."""

    async def known(account_id: str, messages: Sequence[int]) -> Mapping[int, Learnt]:
        """Return what is remembered of messages, by their keys."""

    async def learn(account_id: str, lessons: Sequence[Lesson]) -> int:
        """Learn messages, at most a few, each whose memory still is as the lesson says; return how many were learnt."""

    async def looked(account_id: str, until: int) -> None:
        """Note up to which modseq changes were looked at."""

    async def tidy(account_id: str) -> bool:
        """Let the counts of an account fade, or forget what says least, where there is too much; return whether there was."""

    async def state(account_id: str) -> FilterState:
        """Return what an account's filter has learnt."""

    async def forget(account_id: str) -> None:
        """Have an account's filter forget everything; from now on it learns anew."""

    async def sweep(now: float) -> int:
        """Forget messages and senders of long ago; return how many. :param now: UTC seconds."""
