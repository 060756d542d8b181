"""CANCELUPDATE (RFC 5267 4.3.5): no more changes of a search are told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mailnode.imap.answers import Answer
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.row import SELECTED, CommandRow
from mailnode.imap.updating import unfollow
from mailnode.imap.wire.command import Command
from mailnode.imap.wire.lexer import CommandFault, Lexer


# cancelupdate = "CANCELUPDATE" 1*(SP quoted)
@dataclass(frozen=True, slots=True)
class CancelUpdate(Command):
    """RFC 5267 4.3.5."""

    verb: ClassVar[str] = "CANCELUPDATE"
    tags: tuple[bytes, ...]


def _parse(tag: bytes, lexer: Lexer) -> CancelUpdate:
    """Read `` "tag"`` once or more."""
    tags: list[bytes] = []
    while not tags or not lexer.at_end:
        lexer.space()
        if lexer.peek() != b'"':
            raise CommandFault("Expected a quoted tag")
        tags.append(lexer.string())
    return CancelUpdate(tag, tuple(tags))


async def cancel_update(context: Context, command: CancelUpdate) -> Answer:
    """Those of tags that have none, or have none any more, are none."""
    for tag in command.tags:
        unfollow(context, tag)
    return Answer("No further updates")


ROWS = (
    CommandRow(
        name=b"CANCELUPDATE",
        states=SELECTED,
        parse=_parse,
        run=cancel_update,
        capabilities=("CONTEXT=SEARCH", "CONTEXT=SORT"),
    ),
)
