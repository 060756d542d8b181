"""The latest flag changes of this process, so that its other sessions learn of them without asking the store.

Every change of an account has the next modseq. What is kept of an account is a run of changes without a gap; a modseq
that is missing is something else (new mail, an expunge, the change of another process), and the run begins anew behind
it. An answer is given only from a run that reaches from where the session stands to where a hint said the account is.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailnode.values.flags import KeywordTable
from mailnode.values.mailbox import MailboxChanges

Changed = Sequence[tuple[int, int, int]]  # (uid, flags, modseq)

MESSAGES = 1_000  # kept of one account at most
CHANGES = 200  # kept of one account at most
ACCOUNTS = 200

NOT_RECENT = 0xFFFFFFFF


class _Run:
    """Changes with the modseqs from ``first`` to ``last``, one for each."""

    __slots__ = ("answered", "changes", "first", "keywords", "last", "messages")

    def __init__(self, modseq: int, keywords: KeywordTable) -> None:
        self.first = modseq
        self.last = modseq - 1
        self.keywords = keywords
        self.messages = 0
        self.changes: list[tuple[int, Changed]] = []  # mailbox, messages
        self.answered: tuple[tuple[int, int, int], MailboxChanges] | None = None  # mailbox, since, last; answer


class FlagNews:
    """Of all accounts of one partition."""

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}  # the longest unchanged first

    def add(self, account_id: str, mailbox_id: int, modseq: int, changed: Changed, keywords: KeywordTable) -> None:
        """Note a change that is committed. :param changed: what it altered, all with its modseq; not empty."""
        run = self._runs.pop(account_id, None)
        if run is None or modseq > run.last + 1:
            run = _Run(modseq, keywords)
        self._runs[account_id] = run
        if modseq <= run.last:
            return  # heard of too late: the run began behind it
        run.changes.append((mailbox_id, changed))
        run.messages += len(changed)
        run.last, run.keywords = modseq, keywords
        while run.messages > MESSAGES or len(run.changes) > CHANGES:
            _, messages = run.changes.pop(0)
            run.first += 1
            run.messages -= len(messages)
        if len(self._runs) > ACCOUNTS:
            del self._runs[next(iter(self._runs))]

    def since(self, account_id: str, mailbox_id: int, since: int, heard: int) -> MailboxChanges | None:
        """Return what happened in a mailbox after a modseq; None when the store must be asked.

        :param heard: the modseq the account is known to have.
        """
        run = self._runs.get(account_id)
        if run is None or since + 1 < run.first or heard > run.last:
            return None
        # Sessions whose commands shared a commit stand at the same modseq, and ask one after the other.
        question = mailbox_id, since, run.last
        if run.answered is not None and run.answered[0] == question:
            return run.answered[1]
        behind = run.changes[since + 1 - run.first :]
        rows = [row for where, changed in behind if where == mailbox_id for row in changed]
        highest = rows[-1][2] if rows else since
        if len(rows) > 1:
            rows = sorted({row[0]: row for row in rows}.values())  # of each message the latest, by UID
        answer = MailboxChanges(highest, 0, tuple(rows), (), run.keywords, NOT_RECENT)
        run.answered = question, answer
        return answer

    def forget(self, account_id: str) -> None:
        """The account is gone; another of its id counts from the beginning."""
        self._runs.pop(account_id, None)
