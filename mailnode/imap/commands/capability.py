"""CAPABILITY (RFC 3501 6.1.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mailnode.imap.answers import Answer
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.row import ANY_STATE, CommandRow, bare
from mailnode.imap.wire import responses
from mailnode.imap.wire.command import Command


# capability = "CAPABILITY"
@dataclass(frozen=True, slots=True)
class Capability(Command):
    """RFC 3501 6.1.1."""

    verb: ClassVar[str] = "CAPABILITY"


async def capability(context: Context, command: Capability) -> Answer:
    """RFC 3501 6.1.1."""
    context.write(responses.untagged(responses.capability(context.capabilities())))
    return Answer("CAPABILITY completed")


ROWS = (CommandRow(name=b"CAPABILITY", states=ANY_STATE, parse=bare(Capability), run=capability),)
