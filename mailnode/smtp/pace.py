"""Whether a client gets anywhere: each phase of a session has its time, whatever is sent in it (RFC 5321 4.5.3.2).

A phase ends by what carries a message on, never by a command alone: who says NOOP, or MAIL and RSET, again and again has no
more time than who is silent. Our own time does not count.
"""

from __future__ import annotations

from enum import IntEnum

from mailnode.smtp.wire.limits import Timeouts


class Phase(IntEnum):
    """What the client is at, in this order."""

    START = 1  # before MAIL: from the connection on, or from the end of a message
    ENVELOPE = 2  # MAIL and RCPT
    CONTENT = 3


_START = Phase.START  # bound once: members of an enumeration are looked up slowly


class Pace:
    """The pace of one session. Times are seconds of a clock that does not step."""

    def __init__(self, timeouts: Timeouts, now: float) -> None:
        self._timeouts = timeouts
        self._phase = Phase.START
        self.since = now  # when the phase began, had the client not had to wait for us: who lets it wait adds that
        self._abandoned = 0

    def began(self, phase: Phase, now: float) -> None:
        """A phase began. START ends all others, the rest only earlier ones."""
        if phase is _START or phase > self._phase:
            self._phase, self.since, self._abandoned = phase, now, 0

    def gave_up(self, octets: int) -> None:
        """The client took back a message of which so much had come. What comes next goes on with its time."""
        if self._phase is Phase.CONTENT:
            self._abandoned += octets

    def too_slow(self, now: float, octets: int) -> bool:
        """Whether the client has had its time. :param octets: of the message under way."""
        timeouts, elapsed = self._timeouts, now - self.since
        if self._phase is Phase.CONTENT:
            return elapsed > timeouts.data_grace and self._abandoned + octets < timeouts.data_rate * elapsed
        allowed = timeouts.envelope if self._phase is Phase.ENVELOPE else timeouts.start
        return elapsed > max(allowed, timeouts.command)
