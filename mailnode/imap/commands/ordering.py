"""What SORT and THREAD (RFC 5256 3) do with what was found: what messages are ordered by is read once, and ordered elsewhere."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from hashlib import blake2b
from typing import TypeVar, TypeVarTuple, cast

from mailnode.imap.bodies import read_rows
from mailnode.imap.commands.context import Searching
from mailnode.imap.messages.columns import Column, Values, grown
from mailnode.imap.messages.key_columns import STORED_NUMBERS, Room, decode, pieces, row_octets, sources
from mailnode.imap.messages.ordered import RELEVANCY, Criterion, ordered
from mailnode.imap.messages.ranges import RANGE, uids_of
from mailnode.imap.remembered import TESTED, missing_of
from mailnode.imap.view.view import View

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Made = TypeVar("Made", bytes, "array[int]")

AT_ONCE = 512  # messages read from the store at a time
DECODED = 2048  # messages decoded at a time
NUMBERS = 8192  # messages of which only numbers are read, at a time: a thread here decodes them in a millisecond
FEW = 2048  # messages up to which it is done here, by a thread: in some milliseconds


def digest(numbers: array[int]) -> bytes:
    """Return what tells numbers, in their order, from others."""
    return blake2b(numbers, digest_size=16).digest()


class Ordering:
    """Messages of the selected mailbox that are to be ordered. They stay while the command runs."""

    def __init__(self, context: Searching, indexes: Sequence[int]) -> None:
        """:param indexes: of the view, ascending."""
        view = context.mailbox.view
        self.uids = array("I", uids_of(view, indexes))
        self._context = context
        self._mailbox = context.mailbox.mailbox.account_id, view.mailbox_id, view.uidvalidity
        self._room = Room.for_mailbox(view.count, context.services.keys.secret)

    async def made(
        self,
        what: Hashable,
        names: Sequence[str],
        make: Callable[[Mapping[str, Column], array[int], *Ts], Made],
        *args: *Ts,
    ) -> Made:
        """Return what is made of these columns of the messages, or was before. :param what: tells what that is.
        :param make: a module-level function, which runs in a thread or another process.

        :raises mailnode.errors.Busy: too much waits for them.
        """
        keys, context = self._context.services.keys, self._context
        key = self._mailbox, what, digest(self.uids)
        known = keys.get(key)
        if known is not None:
            return cast(Made, known)
        async with _among_searches(context, self.uids):
            if len(self.uids) > FEW:
                context.services.searches.prepare(make)
            columns, complete = await self._columns(names)
            context.ensure_there()
            async with _step(context, self.uids):
                made = await _work(context, self.uids, make, columns, self.uids, *args)
        if complete:  # what could not be read now may be read the next time
            keys.keep(key, made)
        return made

    async def _columns(self, names: Sequence[str]) -> tuple[Mapping[str, Column], bool]:
        """Return columns that hold the messages, and whether all do; those that cannot be read are not in them."""
        keys, mailbox, context, uids = self._context.services.keys, self._mailbox, self._context, self.uids
        async with keys.filling.of(mailbox):
            lacking: dict[bytes, tuple[array[int], list[str]]] = {}
            columns: dict[str, Column] = {}
            for name in names:
                known = keys.get((mailbox, name, self._room))
                column = known if isinstance(known, Column) else Column(array("I"), b"")
                columns[name] = column
                missing = await missing_of(context, column.uids, uids)
                if missing:
                    lacking.setdefault(missing.tobytes(), (missing, []))[1].append(name)
            complete = True
            for missing, alike in lacking.values():
                found = await _read(context, missing, alike, self._room)
                complete = complete and sum(len(some) for some, _ in found) == len(missing)
                for place, name in enumerate(alike):
                    columns[name] = grown(
                        columns[name], [some for some, _ in found], [values[place] for _, values in found]
                    )
                    keys.keep((mailbox, name, self._room), columns[name])
                    await context.checkpoint()
        return columns, complete


async def in_order(
    context: Searching, criteria: tuple[Criterion, ...], found: Sequence[int], scores: array[int]
) -> Sequence[int]:
    """Return indexes of the view in the order of the criteria. :param found: ascending. :param scores: theirs, for RELEVANCY."""
    names = [criterion.key for criterion in criteria if criterion.key != RELEVANCY]
    places = await Ordering(context, found).made(("SORT", criteria, digest(scores)), names, ordered, criteria, scores)
    if len(found) == context.mailbox.view.exists:
        return places
    indexes = array("I")
    for at in range(0, len(places), TESTED):
        indexes.extend([found[place] for place in places[at : at + TESTED]])
        await context.checkpoint()
    return indexes


async def _read(
    context: Searching, uids: array[int], names: Sequence[str], room: Room
) -> list[tuple[array[int], list[Values]]]:
    """Return columns of messages in pieces."""
    only_numbers = STORED_NUMBERS.issuperset(names)
    at_once, decoded = (NUMBERS, NUMBERS) if only_numbers else (AT_ONCE, DECODED)
    found = []
    for at in range(0, len(uids), decoded):
        context.ensure_there()
        async with _step(context, uids):
            said = [
                await _said(context, uids[start : min(start + at_once, at + decoded)], names)
                for start in range(at, min(at + decoded, len(uids)), at_once)
            ]
            work = _by_thread if only_numbers else _work
            found.append(await work(context, uids, decode, b"".join(said), names, room))
    return found


async def _said(context: Searching, uids: array[int], names: Sequence[str]) -> bytes:
    """Return what messages say of themselves: by one step of the store, or row by row where some are gone, large or apart."""
    mailbox, view = context.mailbox.mailbox, context.mailbox.view
    if _are_neighbours(view, uids):
        said: bytes | None = await mailbox.rendered(uids, 1, pieces(names))
        if said is not None:
            return said
    lines = []
    for at in range(0, len(uids), RANGE):
        indexes = [index for uid in uids[at : at + RANGE] if (index := view.index_of(uid)) is not None]
        _, rows, _ = await read_rows(mailbox, view, indexes, sources(names))
        lines += [row_octets(row) for row in rows]
    return b"".join(lines)


def _are_neighbours(view: View, uids: array[int]) -> bool:
    """Whether no message of the view stands between these that is not one of them."""
    return bisect_left(view.uids, uids[-1]) - bisect_left(view.uids, uids[0]) + 1 == len(uids)


# What is done with few messages is over before a place among searches could be had.


def _among_searches(context: Searching, uids: array[int]) -> AbstractAsyncContextManager[None]:
    return nullcontext() if len(uids) <= FEW else context.services.searches.of(context.mail.account_id)


def _step(context: Searching, uids: array[int]) -> AbstractAsyncContextManager[None]:
    return nullcontext() if len(uids) <= FEW else context.services.searches.step()


async def _work(context: Searching, uids: array[int], function: Callable[[*Ts], T], *args: *Ts) -> T:
    """Run a module-level function on data of messages where it holds up nobody."""
    if len(uids) <= FEW:
        return await _by_thread(context, uids, function, *args)
    return await context.services.searches.judge(function, *args)


async def _by_thread(context: Searching, uids: array[int], function: Callable[[*Ts], T], *args: *Ts) -> T:
    """Run a function here that takes no longer than it takes to let another process have what it needs."""
    done: T = await context.services.threads.run("cpu", function, *args)
    return done
