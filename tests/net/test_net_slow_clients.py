"""Clients that send a little now and then, and get nowhere: every protocol lets go of them, and of nobody who is only slow."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any

import imap_world
import pop3_fakes
import pytest
import smtp_fakes
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from mailnode.config.schema import Limits
from mailnode.imap.protocol import ImapFactory
from mailnode.imap.session import LOGIN_TIMEOUT, ImapSession
from mailnode.smtp.session import WATCH_SECONDS
from mailnode.smtp.wire.limits import DEFAULT_TIMEOUTS

LOGIN = Limits().login_timeout
EVERY = 20.0  # seconds between two pieces: none is silent for long
ENVELOPE = b"MAIL FROM:<a@x.test>\r\nRCPT TO:<alice@us.test>\r\n"


def smtp(kind: str, before: bytes = b"", peer: str = "192.0.2.1") -> Any:
    world = smtp_fakes.World(kind)
    client = world.client(peer)
    if kind == "submission":
        client.secure()
    client.say(before)
    return client, world.clock


def submission(login: bool = False) -> Any:
    client, clock = smtp("submission", b"EHLO x\r\n")
    if login:
        assert client.say(b"AUTH PLAIN " + base64.b64encode(b"\0alice\0secret") + b"\r\n").startswith("235 ")
    return client, clock


def imap(login: bool = False) -> Any:
    world = imap_world.World()
    factory = ImapFactory(
        lambda channel, connection: ImapSession(channel, connection, world.services),
        world.clock,
        plaintext_login=True,
        login_timeout=LOGIN,
    )
    client = Wired(factory.buildProtocol(None))
    if login:
        client.pump.dataReceived(b"a LOGIN alice secret\r\nb SELECT INBOX\r\n")
    return client, world.clock


def pop3(login: bool = False) -> Any:
    wire = pop3_fakes.Wire([b"x\r\n"], login_timeout=LOGIN)
    if login:
        wire.login()
    return wire, wire.clock


class Wired:
    """A pump on a transport."""

    def __init__(self, pump: Any) -> None:
        self.pump = pump
        self.transport = imap_world.StringTransport()
        pump.makeConnection(self.transport)

    @property
    def closed(self) -> bool:
        return bool(self.transport.disconnecting or self.transport.disconnected)


def octets(line: bytes) -> Iterator[bytes]:
    while True:
        for octet in line:
            yield bytes([octet])


def held_for(client: Any, clock: Any, pieces: Iterator[bytes], at_most: float) -> float:
    """Send a piece now and then; return after how many seconds the connection was closed."""
    begin = clock.seconds()
    while not client.closed and clock.seconds() - begin <= at_most:
        client.pump.dataReceived(next(pieces))
        for _ in range(int(EVERY)):
            clock.advance(1)
            if client.closed:
                break
    seconds = clock.seconds() - begin
    client.pump.connectionLost(Failure(ConnectionDone()))
    return float(seconds)


START = DEFAULT_TIMEOUTS.start
WRITING = DEFAULT_TIMEOUTS.envelope
GRACE = DEFAULT_TIMEOUTS.data_grace

# How one connects, what comes every few seconds, and when one is let go; SMTP looks only now and then.
SLOW: dict[str, tuple[Callable[[], Any], Callable[[], Iterator[bytes]], float, float]] = {
    "imap: octets": (imap, lambda: octets(b"x"), LOGIN_TIMEOUT, LOGIN - LOGIN_TIMEOUT),
    "imap: commands": (imap, lambda: repeat(b"a NOOP\r\n"), LOGIN, 0),
    "imap: a SASL response": (imap, lambda: iter([b"a AUTHENTICATE PLAIN\r\n", *[b"A"] * 99]), LOGIN_TIMEOUT, LOGIN),
    "pop3: octets": (pop3, lambda: octets(b"x"), LOGIN, 0),
    "pop3: commands": (pop3, lambda: repeat(b"CAPA\r\n"), LOGIN, 0),
    "pop3: users": (pop3, lambda: repeat(b"USER x\r\n"), LOGIN, 0),
    "submission: octets": (submission, lambda: octets(b"x"), LOGIN, 0),
    "submission: commands": (submission, lambda: repeat(b"NOOP\r\n"), LOGIN, 0),
    "submission: a SASL response": (submission, lambda: iter([b"AUTH PLAIN\r\n", *[b"A"] * 99]), LOGIN, 0),
    "submission: after login": (lambda: submission(True), lambda: repeat(b"NOOP\r\n"), START, WATCH_SECONDS),
    "smtp: octets": (lambda: smtp("smtp"), lambda: octets(b"x"), START, WATCH_SECONDS),
    "smtp: NOOP": (lambda: smtp("smtp", b"EHLO x\r\n"), lambda: repeat(b"NOOP\r\n"), START, WATCH_SECONDS),
    "smtp: EHLO": (lambda: smtp("smtp"), lambda: repeat(b"EHLO x\r\n"), START, WATCH_SECONDS),
    "lmtp: NOOP": (lambda: smtp("lmtp", b"LHLO x\r\n"), lambda: repeat(b"NOOP\r\n"), START, WATCH_SECONDS),
    "smtp: RCPT": (
        lambda: smtp("smtp", b"EHLO x\r\n" + ENVELOPE),
        lambda: repeat(b"RCPT TO:<alice@us.test>\r\n"),
        WRITING,
        WATCH_SECONDS,
    ),
    "smtp: MAIL and RSET": (
        lambda: smtp("smtp", b"EHLO x\r\n"),
        lambda: repeat(ENVELOPE + b"RSET\r\n"),
        WRITING,
        WATCH_SECONDS,
    ),
    "smtp: DATA": (
        lambda: smtp("smtp", b"EHLO x\r\n" + ENVELOPE + b"DATA\r\n"),
        lambda: octets(b"x"),
        GRACE,
        WATCH_SECONDS,
    ),
    "smtp: chunks": (
        lambda: smtp("smtp", b"EHLO x\r\n" + ENVELOPE),
        lambda: repeat(b"BDAT 1\r\nx"),
        GRACE,
        WATCH_SECONDS,
    ),
    "smtp: one chunk": (
        lambda: smtp("smtp", b"EHLO x\r\n" + ENVELOPE + b"BDAT 1000000\r\n"),
        lambda: octets(b"x"),
        GRACE,
        WATCH_SECONDS,
    ),
    "smtp: one chunk in binary": (
        lambda: smtp("smtp", b"EHLO x\r\n" + ENVELOPE.replace(b">", b"> BODY=BINARYMIME", 1) + b"BDAT 1000000\r\n"),
        lambda: octets(b"\0\n"),
        GRACE,
        WATCH_SECONDS,
    ),
    "smtp: a chunk out of place": (
        lambda: smtp("smtp", b"EHLO x\r\nBDAT 1000000\r\n"),
        lambda: octets(b"x"),
        START,
        WATCH_SECONDS,
    ),
    "smtp: chunks behind a refused one": (
        lambda: smtp("smtp", b"EHLO x\r\n" + ENVELOPE + b"BDAT 3\r\na\rb"),
        lambda: repeat(b"BDAT 1\r\nx"),
        WRITING,
        WATCH_SECONDS,
    ),
    "smtp: chunks of nothing": (
        lambda: smtp("smtp", b"EHLO x\r\n" + ENVELOPE),
        lambda: repeat(b"BDAT 0\r\n"),
        WRITING,
        WATCH_SECONDS,
    ),
    "smtp: a faulty message": (
        lambda: smtp("smtp", b"EHLO x\r\n" + ENVELOPE + b"DATA\r\n"),
        lambda: octets(b"\0"),
        GRACE,
        WATCH_SECONDS,
    ),
    "smtp: XCLIENT": (
        lambda: smtp("smtp", b"EHLO x\r\n", "10.2.0.1"),
        lambda: repeat(b"XCLIENT ADDR=192.0.2.9\r\n"),
        START,
        WATCH_SECONDS,
    ),
    "smtp: a recipient in octets": (
        lambda: smtp("smtp", b"EHLO x\r\n" + ENVELOPE),
        lambda: octets(b"x"),
        WRITING,
        WATCH_SECONDS,
    ),
    "smtp: chunks taken back": (
        lambda: smtp("smtp", b"EHLO x\r\n"),
        lambda: repeat(ENVELOPE + b"BDAT 1\r\nxRSET\r\n"),
        GRACE,
        WATCH_SECONDS,
    ),
    "smtp: between messages": (
        lambda: smtp("smtp", b"EHLO x\r\n" + ENVELOPE + b"BDAT 1 LAST\r\nx"),
        lambda: repeat(b"NOOP\r\n"),
        START,
        WATCH_SECONDS,
    ),
}


# SMTP trap 31: commands an octet at a time
@pytest.mark.parametrize("name", SLOW)
def test_who_gets_nowhere_is_let_go(name: str) -> None:
    connect, pieces, seconds, more = SLOW[name]
    client, clock = connect()
    assert seconds <= held_for(client, clock, pieces(), 2 * seconds) <= seconds + more


@pytest.mark.parametrize("kind", [imap, pop3])
def test_after_login_there_is_silence_alone_to_end_a_session(kind: Any) -> None:
    client, clock = kind(login=True)
    assert held_for(client, clock, repeat(b"a NOOP\r\n" if kind is imap else b"NOOP\r\n"), 20 * LOGIN) > 20 * LOGIN


READERS: dict[str, tuple[Any, bytes]] = {
    "imap": (imap, b"a NOOP\r\n"),
    "pop3": (pop3, b"RETR 1\r\n"),
    "submission": (submission, b"NOOP\r\n"),
}


@pytest.mark.parametrize("name", READERS)
def test_who_reads_no_answers_is_answered_no_more(name: str) -> None:
    kind, command = READERS[name]
    client, _ = kind(login=True)
    write, written = client.transport.write, []

    def fill(data: bytes) -> None:
        write(data)
        written.append(data)
        client.pump.pauseProducing()

    client.transport.write = fill
    client.pump.dataReceived(command)
    assert len(written) == 1
    client.pump.dataReceived(command * 20)
    assert len(written) == 1
    client.pump.resumeProducing()
    assert len(written) == 2 and not client.closed


@pytest.mark.parametrize("name", READERS)
def test_who_reads_no_answers_is_closed_with_the_server_and_holds_no_login(name: str) -> None:
    kind, command = READERS[name]
    client, _ = kind(login=True)
    write = client.transport.write
    client.transport.write = lambda data: (write(data), client.pump.pauseProducing())
    client.pump.dataReceived(command * 20)
    client.pump.draining()
    assert client.closed and client.pump._session.login is None


def test_a_megabyte_over_ten_kilobits_a_second_arrives() -> None:
    client, clock = smtp("smtp", b"EHLO x\r\n" + ENVELOPE + b"DATA\r\n")
    client.say(b"\r\n")
    for _ in range(840):
        client.say(b"x" * 1248 + b"\r\n")
        clock.advance(1)
    assert client.say(b".\r\n").startswith("250 ")


def test_a_message_after_the_other_over_such_a_line() -> None:
    client, clock = smtp("smtp", b"EHLO x\r\n")
    for _ in range(30):
        for piece in (ENVELOPE, b"DATA\r\n", *[b"x" * 1248 + b"\r\n"] * 10):
            client.say(piece)
            clock.advance(10)
        assert client.say(b".\r\n").startswith("250 ")
    assert not client.closed


def test_time_that_is_ours_does_not_count() -> None:
    client, clock = smtp("smtp", b"EHLO x\r\n" + ENVELOPE)
    for _ in range(60):
        client.world.policies.wait = wait = Deferred()
        client.say(b"RCPT TO:<bob@us.test>\r\n")
        for _ in range(3):
            clock.advance(10)
        client.world.policies.wait = None
        wait.callback(None)
    assert not client.closed, client.heard()
    assert client.codes(b"DATA\r\n")[-1] == "354"
