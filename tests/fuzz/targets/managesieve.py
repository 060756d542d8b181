"""ManageSieve: the connection, and whole sessions on the store."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from managesieve_support import LOGIN, PLAIN, Wire, literal

from mailnode.managesieve.wire.connection import MAX_SCRIPT, MAX_TEXT, ManageSieveConnection
from mailnode.managesieve.wire.grammar import (
    MAX_LINE,
    BadManageCommand,
    ManageCommand,
    ManageSaslResponse,
    ManageState,
    TlsUp,
)
from mailnode.managesieve.wire.responses import no, ok
from mailnode.values.wire import NEED_DATA, PAUSED
from tests.fuzz.target import Target, each, pieces, variant
from tests.fuzz.watched import watched

COMMANDS = each(
    b"""
CAPABILITY
NOOP
NOOP "tag"
LISTSCRIPTS
HAVESPACE "main" 100
PUTSCRIPT "main" "keep;"
PUTSCRIPT "other" "none;"
SETACTIVE "main"
GETSCRIPT "main"
RENAMESCRIPT "main" "third"
DELETESCRIPT "other"
CHECKSCRIPT "stop; keep;"
SETACTIVE ""
UNAUTHENTICATE
STARTTLS
AUTHENTICATE "PLAIN"
AUTHENTICATE "LOGIN" ""
AUTHENTICATE "SCRAM-SHA-256" "biwsbj1hbGljZUBhLnRlc3Qscj1hYmM="
LOGOUT
"""
)


def _connected(octets: Iterable[bytes], state: ManageState) -> list[str]:
    connection, seen = ManageSieveConnection(), []
    connection.enter(state)
    for piece in octets:
        connection.receive_data(piece)
        while (event := connection.next_event()) is not NEED_DATA:
            assert isinstance(event, ManageCommand | BadManageCommand | ManageSaslResponse | TlsUp)
            seen.append(repr(event))
            assert connection.next_event() is PAUSED
            match event:
                case ManageCommand(verb="STARTTLS"):
                    connection.begin_tls(ok())
                    assert connection.next_event() is PAUSED
                    connection.tls_started()
                case ManageCommand(verb="AUTHENTICATE", initial=None):
                    connection.challenge(b"")
                case ManageCommand(verb="AUTHENTICATE"):
                    connection.enter(ManageState.AFTER_LOGIN)
                    connection.answer(ok())
                case ManageCommand(verb="UNAUTHENTICATE"):
                    connection.enter(ManageState.BEFORE_LOGIN)
                    connection.answer(ok())
                case _:
                    connection.answer(no("no", "TRYLATER"))
        assert connection.buffered <= MAX_SCRIPT + MAX_TEXT + MAX_LINE + len(piece)
    return seen


def connection(data: bytes) -> None:
    """Feed a connection, whole and in pieces: both come to the same."""
    bits, stream = variant(data)
    state = ManageState.AFTER_LOGIN if bits & 1 else ManageState.BEFORE_LOGIN
    whole, cut = _connected([stream], state), _connected(pieces(stream), state)
    if not any(
        "STARTTLS" in event or "lost=True" in event for event in whole + cut
    ):  # there it matters what comes ahead
        assert cut == whole


@cache
def _server() -> Wire:
    return Wire(tls="starttls")


def session(data: bytes) -> None:
    """Feed a session on the pump: nothing unforeseen is met, every answer is whole."""
    bits, stream = variant(data)
    wire = _server()
    with watched():
        wire.connect()
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


WORDS = (
    *(command + b"\r\n" for command in COMMANDS),
    *(
        b"\r\n",
        b"\r",
        b"\n",
        b" ",
        b'"',
        b"\\",
        b'"*"\r\n',
        b"{5+}\r\nkeep;",
        b"{0+}\r\n",
        b"{5}\r\n",
        b'"' + PLAIN + b'"\r\n',
    ),
    LOGIN,
)
ALL = b"\r\n".join(COMMANDS) + b"\r\n"
SCRIPT = b'PUTSCRIPT "a\\"b" ' + literal(b"keep;\r\n") + b"\r\nHELP " + literal(b"LOGOUT\r\n") + b"\r\n"

TARGETS = (
    Target(
        "managesieve_connection",
        connection,
        (
            b"\0" + LOGIN + ALL,
            b"\1" + ALL,
            b"\1" + SCRIPT + ALL,
            b'\0AUTHENTICATE "PLAIN"\r\n"' + PLAIN + b'"\r\n' + ALL,
        ),
        words=WORDS,
    ),
    Target(
        "managesieve_session",
        session,
        (*(bytes([bits]) + ALL for bits in (0, 2, 130)), b"\2" + SCRIPT + ALL, b"\0STARTTLS\r\n" + LOGIN + ALL),
        words=WORDS,
    ),
)
