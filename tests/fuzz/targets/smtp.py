"""SMTP, submission and LMTP: the receiving connection and its session, the sending connection, what they read."""

from __future__ import annotations

import re
from typing import Any

from smtp_dialog import DIALOGS, Answering, load
from smtp_fakes import World

from mailnode.smtp.wire import client_events as said
from mailnode.smtp.wire.client import ClientConnection, ClientState
from mailnode.smtp.wire.grammar import CommandError
from mailnode.smtp.wire.limits import Limits
from mailnode.smtp.wire.profile import Profile
from mailnode.smtp.wire.server import ServerConnection
from mailnode.smtp.wire.xclient import read_xclient
from mailnode.values.envelope import PLAIN_RCPT, MailOptions
from mailnode.values.networks import ip_address
from mailnode.values.smtp_reply import Reply
from mailnode.values.wire import NEED_DATA
from tests.fuzz.target import Target, each, lines, pieces, variant
from tests.fuzz.watched import watched

REPLIES = re.compile(rb"(?:[2345][0-9]{2}[ -][ -~]*\r\n)*")
SMALL = Limits(content_line=2000, message_size=3000, discard_size=20_000, recipients=20, sasl_line=4096)
MOST_BUFFERED = max(SMALL.command_line, SMALL.sasl_line)  # octets beside those that just came

SERVERS: tuple[tuple[dict[str, bool], bool], ...] = (
    ({}, False),
    ({"strict_sync": True, "starttls": True}, False),
    ({"auth": True, "starttls": True, "require_auth": True, "require_tls": True}, False),
    ({"auth": True, "require_auth": True}, True),
    ({"xclient": True}, False),
)
WORDS = each(
    b"""
EHLO x\r\n
HELO x\r\n
LHLO x\r\n
MAIL FROM:<a@x.test>
RCPT TO:<b@y.test>
RCPT TO:<later@y.test>\r\n
DATA\r\n
\r\n.\r\n
BDAT 3\r\nabc
BDAT 0 LAST\r\n
RSET\r\n
QUIT\r\n
NOOP\r\n
VRFY x\r\n
STARTTLS\r\n
AUTH PLAIN AHUAcA==\r\n
AUTH LOGIN\r\n
XCLIENT ADDR=1.2.3.4\r\n
*\r\n
=\r\n
 SIZE=
 BODY=8BITMIME
 BODY=BINARYMIME
 SMTPUTF8
 NOTIFY=NEVER
 ORCPT=rfc822;a+40b
 RET=HDRS
 ENVID=
 REQUIRETLS
 PRDR
 MT-PRIORITY=9
<@a,@b:c@d>
"a\\"b"
[IPv6:::1]
no@y.test
bad@y.test
\xc3\xbc
"""
) + (b"\r", b"\n")
DIALOG_SEEDS = tuple(
    b"".join(octets for side, octets in load(path).turns if side == "C:")[:3000]
    for path in sorted(DIALOGS.glob("*.txt"))
)
ENVELOPE = b"EHLO x\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\n"
PLAIN_LOGIN = b"EHLO x\r\nAUTH PLAIN AHUAcA==\r\n"


def _serve(profile: dict[str, bool], secure: bool, octets: Any) -> Answering:
    session = Answering(ServerConnection(Profile(**profile, limits=SMALL), secure=secure))
    session.connection.mechanisms = ("PLAIN", "LOGIN") if secure else ()
    for piece in octets:
        if session.closed:
            break
        session.feed(piece)
        if session.wants_tls:
            session.wants_tls = False
            session.connection.tls_started()
            session.connection.mechanisms = ("PLAIN", "LOGIN")
        assert session.connection.buffered <= MOST_BUFFERED + len(piece)
    return session


def _server(data: bytes, servers: tuple[tuple[dict[str, bool], bool], ...]) -> None:
    number, stream = variant(data)
    profile, secure = servers[number % len(servers)]
    whole, cut = (_serve(profile, secure, octets) for octets in ([stream], pieces(stream)))
    for session in (whole, cut):
        assert REPLIES.fullmatch(session.written), session.written
        for message in session.messages:
            assert len(message) <= SMALL.message_size
    if not {"starttls", "auth", "strict_sync"} & profile.keys():  # there it matters what comes ahead
        assert (cut.written, cut.messages) == (whole.written, whole.messages)


def server(data: bytes) -> None:
    """Feed a receiving connection, whole and in pieces: both come to the same."""
    _server(data, SERVERS)


def lmtp(data: bytes) -> None:
    """As :func:`server`, for LMTP."""
    _server(data, (({"lmtp": True}, False),))


class Sender:
    """Sends messages as long as the server lets us; what it asks for depends on bits."""

    def __init__(self, bits: int) -> None:
        self.connection = ClientConnection("us.test", lmtp=bool(bits & 1))
        self.bits = bits
        self.events: list[Any] = []
        self.written = b""
        self.left = 2

    def feed(self, octets: Any) -> None:
        for piece in octets:
            self.connection.receive_data(piece)
            self.pump()
        self.connection.receive_eof()
        self.pump()

    def pump(self) -> None:
        while (event := self.connection.next_event()) is not NEED_DATA:
            self.events.append(event)
            self.written += self.answer(event)

    def answer(self, event: Any) -> bytes:
        connection = self.connection
        match event:
            case said.Send():
                return event.data
            case said.Greeting():
                return connection.hello()
            case said.Hello() if self.bits & 2 and "STARTTLS" in connection.extensions and not connection.secure:
                return connection.start_tls()
            case said.Hello() if self.bits & 4 and connection.mechanisms:
                return connection.authenticate("me", "secret")
            case said.TlsReady():
                connection.tls_started()
                return connection.hello()
            case said.Hello() | said.TlsRefused() | said.LoggedIn() | said.Reset():
                return self.send()
            case said.ContentWanted():
                return connection.data(b"a: b\r\n\r\n.\r\n") + connection.end_data()
            case said.Sent():
                assert len(event.replies) == 2
                self.left -= 1
                if connection.state is ClientState.CLOSED:  # all had been answered when the server went
                    return b""
                return connection.quit() if not self.left else connection.reset() if self.bits & 8 else self.send()
            case said.LoginRefused():
                return connection.quit()
        assert isinstance(event, said.Closed | said.Failed)
        return b""

    def send(self) -> bytes:
        options = MailOptions(body="8BITMIME", smtputf8=bool(self.bits & 16), size=17)
        # Limits that a server states are whoever hands it messages has to keep.
        assert min(self.connection.max_size, self.connection.max_recipients, self.connection.max_mails) >= 0
        return self.connection.send("me@us.test", [("a@x.test", PLAIN_RCPT), ("\xfc@x.test", PLAIN_RCPT)], options)


def client(data: bytes) -> None:
    """Feed a sending connection: it ends once, and in the same way however the replies are cut."""
    bits, stream = variant(data)
    senders = [Sender(bits) for _ in range(3)]
    in_lines = (piece for line in lines(stream) for piece in pieces(line))  # what comes ahead is an answer to nothing
    for sender, octets in zip(senders, (lines(stream), in_lines, pieces(stream)), strict=True):
        sender.feed(octets)
        assert isinstance(sender.events[-1], said.Closed | said.Failed)
        assert sum(isinstance(event, said.Closed | said.Failed) for event in sender.events) == 1
    by_line, cut, _ = senders
    if not bits & 2:  # behind STARTTLS what comes in one piece is an attack
        assert list(map(_shown, cut.events)) == list(map(_shown, by_line.events))


def _shown(event: Any) -> str:
    """A failure without its text: where a line is too long, it depends on the pieces which limit is met first."""
    return f"{event.scope}, {event.in_doubt}" if isinstance(event, said.Failed) else repr(event)


def session(data: bytes) -> None:
    """Feed a session on the pump: every reply is a whole line, and nothing unforeseen is met."""
    number, stream = variant(data)
    kind, tls = (("smtp", "starttls"), ("submission", "implicit"), ("lmtp", "none"))[number % 3]
    with watched():
        world = World(kind, tls=tls, limits=SMALL)
        world.router.resolve = _no_trouble(world.router.resolve)  # type: ignore[method-assign]
        speaker = world.client("10.2.0.1" if number & 64 else "192.0.2.1")
        if tls == "implicit":
            speaker.secure()
        heard = speaker.greeting.encode()
        for piece in [stream] if number & 128 else pieces(stream):
            if speaker.closed:
                break
            heard += speaker.say(piece).encode()
            world.clock.advance(2)
        assert REPLIES.fullmatch(heard), heard
        speaker.hang_up()
        world.clock.advance(1000)
    assert all(writer.finished or writer.aborted for writer in world.delivery.writers)


def _no_trouble(resolve: Any) -> Any:
    """A recipient that stands for trouble in other tests is none here."""

    async def careful(recipient: Any, *args: Any, **more: Any) -> Any:
        local = "alice" if recipient.local.lower() == "broken" else recipient.local
        return await resolve(type(recipient)(local, recipient.domain), *args, **more)

    return careful


def xclient(data: bytes) -> None:
    """Read the attributes of XCLIENT."""
    found = read_xclient(data.decode("utf-8", "replace"))
    assert not found.address or ip_address(found.address) is not None
    assert found.name is None or (found.name.isascii() and "\r" not in found.name)


def replies(data: bytes) -> None:
    """Write a reply with any text: lines of ASCII, none too long."""
    number, text = variant(data)
    connection = ServerConnection(Profile())
    words = tuple(text.decode("utf-8", "surrogateescape").split("|"))
    written = connection.send(Reply(250 + number % 300, "2.0.0" if number & 1 else "", words))
    assert REPLIES.fullmatch(written)
    assert all(len(line) <= 512 for line in written.splitlines(keepends=True))


_BANNER = b"220 mx.test ESMTP\r\n"
_OFFERS = (
    b"250-mx.test hello\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"
    b"250-DSN\r\n250 LIMITS RCPTMAX=3\r\n"
)
_TAKEN = b"250 2.1.0 ok\r\n250 2.1.5 ok\r\n550 5.1.1 no\r\n354 go on\r\n250 2.0.0 queued\r\n"
CLIENT_WORDS = each(
    b"""
220\x20
250\x20
250-
354\x20
421\x20
450\x20
550 5.1.1 no
235\x20
334\x20
334 VXNlcm5hbWU6\r\n
221 bye\r\n
999 \r\n
25\r\n
250-STARTTLS\r\n
250-AUTH PLAIN LOGIN\r\n
250-PIPELINING\r\n
250-SIZE\r\n
250-LIMITS RCPTMAX=1\r\n
250-SMTPUTF8\r\n
250-CHUNKING\r\n
\r\n
\xff
"""
) + (b"\r", b"\n")

TARGETS = (
    Target(
        "smtp_server",
        server,
        (
            *(bytes([number]) + seed for number in (0, 1) for seed in DIALOG_SEEDS),
            *(b"\0" + ENVELOPE + b"DATA\r\nFrom: a\r\n\r\n..x\r\n.\r\nQUIT\r\n", b"\2EHLO x\r\nSTARTTLS\r\nEHLO x\r\n"),
            b"\3" + PLAIN_LOGIN + ENVELOPE[8:] + b"BDAT 5\r\nab\r\n\r\nBDAT 3 LAST\r\ncde",
            b"\3EHLO x\r\nAUTH LOGIN\r\ndQ==\r\ncA==\r\nMAIL FROM:<>\r\n",
            b"\4XCLIENT ADDR=IPV6:::1 NAME=x+2By HELO=z\r\nEHLO y\r\n",
        ),
        words=WORDS,
    ),
    Target(
        "lmtp_server",
        lmtp,
        (
            b"\0LHLO x\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nRCPT TO:<no@y.test>\r\nRCPT TO:<c@y.test>\r\n"
            b"DATA\r\na: b\r\n\r\nc\r\n.\r\nQUIT\r\n",
        ),
        words=WORDS,
    ),
    Target(
        "smtp_client",
        client,
        tuple(
            bytes([bits]) + stream
            for bits in (0, 1, 2, 4, 8, 16)
            for stream in (
                _BANNER + _OFFERS + _TAKEN + _TAKEN + b"221 bye\r\n",
                _BANNER + b"250-x\r\n250-STARTTLS\r\n250 AUTH LOGIN\r\n220 go on\r\n" + _OFFERS + _TAKEN,
                _BANNER + b"250-x\r\n250 AUTH LOGIN\r\n334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n235 ok\r\n" + _TAKEN,
                _BANNER + b"502 what?\r\n250 mx.test\r\n" + _TAKEN,
            )
        ),
        words=CLIENT_WORDS,
    ),
    Target(
        "smtp_session",
        session,
        (
            *(bytes([number]) + seed for number in (0, 129) for seed in DIALOG_SEEDS[::3]),
            b"\0EHLO x\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<alice@us.test>\r\nDATA\r\nFrom: <a@x.test>\r\n\r\nx\r\n.\r\nQUIT\r\n",
            b"\1EHLO x\r\nAUTH PLAIN AGFsaWNlAHNlY3JldA==\r\nMAIL FROM:<alice@us.test>\r\nRCPT TO:<b@y.test>\r\n"
            b"DATA\r\nFrom: alice@us.test\r\nBcc: c@y.test\r\n\r\nx\r\n.\r\n",
            b"\2LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<alice@us.test>\r\nRCPT TO:<full@us.test>\r\nRCPT TO:<bob@us.test>\r\n"
            b"BDAT 8 LAST\r\na: b\r\n\r\nQUIT\r\n",
            b"\100XCLIENT ADDR=192.0.2.9 HELO=z\r\nEHLO y\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<nobody@us.test>\r\n",
        ),
        words=(
            *WORDS,
            b"<alice@us.test>",
            b"From: ",
            b"Received: x\r\n",
            b"Content-Type: multipart/mixed; boundary=x\r\n",
        ),
    ),
    Target(
        "xclient",
        xclient,
        (b"ADDR=192.0.2.1 NAME=host.test HELO=x PORT=25 PROTO=ESMTP LOGIN=a+40b DESTADDR=IPV6:2001:db8::1 DESTPORT=1",),
        errors=(CommandError,),
        words=(
            b"ADDR=",
            b"NAME=",
            b"HELO=",
            b"[UNAVAILABLE]",
            b"+0A",
            b"+2B",
            b"IPV6:",
            b"::ffff:1.2.3.4",
            b"%eth0",
            b"PORT=",
        ),
    ),
    Target("smtp_replies", replies, (b"\0Ok", b"\1a|b|c\r\nd", b"\2\xff\xc3\xbc|" + b"x" * 600)),
)
