"""One POP3 connection without a socket: octets in, events out, replies out.

The rules, all of them here:

* CRLF alone ends a line. A line over its limit is thrown away as it comes and answered once.
* One command at a time: after an event comes ``PAUSED`` until :meth:`answer`, :meth:`challenge` or :meth:`end_lines`.
  What a client sends ahead waits (RFC 2449 6.6).
* After a challenge the next line is a SASL response, nothing else.
* A command that arrived in clear text behind STLS is never carried out: it makes STLS an error, and what comes until the
  handshake is done is thrown away.
"""

from __future__ import annotations

from mailnode.pop3.wire import responses
from mailnode.pop3.wire.grammar import (
    MAX_COMMAND,
    MAX_SASL_LINE,
    BadCommand,
    Event,
    PopCommand,
    PopState,
    parse_command,
    parse_sasl,
)
from mailnode.pop3.wire.responses import PopReply
from mailnode.values.wire import NEED_DATA, PAUSED, Signal

_TOO_LONG = BadCommand("line too long")
_AFTER_STLS = BadCommand("commands behind STLS")


class Pop3Connection:
    """The server's side of one connection (``interfaces.wire.IConnection``)."""

    def __init__(self) -> None:
        self.state = PopState.AUTHORIZATION
        self.in_lines = False  # within a multi-line reply
        self._buffer = bytearray()
        self._scanned = 0  # octets of the buffer without a line end
        self._lines = 0  # given out
        self._discarding = False  # in a line that was too long
        self._answered = True
        self._in_sasl = False
        self._awaiting_tls = False

    @property
    def buffered(self) -> int:
        """Octets taken and not given out yet."""
        return len(self._buffer)

    @property
    def begun(self) -> int | None:
        """The line of which a part has come."""
        return self._lines if self._buffer and self._answered else None

    def receive_data(self, data: bytes) -> None:
        """Take input."""
        if not self._awaiting_tls:
            self._buffer += data

    def receive_eof(self) -> None:
        """The peer will send no more; half a command is not one."""

    def next_event(self) -> Event | Signal:
        """Return the next command, or why there is none."""
        if not self._answered or self._awaiting_tls:
            return PAUSED
        line = self._next_line()
        if line is None:
            return NEED_DATA
        self._answered = False
        self._lines += 1
        if isinstance(line, BadCommand):
            self._in_sasl = False
            return line
        if self._in_sasl:
            self._in_sasl = False
            return parse_sasl(line)
        event = parse_command(line, self.state)
        if isinstance(event, PopCommand) and event.verb == "STLS" and self._buffer:
            return _AFTER_STLS
        return event

    def _next_line(self) -> bytes | BadCommand | None:
        buffer = self._buffer
        if not buffer:
            return None
        while True:
            end = buffer.find(b"\r\n", max(0, self._scanned - 1))
            if self._discarding:
                if end < 0:
                    del buffer[: max(0, len(buffer) - 1)]  # the last octet may be the CR
                    self._scanned = 0
                    return None
                del buffer[: end + 2]
                self._scanned, self._discarding = 0, False
                continue
            if not 0 <= end <= MAX_COMMAND - 2:
                limit = self._limit()
                if end < 0 and len(buffer) < limit:
                    self._scanned = len(buffer)
                    return None
                if end < 0 or end + 2 > limit:
                    self._discarding = True
                    return _TOO_LONG
            line = bytes(buffer[:end])
            del buffer[: end + 2]
            self._scanned = 0
            return line

    def _limit(self) -> int:
        if self._in_sasl or self._buffer[:5].upper() == b"AUTH ":
            return MAX_SASL_LINE
        return MAX_COMMAND

    def answer(self, reply: PopReply) -> bytes:
        """Return a single-line reply to the last event."""
        self._answered = True
        return bytes(reply)

    def challenge(self, data: bytes) -> bytes:
        """Return a SASL challenge; the next event is the response to it."""
        self._answered = self._in_sasl = True
        return responses.challenge(data)

    def begin_lines(self, reply: PopReply) -> bytes:
        """Return the first line of a multi-line reply; the rest is the session's until :meth:`end_lines`."""
        self.in_lines = True
        return bytes(reply)

    def end_lines(self) -> None:
        """The terminating line was sent."""
        self.in_lines = False
        self._answered = True

    def authenticated(self) -> None:
        """The maildrop is open."""
        self.state = PopState.TRANSACTION

    def begin_tls(self, reply: PopReply) -> bytes:
        """Return the positive reply to STLS; nothing more is taken until :meth:`tls_started`."""
        self._awaiting_tls = True
        return bytes(reply)

    def tls_started(self) -> None:
        """TLS is up: forget everything that came before."""
        self._buffer.clear()
        self._scanned = 0
        self._discarding = self._in_sasl = self._awaiting_tls = False
        self._answered = True
