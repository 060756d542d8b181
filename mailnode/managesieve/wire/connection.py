"""The server's side of ManageSieve without a socket: octets in, commands out, one at a time (RFC 5804).

* A command is lines and literals. What is no command is read to its end and refused: a literal that is too large is taken and
  forgotten, up to a bound, so that its octets never pass for commands.
* Where nobody can know what follows (a line without end, a literal that does not say ``+``), the connection is lost.
* A command that arrived in clear text behind STARTTLS is never carried out under TLS: it makes STARTTLS an error, and what comes
  until the handshake is done is thrown away.
"""

from __future__ import annotations

import re

from mailnode.managesieve.wire import responses
from mailnode.managesieve.wire.grammar import (
    MAX_LINE,
    MAX_STRINGS,
    BadManageCommand,
    Event,
    ManageCommand,
    ManageState,
    TlsUp,
    not_now,
    parse_command,
    parse_sasl,
    verb_of,
)
from mailnode.managesieve.wire.responses import ManageReply
from mailnode.values.wire import NEED_DATA, PAUSED, Signal

MAX_SCRIPT = 1024 * 1024  # octets of a script; the language takes no more
MAX_TEXT = 16 * 1024  # octets that a command may have in literals, besides a script
MAX_REFUSED = 8 * 1024 * 1024  # octets of one command that are read though it is refused
WITH_SCRIPT = (b"PUTSCRIPT", b"CHECKSCRIPT")

_MARK = re.compile(rb"\{([0-9]+)(\+?)\}\Z")
_MOST_DIGITS = 20  # of a number of octets

_TOO_LONG = BadManageCommand("line too long", lost=True)
_NO_PLUS = BadManageCommand("a literal begins with its octets and a plus, as in {10+}", lost=True)
_ENDLESS = BadManageCommand("the command is too large", "QUOTA/MAXSIZE", lost=True)
_TOO_MANY = BadManageCommand("too many strings")
_BEHIND_STARTTLS = BadManageCommand("something stands behind STARTTLS")


class ManageSieveConnection:
    """See ``interfaces.wire.IConnection``."""

    def __init__(self) -> None:
        self.state = ManageState.BEFORE_LOGIN
        self._buffer = bytearray()
        self._scanned = 0  # octets of the buffer without a line end
        self._parts: list[bytes] = []  # of the command that is coming: line, literal, line, literal
        self._literal: int | None = None  # octets of the literal that is coming
        self._room = MAX_TEXT  # octets that literals of this command may still have
        self._refused: BadManageCommand | None = None  # what the command is answered with once it has come
        self._forgotten = 0  # octets of it that nobody keeps
        self._commands = 0  # given out
        self._answered = True
        self._in_sasl = False
        self._awaiting_tls = False
        self._tls_is_up = False  # and has yet to be told
        self._lost = False  # nothing that comes is a command any more

    @property
    def buffered(self) -> int:
        """Octets taken and not given out yet."""
        return len(self._buffer) + sum(map(len, self._parts))

    @property
    def begun(self) -> int | None:
        """The command of which a part has come."""
        coming = self._buffer or self._parts or self._literal is not None or self._refused is not None
        return self._commands if coming and self._answered else None

    def receive_data(self, data: bytes) -> None:
        """Take input."""
        if not self._awaiting_tls and not self._lost:
            self._buffer += data

    def receive_eof(self) -> None:
        """The peer will send no more; half a command is not one."""

    def next_event(self) -> Event | Signal:
        """Return the next command, or why there is none."""
        if not self._answered or self._awaiting_tls:
            return PAUSED
        event: Event | None = None
        if self._tls_is_up:
            self._tls_is_up = False
            event = TlsUp()
        while event is None:
            if self._literal is not None and not self._take_literal():
                return NEED_DATA
            line = self._next_line()
            if line is None:
                if len(self._buffer) < MAX_LINE:
                    return NEED_DATA
                event = _TOO_LONG
            else:
                event = _TOO_LONG if len(line) > MAX_LINE - 2 else self._take_line(line)
        if isinstance(event, BadManageCommand) and event.lost:
            self._lost = True
            self._buffer.clear()
        self._answered = False
        self._commands += 1
        return event

    def _next_line(self) -> bytes | None:
        at = self._buffer.find(b"\r\n", max(0, self._scanned - 1))
        if at < 0:
            self._scanned = len(self._buffer)
            return None
        line = bytes(self._buffer[:at])
        self._drop(at + 2)
        return line

    def _drop(self, count: int) -> None:
        del self._buffer[:count]
        self._scanned = 0

    def _take_literal(self) -> bool:
        """Take what there is of a literal, and return whether that is all of it."""
        size = self._literal
        assert size is not None
        if self._refused is not None:
            there = min(size, len(self._buffer))
            self._drop(there)
            self._literal = size - there
        elif len(self._buffer) >= size:
            self._parts.append(bytes(self._buffer[:size]))
            self._drop(size)
            self._literal = 0
        else:
            return False
        if self._literal:
            return False
        self._literal = None
        return True

    def _take_line(self, line: bytes) -> Event | None:
        """Take a line; return what the command comes to, None where a literal follows."""
        mark = _MARK.search(line, max(0, line.rfind(b"{")))
        if self._refused is not None:
            self._forgotten += len(line) + 2
        else:
            self._parts.append(line[: mark.start()] if mark else line)
        if mark is None:
            return self._complete()
        if not mark[2]:
            return _NO_PLUS
        if len(mark[1]) > _MOST_DIGITS:
            return _ENDLESS
        self._announced(int(mark[1]))
        return _ENDLESS if self._forgotten > MAX_REFUSED else None

    def _announced(self, size: int) -> None:
        """A literal of so many octets follows."""
        self._literal = size
        if len(self._parts) == 1 and self._refused is None:
            verb = b"" if self._in_sasl else verb_of(self._parts[0])
            refused = None if self._in_sasl else not_now(verb, self.state)
            if refused is not None:
                self._refuse(refused)
            self._room = MAX_TEXT + MAX_SCRIPT if verb in WITH_SCRIPT else MAX_TEXT
        if self._refused is None and len(self._parts) > 2 * MAX_STRINGS:
            self._refuse(_TOO_MANY)
        elif self._refused is None and size > (most := min(self._room, MAX_SCRIPT)):
            self._refuse(BadManageCommand(f"more than {most} octets", "QUOTA/MAXSIZE"))
        if self._refused is not None:
            self._forgotten += size
        else:
            self._room -= size

    def _refuse(self, answer: BadManageCommand) -> None:
        self._refused = answer
        self._parts.clear()

    def _complete(self) -> Event:
        parts, self._parts = self._parts, []
        refused, self._refused = self._refused, None
        in_sasl, self._in_sasl = self._in_sasl, False
        self._forgotten = 0
        if refused is not None:
            return refused
        if in_sasl:
            return parse_sasl(parts)
        event = parse_command(parts, self.state)
        if isinstance(event, ManageCommand) and event.verb == "STARTTLS" and self._buffer:
            return _BEHIND_STARTTLS
        return event

    def answer(self, reply: ManageReply) -> bytes:
        """Return what ends the answer to the last event."""
        self._answered = True
        return bytes(reply)

    def challenge(self, data: bytes) -> bytes:
        """Return a SASL challenge; the next event is the response to it."""
        self._answered = self._in_sasl = True
        return responses.challenge(data)

    def enter(self, state: ManageState) -> None:
        """The client has logged in, or out."""
        self.state = state

    def begin_tls(self, reply: ManageReply) -> bytes:
        """Return the positive answer to STARTTLS; nothing more is taken until :meth:`tls_started`."""
        self._awaiting_tls = True
        return bytes(reply)

    def tls_started(self) -> None:
        """TLS is up: forget everything that came before; where STARTTLS was asked for, say so in the next event."""
        self._buffer.clear()
        self._parts.clear()
        self._scanned = self._forgotten = 0
        self._literal = self._refused = None
        self._tls_is_up = self._awaiting_tls
        self._in_sasl = self._awaiting_tls = False
        self._answered = True
