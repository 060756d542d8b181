"""The states of a connection from a client, and which commands lead from one to another."""

from __future__ import annotations

import enum
from functools import lru_cache


class State(enum.IntEnum):  # numbers: hashed without a call
    """Where the connection stands; see :mod:`mailnode.smtp.wire.server`."""

    START = enum.auto()
    READY = enum.auto()
    MAIL = enum.auto()
    RCPT = enum.auto()
    DATA = enum.auto()
    CHUNK = enum.auto()
    BDAT = enum.auto()
    FAILED = enum.auto()
    AUTH = enum.auto()
    TLS = enum.auto()
    CLOSED = enum.auto()


COMMAND_STATES = (State.START, State.READY, State.MAIL, State.RCPT, State.BDAT, State.FAILED)
CONTENT_STATES = (State.DATA, State.CHUNK)
DEAF_STATES = (State.CLOSED, State.TLS)
_SAME = {state: state for state in COMMAND_STATES}
_TO_READY = dict.fromkeys(COMMAND_STATES, State.READY)

# command -> state -> the state after a positive answer. A state that is missing: 503.
TRANSITIONS: dict[str, dict[State, State]] = {
    "HELO": _TO_READY,
    "EHLO": _TO_READY,
    "LHLO": _TO_READY,
    "MAIL": {State.READY: State.MAIL},
    "RCPT": {State.MAIL: State.RCPT, State.RCPT: State.RCPT},
    "DATA": {State.RCPT: State.DATA},
    "BDAT": {State.RCPT: State.CHUNK, State.BDAT: State.CHUNK, State.FAILED: State.CHUNK},
    "RSET": {**_TO_READY, State.START: State.START},
    "NOOP": _SAME,
    "HELP": _SAME,
    "VRFY": _SAME,
    "EXPN": _SAME,
    "QUIT": dict.fromkeys(COMMAND_STATES, State.CLOSED),
    "STARTTLS": {State.READY: State.TLS},
    "AUTH": {State.READY: State.AUTH},
    "XCLIENT": {State.START: State.START, State.READY: State.START},
}


@lru_cache
def known_verbs(lmtp: bool, xclient: bool) -> frozenset[str]:
    """Return the commands of a kind of service."""
    unknown = {"HELO", "EHLO"} if lmtp else {"LHLO"}
    return frozenset(TRANSITIONS) - unknown - (set() if xclient else {"XCLIENT"})
