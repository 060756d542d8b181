"""CONDSTORE (RFC 7162 3.1): what every CONDSTORE enabling command does before its own work."""

from __future__ import annotations

from mailnode.imap.commands.context import Context


def enable(context: Context) -> None:
    """Tell MODSEQ from now on, and HIGHESTMODSEQ when this is the first enabling command of the session with a mailbox open
    (RFC 7162 3.1)."""
    if "CONDSTORE" not in context.enabled:
        context.enabled.add("CONDSTORE")
        if context.selected is not None:
            context.write(context.selected.highest_modseq_line())
