"""UTF8=ACCEPT (RFC 6855): quoted strings and names of mailboxes in UTF-8, both ways.

A session of IMAP4rev2 has the same (RFC 9051 5.1).
"""

from __future__ import annotations

from mailnode.imap.commands.context import Context

NAME = "UTF8=ACCEPT"


def enable(context: Context) -> None:
    """Take and say UTF-8 from now on (RFC 6855 3)."""
    context.enabled.add(NAME)
    context.connection.accept_utf8()
