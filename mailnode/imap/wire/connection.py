"""The server's side of one IMAP connection without its socket: octets in, commands out.

Rules:

- A command is a line, or several joined by literals. A line ends with CRLF and nothing else. A synchronising literal is
  asked for with ``+ OK``; one with ``+`` (RFC 7888) is on its way already and is read to its end even when its command
  has been refused, so that its octets are never taken for commands.
- Whether a command exists and is allowed now is decided at its first line, before any literal is asked for: a password
  is not invited onto a connection without TLS.
- Lines and literals over their limits are thrown away as they come, never gathered.
- The connection answers by itself (:class:`ConnectionReply`) what is no command: syntax errors, wrong states, continuation
  requests. After everything else it is PAUSED until the session has answered (``completed()`` and its like).
- The session tells of changes of state; :data:`TRANSITIONS` says which there are.

==============  =====================================  ==============================================================
mode            input is                               leaves by
==============  =====================================  ==============================================================
COMMAND         a line of a command                    a complete command -> WAITING; a literal; a refusal -> SKIP
LITERAL         octets of a gathered literal           its last octet -> COMMAND
SKIP            the rest of a refused command          its last line -> COMMAND (or IDLE)
WAITING         left alone                             ``completed()`` -> COMMAND or SKIP, ``continue_sasl()`` -> SASL,
                                                       ``idling()`` -> IDLE, ``accept_append()`` -> MESSAGE
SASL            one line of base64                     the line -> WAITING
IDLE            ``DONE``                               it -> WAITING
MESSAGE         octets of an appended message          its last octet -> MESSAGE_END
MESSAGE_END     a line behind an appended message      it -> WAITING
CLOSED          thrown away
==============  =====================================  ==============================================================
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from mailnode.imap.wire import responses
from mailnode.imap.wire.command import (
    AnySyntax,
    AppendAborted,
    AppendChunk,
    AppendEnd,
    AppendMore,
    Command,
    ConnectionReply,
    Event,
    IdleDone,
    ImapState,
    SaslResponse,
    Together,
    Upload,
)
from mailnode.imap.wire.input_buffer import InputBuffer
from mailnode.imap.wire.lexer import MAX_NUMBER, CommandFault, Lexer, decode_base64
from mailnode.imap.wire.limits import DEFAULT_LIMITS, ImapLimits
from mailnode.imap.wire.literals import LONGEST_MARK, LiteralMark, literal_mark
from mailnode.imap.wire.states import TRANSITIONS, Mode
from mailnode.imap.wire.uploads import Passage, read_passage
from mailnode.values.wire import NEED_DATA, PAUSED, Signal

CHUNK = 64 * 1024  # octets of a message in one AppendChunk
STREAMED_LITERALS = 32  # gathered between two messages: all that was gathered is read again with each
TOGETHER = 64  # commands in one Together at most
_BETWEEN = (Mode.COMMAND, Mode.IDLE, Mode.CLOSED)  # a command may begin, or nothing more is said
LONGEST_HEAD = 256  # octets of tag and name, by which a command is known before all of its line is there


# tag = 1*<any ASTRING-CHAR except "+">; then SP and the name of the command, UID's with its second word
_HEAD = re.compile(rb'([^\x00-\x20\x7f-\xff(){%*"\\+]+)(?: ((?:[Uu][Ii][Dd] )?[^ ]*)|\Z)')


class ImapConnection:
    """Octets in, events out; see the module."""

    def __init__(
        self,
        commands: Mapping[bytes, AnySyntax],
        limits: ImapLimits = DEFAULT_LIMITS,
        *,
        plaintext_login: bool = False,
    ) -> None:
        """:param commands: the table, by name. :param plaintext_login: LOGIN and AUTHENTICATE are allowed without TLS."""
        self._commands = commands
        self._limits = limits
        self._plaintext_login = plaintext_login
        self._input = InputBuffer()
        self._state = ImapState.NOT_AUTHENTICATED
        self._secure = False
        self._mode = Mode.COMMAND
        self._bad = 0
        self._next: Event | None = None
        self._offered: LiteralMark | None = None  # a literal that the session has not asked for
        self._resume = Mode.COMMAND  # where SKIP leads
        self._aborted = False
        self._passage: Passage | None = None
        self._commands_begun = 0
        self.utf8 = False  # quoted strings and names of mailboxes are in UTF-8, both ways (RFC 6855 3)
        self._forget()

    # What the pump sees

    @property
    def buffered(self) -> int:
        """Octets not looked at yet; a command that is being gathered is not counted, it has its own limits."""
        return len(self._input)

    @property
    def begun(self) -> int | None:
        """The command of which a part has come."""
        if self._mode is Mode.WAITING:
            return None  # for us
        nothing = self._mode in _BETWEEN and not self._text_size and not self._input
        return None if nothing else self._commands_begun

    def receive_data(self, data: bytes) -> None:
        """Take input of any length."""
        if self._mode is not Mode.CLOSED:
            self._input.add(data)

    def receive_eof(self) -> None:
        """The peer will send no more: what is complete is still given, the rest never was a command."""

    def next_event(self) -> Event | Signal:
        """Return an event, NEED_DATA, or PAUSED while the session owes an answer."""
        while True:
            if self._next is not None:
                event, self._next = self._next, None
                return event
            answer = _READERS[self._mode](self)
            if answer is not None:
                return answer

    def tls_started(self) -> None:
        """TLS is up: forget every octet and the state from before (RFC 3501 6.2.1)."""
        self._input.clear()
        self._secure = True
        self._state = ImapState.NOT_AUTHENTICATED
        self.utf8 = False
        self._mode = self._resume = Mode.COMMAND
        self._next = None
        self._offered = None
        self._aborted = False
        self._forget()

    # What the session asks and tells

    @property
    def state(self) -> ImapState:
        """The state of RFC 3501 3."""
        return self._state

    @property
    def login_disabled(self) -> bool:
        """Whether LOGIN and AUTHENTICATE are refused for lack of TLS."""
        return not self._secure and not self._plaintext_login

    def authenticated(self) -> None:
        """A login succeeded; told before ``completed()``."""
        self._move("authenticated")
        self._bad = 0

    def unauthenticated(self) -> None:
        """Nobody is logged in any more, and nothing enabled (RFC 8437 3)."""
        self._move("unauthenticated")
        self.utf8 = False

    def selected(self) -> None:
        """A mailbox is open."""
        self._move("selected")

    def unselected(self) -> None:
        """No mailbox is open any more."""
        self._move("unselected")

    def ended(self) -> None:
        """BYE was said: no event comes any more."""
        self._move("ended")
        self._close()

    def accept_utf8(self) -> None:
        """What comes from now on may be in UTF-8."""
        self.utf8 = True

    def completed(self) -> None:
        """The tagged response to the event was written. A message that comes though it was refused is thrown away."""
        self._answered(Mode.COMMAND)
        offered, self._offered = self._offered, None
        aborted, self._aborted = self._aborted, False
        if self._mode is not Mode.COMMAND:
            return
        if offered is not None and not offered.synchronising:
            self._next = self._skip_literal(offered.size, None)
        elif aborted:
            self._skip_to_end(None)

    def take_rest(self) -> bytes:
        """Return the input that was not looked at: it is not what it was taken for."""
        return self._input.take(len(self._input))

    def continue_sasl(self) -> None:
        """A challenge was written; the next line is its response."""
        self._answered(Mode.SASL)

    def idling(self) -> None:
        """``+ idling`` was written; only DONE ends it."""
        self._answered(Mode.IDLE)

    def accept_append(self) -> None:
        """Read the message literal that was given."""
        self._answered(Mode.MESSAGE)
        offered, self._offered = self._offered, None
        if self._mode is Mode.MESSAGE and offered is not None and offered.synchronising:
            self._next = ConnectionReply(responses.continuation())

    def _answered(self, mode: Mode) -> None:
        if self._mode is Mode.CLOSED:
            return
        if self._mode is not Mode.WAITING:
            raise RuntimeError(f"nothing to answer in {self._mode}")
        self._mode = mode

    def _move(self, told: str) -> None:
        state = TRANSITIONS.get((self._state, told))
        if state is None:
            raise RuntimeError(f"{told} in {self._state}")
        self._state = state

    def _close(self) -> None:
        self._state = ImapState.LOGOUT
        self._mode = Mode.CLOSED
        self._input.clear()
        self._forget()

    # Commands

    def _forget(self) -> None:
        """Begin a new command."""
        self._commands_begun += 1
        self._gathered = bytearray()
        self._text_size = 0  # of the command's lines
        self._literal_size = 0  # of its literals together
        self._literals = 0
        self._behind_literal = Mode.COMMAND
        self._literal_left = 0
        self._tag = b"*"
        self._row: AnySyntax | None = None
        self._arguments_at = 0
        self._refusal: CommandFault | None = None
        self._skip_left = 0

    @property
    def _line_limit(self) -> int:
        return self._limits.line if self._may_be_long else self._limits.line_before_login

    @property
    def _literal_limit(self) -> int:
        return self._limits.literals if self._may_be_long else self._limits.literals_before_login

    @property
    def _may_be_long(self) -> bool:
        """Whether the command that is being read, or begins the input, has the limits that hold after login."""
        if self._state is not ImapState.NOT_AUTHENTICATED:
            return True
        row = self._row
        if row is None and (head := _HEAD.match(self._input.head(LONGEST_HEAD))) is not None:
            row = self._commands.get((head.group(2) or b"").upper())
        return row is not None and row.long

    def _read_command(self) -> Event | Signal | None:
        if not self._input:
            return NEED_DATA
        try:
            line = self._input.line(self._line_limit - self._text_size)
        except CommandFault as error:
            head = None if self._text_size else _HEAD.match(self._input.head(self._line_limit))
            if head is not None and head.group(2) is not None:
                self._tag = head.group(1)
            self._skip_to_end(error)
            return None
        return NEED_DATA if line is None else self._line_of_command(line)

    def _line_of_command(self, line: bytes) -> Event | None:
        """Take one line of a command: its end, or the announcement of a literal."""
        if not line and not self._text_size:
            return None
        first = not self._text_size
        self._text_size += len(line) + 2
        mark = literal_mark(line)
        try:
            if first:
                self._begin(line)
            if mark is None:
                return self._complete(line)
            return self._announced(line, mark)
        except CommandFault as error:
            return self._refuse_line(error, mark)

    def _begin(self, line: bytes) -> None:
        """Read tag and name; decide whether the command is allowed."""
        head = _HEAD.match(line)
        if head is None:
            raise CommandFault("Invalid tag")
        self._tag = head.group(1)
        name = (head.group(2) or b"").upper()
        row = self._commands.get(name)
        if row is None:
            raise CommandFault("Unknown command" if name else "No command")
        if self._state not in row.states:
            raise CommandFault("Command is not allowed now")
        if row.without_tls and self._secure:
            raise CommandFault("TLS is up already")
        if row.secret and self.login_disabled:
            raise CommandFault("Log in under TLS only", status=b"NO", code=b"PRIVACYREQUIRED")
        self._row = row
        self._arguments_at = head.end()

    def _complete(self, line: bytes) -> Event:
        row = self._row
        assert row is not None
        command = self._parsed(row, self._tag, bytes(self._gathered + line), self._arguments_at)
        if self._state is not ImapState.NOT_AUTHENTICATED:
            self._bad = 0
        self._forget()
        self._mode = Mode.WAITING
        return self._with_those_behind(row, command) if row.together and self._input else command

    def _with_those_behind(self, row: AnySyntax, first: Command) -> Command | Together:
        """Return a command with those that wait whole behind it and may run together with it, each of a single line. The
        first that is anything else, a mistake included, is left where it is."""
        run = [first]
        numbers = not row.expunge
        while len(run) < TOGETHER and (found := self._behind(row.together, numbers)) is not None:
            behind, command = found
            run.append(command)
            numbers = numbers and not behind.expunge
        return Together(tuple(run)) if len(run) > 1 else first

    def _behind(self, group: str, numbers: bool) -> tuple[AnySyntax, Command] | None:
        """Take the next command if it is one of a group. :param numbers: it may be one with sequence numbers."""
        line = self._input.coming_line(self._line_limit)
        head = _HEAD.match(line)
        row = None if head is None else self._commands.get((head.group(2) or b"").upper())
        if head is None or row is None or row.together != group or (row.sequence_numbers and not numbers):
            return None
        if literal_mark(line) is not None:
            return None
        try:
            command = self._parsed(row, head.group(1), line, head.end())
        except CommandFault:
            return None
        self._input.drop(len(line) + 2)
        return row, command

    def _parsed(self, row: AnySyntax, tag: bytes, text: bytes, arguments_at: int) -> Command:
        lexer = Lexer(text, arguments_at, self.utf8)
        command: Command = row.parse(tag, lexer)
        lexer.end()
        return command

    # Literals

    def _announced(self, line: bytes, mark: LiteralMark) -> Event | None:
        """A literal follows the line: ask for it, or refuse the command."""
        assert self._row is not None
        if mark.size > MAX_NUMBER:
            raise CommandFault("Literal too long", code=b"TOOBIG")
        if self._row.parse_streamed is not None:
            lexer = Lexer(bytes(self._gathered + line[: mark.start]), self._arguments_at, self.utf8)
            upload = self._row.parse_streamed(self._tag, lexer, mark)
            if upload is not None:
                return self._offer(upload, mark)
            if self._literals == STREAMED_LITERALS:
                raise CommandFault("Too many literals", status=b"NO", code=b"LIMIT")
        if mark.binary and not self._row.binary:
            raise CommandFault("Binary literals are not allowed here")
        return self._gather(line, mark, Mode.COMMAND)

    def _gather(self, line: bytes, mark: LiteralMark, behind: Mode) -> Event | None:
        """Take a literal into the text of the command. :param behind: what the input is behind it."""
        self._literals += 1
        self._literal_size += mark.size
        if self._literal_size > self._literal_limit:
            raise CommandFault("Literal too long", code=b"TOOBIG")
        self._gathered += line + b"\r\n"
        self._literal_left = mark.size
        self._behind_literal = behind
        self._mode = Mode.LITERAL
        return ConnectionReply(responses.continuation()) if mark.synchronising else None

    def _read_literal(self) -> Signal | None:
        taken = self._input.take(self._literal_left)
        self._gathered += taken
        self._literal_left -= len(taken)
        if self._literal_left:
            return NEED_DATA
        self._mode = self._behind_literal
        return None

    # Refusals

    def _refuse_line(self, error: CommandFault, mark: LiteralMark | None) -> Event | None:
        """Refuse a command at the end of one of its lines. A literal that is not synchronising still comes."""
        if mark is None or mark.synchronising:
            return self._answer(error)
        return self._skip_literal(mark.size, error)

    def _skip_literal(self, size: int, refusal: CommandFault | None) -> Event | None:
        """Throw a literal and what follows it away, or end the connection when there is no end in sight."""
        before_login = self._state is ImapState.NOT_AUTHENTICATED
        if size > (self._limits.discard_before_login if before_login else MAX_NUMBER):
            self._close()
            return ConnectionReply(responses.bye("Literal too long", b"TOOBIG"), "literal too long")
        self._skip_left = size
        self._skip_to_end(refusal)
        return None

    def _skip_to_end(self, refusal: CommandFault | None) -> None:
        """Throw the rest of the command away, then answer with the refusal."""
        self._refusal = refusal
        self._gathered.clear()
        self._mode = Mode.SKIP

    def _skip(self) -> Event | Signal | None:
        dropped = min(self._skip_left, len(self._input))
        self._skip_left -= dropped
        self._input.drop(dropped)
        if self._skip_left:
            return NEED_DATA
        end = self._input.rest_of_line(LONGEST_MARK)
        if end is None:
            return NEED_DATA
        mark = literal_mark(end)
        if mark is not None and not mark.synchronising:
            return self._skip_literal(mark.size, self._refusal)
        if self._refusal is not None:
            return self._answer(self._refusal)
        self._mode, self._resume = self._resume, Mode.COMMAND
        self._forget()
        return None

    def _answer(self, refusal: CommandFault) -> Event:
        """Refuse a command of which nothing more comes; after too many the connection ends."""
        line = responses.status(self._tag, refusal.status, refusal.text, refusal.code)
        self._mode, self._resume = self._resume, Mode.COMMAND
        self._forget()
        self._bad += refusal.status == b"BAD"
        if self._bad < self._limits.bad_commands:
            return ConnectionReply(line)
        self._close()
        return ConnectionReply(line + responses.bye("Too many errors"), "too many errors")

    # AUTHENTICATE and IDLE

    def _read_sasl(self) -> Event | Signal | None:
        try:
            line = self._input.line(self._limits.sasl_line)
        except CommandFault:
            self._mode = Mode.WAITING
            self._aborted = True
            return SaslResponse(None)
        if line is None:
            return NEED_DATA
        self._mode = Mode.WAITING
        if line == b"*":
            return SaslResponse(None)
        return SaslResponse(b"" if line == b"=" else decode_base64(line))

    def _read_idle(self) -> Event | Signal | None:
        refusal = CommandFault("Only DONE ends IDLE")
        try:
            line = self._input.line(self._line_limit)
        except CommandFault:
            self._resume = Mode.IDLE
            self._skip_to_end(refusal)
            return None
        if line is None:
            return NEED_DATA
        if line.upper() == b"DONE":
            self._mode = Mode.WAITING
            return IdleDone()
        self._resume = Mode.IDLE
        return self._refuse_line(refusal, literal_mark(line))

    # APPEND

    def _offer(self, event: Upload | AppendMore, mark: LiteralMark) -> Event:
        """Leave it to the session whether a message is asked for."""
        if self._limits.message and mark.size > self._limits.message:
            raise CommandFault("Message too large", status=b"NO", code=b"TOOBIG")
        self._bad = 0
        self._forget()
        self._offered = mark
        self._passage = event.passage
        self._literal_left = mark.size
        self._mode = Mode.WAITING
        return event

    def _read_message(self) -> Event | Signal | None:
        if not self._literal_left:
            self._mode = Mode.MESSAGE_END
            return None
        taken = self._input.take(min(self._literal_left, CHUNK))
        if not taken:
            return NEED_DATA
        self._literal_left -= len(taken)
        return AppendChunk(taken)

    def _read_behind_message(self) -> Event | Signal | None:
        """Take a line behind a message literal: the end of the command, or what announces another literal."""
        try:
            line = self._input.line(self._line_limit - self._text_size)
        except CommandFault as error:
            self._aborted = True
            return self._abort(error)
        if line is None:
            return NEED_DATA
        self._text_size += len(line) + 2
        mark = literal_mark(line)
        try:
            return self._behind_message(line, mark)
        except CommandFault as error:
            self._offered = mark
            return self._abort(error)

    def _behind_message(self, line: bytes, mark: LiteralMark | None) -> Event | None:
        if mark is not None and mark.size > MAX_NUMBER:
            raise CommandFault("Literal too long", code=b"TOOBIG")
        text = bytes(self._gathered + (line if mark is None else line[: mark.start]))
        passage = read_passage(Lexer(text, utf8=self.utf8), mark, self._passage)
        if mark is not None and passage is None:
            if mark.binary:
                raise CommandFault("Binary literals are not allowed here")
            if self._literals == STREAMED_LITERALS:
                raise CommandFault("Too many literals", status=b"NO", code=b"LIMIT")
            return self._gather(line, mark, Mode.MESSAGE_END)
        assert passage is not None
        if mark is not None:
            return self._offer(AppendMore(passage), mark)
        self._forget()
        self._mode = Mode.WAITING
        return AppendEnd(passage)

    def _abort(self, error: CommandFault) -> Event:
        self._forget()
        self._mode = Mode.WAITING
        self._bad += error.status == b"BAD"
        return AppendAborted(error.text, error.status, error.code)


# What reads the input in each mode.
_READERS: dict[Mode, Callable[[ImapConnection], Event | Signal | None]] = {
    Mode.COMMAND: ImapConnection._read_command,
    Mode.LITERAL: ImapConnection._read_literal,
    Mode.SKIP: ImapConnection._skip,
    Mode.WAITING: lambda _: PAUSED,
    Mode.SASL: ImapConnection._read_sasl,
    Mode.IDLE: ImapConnection._read_idle,
    Mode.MESSAGE: ImapConnection._read_message,
    Mode.MESSAGE_END: ImapConnection._read_behind_message,
    Mode.CLOSED: lambda _: NEED_DATA,
}
