"""What searches found out of messages, kept for the next time: people look for the same again, page by page, once more after new
mail, and with further keys.

What a message says never changes, nor which message a UID names, so nothing that is kept has to be compared with the store; after
a repair of the store, which may put right what was kept of messages, all is forgotten. A
message that came since is asked as ever; one that is gone is in no view. Whoever searches finds what the same login found before,
and nobody learns from its time what others look for.
"""

from __future__ import annotations

from array import array
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from hashlib import blake2b
from itertools import compress

from mailnode.imap.commands.context import Searching
from mailnode.imap.messages.answered import Answered
from mailnode.imap.messages.judging import Tree, reduced
from mailnode.imap.messages.ranges import uids_of
from mailnode.imap.messages.search_keys import (
    HasObjectId,
    InBody,
    InHeader,
    InternalDay,
    InText,
    Larger,
    NearlyInHeader,
    NearlyInText,
    SavedDay,
    SearchKey,
    SentDay,
    Smaller,
    leaves,
)
from mailnode.message.search_text import fold

LEAST = 100  # messages below which nothing is kept
TESTED = 20_000  # UIDs or places looked up between two turns of the reactor
# Keys that ask nothing but what a message says for good.
_LASTING = (
    *(InBody, InHeader, InText, NearlyInHeader, NearlyInText),
    *(HasObjectId, InternalDay, Larger, SavedDay, SentDay, Smaller),
)

# Returns which of the candidates a key holds for, ascending. Those that could not be looked into are put into the list.
Ask = Callable[[Searching, SearchKey, Sequence[int], list[int]], Awaitable[list[int]]]


async def remembered(context: Searching, key: SearchKey, candidates: Sequence[int], ask: Ask) -> Sequence[int]:
    """Return those candidates for which the key holds, ascending. Only those are asked that were not before."""
    if len(candidates) < LEAST or not all(isinstance(leaf, _LASTING) for leaf in leaves(key)):
        return await ask(context, key, candidates, [])
    view, answers = context.mailbox.view, context.services.answers
    mailbox = context.mailbox.mailbox.account_id, view.mailbox_id, view.uidvalidity
    name = answers.epoch, context.mail.account_id, *mailbox, _digest(key)
    kept = answers.get(name)
    known = kept if isinstance(kept, Answered) else Answered(array("I"), b"")
    uids = await _uids(context, candidates)
    missing = await missing_of(context, known.uids, uids)
    if missing:
        asked = candidates if len(missing) == len(uids) else await _indexes(context, missing)
        unread: list[int] = []
        found = await ask(context, key, asked, unread)
        known = await _with_answers(context, known, asked, found, unread)
        answers.keep(name, known)
        if asked is candidates:
            return found
    return await _held(context, known, candidates, uids)


def _digest(key: SearchKey) -> bytes:
    """Return what tells a key from others. Texts are the same if they are once they are folded, as they are looked for; each is
    folded by itself: what it becomes may be a quote."""
    folded: dict[SearchKey, Tree] = {
        leaf: replace(leaf, text=fold(leaf.text))
        for leaf in leaves(key)
        if isinstance(leaf, InHeader | InBody | InText)
    }
    return blake2b(repr(reduced(key, folded)).encode("utf-8", "surrogatepass"), digest_size=16).digest()


async def _uids(context: Searching, indexes: Sequence[int]) -> array[int]:
    view, uids = context.mailbox.view, array("I")
    for at in range(0, len(indexes), TESTED):
        uids.extend(uids_of(view, indexes[at : at + TESTED]))
        await context.checkpoint()
    return uids


async def _indexes(context: Searching, uids: array[int]) -> list[int]:
    view, indexes = context.mailbox.view, list[int]()
    for at in range(0, len(uids), TESTED):
        indexes += [index for uid in uids[at : at + TESTED] if (index := view.index_of(uid)) is not None]
        await context.checkpoint()
    return indexes


async def _with_answers(
    context: Searching, known: Answered, asked: Sequence[int], found: Sequence[int], unread: Sequence[int]
) -> Answered:
    """Return what is known together with the answers of those asked, but for those that could not be read."""
    held, left_out = await _set_of(context, found), frozenset(unread)
    uids, holds = known.uids[:], bytearray(known.holds)
    for at in range(0, len(asked), TESTED):
        some = asked[at : at + TESTED]
        if left_out:
            some = [index for index in some if index not in left_out]
        uids.extend(uids_of(context.mailbox.view, some))
        holds += bytes(map(held.__contains__, some))
        await context.checkpoint()
    return Answered(uids, bytes(holds))


async def _held(context: Searching, known: Answered, candidates: Sequence[int], uids: array[int]) -> list[int]:
    found = list[int]()
    if known.uids == uids:
        for at in range(0, len(uids), TESTED):
            found += compress(candidates[at : at + TESTED], known.holds[at : at + TESTED])
            await context.checkpoint()
        return found
    held = await _set_of(context, known.uids, known.holds)
    for at in range(0, len(uids), TESTED):
        found += compress(candidates[at : at + TESTED], map(held.__contains__, uids[at : at + TESTED]))
        await context.checkpoint()
    return found


async def _set_of(context: Searching, numbers: Sequence[int], chosen: bytes | None = None) -> set[int]:
    """Return numbers as a set. :param chosen: an octet for each, 0 for those that are left out."""
    made = set[int]()
    for at in range(0, len(numbers), TESTED):
        some = numbers[at : at + TESTED]
        made.update(some if chosen is None else compress(some, chosen[at : at + TESTED]))
        await context.checkpoint()
    return made


async def missing_of(context: Searching, held: array[int], uids: array[int]) -> array[int]:
    """Return those of the UIDs that are not held."""
    if held == uids:
        return array("I")
    if held == uids[: len(held)]:  # those that came since
        return uids[len(held) :]
    known, missing = await _set_of(context, held), array("I")
    for at in range(0, len(uids), TESTED):
        missing.extend([uid for uid in uids[at : at + TESTED] if uid not in known])
        await context.checkpoint()
    return missing
