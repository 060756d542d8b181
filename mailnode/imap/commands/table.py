"""The table of commands (RFC 3501 6, RFC 9051 6): the rows of every file of this folder. A new command or extension is a file
more."""

from __future__ import annotations

from mailnode.imap.commands.collected import collected
from mailnode.imap.commands.row import BEFORE_LOGIN, AnyRow
from mailnode.imap.wire.command import Command

TABLE: dict[bytes, AnyRow] = {row.name: row for row in collected("ROWS")}
_BY_VERB = {(name.removeprefix(b"UID ").decode(), name.startswith(b"UID ")): row for name, row in TABLE.items()}

# What CAPABILITY says because of the commands: always, and before login besides. Several may have come with one.
EXTENSIONS = (
    "IMAP4rev1",  # first: some programs look only there
    "IMAP4rev2",
    "LITERAL+",
    *dict.fromkeys(name for row in TABLE.values() if row.states != BEFORE_LOGIN for name in row.capabilities),
)
BEFORE_LOGIN_ONLY = tuple(name for row in TABLE.values() if row.states == BEFORE_LOGIN for name in row.capabilities)


def row_of(command: Command) -> AnyRow:
    """Return the row a command was read by."""
    return _BY_VERB[command.verb, command.uid]
