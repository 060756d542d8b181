"""The receiving side of SMTP, submission and LMTP as a sans-I/O connection (RFC 5321, RFC 2033, RFC 3030, RFC 3207, RFC 4954).

Octets go in by ``receive_data``; ``next_event`` gives one event at a time and PAUSED until the session has answered it
with ``send`` (or ``send_each``, ``challenge``). What the connection refuses by itself it tells as ``Refusal`` or
``HangUp``, so that all replies leave in one order and are logged in one place. Pipelined commands wait in the buffer:
each is judged by the state its predecessors' answers left.

States::

    START    no HELO yet, or TLS just began      CHUNK    octets of a BDAT are coming
    READY    known by name                       BDAT     between two BDATs
    MAIL     a reverse-path, no recipient        FAILED   a BDAT was refused, the rest of the message is refused too
    RCPT     at least one recipient              AUTH     an exchange is under way
    DATA     content up to CRLF.CRLF             TLS      220 was said, the handshake is to come
    CLOSED   the end

``TRANSITIONS`` in :mod:`mailnode.smtp.wire.server_states` says in which states a command is possible and where a positive
answer leads. A negative answer changes nothing, but for the end of data (READY either way) and BDAT (FAILED). The chunks that
follow a refused one may have been on their way before the client could know (RFC 3030 2): they are read and refused like it,
and are no errors of their own.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence

from mailnode.smtp.extensions.row import Greeted
from mailnode.smtp.extensions.table import offered
from mailnode.smtp.wire.commands import envelope_reader, no_argument, read_auth, read_base64, read_bdat
from mailnode.smtp.wire.content import TOO_LARGE, ChunkReader, DataReader, Inspector
from mailnode.smtp.wire.events import (
    AuthCancelled,
    AuthResponse,
    AuthStart,
    Content,
    DataStart,
    Event,
    HangUp,
    Helo,
    Help,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Refusal,
    Rset,
    StartTls,
    Vrfy,
    Xclient,
)
from mailnode.smtp.wire.grammar import CommandError, format_reply, hello_name
from mailnode.smtp.wire.profile import Profile
from mailnode.smtp.wire.server_states import (
    COMMAND_STATES,
    CONTENT_STATES,
    DEAF_STATES,
    TRANSITIONS,
    State,
    known_verbs,
)
from mailnode.smtp.wire.xclient import read_xclient
from mailnode.values.smtp_reply import Reply
from mailnode.values.wire import NEED_DATA, PAUSED, Signal

# What is not SMTP but reaches mail ports: a browser made to post commands. It must not come to the second line.
_FOREIGN = frozenset({"GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT"})

# After these nothing may be sent before their reply, as the profile says.
_WAITED_FOR = frozenset({"HELO", "EHLO", "LHLO", "DATA", "AUTH", "STARTTLS"})

_HELLOS = (b"HELO ", b"EHLO ", b"LHLO ")  # of all commands these alone may come in any character set

_CLOSED = State.CLOSED  # bound once: members of an enumeration are looked up slowly
_EXCHANGE = (AuthStart, AuthResponse, AuthCancelled)

_EACH = Reply(353, "", ("A reply for each recipient follows",))
_SEQUENCE = Reply(503, "5.5.1", ("Bad sequence of commands",))
_NO_HELLO = Reply(503, "5.5.1", ("Say hello first",))
_NESTED = Reply(503, "5.5.1", ("A transaction is open already",))
_NO_RECIPIENTS = Reply(554, "5.5.1", ("No valid recipients",))
_UNKNOWN = Reply(500, "5.5.1", ("Command not recognized",))
_NO_WEB_SERVER = Reply(554, "5.5.1", ("This is not a web server",))
_BARE = Reply(500, "5.5.2", ("Bare CR, bare LF, NUL or broken UTF-8 in a command",))
_SYNC = Reply(554, "5.5.0", ("SMTP synchronization error: data before our reply",))
_TOO_MANY_MESSAGES = Reply(421, "4.7.0", ("Too many messages in one session, connect again",))
_TOO_MANY_ERRORS = Reply(421, "4.7.0", ("Too many errors",))


class ServerConnection:
    """One connection from a client. No sockets, no clock, no awaiting."""

    def __init__(self, profile: Profile, *, secure: bool = False) -> None:
        """:param secure: TLS is up from the start."""
        self.state = State.START
        self.secure = secure
        self.authenticated = False
        self.mechanisms: tuple[str, ...] = ()  # what AUTH offers; the session sets it as TLS comes
        self.known = False  # a user, or a server that answers for what it sends; the session sets it before each hello
        self.extended = False  # the last hello was EHLO or LHLO
        self.accepted = 0  # recipients of this transaction
        self._messages = 0  # of this connection, begun
        self.errors = 0
        self._profile = profile
        self._verbs = known_verbs(profile.lmtp, profile.xclient)
        self._reader = envelope_reader(profile)
        self._limits = profile.limits
        self._buffer = bytearray()
        self._scanned = 0
        self._discarding = False  # an over-long line is being dropped up to its end
        self._pending: Event | None = None
        self._verb = self._said = ""  # of the present command, see events.Refusal
        self._tried = 0  # RCPT commands of this transaction
        self._smtputf8 = self._binary = False  # as MAIL said
        self._inspector = Inspector(self._limits)
        self._data: DataReader | None = None
        self._chunks: ChunkReader | None = None
        self._failed = False  # a chunk of this message was refused
        self._drop = 0  # octets of a BDAT out of place still to come
        self._drop_reply = _SEQUENCE

    # Input

    @property
    def buffered(self) -> int:
        """Octets taken and not yet given out as events."""
        return len(self._buffer)

    begun = None  # the session looks after the pace (:mod:`mailnode.smtp.pace`)

    @property
    def slow(self) -> bool:
        """Whether this client has made so many errors that each reply should wait."""
        return self.errors >= self._limits.errors_slow

    @property
    def more(self) -> bool:
        """Whether a further command stands in the buffer: its reply can leave in one write with the present one."""
        return self.state in COMMAND_STATES and self._buffer.find(b"\r\n", self._scanned) >= 0

    @property
    def in_content(self) -> bool:
        """Whether the client is sending a message: there no reply can be said before its end."""
        return self.state in CONTENT_STATES

    @property
    def spoke_first(self) -> bool:
        """Whether the client sends before it was greeted, on a service where none may (RFC 5321 3.1)."""
        return self._profile.strict_sync and self.state is State.START and bool(self._buffer)

    @property
    def content_size(self) -> int:
        """Octets of the message under way, refused ones included."""
        return self._inspector.size

    def receive_data(self, data: bytes) -> None:
        """Take input of any length."""
        if self.state not in DEAF_STATES:
            self._buffer += data

    def receive_eof(self) -> None:
        """The client will send no more: half a command or message is as if it had never come."""

    def next_event(self) -> Event | Signal:
        """Return the next event, NEED_DATA, or PAUSED while the last one is unanswered."""
        if self._pending is not None:
            return PAUSED
        if self.state in DEAF_STATES:
            return NEED_DATA
        try:
            event = self._next()
        except CommandError as error:
            event = Refusal(error.reply, self._verb, self._said)
        if event is None:
            return NEED_DATA
        if not isinstance(event, Content) or event.complete:
            self._pending = event
        return event

    def tls_started(self) -> None:
        """The handshake is done: all the client said before is forgotten (RFC 3207 4.2)."""
        self.secure = True
        self.mechanisms = ()
        self._buffer.clear()
        self._scanned = 0
        self._discarding = False
        self._begin_session()

    # Answers: each returns the octets to send

    def send(self, reply: Reply) -> bytes:
        """Answer the pending event, or say something unasked (greeting, 421)."""
        event, self._pending = self._pending, None
        code = reply.code
        if code >= 500 and not self._is_forgiven(event):
            self.errors += 1
        if isinstance(event, Content):
            self._content_answered(event, code < 400)
        elif isinstance(event, _EXCHANGE):
            self.state = State.READY
            self.authenticated = code == 235
        elif code < 400 and event is not None and not isinstance(event, Refusal):
            self._command_answered(event)
        if code == 421 or isinstance(event, HangUp):
            self.close()
        return format_reply(reply)

    def send_each(self, replies: Sequence[Reply], last: Reply | None = None) -> bytes:
        """Answer the end of a message with one reply per accepted recipient, in order (LMTP, RFC 2033 4.2).

        :param last: with PRDR, about the whole message, after theirs; then 353 comes before them (draft-hall-prdr-00 4.5)."""
        event, self._pending = self._pending, None
        if not isinstance(event, Content) or not event.last or len(replies) != self.accepted:
            raise RuntimeError("not at the end of a message, or a wrong number of replies")
        self._content_answered(event, positive=True)
        said = replies if last is None else (_EACH, *replies, last)
        return b"".join([format_reply(reply) for reply in said])

    def challenge(self, data: bytes) -> bytes:
        """Answer AUTH with a challenge; the client's response comes as the next event."""
        if not isinstance(self._pending, (AuthStart, AuthResponse)):
            raise RuntimeError("no AUTH is under way")
        self._pending = None
        self.state = State.AUTH
        return b"334 " + b64encode(data) + b"\r\n"

    @property
    def may_authenticate(self) -> bool:
        """Whether a password may come over this connection: under TLS, and where the listener allows it without."""
        return self.secure or self._profile.plain_auth

    def hello_reply(self, hostname: str) -> Reply:
        """Return the answer to the pending Helo: our name, and what we can do when it was EHLO (RFC 5321 4.1.1.1)."""
        if not (isinstance(self._pending, Helo) and self._pending.extended):
            return Reply(250, "", (hostname,))
        mechanisms = tuple(self.mechanisms) if self.may_authenticate else ()
        return Reply(250, "", (hostname, *offered(Greeted(self._profile, self.secure, mechanisms, self.known))))

    def close(self) -> None:
        """Take nothing more."""
        self.state = State.CLOSED
        self._buffer.clear()

    # Inside: what an answer does

    def _is_forgiven(self, event: Event | None) -> bool:
        """Whether a refusal is no mistake of the client: its list is old, or a chunk was on its way already."""
        return (self.authenticated and isinstance(event, Rcpt)) or (self._failed and isinstance(event, Content))

    def _command_answered(self, event: Event) -> None:
        kind = type(event)
        if isinstance(event, Mail):
            self._clear()
            self._messages += 1
            self._smtputf8 = event.options.smtputf8
            self._binary = event.options.body == "BINARYMIME"
        elif kind is Rcpt:
            self.accepted += 1
        elif kind is DataStart:
            self._inspector = Inspector(self._limits)
            self._data = DataReader(self._buffer, self._inspector)
            self._scanned = 0
        elif isinstance(event, Helo):
            self.extended = event.extended
            self._clear()
        elif kind is Rset:
            self._clear()
        elif kind is Xclient:
            self._begin_session()
            return
        self.state = state = TRANSITIONS[self._verb][self.state]
        if state is _CLOSED:
            self.close()

    def _content_answered(self, event: Content, positive: bool) -> None:
        if event.last:
            self.state = State.READY
            self._clear()
            if positive:
                self.errors = 0
        else:
            self._failed = self._failed or not positive
            self.state = State.FAILED if self._failed else State.BDAT

    def _begin_session(self) -> None:
        self.state = State.START
        self.extended = self.authenticated = False
        self._clear()

    def _clear(self) -> None:
        """Forget the transaction."""
        self.accepted = self._tried = 0
        self._smtputf8 = self._binary = self._failed = False
        self._data = self._chunks = None

    # Inside: what comes next

    def _next(self) -> Event | None:
        if self._drop:
            return self._dropped()
        otherwise = _OTHER_THAN_COMMANDS.get(self.state)
        if otherwise is not None:
            return otherwise(self)
        self._verb = self._said = ""
        line = self._line(self._command_limit())
        return None if line is None else self._command(line)

    def _command_limit(self) -> int:
        """AUTH may come with a response as long as those behind it (RFC 4954 4): a token of several thousand octets."""
        with_response = self._profile.auth and self._buffer[:5].upper() == b"AUTH "
        return self._limits.sasl_line if with_response else self._limits.command_line

    def _line(self, limit: int) -> bytes | None:
        """Take one line, without its CRLF. An over-long one is dropped as it comes. :raises CommandError:"""
        buffer = self._buffer
        end = buffer.find(b"\r\n", self._scanned)
        if end < 0:
            if self._discarding or len(buffer) >= limit:
                self._discarding = True
                del buffer[:-1]
            self._scanned = max(0, len(buffer) - 1)
            return None
        long = self._discarding or end + 2 > limit
        line = b"" if long else bytes(buffer[:end])
        del buffer[: end + 2]
        self._scanned = 0
        if long:
            self._discarding = False
            raise CommandError(500, "5.5.2", "Line too long")
        return line

    def _next_data(self) -> Event | None:
        assert self._data is not None
        piece, ended = self._data.read()
        fault = self._inspector.fault
        if ended:
            return Content(b"" if fault else piece, complete=True, last=True, fault=fault)
        if self._inspector.size > self._limits.discard_size:
            return HangUp(Reply(421, "4.3.0", ("Message far too large",)))
        return Content(piece) if piece and fault is None else None

    def _next_chunk(self) -> Event | None:
        assert self._chunks is not None
        piece, complete = self._chunks.read()
        fault = self._inspector.fault
        if complete:
            last, binary = self._chunks.last, self._binary and not self._inspector.are_lines
            return Content(b"" if fault else piece, complete=True, last=last, fault=fault, binary=last and binary)
        return Content(piece) if piece and fault is None else None

    def _dropped(self) -> Event | None:
        """Drop the octets of a BDAT that was refused; the reply follows them."""
        length = min(self._drop, len(self._buffer))
        del self._buffer[:length]
        self._drop -= length
        return None if self._drop else Refusal(self._drop_reply, "BDAT")

    def _next_response(self) -> Event | None:
        try:
            line = self._line(self._limits.sasl_line)
        except CommandError:
            return AuthCancelled(Reply(500, "5.5.6", ("Authentication exchange line is too long",)))
        if line is None:
            return None
        if line == b"*":
            return AuthCancelled(Reply(501, "5.7.0", ("Authentication cancelled",)))
        try:
            return AuthResponse(read_base64(line))
        except CommandError as error:
            return AuthCancelled(error.reply)

    # Inside: commands

    def _command(self, line: bytes) -> Event | None:
        if self.errors >= self._limits.errors_max:
            return HangUp(_TOO_MANY_ERRORS)
        if b"\r" in line or b"\n" in line or b"\0" in line:
            return Refusal(_BARE)
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError:
            if line[:5].upper() not in _HELLOS:
                return Refusal(_BARE)
            text = line.decode("ascii", "replace")
        verb, _, argument = text.partition(" ")
        verb = self._verb = verb.upper()
        if verb in ("MAIL", "RCPT"):
            self._said = argument
        if verb not in self._verbs:
            return HangUp(_NO_WEB_SERVER) if verb in _FOREIGN else Refusal(_UNKNOWN)
        if self._buffer and verb in _WAITED_FOR and self._synchronizing(verb):
            return HangUp(_SYNC)
        if verb == "BDAT":
            return self._read_bdat(argument)
        if self.state not in TRANSITIONS[verb]:
            return Refusal(self._misplaced(verb), verb, self._said)
        return _READERS[verb](self, argument.strip(" "))

    def _synchronizing(self, verb: str) -> bool:
        """Whether nothing may be sent after this command before its reply (RFC 2920 3.1, RFC 3207 4, RFC 4954 4)."""
        if verb in ("HELO", "EHLO", "LHLO", "DATA"):
            return self._profile.strict_sync
        if verb == "AUTH":
            return self._profile.auth
        return verb == "STARTTLS" and self._profile.starttls and not self.secure

    def _misplaced(self, verb: str) -> Reply:
        """Return the reply to a command its state does not allow."""
        if verb in ("DATA", "BDAT") and self.state is State.MAIL and self._tried:
            return _NO_RECIPIENTS
        if self.state is State.START:
            return _NO_HELLO
        return _NESTED if verb == "MAIL" and self.state is not State.FAILED else _SEQUENCE

    def _read_hello(self, argument: str) -> Event:
        return Helo(hello_name(argument), self._verb != "HELO")

    def _read_mail(self, argument: str) -> Event:
        profile = self._profile
        if profile.require_tls and not self.secure:
            raise CommandError(530, "5.7.0", "Must issue a STARTTLS command first")
        if profile.require_auth and not self.authenticated:
            raise CommandError(530, "5.7.0", "Authentication required")
        if self._messages >= self._limits.messages:
            return HangUp(_TOO_MANY_MESSAGES)
        return self._reader.read_mail(argument, self.extended, self.secure)

    def _read_rcpt(self, argument: str) -> Event:
        self._tried += 1
        if self.accepted >= self._limits.recipients:
            if self._tried > 2 * self._limits.recipients:
                return HangUp(Reply(421, "4.5.3", ("Far too many recipients",)))
            raise CommandError(452, "4.5.3", "Too many recipients")
        return self._reader.read_rcpt(argument, self.extended, self._smtputf8)

    def _read_data(self, argument: str) -> Event:
        no_argument(argument)
        if self._binary:  # RFC 3030 3
            raise CommandError(503, "5.5.1", "BODY=BINARYMIME needs BDAT")
        return DataStart()

    def _read_bdat(self, argument: str) -> Event | None:
        """Begin a chunk, or the dropping of one. What gives no readable size leaves nothing to trust behind it."""
        try:
            size, last = read_bdat(argument)
        except ValueError:
            return HangUp(Reply(501, "5.5.4", ("BDAT needs a chunk size",)))
        if size + (self._inspector.size if self._chunks else 0) > self._limits.discard_size:
            return HangUp(TOO_LARGE)
        refusal = None if last is not None else Reply(501, "5.5.4", ("Bad BDAT argument",))
        if self.state not in TRANSITIONS["BDAT"]:
            refusal = self._misplaced("BDAT")
        if refusal is not None:
            self._drop, self._drop_reply = size, refusal
            return self._dropped()
        if self._chunks is None:
            self._inspector = Inspector(self._limits, self._binary)
            self._chunks = ChunkReader(self._buffer, self._inspector)
        self._chunks.begin(size, bool(last))
        self.state = State.CHUNK
        return self._next_chunk()

    def _read_rset(self, argument: str) -> Event:
        no_argument(argument)
        return Rset()

    def _read_noop(self, argument: str) -> Event:
        return Noop()

    def _read_help(self, argument: str) -> Event:
        return Help()

    def _read_vrfy(self, argument: str) -> Event:
        if not argument:
            raise CommandError(501, "5.5.4", "VRFY needs an argument")
        return Vrfy(argument)

    def _read_expn(self, argument: str) -> Event:
        raise CommandError(502, "5.5.1", "EXPN is not implemented")

    def _read_quit(self, argument: str) -> Event:
        no_argument(argument)
        return Quit()

    def _read_starttls(self, argument: str) -> Event:
        no_argument(argument)
        if self.secure:
            raise CommandError(503, "5.5.1", "TLS is up already")
        if not self._profile.starttls:
            raise CommandError(502, "5.5.1", "STARTTLS is not available")
        return StartTls()

    def _read_auth(self, argument: str) -> Event:
        if not self._profile.auth:
            raise CommandError(503, "5.5.1", "AUTH is not available")
        if not self.may_authenticate:
            raise CommandError(538, "5.7.11", "Encryption is required for authentication")
        if self.authenticated:
            raise CommandError(503, "5.5.1", "Authenticated already")
        start = read_auth(argument)
        if start.mechanism not in self.mechanisms:
            raise CommandError(504, "5.5.4", "Mechanism not available")
        return start

    def _read_xclient(self, argument: str) -> Event:
        return read_xclient(argument)


_OTHER_THAN_COMMANDS: dict[State, Callable[[ServerConnection], Event | None]] = {
    State.DATA: ServerConnection._next_data,
    State.CHUNK: ServerConnection._next_chunk,
    State.AUTH: ServerConnection._next_response,
}


_READERS: dict[str, Callable[[ServerConnection, str], Event]] = {
    "HELO": ServerConnection._read_hello,
    "EHLO": ServerConnection._read_hello,
    "LHLO": ServerConnection._read_hello,
    "MAIL": ServerConnection._read_mail,
    "RCPT": ServerConnection._read_rcpt,
    "DATA": ServerConnection._read_data,
    "RSET": ServerConnection._read_rset,
    "NOOP": ServerConnection._read_noop,
    "HELP": ServerConnection._read_help,
    "VRFY": ServerConnection._read_vrfy,
    "EXPN": ServerConnection._read_expn,
    "QUIT": ServerConnection._read_quit,
    "STARTTLS": ServerConnection._read_starttls,
    "AUTH": ServerConnection._read_auth,
    "XCLIENT": ServerConnection._read_xclient,
}
