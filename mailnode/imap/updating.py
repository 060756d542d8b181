"""Searches whose changes are told (RFC 5267 4.3), while their mailbox is selected.

What is told goes out only where EXPUNGE may: what leaves a result together with the mailbox before the EXPUNGE, while its
number is that of the client, all else behind what it comes of. Nothing is kept but a mark for each message and the UIDs of
those that came or changed since: who does not read is told in one what became of them.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence

from mailnode.dialog.session import SessionEnds
from mailnode.errors import DomainError
from mailnode.imap.answers import CommandRefused
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.esearch import marked
from mailnode.imap.commands.fetch import tell_new
from mailnode.imap.commands.matching import matching
from mailnode.imap.commands.ordering import in_order
from mailnode.imap.messages.ordered import RELEVANCY, Criterion
from mailnode.imap.messages.result_updates import (
    Pair,
    Updated,
    inserted,
    may_change,
    settled,
    taken_out,
    unordered,
    update_response,
)
from mailnode.imap.messages.search_keys import SearchKey
from mailnode.imap.messages.search_returns import Returns
from mailnode.imap.wire import responses
from mailnode.imap.wire.text import quoted
from mailnode.values.sets import UidSet

MOST = 8  # of one session
MOST_SORTED = 2  # the same, of SORT
PIECE = 20_000  # messages looked at between two turns of the reactor
LEFT_OUT = "NOTIFY leaves out the selected mailbox"
TOLD = 2000  # new messages of which something is said at a time


def refuse_used_tag(context: Context, tag: bytes, returns: Returns | None) -> None:
    """Refuse UPDATE under a tag that one has already. :raises CommandRefused: BAD"""
    if returns is not None and returns.update and context.mailbox.updates.get(tag) is not None:
        raise CommandRefused("The tag is that of another search with UPDATE", status=b"BAD")


async def follow(
    context: Context,
    tag: bytes,
    uid: bool,
    key: SearchKey,
    returns: Returns | None,
    found: Sequence[int],
    criteria: tuple[Criterion, ...] = (),
    where: bytes = b"",
    whole: bool = True,
) -> None:
    """Tell the changes of a result from now on, if that is wanted; say so where there are too many already.

    :param found: all of it, in any order. :param criteria: of SORT. :param where: further correlators.
    :param whole: all messages were looked at.
    """
    if returns is None or not returns.update:
        return
    trouble = _why_not(context, criteria, whole)
    if trouble:
        refuse(context, tag, trouble)
        return
    selected, view = context.mailbox, context.mailbox.view
    marks = await marked(context, found, range(len(found)))
    last_uid = view.uids[view.exists - 1] if view.exists else 0
    selected.updates[tag] = Updated(tag, uid, settled(key, view), marks, criteria, returns.new_items, last_uid, where)
    view.follow(marks)


def _why_not(context: Context, criteria: tuple[Criterion, ...], whole: bool) -> str:
    """Say why no changes of another result are told; "" when they are."""
    if not context.tells_selected:
        return LEFT_OUT
    if any(criterion.key == RELEVANCY for criterion in criteria):
        return "No changes are told of orders by relevancy"
    if not whole:  # RFC 9738
        return "Not all messages were looked at"
    followed = context.mailbox.updates.values()
    too_many = len(followed) >= MOST or (criteria and sum(bool(one.criteria) for one in followed) >= MOST_SORTED)
    return "Too many searches with UPDATE" if too_many else ""


def refuse(context: Context, tag: bytes, text: str) -> None:
    """Say that no changes of a search are told (RFC 5267 4.3.1)."""
    context.write(responses.no(b"*", text, b"NOUPDATE %b" % quoted(tag)))


def unfollow(context: Context, tag: bytes) -> None:
    """Tell no more changes of a search, if there is one of that tag."""
    selected = context.mailbox
    update = selected.updates.pop(tag, None)
    if update is not None:
        selected.view.unfollow(update.marks)


def unfollow_all(context: Context, text: str) -> None:
    """Tell no more changes of any search, and say why."""
    for tag in tuple(context.mailbox.updates):
        unfollow(context, tag)
        refuse(context, tag, text)


async def tell_gone(context: Context) -> None:
    """Say which messages leave results because they are about to be told gone. An order that cannot be made any more ends."""
    view = context.mailbox.view
    if not view.has_gone:
        return
    gone = view.gone_indexes()
    for update in _told(context):
        holds = update.marks.holds()
        removed: list[int] = []
        for at in range(0, len(gone), PIECE):
            removed.extend([index for index in gone[at : at + PIECE] if holds(index)])
            await context.checkpoint()
        try:
            await _say(context, update, removed, [])
        except DomainError as error:
            context.trouble(error)
            unfollow(context, update.tag)
            refuse(context, update.tag, "No further changes are told")


async def tell_changed(context: Context) -> None:
    """Say what became of results by messages that came or changed. What cannot be found out now will be the next time."""
    view = context.mailbox.view
    if not view.touched:
        return
    touched, taken = view.touched_indexes(), view.touched
    view.touched = set()  # what is changed by telling comes into it again
    try:
        for update in _told(context):
            await _tell(context, update, touched)
    except SessionEnds:
        raise
    except Exception as error:
        context.trouble(error)
        view.touched |= taken


def _told(context: Context) -> list[Updated]:
    """Return those that are told: with UIDONLY none by numbers (RFC 9586 3.2)."""
    by_uid = "UIDONLY" in context.enabled
    return [update for update in context.mailbox.updates.values() if update.uid or not by_uid]


async def _tell(context: Context, update: Updated, touched: Sequence[int]) -> None:
    uids = context.mailbox.view.uids
    if not may_change(update.key):
        touched = touched[bisect_right(touched, update.last_uid, key=uids.__getitem__) :]
    matches = await matching(context, update.key, touched)
    holds, members = update.marks.holds(), frozenset(matches)
    added: list[int] = []
    removed: list[int] = []
    for at in range(0, len(touched), PIECE):
        some = touched[at : at + PIECE]
        added.extend([index for index in some if index in members and not holds(index)])
        removed.extend([index for index in some if index not in members and holds(index)])
        await context.checkpoint()
    await _tell_items(context, update, added)
    await _say(context, update, removed, added)
    for indexes, on in ((removed, False), (added, True)):
        for at in range(0, len(indexes), PIECE):
            for index in indexes[at : at + PIECE]:
                update.marks.put(index, on)
            await context.checkpoint()
    if touched:
        update.last_uid = max(update.last_uid, uids[touched[-1]])


async def _tell_items(context: Context, update: Updated, added: Sequence[int]) -> None:
    """Say what is wanted of new messages, before they are said to be in the result (RFC 5465 7)."""
    view, last = context.mailbox.view, update.last_uid
    for at in range(0, len(added) if update.items else 0, TOLD):
        uids = [uid for index in added[at : at + TOLD] if (uid := view.uids[index]) > last]
        if uids:
            await tell_new(context, UidSet(tuple((uid, uid) for uid in uids)), update.items)
            await context.checkpoint()


async def _say(context: Context, update: Updated, removed: Sequence[int], added: Sequence[int]) -> None:
    """Say which messages leave a result, and which come into it."""
    if not removed and not added:
        return
    if update.criteria:
        out, into = await _ordered(context, update, removed, added)
    else:
        out, into = unordered(_numbers(context, update, removed)), unordered(_numbers(context, update, added))
    for number, piece in enumerate(update_response(update, out, into)):
        if number:
            await context.pause(within=True)
        context.write(piece)


def _numbers(context: Context, update: Updated, indexes: Sequence[int]) -> list[int]:
    uids = context.mailbox.view.uids
    return [uids[index] for index in indexes] if update.uid else [index + 1 for index in indexes]


async def _ordered(
    context: Context, update: Updated, removed: Sequence[int], added: Sequence[int]
) -> tuple[list[Pair], list[Pair]]:
    """Return the pairs of a result that has an order: places of those that leave it as it was, of those that come as it will
    be. The others do not change their order, because nothing they are ordered by ever changes."""
    before = array("I", [index for span in update.marks.spans(context.mailbox.view.exists) for index in span])
    out = taken_out(*await _placed(context, update, before, removed))
    left = frozenset(removed)
    after = array("I", sorted([*(index for index in before if index not in left), *added]))
    return out, inserted(*await _placed(context, update, after, added))


async def _placed(
    context: Context, update: Updated, members: array[int], some: Sequence[int]
) -> tuple[list[int], list[int]]:
    """Return the places of some members in their order, and their numbers."""
    if not some:
        return [], []
    wanted = frozenset(some)
    order = await in_order(context, update.criteria, members, array("B"))
    places: list[int] = []
    for at in range(0, len(order), PIECE):
        places.extend([at + place for place, index in enumerate(order[at : at + PIECE]) if index in wanted])
        await context.checkpoint()
    return places, _numbers(context, update, [order[place] for place in places])
