"""SEARCH and UID SEARCH (RFC 3501 6.4.4, RFC 4731, RFC 7162 3.1.5): cheap keys first, messages opened last."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from mailnode.errors import BlobDamaged
from mailnode.imap.answers import Answer
from mailnode.imap.bodies import BATCH, batches, read_exactly, read_rows, read_small
from mailnode.imap.commands import condstore
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.row import SELECTED, CommandRow
from mailnode.imap.messages.judging import (
    Tree,
    Whole,
    asked_of,
    judge_header,
    judge_piece,
    judge_wholes,
    leaves,
    not_found,
    reduced,
)
from mailnode.imap.messages.ranges import RANGE, ranges_of
from mailnode.imap.messages.search_keys import CHARSETS, And, Not, Or, SearchKey, SearchProgram, bad_charset
from mailnode.imap.messages.search_tests import ROWS as COLUMNS_ONLY
from mailnode.imap.messages.search_tests import VIEW, cost, flag_of, flagged, returned_modseq, row_test
from mailnode.imap.wire import responses
from mailnode.imap.wire.command import Command
from mailnode.imap.wire.lexer import CommandFault, Lexer
from mailnode.imap.wire.text import string
from mailnode.interfaces.runtime import IDelayed
from mailnode.message.pieces import searched_pieces
from mailnode.values.facts import decode_parts
from mailnode.values.rows import StoredRow
from mailnode.values.sets import compressed

VIEW_ROWS = 5000  # looked at between two turns of the reactor
FLAG_ROWS = 50_000  # the same, where one flag is looked for
NUMBERS = 5000  # said between two turns of the reactor
TESTS = 5000  # the same: leaves of the key times messages
KEYS = 100  # looked for in a large message's text by one step, so that others' steps are not far away
AFTER_SILENCE = 10.0  # seconds of a search after which the client is told that it goes on
AFTER_CLOSE = 1.0  # the same, when it closed its side: if it has gone, that shows by what it is told
_BLOB_COLUMNS = ("blob", "prefix", "header_size", "parts", "content")
RETURN_OPTIONS = frozenset({"MIN", "MAX", "ALL", "COUNT"})


# search = ["UID" SP] "SEARCH" [SP "RETURN (" [option *(SP option)] ")"] [SP "CHARSET" SP astring] 1*(SP search-key)
@dataclass(frozen=True, slots=True)
class Search(Command):
    """RFC 3501 6.4.4. ``by_uid``: UID SEARCH. ``returns`` are the options of RFC 4731 (``MIN MAX ALL COUNT``; ``RETURN
    ()`` is ALL), None: answer with ``* SEARCH``. ``modseq``: a MODSEQ key was used (RFC 7162 3.1.5)."""

    verb: ClassVar[str] = "SEARCH"
    by_uid: bool
    key: SearchKey
    returns: frozenset[str] | None = None
    modseq: bool = False

    @property
    def uid(self) -> bool:
        """Whether UIDs are to be returned."""
        return self.by_uid


def _parse(tag: bytes, lexer: Lexer, by_uid: bool) -> Search:
    """Read ``[RETURN (...)] [CHARSET c] keys``."""
    returns = None
    lexer.space()
    if lexer.accept_word(b"RETURN "):
        returns = _returns(lexer)
        lexer.space()
    charset = ""
    if lexer.accept_word(b"CHARSET "):
        charset = lexer.astring().decode("latin-1").upper()
        if charset not in CHARSETS:
            raise bad_charset()
        lexer.space()
    program = SearchProgram(lexer, charset)
    key = program.keys()
    return Search(tag, by_uid, key, returns, program.modseq)


def _returns(lexer: Lexer) -> frozenset[str]:
    options = frozenset(lexer.parenthesized(lexer.word, minimum=0))
    if not options <= RETURN_OPTIONS:
        raise CommandFault("Unknown search return option")
    return options or frozenset({"ALL"})


async def search(context: Context, command: Search) -> Answer:
    """Find, then answer with numbers or UIDs; nothing found is an answer too."""
    view = context.mailbox.view
    if command.modseq:
        condstore.enable(context)
    going_on = _GoingOn(context)
    try:
        found = await _matching(context, command.key, range(view.exists))
    finally:
        going_on.end()
    if not isinstance(found, range):
        found = array("I", found)  # it stays for as long as somebody reads the answer
    await context.pause()
    modseq = returned_modseq(view, found, command.returns) if command.modseq else None
    await _say(context, command, found, modseq)
    return Answer("SEARCH completed")


async def _say(context: Context, command: Search, found: Sequence[int], modseq: int | None) -> None:
    """Write the answer as fast as it is read, so that a large one takes no memory by waiting, and the reactor no long turn."""
    uids = context.mailbox.view.uids
    number: Callable[[int], int] = uids.__getitem__ if command.uid else (1).__add__
    numbers = ([number(index) for index in found[at : at + NUMBERS]] for at in range(0, len(found), NUMBERS))
    if command.returns is None:
        pieces = search_response(numbers, modseq)
    else:
        first, last = (number(found[0]), number(found[-1])) if found else (0, 0)
        pieces = esearch_response(
            command.tag, command.uid, command.returns, numbers, Found(len(found), first, last, modseq)
        )
    for piece in pieces:
        context.write(piece)
        if len(found) > NUMBERS:
            await context.pause(within=True)


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found: how many, the first and the last number, the highest mod-sequence if somebody asked for it."""

    count: int
    first: int = 0
    last: int = 0
    modseq: int | None = None


def search_response(numbers: Iterable[Sequence[int]], modseq: int | None = None) -> Iterator[bytes]:
    """Yield ``* SEARCH`` in pieces, also when nothing was found.

    :param numbers: those found, ascending, some at a time: all may be millions. :param modseq: the highest of the found
        ones; None where none were found, or nobody asked (RFC 7162 3.1.5).
    """
    yield b"* SEARCH"
    for some in numbers:
        yield b"".join([b" %d" % number for number in some])
    yield (b"" if modseq is None else b" (MODSEQ %d)" % modseq) + b"\r\n"


def esearch_response(
    tag: bytes,
    uid: bool,
    returns: frozenset[str],
    numbers: Iterable[Sequence[int]],
    about: Found,
) -> Iterator[bytes]:
    """Yield ``* ESEARCH`` in pieces (RFC 4731 3.1): MIN, MAX and ALL are left out when nothing was found, COUNT is 0.

    :param numbers: as for :func:`search_response`; read only for ALL.
    """
    words = [b"* ESEARCH", b"(TAG %b)" % string(tag)]
    if uid:
        words.append(b"UID")
    if about.count and "MIN" in returns:
        words.append(b"MIN %d" % about.first)
    if about.count and "MAX" in returns:
        words.append(b"MAX %d" % about.last)
    yield b" ".join(words)
    if about.count and "ALL" in returns:
        yield b" ALL "
        for piece in compressed(numbers):
            yield piece.encode("ascii")
    words = [b""]
    if "COUNT" in returns:
        words.append(b"COUNT %d" % about.count)
    if about.modseq is not None:
        words.append(b"MODSEQ %d" % about.modseq)
    yield b" ".join(words) + b"\r\n"


class _GoingOn:
    """Says so during a long search, which writes nothing by itself: whoever has gone is found out by it."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._silent = 0.0
        self._timer = self._later()

    def end(self) -> None:
        """The search has ended."""
        if self._timer.active():
            self._timer.cancel()

    def _later(self) -> IDelayed:
        timer: IDelayed = self._context.services.clock.callLater(AFTER_CLOSE, self._look)
        return timer

    def _look(self) -> None:
        channel = self._context.channel
        self._silent += AFTER_CLOSE
        if channel.half_closed or self._silent >= AFTER_SILENCE:
            self._silent = 0.0
            channel.write(responses.ok(b"*", "Still searching"))
        if not channel.closed:
            self._timer = self._later()


async def _matching(context: Context, key: SearchKey, candidates: Sequence[int]) -> Sequence[int]:
    """Return those candidates for which the key holds, ascending: what needs only the view is looked at first, then what
    needs only columns; messages are opened for what is left."""
    for group in _groups(key.keys if isinstance(key, And) else (key,)):
        if not candidates:
            break
        if cost(group) <= COLUMNS_ONLY:
            candidates = await _by_rows(context, group, candidates)
        else:
            candidates = await _by_messages(context, group, candidates)
    return candidates


def _groups(keys: Sequence[SearchKey]) -> list[SearchKey]:
    """Return keys to hold one after the other: all that need only the view as one, all that need only columns as one,
    all others as one."""
    groups: list[SearchKey] = []
    ordered = sorted(keys, key=cost)
    for least, most in ((VIEW, VIEW), (VIEW + 1, COLUMNS_ONLY), (COLUMNS_ONLY + 1, None)):
        alike = tuple(key for key in ordered if least <= cost(key) and (most is None or cost(key) <= most))
        if alike:
            groups.append(And(alike) if len(alike) > 1 else alike[0])
    return groups


def _at_a_time(key: SearchKey, most: int) -> int:
    """Return how many messages are tested between two turns of the reactor."""
    return max(1, min(most, TESTS // sum(1 for _ in leaves(key))))


async def _by_rows(context: Context, key: SearchKey, candidates: Sequence[int]) -> list[int]:
    selected = context.mailbox
    columns: list[str] = []
    test = row_test(key, selected.view, columns)
    found: list[int] = []
    if not columns:
        one_flag = isinstance(candidates, range) and flag_of(key, selected.view) is not None
        size = FLAG_ROWS if one_flag else _at_a_time(key, VIEW_ROWS)
        for at in range(0, len(candidates), size):
            some = candidates[at : at + size]
            carriers = flagged(key, selected.view, some) if isinstance(some, range) else None
            found.extend([index for index in some if test((), index)] if carriers is None else carriers)
            await context.pause()
        return found
    size = _at_a_time(key, RANGE)
    for asked in ranges_of((candidates,), RANGE):
        indexes, rows, _ = await read_rows(selected.mailbox, selected.view, asked, columns)
        for at in range(0, len(rows), size):
            pairs = zip(indexes[at : at + size], rows[at : at + size], strict=True)
            found.extend([index for index, row in pairs if test(row, index)])
            await context.pause()
    return found


async def _by_messages(context: Context, key: SearchKey, candidates: Sequence[int]) -> list[int]:
    """Open the messages that the cheap branches of the key do not decide. One that cannot be read is passed over: it
    cannot be shown to hold the text."""
    found: list[int] = []
    async with context.services.searches.of(context.mail.account_id):
        for asked in ranges_of((candidates,), RANGE):
            context.ensure_there()  # it may have gone while it waited
            open_: dict[int, SearchKey] = {}
            for index, tree in await _by_cheap_branches(context, key, asked):
                if tree is True:
                    found.append(index)
                elif tree is not False:
                    open_[index] = tree
            for some in ranges_of((list(open_),), BATCH):
                await context.pause()
                found.extend(await _open(context, open_, some))
    return sorted(found)


async def _by_cheap_branches(context: Context, key: SearchKey, asked: Sequence[int]) -> list[tuple[int, Tree]]:
    """Return what the branches of a key that need no message leave open of it, for each message."""
    branches = list(dict.fromkeys(_cheap_branches(key)))
    if not branches:
        return [(index, key) for index in asked]
    selected = context.mailbox
    columns: list[str] = []
    tests = [row_test(branch, selected.view, columns) for branch in branches]
    rows: Sequence[StoredRow] = [()] * len(asked)
    if columns:
        asked, rows, _ = await read_rows(selected.mailbox, selected.view, asked, columns)
    trees: dict[tuple[bool, ...], Tree] = {}
    left: list[tuple[int, Tree]] = []
    size = _at_a_time(key, RANGE)
    for number, (index, row) in enumerate(zip(asked, rows, strict=True), 1):
        held = tuple([test(row, index) for test in tests])
        if held not in trees:
            trees[held] = reduced(key, dict(zip(branches, held, strict=True)))
        left.append((index, trees[held]))
        if number % size == 0:
            await context.pause()
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


async def _open(context: Context, trees: dict[int, SearchKey], asked: Sequence[int]) -> list[int]:
    """Return which of at most ``BATCH`` messages hold what is open of the key for them."""
    mailbox, searches = context.mailbox.mailbox, context.services.searches
    found: list[int] = []
    large: list[tuple[int, StoredRow]] = []
    async with searches.step():
        indexes, rows, _ = await read_rows(mailbox, context.mailbox.view, asked, _BLOB_COLUMNS)
        for batch in batches([((row, index), row[1]) for index, row in zip(indexes, rows, strict=True)]):
            context.ensure_there()  # no pause: who does not read must not keep others from their step
            wholes = await read_small(mailbox, [blob for _, blob in batch], [row[5] for (row, _), _ in batch])
            small = [((row, index), x) for ((row, index), _), x in zip(batch, wholes, strict=True)]
            found.extend(
                await _judge_small(context, trees, [(row, i, x) for (row, i), x in small if isinstance(x, bytes)])
            )
            large.extend([(index, row) for (row, index), whole in small if whole is None])
    for index, row in large:
        if await _holds_large(context, trees[index], row):
            found.append(index)
    return found


async def _judge_small(
    context: Context, trees: dict[int, SearchKey], messages: Sequence[tuple[StoredRow, int, bytes]]
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


async def _holds_large(context: Context, key: SearchKey, row: StoredRow) -> bool:
    """Whether a large message holds what is open: read a piece of text at a time, so that memory is that of the largest."""
    _, blob, prefix, header_size, encoded, _ = row
    mailbox, searches = context.mailbox.mailbox, context.services.searches
    try:
        async with searches.step():
            header = prefix + await read_exactly(mailbox, blob, 0, header_size)
            tree: Tree = await searches.judge(judge_header, key, header)
        for piece in searched_pieces(decode_parts(encoded)):
            asked = [] if isinstance(tree, bool) else asked_of(tree, piece.in_body)
            for at in range(0, len(asked), KEYS):
                await context.pause()
                if isinstance(tree, bool):
                    break
                async with searches.step():
                    raw = await read_exactly(mailbox, blob, piece.start, piece.end)
                    tree = await searches.judge(judge_piece, tree, piece.part, raw, asked[at : at + KEYS])
    except BlobDamaged:
        return False
    return not_found(tree)


ROWS = (
    CommandRow(
        name=b"SEARCH",
        states=SELECTED,
        parse=partial(_parse, by_uid=False),
        run=search,
        capabilities=("ESEARCH",),
        sequence_numbers=True,
        expunge=False,
        needs_view=True,
    ),
    CommandRow(
        name=b"UID SEARCH",
        states=SELECTED,
        parse=partial(_parse, by_uid=True),
        run=search,
        sequence_numbers=True,
        needs_view=True,
    ),
)
