"""The search index grows behind everybody's backs: after the commit, some messages of one account after another.

How far an account is indexed stands beside its mail; after a crash the same messages are indexed again. One process of a server
does it, for all, by the help of another process: texts of messages are decoded there, and nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.logger import Logger

from mailnode.errors import BlobDamaged, Busy, DomainError, NoSuchMailbox, RowsDamaged, StoreDamaged, StoreUnavailable
from mailnode.interfaces.runtime import IClock, IHints, IProcesses
from mailnode.interfaces.search import IIndexing
from mailnode.interfaces.store import IMailbox, IMailStore
from mailnode.message.pieces import searched_pieces
from mailnode.message.search_text import zone_texts
from mailnode.upkeep.rounds import Rounds
from mailnode.values.blob import BlobRef
from mailnode.values.events import emit
from mailnode.values.facts import Part, decode_parts
from mailnode.values.rows import StoredRow
from mailnode.values.search import MAX_INDEXED, IndexedText, IndexLag, Segment, Unindexed

ROUND = 2.0  # seconds between rounds
CATCH_UP = 900.0  # seconds between looks for accounts of which no hint told
WAITING = 100_000  # accounts that are known to have something to be indexed
PAUSE_SHARE = 0.25  # of the time that a step took is left to others before the next
LONGEST_PAUSE = 5.0  # seconds
BUSY = 100.0  # changes of accounts a second from which on mail goes first
BUSY_SHARE, BUSY_PAUSE = (
    8.0,
    1.0,
)  # the same then: a twentieth of what a core does, and soon over when no more mail comes
HELD = 2 * 1024 * 1024  # octets of messages in memory
SMALL = 256 * 1024  # octets of a message that is read whole

_COLUMNS = ("message_id", "blob", "prefix", "header_size", "parts", "content")
_log = Logger()

# One message, as it goes to the other process: its id, its header with the prefix, its parts encoded and its octets; or, of
# a large one, its pieces.
_Whole = tuple[int, bytes, bytes | list[tuple[Part, bytes, bool]], bytes]
_Build = Callable[[Sequence[IndexedText], Sequence[Segment], frozenset[int]], Segment]


class Indexer:
    """Looks at accounts to which something came, or of which something went."""

    def __init__(
        self,
        index: IIndexing,
        mail: IMailStore,
        hints: IHints,
        processes: IProcesses,
        clock: IClock,
        *,
        wanted: bool = True,
    ) -> None:
        """:param processes: for nothing but this and searches. :param wanted: False: what is indexed is forgotten."""
        self._index = index
        self._mail = mail
        self._hints = hints
        self._processes = processes
        self._clock = clock
        self._wanted = wanted
        self._waiting: dict[str, IndexLag] = {}  # in the order in which they have their turn
        self._hinted: dict[str, None] = {}
        self._caught_up: float | None = None
        self._heard = 0  # hints since the last rest
        self._rested = 0.0  # when that was
        self._end: Callable[[], None] | None = None
        self._rounds = Rounds(clock, ROUND, self._run)

    def start(self) -> None:
        """Begin; the first round leaves the start of the server alone."""
        if self._wanted:
            self._end = self._hints.watch(self._hint)
        self._rounds.start()

    async def stop(self) -> None:
        """Index nothing more, and wait for the step under way."""
        if self._end is not None:
            self._end()
        await self._rounds.stop()

    def lag(self) -> IndexLag:
        """What is known to wait."""
        since = [lag.since for lag in self._waiting.values() if lag.since is not None]
        return IndexLag(sum(lag.messages for lag in self._waiting.values()), min(since, default=None))

    def _hint(self, account_id: str, modseq: int) -> None:
        self._heard += 1
        if len(self._hinted) < WAITING:
            self._hinted[account_id] = None

    async def _run(self) -> None:
        try:
            await self._find_work()
            while self._waiting and not self._rounds.stopped:
                account_id = next(iter(self._waiting))
                began = self._clock.seconds()
                lag = await self._step_safely(account_id)
                self._waiting.pop(account_id, None)
                if lag is not None:
                    self._waiting[account_id] = lag  # behind all others
                await self._rounds.pause(self._others_time(began))
                await self._find_work()
        except StoreUnavailable:
            self._caught_up = None  # the engine has logged why; whoever waits is found again
        except Exception:
            _log.failure("indexing failed")

    def _others_time(self, began: float) -> float:
        """Return for how many seconds others have everything to themselves, after a step that began then."""
        now = self._clock.seconds()
        took, busy = max(0.0, now - began), self._heard > BUSY * max(0.0, now - self._rested)
        self._heard, self._rested = 0, now
        return min(BUSY_PAUSE, took * BUSY_SHARE) if busy else min(LONGEST_PAUSE, took * PAUSE_SHARE)

    async def _find_work(self) -> None:
        now = self._clock.seconds()
        if self._caught_up is None or not self._caught_up <= now < self._caught_up + CATCH_UP:
            await (self._catch_up() if self._wanted else self._forget_all())
            self._caught_up = now
        for account_id in self._hinted:
            self._waiting.setdefault(account_id, IndexLag())
        self._hinted.clear()

    async def _catch_up(self) -> None:
        after = ""
        while (some := await self._index.behind(after)) and len(self._waiting) < WAITING and not self._rounds.stopped:
            for account_id, messages in some:
                self._waiting.setdefault(account_id, IndexLag(messages))
            after = some[-1][0]

    async def _forget_all(self) -> None:
        after = ""
        while (some := await self._index.indexed(after)) and not self._rounds.stopped:
            for account_id in some:
                await self._index.forget(account_id)
            after = some[-1]

    async def _step_safely(self, account_id: str) -> IndexLag | None:
        """Take a step; return what is left, None when nothing is."""
        try:
            return await self._step(account_id)
        except Busy:  # at once, it may be: it is not asked again without a pause
            await self._rounds.pause(ROUND)
            return IndexLag()
        except StoreDamaged:
            await self._begin_again(account_id)
            return IndexLag()
        except StoreUnavailable:
            raise
        except DomainError as error:
            _log.debug("{account}: not indexed: {error}", account=account_id, error=str(error))
            return None

    async def _begin_again(self, account_id: str) -> None:
        emit(_log, "search.index_damaged", warning=True, account=account_id)
        await self._index.forget(account_id)

    async def _step(self, account_id: str) -> IndexLag | None:
        work = await self._index.to_index(account_id)
        if work.stale:
            await self._index.forget(account_id)
            return IndexLag()
        if work.until <= work.since:
            return await self._tidy(account_id)
        joined = await self._index.to_join(account_id, len(work.messages))
        segment = None
        if work.messages:
            texts = await self._read(account_id, work.messages)
            before = [one for _, one in joined]
            segment = await self._processes.run(_index, self._index.build, texts, before)
        await self._index.add(account_id, work, segment, [place for place, _ in joined] if segment else [])
        left = work.waiting - (work.until - work.since)
        return IndexLag(left, work.arrived) if left else IndexLag()

    async def _tidy(self, account_id: str) -> IndexLag | None:
        """Make a segment without messages that are gone."""
        found = await self._index.with_removed(account_id)
        if found is None:
            return None
        place, segment, gone = found
        if segment is None:
            raise StoreDamaged("a segment of the search index is damaged")
        made = None
        if len(gone) * 8 < len(segment.messages):
            made = await self._processes.run(self._index.build, (), (segment,), gone)
        await self._index.replace(account_id, place, made)
        return IndexLag()

    async def _read(self, account_id: str, messages: Sequence[Unindexed]) -> list[int | _Whole]:
        """Return messages by id, only the id of those that cannot be read, or have too much text."""
        found: dict[int, _Whole] = {}
        by_mailbox: dict[int, list[int]] = {}
        for one in messages:
            if one.uid:
                by_mailbox.setdefault(one.mailbox_id, []).append(one.uid)
        held = 0
        for mailbox_id, uids in by_mailbox.items():
            mailbox = self._mail.account(account_id).open(mailbox_id)
            for row in await _rows(mailbox, sorted(uids)):
                if held < HELD:
                    whole = await _message(mailbox, row)
                    if whole is not None:
                        found[whole[0]] = whole
                        held += _size(whole)
        return [found.get(one.message_id, one.message_id) for one in messages]


async def _rows(mailbox: IMailbox, uids: Sequence[int]) -> Sequence[StoredRow]:
    try:
        return await mailbox.rows(uids, _COLUMNS)
    except NoSuchMailbox:
        return ()
    except RowsDamaged as error:
        return error.rows


async def _message(mailbox: IMailbox, row: StoredRow) -> _Whole | None:
    _, message_id, blob, prefix, header_size, parts, content = row
    try:
        if content is None and blob.size <= SMALL:
            content = await mailbox.read(blob)
        if isinstance(content, bytes):
            return message_id, prefix + content[:header_size], parts, content
        if content is not None or header_size > MAX_INDEXED:
            return None
        pieces = await _pieces(mailbox, blob, parts)
        if pieces is None:
            return None
        return message_id, prefix + await mailbox.read(blob, 0, header_size), pieces, b""
    except BlobDamaged:
        return None


async def _pieces(mailbox: IMailbox, blob: BlobRef, parts: bytes) -> list[tuple[Part, bytes, bool]] | None:
    """Return what is looked into of a large message; None: that is too much."""
    pieces = list(searched_pieces(decode_parts(parts)))
    if sum(piece.end - piece.start for piece in pieces) > MAX_INDEXED:
        return None
    read = []
    for piece in pieces:
        raw = await mailbox.read(blob, piece.start, piece.end - piece.start) if piece.end > piece.start else b""
        if len(raw) != piece.end - piece.start:
            return None
        read.append((piece.part, raw, piece.in_body))
    return read


def _size(whole: _Whole) -> int:
    """Octets as the step was measured out by, so that all it takes has room: a header beside its content is none more."""
    pieces = whole[2]
    return len(whole[3]) if isinstance(pieces, bytes) else sum(len(raw) for _, raw, _ in pieces)


# What runs in another process


def _index(build: _Build, messages: Sequence[int | _Whole], before: Sequence[Segment]) -> Segment:
    return build([_text(one) for one in messages], before, frozenset())


def _text(message: int | _Whole) -> IndexedText:
    if isinstance(message, int):
        return IndexedText(message, None)
    message_id, header, parts, content = message
    if isinstance(parts, bytes):
        pieces = [
            (piece.part, content[piece.start : piece.end], piece.in_body)
            for piece in searched_pieces(decode_parts(parts))
        ]
    else:
        pieces = parts
    return IndexedText(message_id, zone_texts(header, pieces))
