"""LSUB (RFC 3501 6.3.9)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from mailnode.imap.answers import Answer
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.list import ListRow, decoded_patterns, list_response, order, superiors
from mailnode.imap.commands.row import AFTER_LOGIN, CommandRow
from mailnode.imap.wire.command import Command
from mailnode.imap.wire.lexer import Lexer
from mailnode.imap.wire.names import Patterns, decode_name


@dataclass(frozen=True, slots=True)
class Lsub(Command):
    """RFC 3501 6.3.9. ``patterns`` has one member, or none when it cannot be decoded."""

    verb: ClassVar[str] = "LSUB"
    reference: str
    patterns: tuple[str, ...]


def _parse(tag: bytes, lexer: Lexer) -> Lsub:
    """Read `` reference pattern``."""
    lexer.space()
    reference = decode_name(lexer.astring())
    lexer.space()
    return Lsub(tag, reference or "", decoded_patterns(reference, [lexer.list_mailbox()]))


async def lsub(context: Context, command: Lsub) -> Answer:
    """RFC 3501 6.3.9."""
    for row in lsub_matches(command, await context.mail.subscriptions()):
        context.write(list_response(row, b"LSUB"))
    return Answer("LSUB completed")


def lsub_matches(command: Lsub, subscriptions: Iterable[str]) -> list[ListRow]:
    """Return the rows of LSUB. ``\\Noselect`` means here: not subscribed, but with subscribed names below it, which the
    trailing ``%`` hid (RFC 3501 6.3.9)."""
    subscribed = frozenset(subscriptions)
    patterns = Patterns(command.reference, command.patterns)
    rows: dict[str, tuple[str, ...]] = {name: () for name in subscribed if patterns.match(name)}
    if any(pattern.endswith("%") for pattern in command.patterns):
        for parent in {p for name in subscribed for p in superiors(name)} - subscribed:
            if patterns.match(parent):
                rows[parent] = ("\\Noselect",)
    return [ListRow(name, rows[name]) for name in sorted(rows, key=order)]


ROWS = (CommandRow(name=b"LSUB", states=AFTER_LOGIN, parse=_parse, run=lsub),)
