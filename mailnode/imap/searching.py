"""SEARCH and UID SEARCH (RFC 3501 6.4.4, RFC 4731, RFC 7162 3.1.5): cheap keys first, messages opened last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mailnode.errors import BlobDamaged
from mailnode.imap import responses
from mailnode.imap.answers import Answer
from mailnode.imap.bodies import BATCH, batches, read_exactly, read_small
from mailnode.imap.command_types import And, InBody, InHeader, InText, Not, Or, Search, SearchKey
from mailnode.imap.fetching import ROWS
from mailnode.imap.matching import ROWS as COLUMNS_ONLY
from mailnode.imap.matching import (
    VIEW,
    Row,
    cost,
    flag_of,
    flagged,
    header_test,
    returned_modseq,
    row_test,
    searched_span,
    text_test,
)
from mailnode.imap.ranges import ranges_of, read_rows
from mailnode.values.facts import decode_parts

if TYPE_CHECKING:
    from mailnode.imap.session import ImapSession

VIEW_ROWS = 5000  # looked at between two turns of the reactor
FLAG_ROWS = 50_000  # the same, where one flag is looked for
_BLOB_COLUMNS = ("blob", "prefix", "header_size", "parts", "content")


async def search(session: ImapSession, command: Search) -> Answer:
    """Find, then answer with numbers or UIDs; nothing found is an answer too."""
    view = session.mailbox.view
    if command.modseq:
        session.enable_condstore()
    found = await _matching(session, command.key, range(view.exists))
    numbers = [view.uids[index] for index in found] if command.uid else [index + 1 for index in found]
    await session.pause()
    modseq = returned_modseq(view, found, command.returns) if command.modseq else None
    if command.returns is None:
        session.write(responses.search(numbers, modseq))
    else:
        session.write(responses.esearch(command.tag, command.uid, command.returns, numbers, modseq))
    return Answer("SEARCH completed")


async def _matching(session: ImapSession, key: SearchKey, candidates: Sequence[int]) -> Sequence[int]:
    """Return those candidates for which the key holds, ascending."""
    price = cost(key)
    if price <= COLUMNS_ONLY:
        return await _by_rows(session, key, candidates)
    if isinstance(key, And):
        for group in _groups(key.keys):
            if not candidates:
                break
            candidates = await _matching(session, group, candidates)
        return candidates
    if isinstance(key, Or):
        left = set(await _matching(session, key.left, candidates))
        rest = [index for index in candidates if index not in left]
        return sorted(left.union(await _matching(session, key.right, rest)))
    if isinstance(key, Not):
        held = set(await _matching(session, key.key, candidates))
        return [index for index in candidates if index not in held]
    assert isinstance(key, InHeader | InBody | InText)
    return await _by_messages(session, key, candidates)


def _groups(keys: Sequence[SearchKey]) -> list[SearchKey]:
    """Return keys to hold one after the other: all that need only the view as one, all that need only columns as one,
    then the others, cheapest first."""
    ordered = sorted(keys, key=cost)
    groups: list[SearchKey] = []
    for price in (VIEW, COLUMNS_ONLY):
        alike = tuple(key for key in ordered if cost(key) == price)
        if alike:
            groups.append(And(alike) if len(alike) > 1 else alike[0])
    return groups + [key for key in ordered if cost(key) > COLUMNS_ONLY]


async def _by_rows(session: ImapSession, key: SearchKey, candidates: Sequence[int]) -> list[int]:
    selected = session.mailbox
    columns: list[str] = []
    test = row_test(key, selected.view, columns)
    found: list[int] = []
    if not columns:
        one_flag = isinstance(candidates, range) and flag_of(key, selected.view) is not None
        size = FLAG_ROWS if one_flag else VIEW_ROWS
        for at in range(0, len(candidates), size):
            some = candidates[at : at + size]
            carriers = flagged(key, selected.view, some) if isinstance(some, range) else None
            found.extend([index for index in some if test((), index)] if carriers is None else carriers)
            await session.pause()
        return found
    for asked in ranges_of((candidates,), ROWS):
        indexes, rows, _ = await read_rows(selected.mailbox, selected.view, asked, columns)
        found.extend([index for index, row in zip(indexes, rows, strict=True) if test(row, index)])
        await session.pause()
    return found


async def _by_messages(session: ImapSession, key: InHeader | InBody | InText, candidates: Sequence[int]) -> list[int]:
    """Open the messages. One that cannot be read is passed over: it cannot be shown to hold the text."""
    found: list[int] = []
    mailbox = session.mailbox.mailbox
    judge = _header_judge(key) if isinstance(key, InHeader) else _text_judge(key)
    for asked in ranges_of((candidates,), BATCH):
        indexes, rows, _ = await read_rows(mailbox, session.mailbox.view, asked, _BLOB_COLUMNS)
        for batch in batches([((row, index), row[1]) for index, row in zip(indexes, rows, strict=True)]):
            wholes = await read_small(mailbox, [blob for _, blob in batch], [row[5] for (row, _), _ in batch])
            small = [
                (row, index, x) for ((row, index), _), x in zip(batch, wholes, strict=True) if isinstance(x, bytes)
            ]
            if small:
                found.extend(await session.services.threads.run("cpu", _judge_all, judge, small))
            for ((row, index), _), whole in zip(batch, wholes, strict=True):
                if whole is None and await _holds_large(session, key, row):
                    found.append(index)
            await session.pause()
    return found


Judge = Callable[[Row, bytes], bool]  # (row, whole blob)


def _judge_all(judge: Judge, messages: Sequence[tuple[Row, int, bytes]]) -> list[int]:
    """Runs in a thread: return the indexes of those that hold the text."""
    return [index for row, index, data in messages if judge(row, data)]


def _header_judge(key: InHeader) -> Judge:
    test = header_test(key)
    return lambda row, data: test(row[2] + data[: row[3]])


def _text_judge(key: InBody | InText) -> Judge:
    test = text_test(key)

    def judge(row: Row, data: bytes) -> bool:
        _, _, prefix, header_size, encoded, _ = row
        parts = decode_parts(encoded)
        spans = [(part, searched_span(parts, index)) for index, part in enumerate(parts)]
        texts = [(part, data[span[0] : span[1]]) for part, span in spans if span is not None]
        return test(prefix + data[:header_size], texts)

    return judge


async def _holds_large(session: ImapSession, key: InHeader | InBody | InText, row: Row) -> bool:
    """Whether a large message holds the text: read a part at a time, so that memory is that of the largest text part."""
    _, blob, prefix, header_size, encoded, _ = row
    mailbox, threads = session.mailbox.mailbox, session.services.threads
    try:
        header = prefix + await read_exactly(mailbox, blob, 0, header_size)
        if isinstance(key, InHeader):
            return header_test(key)(header)
        test = text_test(key)
        if await threads.run("cpu", test, header, ()):
            return True
        parts = decode_parts(encoded)
        for index, part in enumerate(parts):
            span = searched_span(parts, index)
            if span is not None:
                raw = await read_exactly(mailbox, blob, *span)
                if await threads.run("cpu", test, b"", ((part, raw),)):
                    return True
            await session.pause()
    except BlobDamaged:
        pass
    return False
