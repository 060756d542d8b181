"""UIDBATCHES (RFC 10022): ranges of UIDs that have so many messages each, the newest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from mailnode.imap.answers import Answer, CommandRefused
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.row import SELECTED, CommandRow
from mailnode.imap.wire import responses
from mailnode.imap.wire.command import Command
from mailnode.imap.wire.lexer import CommandFault, Lexer
from mailnode.imap.wire.text import string

SMALLEST = 500  # messages of a batch: smaller ones would be sequence numbers again (RFC 10022 3.1.3.2)


# message-batches = "UIDBATCHES" SP nz-number [SP nz-number ":" nz-number]
@dataclass(frozen=True, slots=True)
class UidBatches(Command):
    """RFC 10022 3.1. ``size`` messages of a batch; ``wanted``: the first and the last batch, counted from 1, in the order
    they were written; None: all."""

    verb: ClassVar[str] = "UIDBATCHES"
    size: int
    wanted: tuple[int, int] | None = None


def _parse(tag: bytes, lexer: Lexer) -> UidBatches:
    lexer.space()
    size = _positive(lexer)
    if not lexer.accept(b" "):
        return UidBatches(tag, size)
    first = _positive(lexer)
    lexer.expect(b":")
    last = _positive(lexer)
    if first > last:  # RFC 10022 3.1.5
        raise CommandFault("Invalid batch range", code=b"CLIENTBUG")
    return UidBatches(tag, size, (first, last))


def _positive(lexer: Lexer) -> int:
    number = lexer.number()
    if not number:
        raise CommandFault("Number out of range")
    return number


async def uid_batches(context: Context, command: UidBatches) -> Answer:
    """RFC 10022 3.1. A look at a few places of the view: no limit for how often or how many is needed."""
    if command.size < SMALLEST:
        raise CommandRefused(f"Minimum batch size is {SMALLEST}", b"TOOFEW")
    view = context.mailbox.view
    ranges = ",".join(f"{high}:{low}" for high, low in batches(view.uids, view.exists, command.size, command.wanted))
    words = [b"UIDBATCHES", b"(TAG %b)" % string(command.tag), *[ranges.encode("ascii")] * bool(ranges)]
    context.write(responses.untagged(*words))
    return Answer("UIDBATCHES completed")


def batches(
    uids: Sequence[int], exists: int, size: int, wanted: tuple[int, int] | None = None
) -> Iterator[tuple[int, int]]:
    """Yield (highest UID, lowest UID) of batches of ``size`` messages without a gap between them; the last ends with 1.

    :param uids: ascending, of which the client knows the first ``exists``.
    """
    first, last = wanted or (1, exists)
    for number in range(first, min(last, -(-exists // size)) + 1):
        high, low = exists - (number - 1) * size, exists - number * size  # indexes of those behind, and of the lowest
        yield uids[high - 1] if number == 1 else uids[high] - 1, uids[low] if low > 0 else 1


ROWS = (
    CommandRow(
        name=b"UIDBATCHES",
        states=SELECTED,
        parse=_parse,
        run=uid_batches,
        capabilities=("UIDBATCHES",),
        needs_view=True,
    ),
)
