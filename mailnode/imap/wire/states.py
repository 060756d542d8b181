"""The states of a connection: what a session may ask now, and what the next octets are."""

from __future__ import annotations

import enum

from mailnode.imap.wire.command import ImapState


class Mode(enum.Enum):
    """What the next input is taken for."""

    COMMAND = enum.auto()
    LITERAL = enum.auto()
    SKIP = enum.auto()
    WAITING = enum.auto()
    SASL = enum.auto()
    IDLE = enum.auto()
    MESSAGE = enum.auto()
    MESSAGE_END = enum.auto()
    CLOSED = enum.auto()


# RFC 3501 3: (state, what the session tells) -> state
TRANSITIONS: dict[tuple[ImapState, str], ImapState] = {
    (ImapState.NOT_AUTHENTICATED, "authenticated"): ImapState.AUTHENTICATED,
    (ImapState.AUTHENTICATED, "selected"): ImapState.SELECTED,
    (ImapState.SELECTED, "selected"): ImapState.SELECTED,
    (ImapState.SELECTED, "unselected"): ImapState.AUTHENTICATED,
    (ImapState.AUTHENTICATED, "unselected"): ImapState.AUTHENTICATED,
    # RFC 8437 5
    (ImapState.AUTHENTICATED, "unauthenticated"): ImapState.NOT_AUTHENTICATED,
    (ImapState.NOT_AUTHENTICATED, "ended"): ImapState.LOGOUT,
    (ImapState.AUTHENTICATED, "ended"): ImapState.LOGOUT,
    (ImapState.SELECTED, "ended"): ImapState.LOGOUT,
    # A connection that was ended stays so, whatever a command that was still running comes to.
    (ImapState.LOGOUT, "ended"): ImapState.LOGOUT,
    (ImapState.LOGOUT, "authenticated"): ImapState.LOGOUT,
    (ImapState.LOGOUT, "selected"): ImapState.LOGOUT,
    (ImapState.LOGOUT, "unselected"): ImapState.LOGOUT,
    (ImapState.LOGOUT, "unauthenticated"): ImapState.LOGOUT,
}
