"""Filters learn from what people do with their mail, behind their backs: after the commit, one account after another.

Which changes were looked at is kept for each account, as a modseq; after a crash some are looked at again, and what was learnt of a
message is remembered, so that nothing is learnt twice. One process of a server does it, for all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

from twisted.logger import Logger

from mailnode.errors import BlobDamaged, DomainError, NoSuchMailbox, RowsDamaged, StoreUnavailable
from mailnode.interfaces.learning import ILearning
from mailnode.interfaces.runtime import IClock, IHints, IThreads
from mailnode.interfaces.store import IMailbox, IMailStore
from mailnode.message.tokens import MAX_OCTETS, words
from mailnode.upkeep.lessons import ReadHeader, lesson, read
from mailnode.upkeep.rounds import Rounds
from mailnode.values.events import emit
from mailnode.values.learning import GOOD, JUNK, Acted, Learnt, Lesson
from mailnode.values.rows import StoredRow

ROUND = 3.0  # seconds between rounds
AGAIN = 15.0  # seconds before an account is looked at the next time
CATCH_UP = 3600.0  # seconds between looks for accounts of which no hint told
ACCOUNTS = 50  # looked at in a round
WAITING = 100_000  # accounts of which hints tell
READ_TOGETHER = 8  # messages in memory
LEARN_TOGETHER = 4  # messages of one unit
NOTED = 500  # changes or messages after which it is noted that they were looked at, though there was nothing to learn

_log = Logger()


class Learner:
    """Looks at accounts in which something was changed."""

    def __init__(
        self,
        learning: ILearning,
        mail: IMailStore,
        hints: IHints,
        threads: IThreads,
        clock: IClock,
        hostname: str,
    ) -> None:
        """:param hostname: whose results of authentication are believed."""
        self._learning = learning
        self._mail = mail
        self._hints = hints
        self._threads = threads
        self._clock = clock
        self._hostname = hostname
        self._changed: dict[str, None] = {}  # in the order in which they are to be looked at
        self._last: dict[str, float] = {}  # when accounts were looked at
        self._looked: dict[str, int] = {}  # up to which modseq
        self._noted: dict[str, int] = {}  # up to which one it is noted
        self._caught_up = 0.0  # when it was looked for accounts of which no hint told
        self._end: Callable[[], None] | None = None
        self._rounds = Rounds(clock, ROUND, self._run)

    def start(self) -> None:
        """Begin; the first round leaves the start of the server alone."""
        self._end = self._hints.watch(self._hint)
        self._rounds.start()

    async def stop(self) -> None:
        """Look at nothing more, and wait for the unit under way."""
        if self._end is not None:
            self._end()
        await self._rounds.stop()

    def _hint(self, account_id: str, modseq: int) -> None:
        if len(self._changed) < WAITING:
            self._changed[account_id] = None

    async def _run(self) -> None:
        try:
            now = self._clock.seconds()
            if not self._caught_up <= now < self._caught_up + CATCH_UP:
                self._caught_up = now
                await self._catch_up()
            due = [one for one in self._changed if not now - AGAIN < self._last.get(one, 0.0) <= now][:ACCOUNTS]
            for account_id in due:
                if self._rounds.stopped:
                    return
                del self._changed[account_id]
                self._last[account_id] = now
                await self._look_safely(account_id)
            if len(self._last) > WAITING:
                for table in (self._last, self._looked, self._noted):
                    table.clear()
        except StoreUnavailable:
            pass  # the engine has logged why; the changes are still there in the next round, or the next look for them
        except Exception:
            _log.failure("learning failed")

    async def _catch_up(self) -> None:
        after = ""
        while (
            (some := await self._learning.behind(after)) and len(self._changed) < WAITING and not self._rounds.stopped
        ):
            self._changed.update(dict.fromkeys(some))
            after = some[-1]

    async def _look_safely(self, account_id: str) -> None:
        try:
            await self.look(account_id)
        except StoreUnavailable:
            self._changed[account_id] = None
        except DomainError as error:
            _log.debug("{account}: not learnt: {error}", account=account_id, error=str(error))

    async def look(self, account_id: str) -> None:
        """Learn from what was done in an account since the last look."""
        since, after, until, learnt, messages = self._looked.get(account_id, 0), None, 0, 0, 0
        while not self._rounds.stopped:
            page = await self._learning.acted(account_id, since, after)
            until = until or page.until
            learnt += await self._learn(account_id, page.acted)
            messages += len(page.acted)
            after = page.after
            if after is None:
                break
        else:
            return
        self._looked[account_id] = until
        if learnt or max(messages, until - self._noted.get(account_id, 0)) >= NOTED:
            self._noted[account_id] = until
            await self._learning.looked(account_id, until)
        if learnt:
            await self._learning.tidy(account_id)

    async def _learn(self, account_id: str, acted: Sequence[Acted]) -> int:
        """Learn what there is to learn; return how many messages."""
        counted = {JUNK: 0, GOOD: 0}
        for mailbox_id, there in groupby(acted, key=lambda one: one.mailbox_id):
            by_uid = {one.uid: one for one in there}
            uids = sorted(by_uid)
            mailbox = self._mail.account(account_id).open(mailbox_id)
            for start in range(0, len(uids), READ_TOGETHER):
                if self._rounds.stopped:
                    return 0
                lessons = await self._lessons(account_id, mailbox, uids[start : start + READ_TOGETHER], by_uid)
                for first in range(0, len(lessons), LEARN_TOGETHER):
                    await self._learning.learn(account_id, lessons[first : first + LEARN_TOGETHER])
                for one in lessons:
                    if one.before is None or one.before.kind != one.now.kind:
                        counted[one.now.kind] += 1
        if any(counted.values()):
            emit(_log, "filter.learnt", account=account_id, junk=counted[JUNK], good=counted[GOOD])
        return sum(counted.values())

    async def _lessons(
        self, account_id: str, mailbox: IMailbox, uids: Sequence[int], acted: dict[int, Acted]
    ) -> list[Lesson]:
        """Return what is to be learnt of messages in one mailbox."""
        found = await _beginnings(mailbox, uids)
        seen: list[ReadHeader] = await self._threads.run("cpu", _read_all, self._hostname, [one[1:] for one in found])
        known = dict(await self._learning.known(account_id, sorted({one.message for one in seen})))
        new: list[tuple[bytes, int, Learnt, Learnt | None]] = []
        for (uid, _, data), one in zip(found, seen, strict=True):
            before = known.get(one.message)
            now = lesson(acted[uid], one, before)
            if now is not None and now != before:
                new.append((data, one.message, now, before))
                known[one.message] = now
        numbers = await self._threads.run("cpu", _words_of, [data for data, *_ in new])
        return [Lesson(one[1], words, one[2], one[3]) for one, words in zip(new, numbers, strict=True)]


async def _beginnings(mailbox: IMailbox, uids: Sequence[int]) -> list[tuple[int, bytes, bytes]]:
    """Return UID, prefix and the beginning of the content of those messages that can be read."""
    try:
        rows: Sequence[StoredRow] = await mailbox.rows(uids, ("prefix", "blob", "content"))
    except NoSuchMailbox:
        return []
    except RowsDamaged as error:
        rows = error.rows
    found = []
    for uid, prefix, blob, content in rows:
        if content is None:
            try:
                content = await mailbox.read(blob, 0, MAX_OCTETS)
            except BlobDamaged:
                continue
        if isinstance(content, bytes):
            found.append((uid, prefix, content[:MAX_OCTETS]))
    return found


def _read_all(hostname: str, messages: Sequence[tuple[bytes, bytes]]) -> list[ReadHeader]:
    return [read(hostname, prefix, data) for prefix, data in messages]


def _words_of(contents: Sequence[bytes]) -> list[tuple[int, ...]]:
    return [tuple(words(data)) for data in contents]
