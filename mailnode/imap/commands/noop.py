"""NOOP and CHECK (RFC 3501 6.1.2 and 6.4.1): an occasion to be told what happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mailnode.imap.answers import Answer
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.row import ANY_STATE, SELECTED, CommandRow, bare
from mailnode.imap.selected import STALE_FOR_NEWS
from mailnode.imap.wire.command import Command


# noop = "NOOP"
# check = "CHECK"
@dataclass(frozen=True, slots=True)
class Noop(Command):
    """RFC 3501 6.1.2."""

    verb: ClassVar[str] = "NOOP"


@dataclass(frozen=True, slots=True)
class Check(Command):
    """RFC 3501 6.4.1."""

    verb: ClassVar[str] = "CHECK"


async def noop(context: Context, command: Command) -> Answer:
    """RFC 3501 6.1.2, and CHECK (6.4.1): all that happened is announced behind it."""
    return Answer(f"{command.verb} completed")


ROWS = (
    CommandRow(name=b"NOOP", states=ANY_STATE, parse=bare(Noop), run=noop, stale_after=STALE_FOR_NEWS),
    CommandRow(name=b"CHECK", states=SELECTED, parse=bare(Check), run=noop, stale_after=STALE_FOR_NEWS),
)
