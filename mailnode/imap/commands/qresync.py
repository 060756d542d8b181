"""QRESYNC (RFC 7162 3.2): a client that was away is told what it missed, by SELECT or by UID FETCH."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from mailnode.imap.answers import CommandRefused
from mailnode.imap.commands import condstore
from mailnode.imap.commands.context import Context
from mailnode.imap.messages.manner import manner_of
from mailnode.imap.messages.rendering import flag_updates
from mailnode.imap.selected import Selected
from mailnode.imap.view.changes import Spans, changed, clipped, known_expunged, last_match, missing
from mailnode.imap.wire.lexer import MAX_NUMBER64, CommandFault, Lexer
from mailnode.values.sets import STAR, SeqSet, UidSet

FLUSHED = 16 * 1024  # octets of one VANISHED that are gathered


# "QRESYNC" SP "(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")"
# seq-match-data = "(" known-sequence-set SP known-uid-set ")"
@dataclass(frozen=True, slots=True)
class Resync:
    """What a client knows of a mailbox (RFC 7162 3.2.5). ``known``: None is all UIDs. ``matches``: some of its messages, as
    sequence number, UID, and how many follow one another in both, ascending."""

    uidvalidity: int
    modseq: int
    known: UidSet | None = None
    matches: tuple[tuple[int, int, int], ...] = ()


def read_resync(lexer: Lexer) -> Resync:
    """Read what stands behind ``QRESYNC``. A mod-sequence of 0 is taken too."""
    lexer.space()
    lexer.expect(b"(")
    uidvalidity = lexer.number()
    if not uidvalidity:
        raise CommandFault("Number out of range")
    lexer.space()
    modseq = lexer.number(MAX_NUMBER64)
    known: UidSet | None = None
    matches: tuple[tuple[int, int, int], ...] = ()
    more = lexer.accept(b" ")
    if more and lexer.peek() != b"(":
        known = lexer.sequence_set(UidSet)
        _require_numbers(known)
        more = lexer.accept(b" ")
    if more:
        matches = _read_matches(lexer)
    lexer.expect(b")")
    return Resync(uidvalidity, modseq, known, matches)


def _require_numbers(numbers: SeqSet | UidSet) -> None:
    if any(STAR in span for span in numbers.ranges):
        raise CommandFault("* is not allowed here")


def _read_matches(lexer: Lexer) -> tuple[tuple[int, int, int], ...]:
    lexer.expect(b"(")
    numbers = lexer.sequence_set(SeqSet)
    lexer.space()
    uids = lexer.sequence_set(UidSet)
    lexer.expect(b")")
    for known in (numbers, uids):
        _require_numbers(known)
        if any(low > high for low, high in known.ranges) or any(a[1] >= b[0] for a, b in pairwise(known.ranges)):
            raise CommandFault("Numbers must ascend")
    return _pairs(list(numbers.ranges), list(uids.ranges))


def _pairs(numbers: list[tuple[int, int]], uids: list[tuple[int, int]]) -> tuple[tuple[int, int, int], ...]:
    """Return the pairs of two ascending sets of as many numbers, without expanding them."""
    pairs = []
    numbers.reverse()
    uids.reverse()
    while numbers and uids:
        (number, last), (uid, last_uid) = numbers.pop(), uids.pop()
        count = min(last - number, last_uid - uid) + 1
        pairs.append((number, uid, count))
        if number + count <= last:
            numbers.append((number + count, last))
        if uid + count <= last_uid:
            uids.append((uid + count, last_uid))
    if numbers or uids:
        raise CommandFault("As many sequence numbers as UIDs are needed")
    return tuple(pairs)


def enable(context: Context) -> None:
    """Say VANISHED in the place of EXPUNGE from now on; CONDSTORE is part of it (RFC 7162 3.2.3)."""
    context.enabled.add("QRESYNC")
    condstore.enable(context)


def require(context: Context) -> None:
    """Refuse what a client may use only behind ENABLE QRESYNC (RFC 7162 3.2.5 and 3.2.6)."""
    if "QRESYNC" not in context.enabled:
        raise CommandRefused("QRESYNC is not enabled", status=b"BAD")


async def resynchronize(context: Context, selected: Selected, resync: Resync) -> None:
    """Tell what became of the messages a client knows (RFC 7162 3.2.5). With another UIDVALIDITY it knows none."""
    view = selected.view
    if resync.uidvalidity != view.uidvalidity:
        return
    known = ((1, view.uidnext - 1),) if resync.known is None else resync.known.concrete(0)
    after = last_match(view.uids[: view.exists], resync.matches)
    await say_vanished(context, selected, clipped(known, after + 1, view.uidnext - 1), resync.modseq)
    spans = [range(view.exists)] if resync.known is None else view.pick_existing(resync.known)
    for indexes in changed(view.modseqs, spans, resync.modseq):
        if indexes:
            context.write(flag_updates(view, selected.names, indexes, True, manner_of(context.enabled)))
        await context.pause() if indexes else await context.checkpoint()


async def vanished_of(context: Context, messages: UidSet, since: int) -> None:
    """UID FETCH (CHANGEDSINCE n VANISHED): ``*`` is the highest UID there ever was (RFC 7162 3.2.6)."""
    selected = context.mailbox
    highest = selected.view.uidnext - 1
    await say_vanished(context, selected, clipped(messages.concrete(highest), 1, highest), since)


async def say_vanished(context: Context, selected: Selected, spans: Spans, since: int) -> None:
    """Write VANISHED (EARLIER), if any of these UIDs was expunged after a mod-sequence. What the client is yet to be told
    by VANISHED is not among it; where it is kept no more what was expunged since then, all is that is not there."""
    uids = selected.view.uids
    gone = await selected.mailbox.expunged(since) if spans else ()
    pieces: Iterable[str] = missing(uids, spans) if gone is None else known_expunged(gone, uids, spans)
    waiting = "* VANISHED (EARLIER) "
    begun = False
    for piece in pieces:
        begun = begun or bool(piece)
        waiting += piece
        if len(waiting) < FLUSHED:
            await context.checkpoint()
            continue
        context.write(waiting.encode("ascii"))
        waiting = ""
        await context.pause(within=True)
    if begun:
        context.write(waiting.encode("ascii") + b"\r\n")
