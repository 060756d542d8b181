"""The life of a session as a table: where it stands, what happens, where it stands then and what is to be done.

::

    NEW      the connection stands, TLS may still have to come up
    OPEN     greeted, and nothing runs
    BUSY     the greeting, an event or a push runs
    WAITING  BUSY, and between two responses it waits until the transport has taken the first
    FULL     it has been answered, and the transport has yet to take the answer
    ENDING   BUSY, and the session is to end behind the answer
    LEFT     the last words are said, and what ran has yet to see it
    CLOSED   they are said, and nothing runs; the connection may stand a while longer
    GONE     the connection was lost while something runs, which is left to finish
    OVER     the connection is lost, and nothing runs

What was held is given back once: where the last words are said, or else where the connection is lost; but never while
something runs that may use it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Life(enum.IntEnum):  # numbers: hashed without a call
    """Where a session stands; see the top of the file."""

    NEW = enum.auto()
    OPEN = enum.auto()
    BUSY = enum.auto()
    WAITING = enum.auto()
    FULL = enum.auto()
    ENDING = enum.auto()
    LEFT = enum.auto()
    CLOSED = enum.auto()
    GONE = enum.auto()
    OVER = enum.auto()


class Input(enum.IntEnum):
    """What happens to a session."""

    OPENED = enum.auto()  # the connection is up: greet
    EVENT = enum.auto()  # something is to be answered, or pushed
    PAUSED = enum.auto()  # a response of it is written, and there is more to come
    DONE = enum.auto()  # it is answered, and the transport has taken the answer, or need not yet
    STUCK = enum.auto()  # it is answered, and the transport has yet to take the answer
    DRAINED = enum.auto()  # the transport has taken what was written, or is gone
    END = enum.auto()  # the session is to end: the server stops, the account was changed, the client said goodbye
    TIMEOUT = enum.auto()  # the client was silent, or let us wait, for too long
    FAILED = enum.auto()  # what ran has met unknown trouble
    LOST = enum.auto()  # the connection is gone


class Action(enum.Enum):
    """What is to be done on a step."""

    RUN = enum.auto()  # the greeting, or what answers the event
    DRAIN = enum.auto()  # wait until the transport takes more
    HURRY = enum.auto()  # wait less long for a client that does not read what it is answered
    LEAVE = enum.auto()  # say the last words and close
    GIVE_BACK = enum.auto()  # the login, and what else is held


@dataclass(frozen=True, slots=True)
class Step:
    """Where an input leads, what is done there at once, in this order, and then what takes its time."""

    to: Life
    at_once: tuple[Action, ...] = ()
    then: Action | None = None


_BUSY = Step(Life.BUSY)
_WAITING = Step(Life.WAITING)
_RUN = Step(Life.BUSY, then=Action.RUN)
_OPEN = Step(Life.OPEN)
_FULL = Step(Life.FULL, then=Action.DRAIN)
_END_SOON = Step(Life.ENDING, (Action.HURRY,))
_ENDING = Step(Life.ENDING)
_LEAVE = Step(Life.CLOSED, (Action.LEAVE, Action.GIVE_BACK))
_LEAVE_RUNNING = Step(Life.LEFT, (Action.LEAVE,))
_LEFT = Step(Life.LEFT)
_CLOSED = Step(Life.CLOSED)
_FINISHED = Step(Life.CLOSED, (Action.GIVE_BACK,))
_GONE = Step(Life.GONE)
_LOST = Step(Life.OVER, (Action.GIVE_BACK,))
_OVER = Step(Life.OVER)

# A pair that is missing cannot happen: one thing runs at a time, and a connection is opened and lost once.
LIFE: dict[Life, dict[Input, Step]] = {
    Life.NEW: {
        Input.OPENED: _RUN,
        Input.END: _LEAVE,
        Input.TIMEOUT: _LEAVE,
        Input.FAILED: _LEAVE,
        Input.LOST: _LOST,
    },
    Life.OPEN: {
        Input.EVENT: _RUN,
        Input.END: _LEAVE,
        Input.TIMEOUT: _LEAVE,
        Input.FAILED: _LEAVE,
        Input.LOST: _LOST,
    },
    Life.BUSY: {
        Input.PAUSED: _WAITING,
        Input.DONE: _OPEN,
        Input.STUCK: _FULL,
        Input.END: _END_SOON,
        Input.TIMEOUT: _ENDING,
        Input.FAILED: _LEAVE,
        Input.LOST: _GONE,
    },
    Life.WAITING: {
        Input.DRAINED: _BUSY,
        Input.END: _LEAVE_RUNNING,
        Input.TIMEOUT: _ENDING,
        Input.FAILED: _LEAVE,
        Input.LOST: _GONE,
    },
    Life.FULL: {
        Input.DRAINED: _OPEN,
        Input.END: _LEAVE,
        Input.TIMEOUT: _LEAVE,
        Input.FAILED: _LEAVE,
        Input.LOST: _LOST,
    },
    Life.ENDING: {
        Input.PAUSED: _LEAVE_RUNNING,
        Input.DONE: _LEAVE,
        Input.STUCK: _LEAVE,
        Input.DRAINED: _ENDING,
        Input.END: _ENDING,
        Input.TIMEOUT: _ENDING,
        Input.FAILED: _LEAVE,
        Input.LOST: _GONE,
    },
    Life.LEFT: {
        Input.PAUSED: _LEFT,
        Input.DONE: _FINISHED,
        Input.STUCK: _FINISHED,
        Input.DRAINED: _LEFT,
        Input.END: _LEFT,
        Input.TIMEOUT: _LEFT,
        Input.FAILED: _FINISHED,
        Input.LOST: _GONE,
    },
    Life.CLOSED: {
        Input.OPENED: _CLOSED,
        Input.EVENT: _CLOSED,
        Input.DRAINED: _CLOSED,
        Input.END: _CLOSED,
        Input.TIMEOUT: _CLOSED,
        Input.FAILED: _CLOSED,
        Input.LOST: _OVER,
    },
    Life.GONE: {
        Input.PAUSED: _GONE,
        Input.DONE: _LOST,
        Input.STUCK: _LOST,
        Input.DRAINED: _GONE,
        Input.END: _GONE,
        Input.TIMEOUT: _GONE,
        Input.FAILED: _LOST,
    },
    Life.OVER: {
        Input.EVENT: _OVER,
        Input.DRAINED: _OVER,
        Input.END: _OVER,
        Input.TIMEOUT: _OVER,
        Input.FAILED: _OVER,
    },
}
