"""The states of a connection: what a session may ask now, and what the next octets are."""

from __future__ import annotations

import enum

from mailnode.imap.commands import State


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
TRANSITIONS: dict[tuple[State, str], State] = {
    (State.NOT_AUTHENTICATED, "authenticated"): State.AUTHENTICATED,
    (State.AUTHENTICATED, "selected"): State.SELECTED,
    (State.SELECTED, "selected"): State.SELECTED,
    (State.SELECTED, "unselected"): State.AUTHENTICATED,
    (State.AUTHENTICATED, "unselected"): State.AUTHENTICATED,
    (State.NOT_AUTHENTICATED, "ended"): State.LOGOUT,
    (State.AUTHENTICATED, "ended"): State.LOGOUT,
    (State.SELECTED, "ended"): State.LOGOUT,
    # A connection that was ended stays so, whatever a command that was still running comes to.
    (State.LOGOUT, "ended"): State.LOGOUT,
    (State.LOGOUT, "authenticated"): State.LOGOUT,
    (State.LOGOUT, "selected"): State.LOGOUT,
    (State.LOGOUT, "unselected"): State.LOGOUT,
}
