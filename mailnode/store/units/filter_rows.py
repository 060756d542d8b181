"""Units over what the filters of accounts have learnt. Those that write begin with the filter's row, which orders them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mailnode.store.engines.engine import Transaction, growing, patient
from mailnode.store.units.statements import insert_rows, listed, pieces
from mailnode.values.learning import GOOD, JUNK, FilterState, Learnt, Lesson, SenderCounts, WordCounts

ACCOUNTS = 100  # that one unit names
SWEPT = 300  # rows one unit removes
PIECES = 32  # in which the words of an account are gone through
HALF_LIFE = 120 * 86_400 * 1_000_000  # microseconds after which a message counts half for its sender

_PIECE = (1 << 32) // PIECES


# reading


def words(tx: Transaction, account_ids: Sequence[str], numbers: Sequence[int]) -> dict[str, WordCounts]:
    """What ``IFilters.words`` returns."""
    found = {}
    marks, values = listed(numbers)
    for account_id in account_ids:
        counted = tx.execute("SELECT junk, good FROM filter WHERE account_id = ?", (account_id,))
        if counted:
            rows = tx.execute(
                f"SELECT word, junk, good FROM filter_word WHERE account_id = ? AND word IN {marks}",
                (account_id, *values),
            )
            found[account_id] = WordCounts(
                counted[0][0], counted[0][1], {word: (junk, good) for word, junk, good in rows}
            )
    return found


def senders(tx: Transaction, account_ids: Sequence[str], sender: str, now: int) -> dict[str, SenderCounts]:
    """What ``IFilters.senders`` returns. :param now: UTC microseconds."""
    found = {}
    for account_id in account_ids:
        for row in tx.execute(
            "SELECT junk, good, counted_at FROM reputation WHERE account_id = ? AND sender = ?", (account_id, sender)
        ):
            found[account_id] = _faded(row, now)
    return found


def _faded(row: Sequence[float], now: int) -> SenderCounts:
    junk, good, counted_at = row
    part = 0.5 ** (max(0, now - counted_at) / HALF_LIFE)
    return SenderCounts(junk * part, good * part)


def behind(tx: Transaction, after: str) -> list[str]:
    """Some accounts that were changed since they were looked at, by id."""
    rows = tx.execute(
        "SELECT a.account_id FROM account a LEFT JOIN filter f ON f.account_id = a.account_id"
        " WHERE a.account_id > ? AND a.modseq > coalesce(f.modseq, 1) AND a.removed_at IS NULL"
        " ORDER BY a.account_id LIMIT ?",
        (after, ACCOUNTS),
    )
    return [account_id for (account_id,) in rows]


def known(tx: Transaction, account_id: str, messages: Sequence[int]) -> dict[int, Learnt]:
    """What is remembered of messages."""
    found = {}
    for some in pieces(messages):
        marks, values = listed(some)
        for message, *rest in tx.execute(
            "SELECT message, kind, keyword, placed, sender FROM filter_message"
            f" WHERE account_id = ? AND message IN {marks}",
            (account_id, *values),
        ):
            found[message] = Learnt(*rest)
    return found


def states(tx: Transaction, account_ids: Sequence[str]) -> dict[str, FilterState]:
    """What filters have learnt in all."""
    found = {}
    for account_id in account_ids:
        for junk, good, words, senders, learnt_at in tx.execute(
            "SELECT junk, good, words, senders, learnt_at FROM filter WHERE account_id = ?", (account_id,)
        ):
            found[account_id] = FilterState(junk, good, words, senders, learnt_at / 1_000_000)
    return found


# learning


def _hold(tx: Transaction, account_id: str) -> tuple[int, int]:
    """Hold the filter's row, made where there is none; return the messages learnt, junk and good."""
    tx.execute(
        "INSERT INTO filter (account_id, modseq, junk, good, words, senders, learnt_at) VALUES (?, 0, 0, 0, 0, 0, 0)"
        " ON CONFLICT (account_id) DO NOTHING",
        (account_id,),
    )
    [(junk, good)] = tx.execute(
        "UPDATE filter SET modseq = modseq WHERE account_id = ? RETURNING junk, good", (account_id,)
    )
    return junk, good


@patient
@growing
def learn(tx: Transaction, account_id: str, lessons: Sequence[Lesson], now: int) -> int:
    """Learn those of the messages whose memory is as their lessons say; return how many. :param now: UTC microseconds."""
    if not tx.execute("SELECT 1 FROM account WHERE account_id = ? AND removed_at IS NULL", (account_id,)):
        return 0
    junk, good = _hold(tx, account_id)
    remembered = known(tx, account_id, [one.message for one in lessons])
    done: dict[int, Learnt] = {}
    change = _Change()
    for lesson in lessons:
        if remembered.get(lesson.message) == lesson.before:
            done[lesson.message] = remembered[lesson.message] = lesson.now
            if lesson.before is None or lesson.before.kind != lesson.now.kind:
                change.add(lesson.before, -1, lesson.words)
                change.add(lesson.now, 1, lesson.words)
    insert_rows(
        tx,
        "filter_message (account_id, message, kind, keyword, placed, sender, learnt_at)",
        [(account_id, key, one.kind, one.keyword, one.placed, one.sender, now) for key, one in done.items()],
        " ON CONFLICT (account_id, message) DO UPDATE SET kind = excluded.kind, keyword = excluded.keyword,"
        " placed = excluded.placed, sender = excluded.sender, learnt_at = excluded.learnt_at",
    )
    words = _count_words(tx, account_id, change.words)
    senders = _count_senders(tx, account_id, change.senders, now)
    tx.execute(
        "UPDATE filter SET junk = ?, good = ?, words = words + ?, senders = senders + ?, learnt_at = ? WHERE account_id = ?",
        (max(0, junk + change.messages[0]), max(0, good + change.messages[1]), words, senders, now, account_id),
    )
    return len(done)


@dataclass(frozen=True, slots=True)
class _Change:
    """What is to be added to counts: (junk, good) each."""

    messages: list[int] = field(default_factory=lambda: [0, 0])
    words: dict[int, list[int]] = field(default_factory=dict)
    senders: dict[str, list[int]] = field(default_factory=dict)

    def add(self, learnt: Learnt | None, by: int, words: Sequence[int]) -> None:
        """Count a message as it was learnt. :param by: 1 or -1."""
        if learnt is None:
            return
        kind = (JUNK, GOOD).index(learnt.kind)
        self.messages[kind] += by
        for word in words:
            self.words.setdefault(word, [0, 0])[kind] += by
        if learnt.sender:
            self.senders.setdefault(learnt.sender, [0, 0])[kind] += by


def _count_words(tx: Transaction, account_id: str, counts: dict[int, list[int]]) -> int:
    """Add to the counts of words; return by how many rows there are more."""
    stands: dict[int, tuple[int, int]] = {}
    for some in pieces(list(counts)):
        marks, values = listed(some)
        rows = tx.execute(
            f"SELECT word, junk, good FROM filter_word WHERE account_id = ? AND word IN {marks}", (account_id, *values)
        )
        stands.update({word: (junk, good) for word, junk, good in rows})
    new = []
    for word, (junk, good) in counts.items():
        before = stands.get(word, (0, 0))
        new.append((account_id, word, max(0, before[0] + junk), max(0, before[1] + good)))
    insert_rows(
        tx,
        "filter_word (account_id, word, junk, good)",
        new,
        " ON CONFLICT (account_id, word) DO UPDATE SET junk = excluded.junk, good = excluded.good",
    )
    return len(new) - len(stands)


def _count_senders(tx: Transaction, account_id: str, counts: dict[str, list[int]], now: int) -> int:
    """Add to the counts of senders; return by how many rows there are more."""
    more = 0
    for sender, (junk, good) in counts.items():
        before = senders(tx, [account_id], sender, now).get(account_id)
        more += before is None
        stands = before or SenderCounts()
        tx.execute(
            "INSERT INTO reputation (account_id, sender, junk, good, counted_at) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (account_id, sender) DO UPDATE SET junk = excluded.junk, good = excluded.good,"
            " counted_at = excluded.counted_at",
            (account_id, sender, max(0.0, stands.junk + junk), max(0.0, stands.good + good), now),
        )
    return more


@patient
def looked(tx: Transaction, account_id: str, until: int) -> None:
    """Note up to which modseq changes were looked at."""
    if tx.execute("SELECT 1 FROM account WHERE account_id = ? AND removed_at IS NULL", (account_id,)):
        _hold(tx, account_id)
        tx.execute("UPDATE filter SET modseq = ? WHERE account_id = ? AND modseq < ?", (until, account_id, until))


# forgetting


@patient
def halve(tx: Transaction, account_id: str, kind: str) -> None:
    """Let what was learnt of a kind, "junk" or "good", count half: the messages; the words follow by :func:`halve_words`."""
    _hold(tx, account_id)
    tx.execute(f"UPDATE filter SET {kind} = {kind} / 2 WHERE account_id = ?", (account_id,))


@patient
def halve_words(tx: Transaction, account_id: str, kind: str, piece: int) -> None:
    """Do so for a piece of the words, of :data:`PIECES`, and forget those of which nothing is left."""
    _hold(tx, account_id)
    tx.execute(
        f"UPDATE filter_word SET {kind} = {kind} / 2 WHERE account_id = ? AND word >= ? AND word < ?",
        (account_id, piece * _PIECE, (piece + 1) * _PIECE),
    )
    _drop(tx, account_id, 0, piece)


@patient
def drop_words(tx: Transaction, account_id: str, most: int, piece: int) -> None:
    """Forget those of a piece of the words that were in so many messages at most."""
    _hold(tx, account_id)
    _drop(tx, account_id, most, piece)


def _drop(tx: Transaction, account_id: str, most: int, piece: int) -> None:
    gone = tx.execute(
        "DELETE FROM filter_word WHERE account_id = ? AND word >= ? AND word < ? AND junk + good <= ? RETURNING word",
        (account_id, piece * _PIECE, (piece + 1) * _PIECE, most),
    )
    tx.execute("UPDATE filter SET words = words - ? WHERE account_id = ?", (len(gone), account_id))


def rarest(tx: Transaction, account_id: str, surplus: int) -> int:
    """In how many messages at most the words were that are to be forgotten, so that there are ``surplus`` less."""
    most = 0
    for count, number in tx.execute(
        "SELECT junk + good, count(*) FROM filter_word WHERE account_id = ? GROUP BY junk + good ORDER BY junk + good",
        (account_id,),
    ):
        most, surplus = count, surplus - number
        if surplus <= 0:
            break
    return most


@patient
def drop_senders(tx: Transaction, account_id: str, keep: int) -> None:
    """Forget the senders nothing was learnt of for longest, all but ``keep``."""
    _hold(tx, account_id)
    rows = tx.execute(
        "SELECT account_id, sender FROM reputation WHERE account_id = ? ORDER BY counted_at DESC, sender LIMIT ? OFFSET ?",
        (account_id, SWEPT, keep),
    )
    tx.many("DELETE FROM reputation WHERE account_id = ? AND sender = ?", rows)
    tx.execute("UPDATE filter SET senders = senders - ? WHERE account_id = ?", (len(rows), account_id))


@patient
def sweep(tx: Transaction, messages_before: int, senders_before: int) -> int:
    """Forget some messages and senders of which nothing was learnt since (UTC microseconds); return how many."""
    messages = tx.execute(
        "SELECT account_id, message FROM filter_message WHERE learnt_at < ? LIMIT ?", (messages_before, SWEPT)
    )
    tx.many("DELETE FROM filter_message WHERE account_id = ? AND message = ?", messages)
    old = tx.execute("SELECT account_id, sender FROM reputation WHERE counted_at < ? LIMIT ?", (senders_before, SWEPT))
    tx.many("UPDATE filter SET senders = senders - 1 WHERE account_id = ?", [(row[0],) for row in old])
    tx.many("DELETE FROM reputation WHERE account_id = ? AND sender = ?", old)
    return len(messages) + len(old)


def forget(tx: Transaction, account_id: str) -> None:
    """Forget everything, and learn from what is done from now on."""
    for table in ("filter", "filter_word", "filter_message", "reputation"):
        tx.execute(f"DELETE FROM {table} WHERE account_id = ?", (account_id,))
    tx.execute(
        "INSERT INTO filter (account_id, modseq, junk, good, words, senders, learnt_at)"
        " SELECT account_id, modseq, 0, 0, 0, 0, 0 FROM account WHERE account_id = ? AND removed_at IS NULL",
        (account_id,),
    )
