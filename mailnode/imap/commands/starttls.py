"""STARTTLS (RFC 3501 6.2.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mailnode.imap.answers import Answer, CommandRefused
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.row import BEFORE_LOGIN, CommandRow, bare
from mailnode.imap.wire.command import Command


# starttls = "STARTTLS"
@dataclass(frozen=True, slots=True)
class StartTls(Command):
    """RFC 3501 6.2.1. Input behind it is thrown away; no event comes before ``completed()`` (a refusal) or
    ``tls_started()``."""

    verb: ClassVar[str] = "STARTTLS"


async def start_tls(context: Context, command: StartTls) -> Answer | None:
    """RFC 3501 6.2.1. What the client sent behind it is the connection's to throw away."""
    if context.channel.secure:
        raise CommandRefused("TLS is up already", status=b"BAD")
    if not context.services.start_tls:
        raise CommandRefused("TLS is not available here")
    context.write(Answer("Begin TLS negotiation").line(command.tag))
    context.flush()
    context.channel.start_tls()
    return None


ROWS = (CommandRow(name=b"STARTTLS", states=BEFORE_LOGIN, parse=bare(StartTls), run=start_tls, without_tls=True),)
