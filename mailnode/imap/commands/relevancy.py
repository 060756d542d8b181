"""RELEVANCY: the scores of what FUZZY keys found (RFC 6203 4 and 6)."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from mailnode.errors import BlobDamaged
from mailnode.imap.bodies import BATCH, batches, read_exactly, read_rows, read_small
from mailnode.imap.commands.context import Searching
from mailnode.imap.commands.matching import BLOB_COLUMNS, HEADER_COLUMNS
from mailnode.imap.messages.judging import Header, Whole
from mailnode.imap.messages.ranges import ranges_of
from mailnode.imap.messages.relevancy import (
    LEAST,
    fuzzy_leaves,
    of_header,
    of_piece,
    score,
    score_headers,
    score_wholes,
)
from mailnode.imap.messages.search_keys import SearchKey
from mailnode.imap.messages.search_tests import WORDS, cost
from mailnode.message.pieces import searched_pieces
from mailnode.values.facts import decode_parts
from mailnode.values.rows import StoredRow


async def scores_of(context: Searching, key: SearchKey, found: Sequence[int]) -> array[int]:
    """Return the score of each message that was found, in their order. They are read again: what was enough for a message to
    be found is not all that counts. One that cannot be read any more has the least.

    :param found: indexes of the view, ascending.
    """
    scores = array("B")
    by_header = all(cost(leaf) <= WORDS for leaf in fuzzy_leaves(key))
    async with context.services.searches.of(context.mail.account_id, messages=True):
        for some in ranges_of((found,), BATCH):
            await context.pause()
            await context.services.searches.slice(context.services.clock)
            known = await (_by_headers if by_header else _by_messages)(context, key, some)
            scores.extend([known.get(index, LEAST) for index in some])
    return scores


async def _by_headers(context: Searching, key: SearchKey, asked: Sequence[int]) -> dict[int, int]:
    searches = context.services.searches
    async with searches.step():
        context.ensure_there()
        indexes, rows, _ = await read_rows(context.mailbox.mailbox, context.mailbox.view, asked, HEADER_COLUMNS)
        headers: list[Header] = [(0, row[1] + row[2]) for row in rows]
        return dict(zip(indexes, await searches.judge(score_headers, key, headers), strict=True))


async def _by_messages(context: Searching, key: SearchKey, asked: Sequence[int]) -> dict[int, int]:
    mailbox, searches = context.mailbox.mailbox, context.services.searches
    scores: dict[int, int] = {}
    large: list[tuple[int, StoredRow]] = []
    async with searches.step():
        indexes, rows, _ = await read_rows(mailbox, context.mailbox.view, asked, BLOB_COLUMNS)
        for batch in batches([((row, index), row[1]) for index, row in zip(indexes, rows, strict=True)]):
            context.ensure_there()
            contents = await read_small(mailbox, [blob for _, blob in batch], [row[5] for (row, _), _ in batch])
            read = [(row, index, data) for ((row, index), _), data in zip(batch, contents, strict=True)]
            wholes: list[Whole] = [
                (0, row[2] + data[: row[3]], row[4], data) for row, _, data in read if isinstance(data, bytes)
            ]
            named = [index for _, index, data in read if isinstance(data, bytes)]
            scores.update(zip(named, await searches.judge(score_wholes, key, wholes), strict=True))
            large.extend([(index, row) for row, index, data in read if data is None])
    for index, row in large:
        scores[index] = await _of_large(context, key, row)
    return scores


async def _of_large(context: Searching, key: SearchKey, row: StoredRow) -> int:
    """Return the score of a large message, a piece of text at a time."""
    _, blob, prefix, header_size, encoded, _ = row
    mailbox, searches = context.mailbox.mailbox, context.services.searches
    try:
        async with searches.step():
            header = prefix + await read_exactly(mailbox, blob, 0, header_size)
            nearness = await searches.judge(of_header, key, header)
        for piece in searched_pieces(decode_parts(encoded)):
            await context.pause()
            async with searches.step():
                raw = await read_exactly(mailbox, blob, piece.start, piece.end)
                nearness = await searches.judge(of_piece, key, nearness, piece.part, raw, piece.in_body)
    except BlobDamaged:
        return LEAST
    return score(key, nearness)
