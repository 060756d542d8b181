"""What the search index says of a search before messages are looked into: texts that cannot stand in them, and words that do.

What is left of the search is asked of the messages as ever.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import compress
from operator import not_, or_
from typing import TypeAlias

from twisted.logger import Logger

from mailnode.errors import StoreUnavailable
from mailnode.imap.commands.context import Searching
from mailnode.imap.messages.judging import Tree, reduced
from mailnode.imap.messages.ranges import uids_of
from mailnode.imap.messages.search_keys import InBody, InHeader, InText, SearchKey, leaves
from mailnode.imap.messages.search_tests import ROWS, cost
from mailnode.imap.view.view import View
from mailnode.message.search_text import fold
from mailnode.values.events import emit
from mailnode.values.search import BODY, HEADER, MAX_NEEDLES, SHOWN, SHOWN_FIELDS, ZONES, Holders, Needle

LEAST = 100  # messages below which nobody is asked
OF_ROWS, OF_MESSAGE = 2.0, 30.0  # microseconds that it takes to look into columns, or into a small message
AT_ONCE = 5000  # messages between two turns of the reactor
TRIED = 4  # messages for each text that are looked into although the index says that they hold it
FEW = 16  # candidates for one that may hold a text, from which on these are looked up in place of looking at all

# Looks into messages: returns those candidates for which a key holds; the list takes those that could not be looked into.
LookInto: TypeAlias = Callable[[Searching, SearchKey, Sequence[int], list[int]], Awaitable[Sequence[int]]]

_log = Logger()


async def split(
    context: Searching, key: SearchKey, candidates: Sequence[int], look_into: LookInto
) -> list[tuple[Tree, Sequence[int]]]:
    """Return what is left of a key to be asked, of which candidates: the same of all where nothing is known, or where the
    messages themselves say otherwise than the index."""
    needles = _needles(key)
    index = context.services.index
    if not needles or index is None or len(candidates) < LEAST:
        return [(key, candidates)]
    selected, searches = context.mailbox, context.services.searches
    uids = selected.view.uids
    worth = len(candidates) * (OF_ROWS if cost(key) <= ROWS else OF_MESSAGE)
    async with searches.of(context.mail.account_id), searches.step():
        said = await index.candidates(
            selected.mailbox.account_id,  # whoever has it: it may be shared
            selected.mailbox.id,
            (uids[candidates[0]], uids[candidates[-1]]),
            list(needles.values()),
            worth,
            context.ensure_there,
        )
    if said is None:
        return [(key, candidates)]
    told = list(zip(needles, said, strict=True))
    if not await _is_borne_out(context, told, look_into):
        emit(_log, "search.index_wrong", warning=True, account=selected.mailbox.account_id)
        with suppress(StoreUnavailable):  # then the next search finds out again
            await index.forget(selected.mailbox.account_id)
        return [(key, candidates)]
    return await _sorted_out(context, key, candidates, told)


async def _is_borne_out(context: Searching, said: Sequence[tuple[SearchKey, Holders]], look_into: LookInto) -> bool:
    """Whether a few messages, from the first to the last of those that surely hold a text, do hold it."""
    view = context.mailbox.view
    for leaf, held in said:
        uids = sorted(held.surely)
        tried = {uids[(len(uids) - 1) * number // (TRIED - 1)] for number in range(TRIED)} if uids else ()
        indexes = [index for index in map(view.index_of, sorted(tried)) if index is not None]
        unread: list[int] = []
        if indexes and len(await look_into(context, leaf, indexes, unread)) + len(unread) < len(indexes):
            return False
    return True


async def _sorted_out(
    context: Searching, key: SearchKey, candidates: Sequence[int], said: Sequence[tuple[SearchKey, Holders]]
) -> list[tuple[Tree, Sequence[int]]]:
    view = context.mailbox.view
    anywhere = set().union(*[some for _, held in said for some in held])
    nowhere = reduced(key, dict.fromkeys([leaf for leaf, _ in said], False))
    if nowhere is False and len(anywhere) * FEW < len(candidates):
        candidates = await _of_uids(context, candidates, sorted(anywhere))
    trees: dict[tuple[bool | None, ...], Tree] = {}
    found: dict[Tree, list[int]] = {}
    for at in range(0, len(candidates), AT_ONCE):
        await context.pause()
        some = candidates[at : at + AT_ONCE]
        if nowhere is False:
            some = list(compress(some, map(anywhere.__contains__, uids_of(view, some))))
        for holds, alike in _apart(view, some, [held for _, held in said]).items():
            if holds not in trees:
                await context.services.searches.slice(context.services.clock)
                known = {leaf: sure for (leaf, _), sure in zip(said, holds, strict=True) if sure is not None}
                trees[holds] = reduced(key, known)
            found.setdefault(trees[holds], []).extend(alike)
    return [(tree, sorted(some)) for tree, some in found.items()]


def _apart(view: View, some: Sequence[int], said: Sequence[Holders]) -> dict[tuple[bool | None, ...], Sequence[int]]:
    """Return messages by what is said of each text: whether they hold it, None where they may."""
    groups: dict[tuple[bool | None, ...], Sequence[int]] = {(): some}
    for held in said:
        apart: dict[tuple[bool | None, ...], Sequence[int]] = {}
        for holds, alike in groups.items():
            uids = uids_of(view, alike)
            surely, maybe = (list(map(some_uids.__contains__, uids)) for some_uids in held)
            for sure, chosen in ((True, surely), (None, maybe), (False, map(not_, map(or_, surely, maybe)))):
                ones = list(compress(alike, chosen))
                if ones:
                    apart[(*holds, sure)] = ones
        groups = apart
    return groups


async def _of_uids(context: Searching, candidates: Sequence[int], wanted: Sequence[int]) -> list[int]:
    """Return those candidates that have one of some UIDs, looking each of these up."""
    view, found = context.mailbox.view, []
    for at in range(0, len(wanted), AT_ONCE):
        await context.pause()
        for uid in wanted[at : at + AT_ONCE]:
            index = view.index_of(uid)
            if index is not None and _is_among(candidates, index):
                found.append(index)
    return found


def _is_among(candidates: Sequence[int], index: int) -> bool:
    if isinstance(candidates, range):
        return index in candidates
    place = bisect_left(candidates, index)
    return place < len(candidates) and candidates[place] == index


def _needles(key: SearchKey) -> dict[SearchKey, Needle]:
    """Return the texts that are looked for, by their keys: no more than the index is asked for."""
    found: dict[SearchKey, Needle] = {}
    for leaf in leaves(key):
        if isinstance(leaf, InHeader | InBody | InText) and leaf.text and len(found) < MAX_NEEDLES:
            found.setdefault(leaf, _needle(leaf))
    return found


def _needle(leaf: InHeader | InBody | InText) -> Needle:
    text = fold(leaf.text)
    if isinstance(leaf, InBody):
        return Needle(text, frozenset({BODY}), frozenset({BODY}))
    if isinstance(leaf, InText):  # which knows nothing of addresses as they are shown
        return Needle(text, frozenset(ZONES), frozenset({HEADER, BODY}))
    # What stands among the fields that are shown is left out of the rest of the header.
    return Needle(text, frozenset({SHOWN} if leaf.field in SHOWN_FIELDS else {SHOWN, HEADER}))
