"""POP3: the connection, and whole sessions."""

from __future__ import annotations

from typing import Any

from pop3_fakes import FakeExchange, Wire

from mailnode.errors import AuthenticationFailed
from mailnode.pop3.wire.connection import Pop3Connection
from mailnode.pop3.wire.grammar import BadCommand, PopCommand, PopSaslResponse
from mailnode.pop3.wire.responses import err, ok
from mailnode.values.wire import NEED_DATA, PAUSED
from tests.fuzz.target import Target, each, pieces, variant
from tests.fuzz.watched import watched

MAILS = (b"a: b\r\n\r\n.one\r\ntwo\r\n", b"Subject: x\r\n\r\n" + b"line\r\n" * 20, b"\r\n")
LONGEST = 12288 + 255  # octets that wait: of a line, and of the next

COMMANDS = each(
    b"""
USER alice
PASS se cret
AUTH
AUTH PLAIN
AUTH PLAIN AGFsaWNlAHNlIGNyZXQ=
AUTH PLAIN =
STLS
UTF8
STAT
LIST
LIST 1
UIDL
UIDL 2
RETR 1
DELE 1
TOP 2 3
NOOP
RSET
CAPA
LANG en
QUIT
"""
)


def _connected(octets: Any) -> list[str]:
    connection, seen = Pop3Connection(), []
    for piece in octets:
        connection.receive_data(piece)
        while (event := connection.next_event()) is not NEED_DATA:
            assert isinstance(event, PopCommand | BadCommand | PopSaslResponse)
            seen.append(repr(event))
            assert connection.next_event() is PAUSED
            match event:
                case PopCommand(verb="STLS"):
                    connection.begin_tls(ok())
                    assert connection.next_event() is PAUSED
                    connection.tls_started()
                case PopCommand(verb="AUTH", initial=None):
                    connection.challenge(b"")
                case PopCommand(verb="PASS"):
                    connection.authenticated()
                    connection.answer(ok())
                case PopCommand(verb="LIST" | "RETR" | "TOP"):
                    connection.begin_lines(ok("here"))
                    connection.end_lines()
                case _:
                    connection.answer(err("no", "SYS/TEMP"))
        assert connection.buffered <= LONGEST + len(piece)
    return seen


def connection(data: bytes) -> None:
    """Feed a connection, whole and in pieces: both come to the same."""
    whole, cut = _connected([data]), _connected(pieces(data))
    if not any("STLS" in event or "behind" in event for event in whole):  # there it matters what comes ahead
        assert cut == whole


class AnyText(FakeExchange):
    """Takes what is none of PLAIN for a wrong password."""

    async def step(self, response: bytes | None) -> bytes | None:
        if response is not None and response.count(b"\0") != 2:
            raise AuthenticationFailed
        return await super().step(response)


def session(data: bytes) -> None:
    """Feed a session on the pump: nothing unforeseen is met, every line of what is said is whole."""
    bits, stream = variant(data)
    with watched():
        wire = Wire(MAILS, tls="starttls" if bits & 1 else "none")
        wire.logins.exchange = lambda mechanism, interface, mind: AnyText(wire.logins, mechanism, mind)
        if bits & 2:
            wire.login()
        heard = b""
        for piece in [stream] if bits & 128 else pieces(stream):
            if wire.closed:
                break
            heard += wire.send(piece)
            if wire.tls_begun:
                wire.tls_begun = 0
                wire.pump.handshakeCompleted()
            wire.clock.advance(0.01)
        assert heard.endswith(b"\r\n") or not heard
        wire.lose()
        wire.clock.advance(1000)
    assert wire.drop.committed is None or set(wire.drop.committed) <= {1, 2, 3}


WORDS = (
    *(command + b"\r\n" for command in COMMANDS),
    b"\r\n",
    b"\r",
    b"\n",
    b" ",
    b"*\r\n",
    b"=\r\n",
    b"AGFsaWNlAHNlIGNyZXQ=\r\n",
)
ALL = b"\r\n".join(COMMANDS[8:]) + b"\r\n"

TARGETS = (
    Target(
        "pop3_connection",
        connection,
        (b"USER alice\r\nPASS x\r\n" + ALL, b"AUTH PLAIN\r\nAGFsaWNlAHNlIGNyZXQ=\r\n" + ALL, b"STLS\r\nCAPA\r\n" + ALL),
        words=WORDS,
    ),
    Target(
        "pop3_session",
        session,
        (
            *(bytes([bits]) + ALL for bits in (0, 2, 130)),
            *(bytes([bits]) + b"\r\n".join(COMMANDS[:4]) + b"\r\nAGFsaWNlAHNlIGNyZXQ=\r\n" + ALL for bits in (0, 1)),
            b"\1STLS\r\nUSER alice\r\nPASS se cret\r\nDELE 1\r\nDELE 3\r\nQUIT\r\n",
        ),
        words=WORDS,
    ),
)
