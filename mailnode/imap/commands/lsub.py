"""LSUB (RFC 3501 6.3.9)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from mailnode.imap.answers import Answer
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.list import (
    ListRow,
    Pause,
    decoded_patterns,
    list_response,
    matching,
    order,
    superiors_of,
    unhurried,
)
from mailnode.imap.commands.row import AFTER_LOGIN, CommandRow
from mailnode.imap.wire.command import Command
from mailnode.imap.wire.lexer import Lexer
from mailnode.imap.wire.names import Patterns


# lsub = "LSUB" SP mailbox SP list-mailbox
@dataclass(frozen=True, slots=True)
class Lsub(Command):
    """RFC 3501 6.3.9. ``patterns`` has one member, or none when it cannot be decoded."""

    verb: ClassVar[str] = "LSUB"
    reference: str
    patterns: tuple[str, ...]


def _parse(tag: bytes, lexer: Lexer) -> Lsub:
    """Read `` reference pattern``."""
    lexer.space()
    reference = lexer.encoded_name()
    lexer.space()
    return Lsub(tag, reference or "", decoded_patterns(reference, [lexer.list_mailbox()]))


async def lsub(context: Context, command: Lsub) -> Answer:
    """RFC 3501 6.3.9."""
    rows = await lsub_matches(command, await context.mail.subscriptions(), context.pause)
    async for row in unhurried(rows, context.pause):
        context.write(list_response(row, b"LSUB", context.connection.utf8))
    return Answer("LSUB completed")


async def lsub_matches(command: Lsub, subscriptions: Iterable[str], pause: Pause) -> list[ListRow]:
    """Return the rows of LSUB. ``\\Noselect`` means here: not subscribed, but with subscribed names below it, which the
    trailing ``%`` hid (RFC 3501 6.3.9).

    :param pause: lets others have their turn, if it is time.
    """
    subscribed = frozenset(subscriptions)
    patterns = Patterns(command.reference, command.patterns)
    rows: dict[str, tuple[str, ...]] = dict.fromkeys(await matching(patterns, subscribed, pause), ())
    if any(pattern.endswith("%") for pattern in command.patterns):
        hidden = await superiors_of(subscribed, pause) - subscribed
        rows |= dict.fromkeys(await matching(patterns, hidden, pause), ("\\Noselect",))
    return [ListRow(name, rows[name]) for name in sorted(rows, key=order)]


ROWS = (CommandRow(name=b"LSUB", states=AFTER_LOGIN, parse=_parse, run=lsub),)
