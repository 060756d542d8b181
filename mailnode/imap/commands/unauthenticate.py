"""UNAUTHENTICATE (RFC 8437): the connection stays, and is nobody's again."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import ClassVar

from mailnode.imap.answers import Answer
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.row import AFTER_LOGIN, CommandRow, bare
from mailnode.imap.wire.command import Command


# unauthenticate = "UNAUTHENTICATE"
@dataclass(frozen=True, slots=True)
class Unauthenticate(Command):
    """RFC 8437 3. What stands behind it is not compressed any more (4.1)."""

    verb: ClassVar[str] = "UNAUTHENTICATE"


async def unauthenticate(context: Context, command: Unauthenticate) -> None:
    """RFC 8437 3 and 4.1: all that was said is forgotten but what ID told. NO is no answer: nothing here can fail."""
    context.logged_out()
    context.write(Answer("UNAUTHENTICATE completed").line(command.tag))
    context.connection.completed()
    if context.channel.compressed:
        context.flush()
        context.channel.stop_deflate()


ROWS = (
    CommandRow(
        name=b"UNAUTHENTICATE",
        states=AFTER_LOGIN,
        parse=bare(Unauthenticate),
        run=unauthenticate,
        capabilities=("UNAUTHENTICATE",),
        stale_after=inf,
    ),
)
