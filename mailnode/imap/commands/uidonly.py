"""UIDONLY (RFC 9586): a session that neither names nor is told message sequence numbers.

How it is told of messages stands in :mod:`mailnode.imap.messages.manner`.
"""

from __future__ import annotations

from mailnode.imap.answers import CommandRefused
from mailnode.imap.commands.context import Context
from mailnode.imap.commands.row import AnyRow
from mailnode.imap.messages.search_keys import counts
from mailnode.imap.wire.command import Command


def enable(context: Context) -> None:
    """Say and take UIDs alone from now on (RFC 9586 3.1)."""
    context.enabled.add("UIDONLY")


def names_numbers(row: AnyRow, command: Command) -> bool:
    """Whether a command has sequence numbers among its arguments, or answers with them (RFC 9586 3.2, 3.5, 3.8)."""
    if not row.sequence_numbers:
        return False
    key = getattr(command, "key", None)
    return not command.uid or (key is not None and counts(key))


def refusal() -> CommandRefused:
    """Return what such a command is answered by."""
    return CommandRefused("Message numbers are not allowed once UIDONLY is enabled", b"UIDREQUIRED", b"BAD")
