"""The sending side of SMTP and LMTP as a sans-I/O connection (RFC 5321, RFC 2033).

How it is used::

    connection = ClientConnection("mx.example.org")
    connection.receive_data(octets)            # whatever the transport read; receive_eof() at its end
    event = connection.next_event()            # an event of :mod:`mailnode.smtp.wire.client_events`, or NEED_DATA
    write(connection.hello())                  # commands return the octets to send

States and what leads on::

    GREETING --220--> GREETED --hello()--> HELLO --250--> READY --start_tls()--> TLS --tls_started()--> GREETED
    READY --authenticate()--> AUTH --235 or 5yz--> READY
    READY --send()--> ENVELOPE --354--> CONTENT --end_data()--> ENDING --250--> READY
    any --quit()--> QUITTING --221, end of input--> CLOSED        any --421, bad reply, end of input--> CLOSED
"""

from __future__ import annotations

from base64 import b64encode
from collections import deque
from collections.abc import Callable, Sequence

from mailnode.smtp.extensions import table
from mailnode.smtp.extensions.session import domain_limit, mail_limit, recipient_limit
from mailnode.smtp.extensions.size import size_limit
from mailnode.smtp.wire.client_events import (
    Closed,
    ContentWanted,
    Event,
    Failed,
    Greeting,
    Hello,
    LoggedIn,
    LoginRefused,
    Reset,
    Send,
    Sent,
    TlsReady,
    TlsRefused,
)
from mailnode.smtp.wire.client_replies import ReplyReader
from mailnode.smtp.wire.client_states import SCOPES, TIMEOUTS, ClientState
from mailnode.smtp.wire.client_transaction import ClientTransaction
from mailnode.smtp.wire.grammar import BadReply
from mailnode.smtp.wire.offers import read_offers
from mailnode.values.envelope import PLAIN_MAIL, MailOptions, RcptOptions
from mailnode.values.smtp_reply import Reply
from mailnode.values.wire import NEED_DATA, Signal

__all__ = [
    "TIMEOUTS",
    "ClientConnection",
    "ClientState",
    "Closed",
    "ContentWanted",
    "Event",
    "Failed",
    "Greeting",
    "Hello",
    "LoggedIn",
    "LoginRefused",
    "Reset",
    "Send",
    "Sent",
    "TlsReady",
    "TlsRefused",
]

_NO_ANSWER = Reply(451, "4.4.2", ("The server did not answer for this recipient",))


class ClientConnection:
    """One connection to another server, from our side. No sockets, no clock."""

    def __init__(self, name: str, *, lmtp: bool = False) -> None:
        """:param name: what we call ourselves in EHLO (a domain or an address literal).
        :param lmtp: speak LMTP: LHLO, and one reply per accepted recipient after the content."""
        self.state = ClientState.GREETING
        self.extensions: dict[str, str] = {}
        self.greeting: Reply | None = None
        self.peer_name = ""  # what the server calls itself in its answer to our greeting
        self.secure = False
        self.answered = 0  # commands, the banner included
        self._name = name.encode("ascii", "replace")
        self._lmtp = lmtp
        self._input = ReplyReader()
        self._events: deque[Event] = deque()
        self._waiting: deque[str] = deque(["greeting"])  # what the coming replies answer
        self._rcpt_index = 0
        self._transaction: ClientTransaction | None = None
        self._open_transaction = False  # the server holds a reverse-path that no end of data has cleared
        self._secrets: deque[bytes] = deque()
        self._eof = False

    # Input

    @property
    def buffered(self) -> int:
        """Octets taken and not yet told as events; bounded."""
        return len(self._input)

    def receive_data(self, data: bytes) -> None:
        """Take input of any length."""
        if self.state is ClientState.CLOSED:
            return
        if self.state is ClientState.TLS and not self._waiting:
            self._fail("tls", "The server sent data between its reply to STARTTLS and TLS")
            return
        self._input.take(data)

    def receive_eof(self) -> None:
        """The server will send no more."""
        self._eof = True

    def next_event(self) -> Event | Signal:
        """Return the next event, or NEED_DATA."""
        while not self._events and self.state is not ClientState.CLOSED:
            reply = self._next_reply()
            if reply is None:
                break
            self._take(reply)
        if not self._events and self._eof and self.state is not ClientState.CLOSED:
            self._end_of_input()
        return self._events.popleft() if self._events else NEED_DATA

    def tls_started(self) -> None:
        """The TLS handshake is done: what the server said before is forgotten (RFC 3207 4.2)."""
        self.secure = True
        self._input.clear()
        self.extensions = {}
        if self.state is ClientState.TLS:
            self.state = ClientState.GREETED

    @property
    def timeout(self) -> float:
        """Seconds to wait for what comes next, RFC 5321 4.5.3.2."""
        if self.state is ClientState.CONTENT:
            return TIMEOUTS["content"]
        return TIMEOUTS[self._waiting[0]] if self._waiting else TIMEOUTS["reset"]

    # Commands: each returns the octets to send, none when the server spoke before: then the next event is ``Failed``

    def hello(self) -> bytes:
        """EHLO or LHLO."""
        self._expect(ClientState.GREETED, ClientState.READY)
        self.state = ClientState.HELLO
        return self._command("hello", (b"LHLO " if self._lmtp else b"EHLO ") + self._name)

    def start_tls(self) -> bytes:
        """STARTTLS (RFC 3207). :raises RuntimeError: not offered, or TLS is up."""
        self._expect(ClientState.READY)
        if "STARTTLS" not in self.extensions or self.secure:
            raise RuntimeError("STARTTLS is not offered")
        self.state = ClientState.TLS
        return self._command("tls", b"STARTTLS")

    @property
    def mechanisms(self) -> frozenset[str]:
        """SASL mechanisms the server offers and this connection can speak."""
        offered = self.extensions.get("AUTH", "").upper().split()
        return frozenset(offered) & {"PLAIN", "LOGIN"}

    def authenticate(self, username: str, password: str) -> bytes:
        """AUTH PLAIN, or LOGIN when only that is offered (RFC 4954). :raises RuntimeError: neither is offered."""
        self._expect(ClientState.READY)
        if not self.mechanisms:
            raise RuntimeError("no mechanism in common")
        user, secret = username.encode("utf-8"), password.encode("utf-8")
        self.state = ClientState.AUTH
        if "PLAIN" in self.mechanisms:
            return self._command("auth", b"AUTH PLAIN " + b64encode(b"\0" + user + b"\0" + secret))
        self._secrets.extend((b64encode(user), b64encode(secret)))
        return self._command("auth", b"AUTH LOGIN")

    def send(
        self, reverse_path: str, recipients: Sequence[tuple[str, RcptOptions]], options: MailOptions = PLAIN_MAIL
    ) -> bytes:
        """Begin a transaction; the whole group at once when the server speaks PIPELINING.

        :param reverse_path: "" is the null sender. :param recipients: at least one.

        What the server lacks an extension for is told in ``Sent`` by replies of our own; the server hears only of the
        other recipients, if there are any.
        :raises ValueError: no recipients, or an address with control characters.
        """
        self._expect(ClientState.READY)
        if not self._is_silent():
            return b""
        transaction = ClientTransaction(self.extensions, reverse_path, recipients, options)
        if not transaction.rcpts:
            self._events.append(Sent(transaction.outcome(), tuple(transaction.ours)))
            return b""
        self._transaction = transaction
        self._rcpt_index = 0
        self.state = ClientState.ENVELOPE
        return self._begin()

    def data(self, chunk: bytes) -> bytes:
        """Return the octets to send for a chunk of content, cut anywhere, CRLF line ends, not dot-stuffed."""
        self._expect(ClientState.CONTENT)
        assert self._transaction is not None
        return self._transaction.stuffer.stuff(chunk)

    def end_data(self) -> bytes:
        """End the content. Only after all of it was written: what is cut short must not be ended but closed. A refusal that
        came before the end is its answer; what says yes to half a message is not believed."""
        self._expect(ClientState.CONTENT)
        assert self._transaction is not None
        if not self._input.begins(b"4", b"5") and not self._is_silent():
            return b""
        self.state = ClientState.ENDING
        self._waiting.extend(["end"] * (len(self._transaction.accepted) if self._lmtp else 1))
        return self._transaction.stuffer.finish()

    def reset(self) -> bytes:
        """RSET: forget a transaction, or find out whether the connection is alive."""
        self._expect(ClientState.READY)
        return self._command("reset", b"RSET")

    def quit(self) -> bytes:
        """QUIT between transactions; anywhere else ``b""``: there only closing the connection is honest."""
        if self.state not in (ClientState.GREETED, ClientState.READY) or self._waiting:
            self.state = ClientState.CLOSED
            return b""
        self.state = ClientState.QUITTING
        self._waiting.append("quit")
        return b"QUIT\r\n"

    def _command(self, waiting: str, line: bytes) -> bytes:
        """Return a command, unless the server spoke before it."""
        if not self._is_silent():
            return b""
        self._waiting.append(waiting)
        return line + b"\r\n"

    # What the server can take

    def said_in_ascii(self, options: MailOptions) -> MailOptions | None:
        """Return what MAIL may say if the content is ASCII; None when that does not help, or need not."""
        return self._lowered(options, table.in_ascii)

    def said_as_it_is(self, options: MailOptions) -> MailOptions | None:
        """Return what MAIL may say if the content goes as it is; None when that may not be, or need not."""
        return self._lowered(options, table.as_it_is)

    def _lowered(self, options: MailOptions, lower: Callable[[MailOptions], MailOptions]) -> MailOptions | None:
        if table.lacking(self.extensions, options) is None:
            return None
        lowered = lower(options)
        return lowered if table.lacking(self.extensions, lowered) is None else None

    @property
    def max_size(self) -> int:
        """The server's message size limit in octets (RFC 1870), 0 when it names none."""
        return size_limit(self.extensions)

    @property
    def max_recipients(self) -> int:
        """The server's limit of recipients in one transaction (RFC 9422), 0 when it names none."""
        return recipient_limit(self.extensions)

    @property
    def max_domains(self) -> int:
        """The server's limit of recipients' domains in one transaction (RFC 9422), 0 when it names none."""
        return domain_limit(self.extensions)

    @property
    def max_mails(self) -> int:
        """The server's limit of transactions on one connection (RFC 9422), 0 when it names none."""
        return mail_limit(self.extensions)

    @property
    def has_dsn(self) -> bool:
        """Whether the server takes over DSN duties (RFC 3461)."""
        return "DSN" in self.extensions

    # Inside: replies

    def _next_reply(self) -> Reply | None:
        """Return the next whole reply of the buffer, or None; fail on what is not one."""
        try:
            return self._input.next()
        except BadReply as bad:
            self._fail(self._scope(), str(bad))
            return None

    def _take(self, reply: Reply) -> None:
        """Give a reply to what it answers."""
        if not self._waiting:
            self._unasked(reply)
            return
        waiting = self._waiting.popleft()
        self.answered += 1
        if reply.code == 421 and waiting not in ("end", "quit"):
            self._closing(waiting, reply)
            return
        if waiting in ("mail", "rcpt") and reply.code // 100 == 3:
            self._unasked(reply)
            return
        last = not self._waiting
        getattr(self, f"_on_{waiting}")(reply)
        if last and self._waiting:
            self._is_silent()  # what is there already cannot be the answer to what is only now sent

    def _on_greeting(self, reply: Reply) -> None:
        if reply.code != 220:
            self._fail("greeting", "The server does not want this connection", reply)
            return
        self.greeting = reply
        self.state = ClientState.GREETED
        self._events.append(Greeting(reply))

    def _on_hello(self, reply: Reply) -> None:
        if reply.code // 100 == 2:
            self.peer_name = reply.lines[0].partition(" ")[0]
            self.extensions = read_offers(reply)
            self.state = ClientState.READY
            self._events.append(Hello(reply, extended=True))
        elif reply.is_permanent and not self._lmtp:
            # RFC 5321 3.2: a server that does not know EHLO may know HELO; one that is busy (4yz) is left alone.
            self._waiting.append("helo")
            self._events.append(Send(b"HELO " + self._name + b"\r\n"))
        else:
            self._fail("greeting", "The server refused our greeting", reply)

    def _on_helo(self, reply: Reply) -> None:
        if reply.code // 100 != 2:
            self._fail("greeting", "The server refused our greeting", reply)
            return
        self.peer_name = reply.lines[0].partition(" ")[0]
        self.extensions = {}
        self.state = ClientState.READY
        self._events.append(Hello(reply, extended=False))

    def _on_tls(self, reply: Reply) -> None:
        if reply.code != 220:
            self.state = ClientState.READY
            self._events.append(TlsRefused(reply))
        elif self._input:
            # What follows in the clear would be read as if it had come encrypted.
            self._fail("tls", "The server sent data between its reply to STARTTLS and TLS", reply)
        else:
            self._events.append(TlsReady(reply))

    def _on_auth(self, reply: Reply) -> None:
        if reply.code == 334 and self._secrets:
            self._waiting.append("auth")
            self._events.append(Send(self._secrets.popleft() + b"\r\n"))
            return
        self._secrets.clear()
        if reply.code == 334:
            self._waiting.append("auth")
            self._events.append(Send(b"*\r\n"))
            return
        self.state = ClientState.READY
        self._events.append(LoggedIn(reply) if reply.code == 235 else LoginRefused(reply))

    def _on_reset(self, reply: Reply) -> None:
        self._open_transaction = False
        self._events.append(Reset(reply))

    def _on_rset(self, reply: Reply) -> None:
        """The RSET that :meth:`_begin` put before MAIL; what it says changes nothing."""
        if not self._waiting and self._transaction is not None:
            self._waiting.append("mail")
            self._events.append(Send(self._transaction.mail + b"\r\n"))

    def _on_quit(self, reply: Reply) -> None:
        self.state = ClientState.CLOSED
        self._events.append(Closed())

    # Inside: one transaction

    def _begin(self) -> bytes:
        transaction = self._transaction
        assert transaction is not None
        group = [("rset", b"RSET")] if self._open_transaction else []
        group.append(("mail", transaction.mail))
        if "PIPELINING" in self.extensions:
            # RFC 2920 3.1: MAIL, RCPT and DATA may go in one group, DATA last.
            group += [("rcpt", rcpt) for _, rcpt in transaction.rcpts]
            group.append(("data", b"DATA"))
        else:
            del group[1:]
        self._waiting.extend(name for name, _ in group)
        return b"".join(command + b"\r\n" for _, command in group)

    def _on_mail(self, reply: Reply) -> None:
        transaction = self._transaction
        assert transaction is not None
        if reply.is_positive:
            self._open_transaction = True
            if not self._waiting:
                self._next_rcpt()
            return
        transaction.settle(reply)
        transaction.mail_reply = reply
        if not self._waiting:
            self._finish()

    def _on_rcpt(self, reply: Reply) -> None:
        transaction = self._transaction
        assert transaction is not None
        index = transaction.rcpts[self._rcpt_index][0]
        self._rcpt_index += 1
        if transaction.mail_reply is None:
            if reply.is_positive:
                transaction.accepted.append(index)
            else:
                transaction.replies[index] = reply
        if not self._waiting:
            self._next_rcpt()

    def _next_rcpt(self) -> None:
        """Without PIPELINING: go on with the next recipient, or DATA."""
        transaction = self._transaction
        assert transaction is not None
        if self._rcpt_index < len(transaction.rcpts):
            self._waiting.append("rcpt")
            self._events.append(Send(transaction.rcpts[self._rcpt_index][1] + b"\r\n"))
        elif transaction.accepted:
            self._waiting.append("data")
            self._events.append(Send(b"DATA\r\n"))
        else:
            self._finish()

    def _on_data(self, reply: Reply) -> None:
        transaction = self._transaction
        assert transaction is not None
        if reply.code == 354 and transaction.accepted:
            self.state = ClientState.CONTENT
            self._events.append(ContentWanted(tuple(transaction.accepted)))
        elif reply.code == 354:
            # RFC 2920 3.1: nobody was accepted, yet the server waits: send an empty message and expect no success.
            self.state = ClientState.ENDING
            self._events.append(Send(b".\r\n"))
            if self._lmtp:
                self._open_transaction = False
                self._finish()
            else:
                self._waiting.append("nothing")
        else:
            if reply.is_positive:
                reply = Reply(451, "4.5.0", ("The server did not go on to the content",))
            transaction.settle(reply)
            self._finish()

    def _on_nothing(self, reply: Reply) -> None:
        self._open_transaction = False
        self._finish()

    def _on_end(self, reply: Reply) -> None:
        transaction = self._transaction
        assert transaction is not None
        if reply.code // 100 == 3:
            reply = Reply(451, "4.5.0", ("The server gave no answer to the content",))
        self._open_transaction = False
        if self._lmtp and reply.code != 421:
            transaction.replies[transaction.accepted[transaction.ends]] = reply
            transaction.ends += 1
            if transaction.ends == len(transaction.accepted):
                self._finish()
            return
        transaction.settle(reply)
        self._waiting.clear()
        self._finish()
        if reply.code == 421:
            self._fail("lost", "The server closes the connection", reply)

    def _finish(self) -> None:
        transaction, self._transaction = self._transaction, None
        assert transaction is not None
        self.state = ClientState.READY
        self._events.append(Sent(transaction.outcome(), tuple(transaction.ours)))

    # Inside: the end

    def _closing(self, waiting: str, reply: Reply) -> None:
        self._end_early(reply)
        self._fail(SCOPES.get(waiting, "lost"), "The server closes the connection", reply)

    def _end_of_input(self) -> None:
        if self.state is ClientState.QUITTING:
            self.state = ClientState.CLOSED
            self._events.append(Closed())
            return
        self._end_early(_NO_ANSWER)
        self._fail(self._scope(), "The server closed the connection")

    def _end_early(self, reply: Reply) -> None:
        """Finish what is settled. LMTP: who has an answer must not get a second copy, whatever becomes of the others."""
        transaction = self._transaction
        if transaction is not None and transaction.ends:
            transaction.settle(reply)
        if transaction is not None and transaction.settled:
            self._finish()

    def _scope(self) -> str:
        return SCOPES.get(self._waiting[0], "lost") if self._waiting else "lost"

    def _fail(self, scope: str, text: str, reply: Reply | None = None) -> None:
        in_doubt = self.state is ClientState.ENDING and self._transaction is not None and not self._transaction.settled
        self.state = ClientState.CLOSED
        self._input.clear()
        self._waiting.clear()
        self._events.append(Failed(scope, text, reply, in_doubt))

    def _expect(self, *states: ClientState) -> None:
        if self.state not in states:
            raise RuntimeError(f"not possible in state {self.state.name}")

    def _is_silent(self) -> bool:
        """Whether nothing has come that was not asked for; if so, the connection is at its end."""
        if not self._input:
            return True
        self._events.clear()
        reply = self._next_reply()
        if self.state is not ClientState.CLOSED:
            self._unasked(reply)
        return False

    def _unasked(self, reply: Reply | None) -> None:
        if reply is not None and reply.code == 421:
            self._fail("lost", "The server closes the connection", reply)
        else:
            self._fail("lost", "A reply nobody asked for", reply)
