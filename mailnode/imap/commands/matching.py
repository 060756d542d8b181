"""Which messages search keys hold for: cheap keys first, messages opened last (RFC 3501 6.4.4)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from operator import itemgetter

from twisted.internet.defer import Deferred, succeed

from mailnode.errors import BlobDamaged
from mailnode.imap.bodies import BATCH, batches, read_exactly, read_rows, read_small
from mailnode.imap.commands.context import Progress, Searching
from mailnode.imap.indexed import split
from mailnode.imap.messages.judging import (
    Header,
    Tree,
    Whole,
    asked_of,
    judge_header,
    judge_headers,
    judge_piece,
    judge_wholes,
    not_found,
    reduced,
)
from mailnode.imap.messages.ranges import RANGE, ranges_of
from mailnode.imap.messages.search_keys import And, Not, Or, SearchKey, leaves
from mailnode.imap.messages.search_tests import ROWS as COLUMNS_ONLY
from mailnode.imap.messages.search_tests import VIEW, WORDS, RowTest, cost, flag_of, flagged, row_test
from mailnode.imap.remembered import remembered
from mailnode.message.pieces import searched_pieces
from mailnode.values.facts import decode_parts
from mailnode.values.rows import StoredRow

VIEW_ROWS = 2000  # looked at between two turns of the reactor
FLAG_ROWS = 50_000  # the same, where one flag is looked for
ROWS_AT_ONCE = 64  # the same, of rows
TESTS = 2000  # the same: leaves of the key times messages
QUICK = 200_000  # the same, of a search that waits for no place; looking for one flag is always quick
KEYS = 100  # looked for in a large message's text by one step, so that others' steps are not far away
BLOB_COLUMNS = ("blob", "prefix", "header_size", "parts", "content")
HEADER_COLUMNS = ("prefix", "fields")  # which messages need not be opened for


async def matching(context: Searching, key: SearchKey, candidates: Sequence[int]) -> Sequence[int]:
    """Return those candidates for which the key holds, ascending: what needs only the view is looked at first, then what
    needs only columns; messages are opened for what is left. What the same keys were answered before is not asked again."""
    await _go_on(context)  # a look at thousands of keys takes milliseconds by itself
    for group in _groups(key.keys if isinstance(key, And) else (key,)):
        if not candidates:
            break
        candidates = await remembered(context, group, candidates, _ask)
    return candidates


async def _ask(context: Searching, key: SearchKey, candidates: Sequence[int], unread: list[int]) -> list[int]:
    """Return those candidates for which the key holds, ascending. :param unread: takes those that could not be looked into."""
    found: list[int] = []
    left = await split(context, key, candidates, _by_messages)
    for tree, some in left:
        if tree is True:
            found.extend(some)
        elif tree is not False:
            ask = _by_rows if cost(tree) <= COLUMNS_ONLY else _by_messages
            found.extend(await ask(context, tree, some, unread))
    return sorted(found) if len(left) > 1 else found


async def first_matching(
    context: Searching, key: SearchKey, candidates: Sequence[int], wanted: int, from_end: bool
) -> Sequence[int]:
    """Return at least so many candidates for which the key holds, or all there are: the first or the last ones, ascending.
    Looks at no more than about twice as many as it must."""
    pieces: list[Sequence[int]] = []
    size = RANGE
    while candidates and wanted > 0:
        looked_at = candidates[-size:] if from_end else candidates[:size]
        candidates = candidates[:-size] if from_end else candidates[size:]
        pieces.append(await matching(context, key, looked_at))
        wanted -= len(pieces[-1])
        size *= 2
    if from_end:
        pieces.reverse()
    return [index for piece in pieces for index in piece]


def _groups(keys: Sequence[SearchKey]) -> list[SearchKey]:
    """Return keys to hold one after the other: all that need only the view as one, all that need only columns as one,
    all others as one."""
    by_view: list[SearchKey] = []
    by_columns: list[SearchKey] = []
    by_messages: list[SearchKey] = []
    for dearest, key in sorted([(cost(key), key) for key in keys], key=itemgetter(0)):
        (by_view if dearest == VIEW else by_columns if dearest <= COLUMNS_ONLY else by_messages).append(key)
    return [And(tuple(alike)) if len(alike) > 1 else alike[0] for alike in (by_view, by_columns, by_messages) if alike]


def _at_a_time(key: SearchKey, most: int) -> int:
    """Return how many messages are tested between two turns of the reactor."""
    return max(1, min(most, TESTS // sum(1 for _ in leaves(key))))


async def _go_on(context: Searching) -> None:
    """Wait for a slow reader, and let everybody else have their turn. To be awaited before every few milliseconds of work."""
    await context.pause()
    await context.services.searches.slice(context.services.clock)
    context.ensure_there()  # it may have gone while this waited


@asynccontextmanager
async def _place(context: Searching, messages: bool, needed: bool = True) -> AsyncIterator[None]:
    """Be one of the account's searches at work. :param messages: that look into messages."""
    if not needed:
        yield
        return
    async with context.services.searches.of(context.mail.account_id, messages):
        context.ensure_there()
        yield


async def _read(
    context: Searching, asked: Sequence[int], columns: Sequence[str], unread: list[int]
) -> tuple[Sequence[int], list[StoredRow]]:
    """Return the rows that can be read, and the indexes they belong to."""
    selected = context.mailbox
    async with context.services.searches.reading():
        indexes, rows, _ = await read_rows(selected.mailbox, selected.view, asked, columns)
    _note_unread(unread, asked, indexes)
    return indexes, rows


def _note_unread(unread: list[int], asked: Sequence[int], read: Sequence[int]) -> None:
    if len(read) < len(asked):
        unread.extend(set(asked).difference(read))


def _compiled(context: Searching, key: SearchKey, columns: list[str]) -> RowTest:
    selected = context.mailbox
    return row_test(key, selected.view, columns, selected.mailbox.account_id, context.services.clock.seconds())


async def _by_rows(context: Searching, key: SearchKey, candidates: Sequence[int], unread: list[int]) -> list[int]:
    columns: list[str] = []
    await _go_on(context)
    test = _compiled(context, key, columns)
    if not columns:
        return await _by_view(context, key, test, candidates)
    found: list[int] = []
    size = _at_a_time(key, ROWS_AT_ONCE)
    async with _place(context, messages=False):
        for asked in ranges_of((candidates,), RANGE):
            indexes, rows = await _read(context, asked, columns, unread)
            for at in range(0, len(rows), size):
                await _go_on(context)
                pairs = zip(indexes[at : at + size], rows[at : at + size], strict=True)
                found.extend([index for index, row in pairs if test(row, index)])
    return found


async def _by_view(context: Searching, key: SearchKey, test: RowTest, candidates: Sequence[int]) -> list[int]:
    view = context.mailbox.view
    one_flag = isinstance(candidates, range) and flag_of(key, view) is not None
    size = FLAG_ROWS if one_flag else _at_a_time(key, VIEW_ROWS)
    found: list[int] = []
    needed = not one_flag and len(candidates) * sum(1 for _ in leaves(key)) > QUICK
    async with _place(context, messages=False, needed=needed):
        for at in range(0, len(candidates), size):
            await _go_on(context)
            some = candidates[at : at + size]
            carriers = flagged(key, view, some) if isinstance(some, range) else None
            found.extend([index for index in some if test((), index)] if carriers is None else carriers)
    return found


async def _by_messages(context: Searching, key: SearchKey, candidates: Sequence[int], unread: list[int]) -> list[int]:
    """Open the messages that the cheap branches of the key do not decide. One that cannot be read is passed over: it
    cannot be shown to hold the text."""
    found: list[int] = []
    async with _place(context, messages=True):
        progress = context.progress or Progress()
        progress.expect(len(candidates))
        cheap = _Cheap(list(dict.fromkeys(_cheap_branches(key))))
        cheap.tests.extend([_compiled(context, branch, cheap.columns) for branch in cheap.branches])
        for asked in ranges_of((candidates,), RANGE):
            open_: dict[int, SearchKey] = {}
            for index, tree in await _by_cheap_branches(context, key, cheap, asked, unread):
                if tree is True:
                    found.append(index)
                elif tree is not False:
                    open_[index] = tree
            progress.done += len(asked) - len(open_)
            found.extend(await _open_all(context, open_, unread, progress))
    return sorted(found)


async def _open_all(
    context: Searching, trees: dict[int, SearchKey], unread: list[int], progress: Progress
) -> list[int]:
    """Return which messages hold what is open of the key for them: some are read while those before are looked into."""
    found: list[int] = []
    large: list[tuple[int, StoredRow]] = []
    last: Sequence[int] = ()
    opening: Deferred[list[int]] = succeed([])
    try:
        for some in ranges_of((list(trees),), BATCH):
            await _go_on(context)
            before, opening = opening, Deferred.fromCoroutine(_open(context, trees, some, unread, large))
            found.extend(await before)
            progress.done += len(last)
            last = some
        found.extend(await opening)
    except BaseException:
        opening.addErrback(lambda _: None)  # one of them is told
        raise
    progress.done += len(last) - len(large)
    for index, row in large:
        try:
            if await _holds_large(context, trees[index], row):
                found.append(index)
        except BlobDamaged:
            unread.append(index)
        progress.done += 1
    return found


@dataclass(frozen=True, slots=True)
class _Cheap:
    """The branches of a key that need no message, their tests, and the columns these read."""

    branches: Sequence[SearchKey]
    tests: list[RowTest] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)


async def _by_cheap_branches(
    context: Searching, key: SearchKey, cheap: _Cheap, asked: Sequence[int], unread: list[int]
) -> list[tuple[int, Tree]]:
    """Return what the branches of a key that need no message leave open of it, for each message."""
    await _go_on(context)
    if not cheap.branches:
        return [(index, key) for index in asked]
    rows: Sequence[StoredRow] = [()] * len(asked)
    if cheap.columns:
        asked, rows = await _read(context, asked, cheap.columns, unread)
    trees: dict[tuple[bool, ...], Tree] = {}
    left: list[tuple[int, Tree]] = []
    size = _at_a_time(key, ROWS_AT_ONCE)
    for number, (index, row) in enumerate(zip(asked, rows, strict=True)):
        if number % size == 0:
            await _go_on(context)
        held = tuple([test(row, index) for test in cheap.tests])
        if held not in trees:
            trees[held] = reduced(key, dict(zip(cheap.branches, held, strict=True)))
        left.append((index, trees[held]))
    return left


def _cheap_branches(key: SearchKey) -> list[SearchKey]:
    """Return the largest branches that need no message."""
    if cost(key) <= COLUMNS_ONLY:
        return [key]
    inner: Sequence[SearchKey] = ()
    if isinstance(key, And):
        inner = key.keys
    elif isinstance(key, Or):
        inner = (key.left, key.right)
    elif isinstance(key, Not):
        inner = (key.key,)
    return [branch for one in inner for branch in _cheap_branches(one)]


async def _open(
    context: Searching,
    trees: dict[int, SearchKey],
    asked: Sequence[int],
    unread: list[int],
    large: list[tuple[int, StoredRow]],
) -> list[int]:
    """Return which of at most ``BATCH`` messages hold what is open of the key for them. :param large: takes those that are to
    be read in pieces."""
    mailbox, searches = context.mailbox.mailbox, context.services.searches
    by_header = [index for index in asked if cost(trees[index]) <= WORDS]
    found = await _judge_kept_headers(context, trees, by_header, unread)
    asked = [index for index in asked if cost(trees[index]) > WORDS]
    if not asked:
        return found
    async with searches.step():
        indexes, rows, _ = await read_rows(mailbox, context.mailbox.view, asked, BLOB_COLUMNS)
        _note_unread(unread, asked, indexes)
        for batch in batches([((row, index), row[1]) for index, row in zip(indexes, rows, strict=True)]):
            context.ensure_there()  # no pause: who does not read must not keep others from their step
            wholes = await read_small(mailbox, [blob for _, blob in batch], [row[5] for (row, _), _ in batch])
            small = [((row, index), x) for ((row, index), _), x in zip(batch, wholes, strict=True)]
            found.extend(
                await _judge_small(context, trees, [(row, i, x) for (row, i), x in small if isinstance(x, bytes)])
            )
            large.extend([(index, row) for (row, index), whole in small if whole is None])
            unread.extend([index for (_, index), whole in small if isinstance(whole, BlobDamaged)])
    return found


async def _judge_kept_headers(
    context: Searching, trees: dict[int, SearchKey], asked: Sequence[int], unread: list[int]
) -> list[int]:
    """Return which messages hold what is open for them, where what is kept of their headers tells."""
    if not asked:
        return []
    keys = list(dict.fromkeys(trees[index] for index in asked))
    places = {key: place for place, key in enumerate(keys)}
    async with context.services.searches.step():
        context.ensure_there()
        indexes, rows, _ = await read_rows(context.mailbox.mailbox, context.mailbox.view, asked, HEADER_COLUMNS)
        _note_unread(unread, asked, indexes)
        headers: list[Header] = [
            (places[trees[index]], row[1] + row[2]) for index, row in zip(indexes, rows, strict=True)
        ]
        judged = await context.services.searches.judge(judge_headers, keys, headers)
    return [index for index, holds in zip(indexes, judged, strict=True) if holds]


async def _judge_small(
    context: Searching, trees: dict[int, SearchKey], messages: Sequence[tuple[StoredRow, int, bytes]]
) -> list[int]:
    """Return the indexes of those that hold what is open for them, by one call for all."""
    if not messages:
        return []
    keys = list(dict.fromkeys(trees[index] for _, index, _ in messages))
    places = {key: place for place, key in enumerate(keys)}
    wholes: list[Whole] = [
        (places[trees[index]], row[2] + data[: row[3]], row[4], data) for row, index, data in messages
    ]
    judged = await context.services.searches.judge(judge_wholes, keys, wholes)
    return [index for (_, index, _), holds in zip(messages, judged, strict=True) if holds]


async def _holds_large(context: Searching, key: SearchKey, row: StoredRow) -> bool:
    """Whether a large message holds what is open: read a piece of text at a time, so that memory is that of the largest.

    :raises BlobDamaged:
    """
    _, blob, prefix, header_size, encoded, _ = row
    mailbox, searches = context.mailbox.mailbox, context.services.searches
    async with searches.step():
        header = prefix + await read_exactly(mailbox, blob, 0, header_size)
        tree: Tree = await searches.judge(judge_header, key, header)
    for piece in searched_pieces(decode_parts(encoded)):
        asked = [] if isinstance(tree, bool) else asked_of(tree, piece.in_body)
        for at in range(0, len(asked), KEYS):
            await _go_on(context)
            if isinstance(tree, bool):
                break
            async with searches.step():
                raw = await read_exactly(mailbox, blob, piece.start, piece.end)
                tree = await searches.judge(judge_piece, tree, piece.part, raw, asked[at : at + KEYS])
    return not_found(tree)
