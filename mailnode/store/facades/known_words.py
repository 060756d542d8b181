"""What filters said of words and senders, kept in memory: most words of a message were asked about for the one before it.

What is kept of an account hangs on how much its filter has learnt: with each lesson it is forgotten. Counts that fade change
without a lesson, so nothing is kept for long either.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import count

from mailnode.values.learning import FilterState, SenderCounts, WordCounts
from mailnode.values.reading import AskedFilter

KNOWN_SECONDS = 60.0
KNOWN = 200_000  # words and senders, of all accounts together
KNOWN_OF_ONE = 50_000  # of one account: more than a filter has learnt, and words nobody has seen yet
ACCOUNT = 10  # what an account takes besides, in words
SHARED_AT_ONCE = 2_000  # words of an account that are handed to another process with one message
NEVER_SEEN = (0, 0)


class KnownOfAccount:
    """``counts``: messages learnt, junk and good, None before any was asked for. ``words``: as :class:`WordCounts` has them, those
    that the filter does not know too. ``senders``: None for one that it does not know."""

    __slots__ = ("_unshared", "account_id", "counts", "number", "senders", "state", "until", "words")

    def __init__(self, account_id: str, number: int, state: FilterState, until: float) -> None:
        self.account_id = account_id
        self.number = number
        self.state = state
        self.until = until
        self.counts: tuple[int, int] | None = None
        self.words: dict[int, tuple[int, int]] = {}
        self.senders: dict[str, SenderCounts | None] = {}
        self._unshared: dict[int, tuple[int, int]] | None = None  # None: of the words nothing was shared yet

    def keep(self, words: Mapping[int, tuple[int, int]]) -> None:
        """Keep counts of words."""
        self.words.update(words)
        if self._unshared is not None:
            self._unshared.update(words)

    def shared(self) -> Mapping[int, tuple[int, int]]:
        """Return some of the words that this did not return before."""
        left = dict(self.words) if self._unshared is None else self._unshared
        some = left
        if len(left) > SHARED_AT_ONCE:
            some = dict(left.popitem() for _ in range(SHARED_AT_ONCE))
        self._unshared = left if some is not left else {}
        return some

    def missing(self, words: Sequence[int]) -> list[int]:
        """Return those of the words that are not known."""
        known = self.words
        if all(map(known.__contains__, words)):  # as nearly always: looked at without a step for each
            return []
        return [word for word in words if word not in known]

    def word_counts(self) -> WordCounts:
        """Return what is known of words; it grows."""
        junk, good = self.counts or NEVER_SEEN
        return WordCounts(junk, good, self.words)


class KnownWords:
    """Of all accounts of this process; the longest unused go first."""

    def __init__(self, most: int = KNOWN, most_of_one: int = KNOWN_OF_ONE) -> None:
        self._accounts: OrderedDict[str, KnownOfAccount] = OrderedDict()
        self._held = 0  # words and senders
        self._numbers = count(1)
        self._most = most
        self._most_of_one = most_of_one

    def of(self, account_id: str, state: FilterState, now: float) -> KnownOfAccount:
        """Return what is known of an account whose filter stands so; nothing, where it has learnt since, or that is long ago."""
        known = self._valid(account_id, state, now)
        if known is not None:
            self._accounts.move_to_end(account_id)
            return known
        self.forget(account_id)
        known = self._accounts[account_id] = KnownOfAccount(account_id, next(self._numbers), state, now + KNOWN_SECONDS)
        self._hold(known, ACCOUNT)
        return known

    def asked(self, account_id: str, state: FilterState | None, now: float) -> AskedFilter:
        """Return what another process has to know of words. :param state: None: nobody knows."""
        known = self._valid(account_id, state, now) if state is not None else None
        if known is None or known.counts is None:
            return AskedFilter(account_id)
        self._accounts.move_to_end(account_id)
        return AskedFilter(account_id, known.number, *known.counts, known.shared())

    def _valid(self, account_id: str, state: FilterState, now: float) -> KnownOfAccount | None:
        known = self._accounts.get(account_id)
        # A clock that was set back makes nothing stay.
        if known is not None and known.state == state and 0.0 < known.until - now <= KNOWN_SECONDS:
            return known
        return None

    def keep_words(self, known: KnownOfAccount, words: Sequence[int], said: WordCounts) -> bool:
        """Keep what the store said of words; return whether it is of the filter that the others are of."""
        counts = said.junk, said.good
        if known.counts not in (None, counts):
            return False
        known.counts, before = counts, len(known.words)
        found = [said.words.get(word, NEVER_SEEN) for word in words]
        same = dict[tuple[int, int], tuple[int, int]]()  # most counts are the same few
        known.keep(dict(zip(words, map(same.setdefault, found, found), strict=True)))
        self._hold(known, len(known.words) - before)
        return True

    def keep_sender(self, known: KnownOfAccount, sender: str, said: SenderCounts | None) -> None:
        """Keep what the store said of a sender."""
        before = len(known.senders)
        known.senders[sender] = said
        self._hold(known, len(known.senders) - before)

    def forget(self, account_id: str) -> None:
        """The filter of an account has changed, or may have."""
        gone = self._accounts.pop(account_id, None)
        if gone is not None:
            self._held -= _size(gone)

    def _hold(self, known: KnownOfAccount, more: int) -> None:
        """Count what was added, and let go what is too much."""
        if self._accounts.get(known.account_id) is not known:
            return  # forgotten while the store was asked
        self._held += more
        if _size(known) > self._most_of_one:
            self.forget(known.account_id)
        while self._held > self._most:
            self.forget(next(iter(self._accounts)))


def _size(known: KnownOfAccount) -> int:
    return ACCOUNT + len(known.words) + len(known.senders)
