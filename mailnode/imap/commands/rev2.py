"""IMAP4rev2 (RFC 9051): what is said and taken in another way by a session that has enabled it.

How it is told of messages stands in :mod:`mailnode.imap.messages.manner`.
"""

from __future__ import annotations

from collections.abc import Collection

from mailnode.imap.answers import CommandRefused
from mailnode.imap.commands.context import Context
from mailnode.imap.messages.search_keys import knows_recent
from mailnode.imap.wire.command import Command

NAME = "IMAP4REV2"


def enable(context: Context) -> None:
    """Be IMAP4rev2 from now on (RFC 9051 6.3.1): nothing is recent to this session any more."""
    context.enabled.add(NAME)
    context.connection.accept_utf8()  # RFC 9051 5.1
    if context.selected is not None:
        context.selected.view.forget_recent()


def is_enabled(context: Context) -> bool:
    """Whether the session is IMAP4rev2."""
    return NAME in context.enabled


def refuse_removed_keys(command: Command) -> None:
    """Refuse a search for NEW, OLD or RECENT messages, which RFC 9051 does not know (Appendix E, 12)."""
    key = getattr(command, "key", None)
    if key is not None and knows_recent(key):
        raise _refusal()


def refuse_removed_items(context: Context, items: Collection[str]) -> None:
    """Refuse RECENT of STATUS, as above. :param items: of STATUS."""
    if is_enabled(context) and "RECENT" in items:
        raise _refusal()


def _refusal() -> CommandRefused:
    return CommandRefused("IMAP4rev2 has no recent messages", status=b"BAD")
