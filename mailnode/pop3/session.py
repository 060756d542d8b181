"""The side of POP3 that thinks: logging in, the maildrop, and what each command does (RFC 1939).

Messages are read and sent in pieces; nothing is deleted before QUIT. A message that needs RFC 6856 is sent as it is also to
a client that did not say UTF8, as every server in the field does: refusing it would stop that client at this message.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from twisted.internet.defer import ensureDeferred

from mailnode.dialog.session import Session, Why
from mailnode.errors import (
    AuthenticationFailed,
    BlobDamaged,
    Busy,
    DomainError,
    LoginNotAllowed,
    NoSuchMessage,
    StoreUnavailable,
    TooManyFailures,
)
from mailnode.interfaces.runtime import IClock
from mailnode.interfaces.sessions import ILogin, ILogins, IPopUser, ISaslExchange
from mailnode.interfaces.store import IMaildrop
from mailnode.interfaces.wire import IChannel
from mailnode.pop3.lease import Lease, release
from mailnode.pop3.sending import read, send_lines, send_message
from mailnode.pop3.wire.connection import Pop3Connection
from mailnode.pop3.wire.content import TopFilter
from mailnode.pop3.wire.grammar import BadCommand, Event, PopCommand, PopSaslResponse, PopState
from mailnode.pop3.wire.numbering import Numbering
from mailnode.pop3.wire.responses import PopReply, err, ok
from mailnode.values.mailbox import PopMessage

MAX_BAD = 10  # unknown or malformed commands and failed logins of one connection

# What a refused login or maildrop is answered with (RFC 2449 8.1, RFC 3206). The first that fits.
_LOGIN_REFUSALS: tuple[tuple[type[DomainError], PopReply], ...] = (
    (AuthenticationFailed, err("login failed", "AUTH")),
    (LoginNotAllowed, err("this account may not log in", "SYS/PERM")),
    (TooManyFailures, err("too many failed logins, try again later", "SYS/TEMP")),
    (DomainError, err("try again later", "SYS/TEMP")),
)
_IN_USE = err("another session has this maildrop open", "IN-USE")
_NO_MESSAGE = err("no such message")
_UNREADABLE = err("the message cannot be read at present", "SYS/TEMP")
_NEED_TLS = err("start TLS first")
_TROUBLE = err("internal trouble, try again later", "SYS/TEMP")


class Pop3Session(Session[Event]):
    """One session; ``protocol.py`` gives it its channel and connection."""

    protocol = "pop3"

    def __init__(
        self,
        channel: IChannel,
        connection: Pop3Connection,
        logins: ILogins,
        clock: IClock,
        *,
        hostname: str,
        offers_tls: bool,
        timeout: float = 600.0,
        plain_login: bool = False,
    ) -> None:
        """:param offers_tls: whether STLS is possible. :param timeout: seconds, at least 600 (RFC 1939 3).
        :param plain_login: logins are allowed without TLS."""
        super().__init__(channel)
        self._connection = connection
        self._logins = logins
        self._clock = clock
        self._hostname = hostname
        self._offers_tls = offers_tls
        self._timeout = timeout
        self._plain_login = plain_login
        self._user: bytes | None = None
        self._utf8 = False
        self._exchange: ISaslExchange | None = None
        self._drop: IMaildrop | None = None
        self._lease: Lease | None = None
        self._messages = Numbering()
        self._bad = 0

    # What ``dialog`` asks

    async def greet(self) -> None:
        """No ``<`` in the greeting: it would offer APOP."""
        self.channel.set_timeout(self._timeout)
        self.write(bytes(ok(f"{self._hostname} POP3 server ready".replace("<", " "))))

    async def answer(self, event: Event) -> None:
        """Carry out one command."""
        user, self._user = self._user, None  # PASS comes at once after USER (RFC 1939 7)
        if isinstance(event, PopSaslResponse):
            await self._sasl_response(event)
        elif isinstance(event, BadCommand):
            self._exchange = None
            self._bad_answer(err(event.reason))
        else:
            if event.verb == "PASS":
                self._user = user
            await _VERBS[event.verb](self, event)

    def last_words(self, why: Why) -> bytes | None:
        """POP3 has no word for a client that asked nothing (RFC 1939 3). Nothing can be said in the middle of a message, and
        an end would make half of it look whole."""
        if self._connection.in_lines:
            return None
        return bytes(_TROUBLE) if why is Why.TROUBLE else b""

    def give_back(self) -> None:
        """Nothing is deleted. The maildrop is free at once: a peer that is gone may keep its side open for long."""
        self._stop_lease()
        drop, self._drop = self._drop, None
        if drop is not None:
            ensureDeferred(release(drop, self._clock)).addErrback(self.log_trouble)

    # Inside

    def _answer(self, reply: PopReply) -> None:
        self.write(self._connection.answer(reply))

    def _close_with(self, reply: PopReply, reason: str = "") -> None:
        self._answer(reply)
        self.leave(reason)

    def _bad_answer(self, reply: PopReply) -> None:
        """Answer what counts as a mistake; the last one ends the session."""
        self._bad += 1
        if self._bad < MAX_BAD:
            self._answer(reply)
            return
        self._close_with(err("too many errors"), "too many errors")

    # AUTHORIZATION

    def _mechanisms(self) -> tuple[str, ...]:
        return self._logins.mechanisms(self, self.channel.secure or self._plain_login)

    async def _do_user(self, command: PopCommand) -> None:
        if not self._mechanisms():
            self._bad_answer(_NEED_TLS)
        elif not _is_utf8(command.text):
            self._bad_answer(err("not UTF-8"))
        else:
            self._user = command.text
            self._answer(ok("go on"))  # known or not: nobody learns which names exist

    async def _do_pass(self, command: PopCommand) -> None:
        user, self._user = self._user, None
        if not self._mechanisms():
            self._bad_answer(_NEED_TLS)
        elif user is None:
            self._bad_answer(err("USER comes first"))
        elif not _is_utf8(command.text):
            self._bad_answer(err("not UTF-8"))
        else:
            await self._log_in(self._logins.password(user, command.text, IPopUser, self))

    async def _do_auth(self, command: PopCommand) -> None:
        mechanisms = self._mechanisms()
        if not command.text:  # what some programs ask before CAPA was there
            await self._send_lines(ok("mechanisms"), (name.encode() for name in mechanisms))
            return
        name = command.text.decode("ascii", "replace")
        if not mechanisms:
            self._bad_answer(_NEED_TLS)
        elif name not in mechanisms:
            self._bad_answer(err("unknown mechanism"))
        else:
            self._exchange = self._logins.exchange(name, IPopUser, self)
            await self._step(command.initial)

    async def _sasl_response(self, response: PopSaslResponse) -> None:
        if response.data is None or self._exchange is None:
            self._exchange = None
            self._bad_answer(err("cancelled", "AUTH"))
        else:
            await self._step(response.data)

    async def _step(self, response: bytes | None) -> None:
        exchange = self._exchange
        assert exchange is not None
        try:
            challenge = await exchange.step(response)
        except DomainError as error:
            self._exchange = None
            self._refuse_login(error)
            return
        if challenge is not None:
            self.write(self._connection.challenge(challenge))
            return
        self._exchange = None
        await self._open(exchange.login)

    async def _log_in(self, attempt: Awaitable[ILogin]) -> None:
        try:
            login = await attempt
        except DomainError as error:
            self._refuse_login(error)
            return
        await self._open(login)

    def _refuse_login(self, error: DomainError) -> None:
        self._bad_answer(next(reply for kind, reply in _LOGIN_REFUSALS if isinstance(error, kind)))

    async def _open(self, login: ILogin) -> None:
        """Open the maildrop of a login and enter TRANSACTION."""
        self.login = login
        try:
            self._drop = await login.avatar.maildrop()
        except DomainError as error:
            self.log_out()
            if isinstance(error, Busy):
                self._bad_answer(_IN_USE)
            else:
                self._refuse_login(error)
            return
        if not self.over:
            self._lease = Lease(self._drop, self._clock, self._lease_lost, self.log_trouble)
        self._messages = Numbering(self._drop.messages)
        self._connection.authenticated()
        self.channel.set_deadline(None)
        self._bad = 0
        self._answer(ok(f"maildrop has {self._messages.count} messages ({self._messages.octets} octets)"))

    async def _do_stls(self, command: PopCommand) -> None:
        if self.channel.secure:
            self._bad_answer(err("TLS is up already"))
        elif not self._offers_tls:
            self._bad_answer(err("no TLS here"))
        elif self._utf8:
            self._bad_answer(err("not after UTF8"))  # RFC 6856 2.1
        else:
            self.write(self._connection.begin_tls(ok("begin TLS")))
            self.flush()
            self.channel.start_tls()

    async def _do_utf8(self, command: PopCommand) -> None:
        self._utf8 = True
        self._answer(ok("UTF8 enabled"))

    # Both states

    async def _do_capa(self, command: PopCommand) -> None:
        await self._send_lines(ok("capabilities"), self._capabilities())

    def _capabilities(self) -> Iterable[bytes]:
        """RFC 2449 5. STLS only while it can be used (RFC 2595 4); logins only where they are possible."""
        mechanisms = self._mechanisms()
        lines = ["TOP", "UIDL"]
        if mechanisms:
            lines += ["USER", "SASL " + " ".join(mechanisms)]
        if self._offers_tls and not self.channel.secure and self._connection.state is PopState.AUTHORIZATION:
            lines.append("STLS")
        lines += ["PIPELINING", "RESP-CODES", "AUTH-RESP-CODE", "UTF8 USER", "LANG"]
        lines += ["EXPIRE NEVER", "LOGIN-DELAY 0", "IMPLEMENTATION mailnode"]
        return (line.encode("ascii") for line in lines)

    async def _do_lang(self, command: PopCommand) -> None:
        """RFC 6856 3: there is one language."""
        if not command.text:
            await self._send_lines(ok("languages"), (b"en English",))
        elif command.text.lower() in (b"en", b"*"):
            self._answer(ok("en English it is"))
        else:
            self._answer(err("no such language"))

    async def _do_quit(self, command: PopCommand) -> None:
        drop, self._drop = self._drop, None
        if drop is None:
            self._close_with(ok("goodbye"))
            return
        self._stop_lease()
        try:
            await drop.commit(self._messages.marked)
        except DomainError as error:
            if not isinstance(error, Busy):  # the lease is still ours
                self._drop = drop
            self._close_with(err("the messages were not deleted", "SYS/TEMP"))
            return
        self._close_with(ok("goodbye"))

    # TRANSACTION

    async def _do_stat(self, command: PopCommand) -> None:
        self._answer(ok(f"{self._messages.count} {self._messages.octets}"))

    async def _do_list(self, command: PopCommand) -> None:
        await self._listing(command, lambda message: b"%d" % message.size)

    async def _do_uidl(self, command: PopCommand) -> None:
        await self._listing(command, lambda message: message.uidl.encode("ascii"))

    async def _listing(self, command: PopCommand, show: Callable[[PopMessage], bytes]) -> None:
        if not command.number:
            rows = (b"%d %s" % (number, show(message)) for number, message in self._messages.left())
            await self._send_lines(ok("listing follows"), rows)
            return
        message = self._messages.get(command.number)
        if message is None:
            self._answer(_NO_MESSAGE)
        else:
            self._answer(ok(f"{command.number} {show(message).decode('ascii')}"))

    async def _do_retr(self, command: PopCommand) -> None:
        await self._send_message(command.number, None)

    async def _do_top(self, command: PopCommand) -> None:
        await self._send_message(command.number, TopFilter(command.lines))

    async def _send_message(self, number: int, only: TopFilter | None) -> None:
        message = self._messages.get(number)
        drop = self._drop
        if message is None or drop is None:
            self._answer(_NO_MESSAGE)
            return
        try:
            piece = await read(drop, message, 0)
        except NoSuchMessage:
            self._answer(err("the message was deleted by another program"))
            return
        except (BlobDamaged, StoreUnavailable, Busy) as error:
            self.log_trouble(f"message {message.uid}: {type(error).__name__}: {error}")
            self._answer(_UNREADABLE)
            return
        text = f"{message.size} octets" if only is None else "top of the message follows"
        self.write(self._connection.begin_lines(ok(text)))
        try:
            await send_message(self, drop, message, piece, only)
        except DomainError as error:  # what was sent cannot be taken back
            self.log_trouble(f"in the middle of message {message.uid}: {type(error).__name__}: {error}")
            self.leave()
        else:
            self._connection.end_lines()

    async def _do_dele(self, command: PopCommand) -> None:
        if self._messages.get(command.number) is None:
            self._answer(_NO_MESSAGE)
        else:
            self._messages.mark(command.number)
            self._answer(ok("marked as deleted"))

    async def _do_noop(self, command: PopCommand) -> None:
        self._answer(ok())

    async def _do_rset(self, command: PopCommand) -> None:
        self._messages.unmark_all()
        self._answer(ok("nothing is marked as deleted"))

    async def _send_lines(self, first: PopReply, lines: Iterable[bytes]) -> None:
        self.write(self._connection.begin_lines(first))
        await send_lines(self, lines)
        self._connection.end_lines()

    # The lease

    def _stop_lease(self) -> None:
        if self._lease is not None:
            self._lease.stop()

    def _lease_lost(self) -> None:
        self._drop = None  # not ours any more: QUIT must not delete, nor release somebody else's
        self.end("the maildrop lease was lost")


_VERBS: dict[str, Callable[[Pop3Session, PopCommand], Awaitable[None]]] = {
    "USER": Pop3Session._do_user,
    "PASS": Pop3Session._do_pass,
    "AUTH": Pop3Session._do_auth,
    "STLS": Pop3Session._do_stls,
    "UTF8": Pop3Session._do_utf8,
    "STAT": Pop3Session._do_stat,
    "LIST": Pop3Session._do_list,
    "UIDL": Pop3Session._do_uidl,
    "RETR": Pop3Session._do_retr,
    "DELE": Pop3Session._do_dele,
    "TOP": Pop3Session._do_top,
    "NOOP": Pop3Session._do_noop,
    "RSET": Pop3Session._do_rset,
    "CAPA": Pop3Session._do_capa,
    "LANG": Pop3Session._do_lang,
    "QUIT": Pop3Session._do_quit,
}


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
