"""SEARCH and UID SEARCH (RFC 3501 6.4.4, RFC 4731, RFC 7162 3.1.5): cheap keys first, messages opened last."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from mailnode.errors import BlobDamaged
from mailnode.imap import responses
from mailnode.imap.answers import Answer
from mailnode.imap.command_types import And, InBody, InHeader, InText, Not, Or, Search, SearchKey
from mailnode.imap.fetching import ROWS
from mailnode.imap.matching import ROWS as COLUMNS_ONLY
from mailnode.imap.matching import VIEW, Row, cost, header_test, returned_modseq, row_test, searched_span, text_test
from mailnode.values.blob import BlobRef
from mailnode.values.facts import decode_parts

if TYPE_CHECKING:
    from mailnode.imap.session import ImapSession

VIEW_ROWS = 5000  # looked at between two turns of the reactor
_BLOB_COLUMNS = ("blob", "prefix", "header_size", "parts")


async def search(session: ImapSession, command: Search) -> Answer:
    """Find, then answer with numbers or UIDs; nothing found is an answer too."""
    view = session.mailbox.view
    if command.modseq:
        session.condstore = True
    found = await _matching(session, command.key, range(view.exists))
    numbers = [view.uids[index] for index in found] if command.uid else [index + 1 for index in found]
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
        return await _by_rows(session, key, candidates, price == VIEW)
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


async def _by_rows(session: ImapSession, key: SearchKey, candidates: Sequence[int], view_only: bool) -> list[int]:
    selected = session.mailbox
    columns: list[str] = []
    test = row_test(key, selected.view, columns)
    found: list[int] = []
    step = VIEW_ROWS if view_only or not columns else ROWS
    for at in range(0, len(candidates), step):
        indexes = candidates[at : at + step]
        if not columns:
            found.extend([index for index in indexes if test((), index)])
        else:
            found.extend([index for row, index in await _rows(session, indexes, columns) if test(row, index)])
        await session.pause()
    return found


async def _rows(session: ImapSession, indexes: Sequence[int], columns: Sequence[str]) -> list[tuple[Row, int]]:
    selected = session.mailbox
    uids = [selected.view.uids[index] for index in indexes]
    by_uid = dict(zip(uids, indexes, strict=True))
    return [(row, by_uid[row[0]]) for row in await selected.mailbox.rows(uids, columns)]


async def _by_messages(session: ImapSession, key: InHeader | InBody | InText, candidates: Sequence[int]) -> list[int]:
    """Open one message after the other. One that cannot be read is passed over: it cannot be shown to hold the text."""
    found: list[int] = []
    test = _header_only(session, key) if isinstance(key, InHeader) else _whole(session, key)
    for at in range(0, len(candidates), ROWS):
        for row, index in await _rows(session, candidates[at : at + ROWS], _BLOB_COLUMNS):
            try:
                if await test(row):
                    found.append(index)
            except BlobDamaged as error:
                session.trouble(error)
            await session.pause()
    return found


def _header_only(session: ImapSession, key: InHeader) -> Callable[[Row], Awaitable[bool]]:
    test = header_test(key)

    async def holds(row: Row) -> bool:
        _, blob, prefix, header_size, _ = row
        return test(prefix + await _read(session, blob, 0, header_size))

    return holds


def _whole(session: ImapSession, key: InBody | InText) -> Callable[[Row], Awaitable[bool]]:
    test = text_test(key)

    async def holds(row: Row) -> bool:
        _, blob, prefix, header_size, encoded = row
        header = prefix + await _read(session, blob, 0, header_size) if isinstance(key, InText) else b""
        parts = decode_parts(encoded)
        if await session.services.threads.run("cpu", test, header, ()):
            return True
        for index, part in enumerate(parts):  # one at a time: memory is that of the largest part
            span = searched_span(parts, index)
            if span is not None and span[1] > span[0]:
                raw = await _read(session, blob, span[0], span[1] - span[0])
                if await session.services.threads.run("cpu", test, b"", ((part, raw),)):
                    return True
        return False

    return holds


async def _read(session: ImapSession, blob: BlobRef, start: int, length: int) -> bytes:
    if not length:
        return b""
    data = await session.mailbox.mailbox.read(blob, start, length)
    if len(data) != length:
        raise BlobDamaged
    return data
