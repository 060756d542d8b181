"""Answers of commands that search, by their return options: SEARCH, and whatever orders its result (RFC 4731, RFC 5267 3);
and what they save (RFC 5182)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mailnode.imap.commands.context import Context, Searching
from mailnode.imap.messages import search_returns
from mailnode.imap.messages.search_returns import Returns, SearchResult, esearch_response, search_response
from mailnode.imap.view.saved import Saved

MARKED = 20_000  # messages saved between two looks at the time


@contextmanager
def saving(context: Context, returns: Returns | None) -> Iterator[None]:
    """While a search runs: one that was to save its result and fails has ``$`` stand for nothing (RFC 5182 2.1)."""
    view = context.mailbox.view
    try:
        yield
    except Exception:
        if returns is not None and returns.save:
            view.saved = Saved()
        raise


async def save(context: Searching, found: Sequence[int], returns: Returns) -> None:
    """Have ``$`` stand for what was found, as far as the options say. :param found: indexes, in any order."""
    context.mailbox.view.saved = await marked(context, found, returns.named(len(found)))


async def marked(context: Searching, found: Sequence[int], places: Sequence[int]) -> Saved:
    """Return marks of what stands at some places of a result."""
    marks = bytearray(context.mailbox.view.exists)
    for at in range(0, len(places), MARKED):
        for place in places[at : at + MARKED]:
            marks[found[place]] = 1
        await context.services.searches.slice(context.services.clock)
    return Saved(bytes(marks))


async def say(
    context: Searching,
    tag: bytes,
    uid: bool,
    found: Sequence[int],
    returns: Returns | None,
    with_modseq: bool = False,
    name: bytes = b"SEARCH",
    scores: Sequence[int] = (),
    where: bytes = b"",
) -> None:
    """Save what is to be saved. Write the answer as fast as it is read, so that a large one takes no memory by waiting, and
    the reactor no long turn.

    :param uid: UIDs are returned. :param found: indexes in the order of the result. :param returns: None: answer with
        ``* name`` and the numbers. :param with_modseq: a MODSEQ key was used (RFC 7162 3.1.5). :param scores: that are told.
        :param where: which mailbox it is, as ``esearch_response`` takes it.
    """
    if returns is not None and returns.save:
        await save(context, found, returns)
    if returns is not None and not returns.answered:
        return
    view = context.mailbox.view
    modseq = await _highest(context, found, returns) if with_modseq and found else None
    result = SearchResult(found, view.uids if uid else None, modseq, scores)
    pieces = search_response(result, name) if returns is None else esearch_response(tag, uid, returns, result, where)
    await context.services.searches.slice(context.services.clock)
    for piece in pieces:
        context.write(piece)
        if len(found) > search_returns.NUMBERS:
            await context.pause(within=True)
            await context.services.searches.slice(context.services.clock)


async def _highest(context: Searching, found: Sequence[int], returns: Returns | None) -> int | None:
    """Return the highest mod-sequence of what a result names (RFC 7162 3.1.5 and 3.1.10)."""
    modseqs = context.mailbox.view.modseqs
    places = range(len(found)) if returns is None else returns.named(len(found))
    highest = 0
    for at in range(0, len(places), MARKED):
        highest = max([highest, *[modseqs[found[place]] for place in places[at : at + MARKED]]])
        await context.services.searches.slice(context.services.clock)
    return highest or None
