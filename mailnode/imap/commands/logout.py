"""LOGOUT (RFC 3501 6.1.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mailnode.imap.answers import Answer
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.row import ANY_STATE, CommandRow, bare
from mailnode.imap.wire import responses
from mailnode.imap.wire.command import Command


# logout = "LOGOUT"
@dataclass(frozen=True, slots=True)
class Logout(Command):
    """RFC 3501 6.1.3. The connection gives no command after it."""

    verb: ClassVar[str] = "LOGOUT"


async def logout(context: Context, command: Logout) -> None:
    """RFC 3501 6.1.3."""
    context.write(responses.bye("Logging out"))
    context.write(Answer("LOGOUT completed").line(command.tag))
    context.leave()


ROWS = (CommandRow(name=b"LOGOUT", states=ANY_STATE, parse=bare(Logout), run=logout),)
