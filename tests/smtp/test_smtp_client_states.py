"""The sending connection: every state with every kind of reply, and with every command of ours, for SMTP and LMTP."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest

from mailnode.smtp.wire.client import ClientConnection, ClientState
from mailnode.smtp.wire.client_events import Failed, Send, Sent
from mailnode.smtp.wire.client_states import SCOPES, TIMEOUTS
from mailnode.values.envelope import PLAIN_RCPT
from mailnode.values.wire import NEED_DATA

State = ClientState
Turn = bytes | Callable[[ClientConnection], bytes]

TWO = (("a@x.test", PLAIN_RCPT), ("b@x.test", PLAIN_RCPT))
BANNER = b"220 mx.test\r\n"
OK, LATER, NO, GO = b"250 ok\r\n", b"450 later\r\n", b"550 no\r\n", b"354 go\r\n"


def hello(connection: ClientConnection) -> bytes:
    return connection.hello()


def send(connection: ClientConnection) -> bytes:
    return connection.send("me@us.test", TWO)


def login(connection: ClientConnection) -> bytes:
    return connection.authenticate("u", "p")


def _offering(*keywords: bytes) -> tuple[Turn, ...]:
    return BANNER, hello, b"".join(b"250-%b\r\n" % line for line in (b"mx.test", *keywords)) + OK


@dataclass(frozen=True)
class Stand:
    """``turns`` lead there: octets of the server and commands of ours, whose outcome is not looked at. ``waits``: what the next
    reply answers, "" where none was asked for. ``state``: of the connection. ``left``: replies that stand out."""

    turns: tuple[Turn, ...]
    waits: str
    state: State
    left: int = 1


PLAIN = _offering()
GROUP = (*_offering(b"PIPELINING"), send)
CONTENT = (*GROUP, OK * 3 + GO)
AGAIN = (*PLAIN, send, OK, NO, NO, send)  # an envelope that nobody was in is still there

STANDS = {
    "greeting": Stand((), "greeting", State.GREETING),
    "greeted": Stand((BANNER,), "", State.GREETED),
    "hello": Stand((BANNER, hello), "hello", State.HELLO),
    "helo": Stand((BANNER, hello, b"502 what\r\n"), "helo", State.HELLO),
    "ready": Stand(PLAIN, "", State.READY),
    "asked for TLS": Stand((*_offering(b"STARTTLS"), ClientConnection.start_tls), "tls", State.TLS),
    "before TLS": Stand((*_offering(b"STARTTLS"), ClientConnection.start_tls, BANNER), "", State.TLS),
    "AUTH PLAIN": Stand((*_offering(b"AUTH PLAIN"), login), "auth", State.AUTH),
    "AUTH LOGIN": Stand((*_offering(b"AUTH LOGIN"), login), "auth", State.AUTH),
    "AUTH LOGIN, all said": Stand((*_offering(b"AUTH LOGIN"), login, b"334 u\r\n", b"334 p\r\n"), "auth", State.AUTH),
    "MAIL": Stand((*PLAIN, send), "mail", State.ENVELOPE),
    "RCPT": Stand((*PLAIN, send, OK), "rcpt", State.ENVELOPE),
    "RCPT, the last": Stand((*PLAIN, send, OK, NO), "rcpt", State.ENVELOPE),
    "DATA": Stand((*PLAIN, send, OK, OK, OK), "data", State.ENVELOPE),
    "MAIL in a group": Stand(GROUP, "mail", State.ENVELOPE, left=4),
    "RCPT in a group": Stand((*GROUP, OK), "rcpt", State.ENVELOPE, left=3),
    "DATA in a group": Stand((*GROUP, OK * 3), "data", State.ENVELOPE),
    "DATA for nobody": Stand((*GROUP, OK + NO * 2), "data", State.ENVELOPE),
    "RSET ahead of MAIL": Stand(AGAIN, "rset", State.ENVELOPE),
    "content": Stand(CONTENT, "", State.CONTENT),
    "end": Stand((*CONTENT, ClientConnection.end_data), "end", State.ENDING),
    "nothing": Stand((*GROUP, OK + NO * 2 + GO), "nothing", State.ENDING),
    "RSET": Stand((*PLAIN, ClientConnection.reset), "reset", State.READY),
    "QUIT": Stand((*PLAIN, ClientConnection.quit), "quit", State.QUITTING),
    "closed": Stand((b"554 no\r\n",), "", State.CLOSED),
}
# LMTP has no HELO, and each recipient who was accepted has an end of their own.
LMTP_STANDS = {name: stand for name, stand in STANDS.items() if name not in ("helo", "nothing")} | {
    "end": Stand((*CONTENT, ClientConnection.end_data), "end", State.ENDING, left=2),
    "end, the last": Stand((*CONTENT, ClientConnection.end_data, OK), "end", State.ENDING),
}
KINDS = {"smtp": STANDS, "lmtp": LMTP_STANDS}
PLACES = [(kind, name) for kind, stands in KINDS.items() for name in stands]

Outcome = tuple[tuple[str, ...], State]
FAILED: Outcome = (("Failed",), State.CLOSED)
GREETED: Outcome = (("Greeting",), State.GREETED)
HELLO: Outcome = (("Hello",), State.READY)
SENT: Outcome = (("Sent",), State.READY)
NEXT: Outcome = (("Send",), State.ENVELOPE)
QUIET: Outcome = ((), State.ENVELOPE)
CLEAR: Outcome = (("TlsRefused",), State.READY)
REFUSED: Outcome = (("LoginRefused",), State.READY)
ASKED: Outcome = (("Send",), State.AUTH)
CODES = (b"220", b"235", b"250", b"299", b"334", b"354", b"450", b"550", b"599")


def _row(first: Outcome, *others: tuple[str, Outcome]) -> dict[bytes, Outcome]:
    """What comes of codes that begin so: the last that fits holds."""
    row = dict.fromkeys(CODES, first)
    for begin, outcome in others:
        row |= {code: outcome for code in row if code.startswith(begin.encode())}
    return row


# What comes of a reply, by its code; 421 and what is no reply stand in the tests.
TABLE: dict[str, dict[bytes, Outcome]] = {
    "greeting": _row(FAILED, ("220", GREETED)),
    "greeted": _row(FAILED),
    "hello": _row(FAILED, ("2", HELLO), ("5", (("Send",), State.HELLO))),
    "helo": _row(FAILED, ("2", HELLO)),
    "ready": _row(FAILED),
    "asked for TLS": _row(CLEAR, ("220", (("TlsReady",), State.TLS))),
    "before TLS": _row(FAILED),
    "AUTH PLAIN": _row(REFUSED, ("235", (("LoggedIn",), State.READY)), ("334", ASKED)),
    "AUTH LOGIN": _row(REFUSED, ("235", (("LoggedIn",), State.READY)), ("334", ASKED)),
    "AUTH LOGIN, all said": _row(REFUSED, ("235", (("LoggedIn",), State.READY)), ("334", ASKED)),
    "MAIL": _row(SENT, ("2", NEXT), ("3", FAILED)),
    "RCPT": _row(NEXT, ("3", FAILED)),
    "RCPT, the last": _row(SENT, ("2", NEXT), ("3", FAILED)),
    "DATA": _row(SENT, ("354", (("ContentWanted",), State.CONTENT))),
    "MAIL in a group": _row(QUIET, ("3", FAILED)),
    "RCPT in a group": _row(QUIET, ("3", FAILED)),
    "DATA in a group": _row(SENT, ("354", (("ContentWanted",), State.CONTENT))),
    "DATA for nobody": _row(SENT, ("354", (("Send",), State.ENDING))),
    "RSET ahead of MAIL": _row(NEXT),
    "content": _row(FAILED),
    "end": _row(SENT),
    "nothing": _row(SENT),
    "RSET": _row((("Reset",), State.READY)),
    "QUIT": _row((("Closed",), State.CLOSED)),
    "closed": _row(((), State.CLOSED)),
}
LMTP_TABLE = TABLE | {
    "hello": _row(FAILED, ("2", HELLO)),
    "DATA for nobody": _row(SENT, ("354", (("Send", "Sent"), State.READY))),
    "end": _row(((), State.ENDING)),
    "end, the last": _row(SENT),
}
TABLES = {"smtp": TABLE, "lmtp": LMTP_TABLE}

SHAPES = {
    "a line": b"%b x\r\n",
    "a code": b"%b\r\n",
    "lines": b"%b-a\r\n%b-b\r\n%b c\r\n",
    "lines of other codes": b"250-a\r\n550-b\r\n421-c\r\n%b d\r\n",  # the last one decides
    "a line feed within": b"%b x\n250 ok\r\n",  # which ends nothing
    "control characters": b"%b \0\x1b\xff\r\n",
}
NO_REPLY = {
    "words": b"hello?\r\n",
    "nothing": b"\r\n",
    "a short line": b"25\r\n",
    "digits of another script": "\u0662\u0665\u0660 ok\r\n".encode(),
    "a letter in it": b"25x ok\r\n",
    "no space": b"250ok\r\n",
    "too few": b"150 wait\r\n",
    "too many": b"600 what\r\n",
    "signed": b"+25 ok\r\n",
    "a long line": b"250 " + b"x" * 5000,
    "a long line with its end": b"250 " + b"x" * 5000 + b"\r\n",
    "many lines": b"250-x\r\n" * 300,
    "many octets": (b"250-" + b"x" * 4000 + b"\r\n") * 20,
    "a bad line within": b"250-x\r\nno\r\n250 x\r\n",
}
# What is cut off: nothing comes of it.
HALVES = {
    "nothing": b"",
    "digits": b"25",
    "a line": b"250 ok",
    "a carriage return": b"250 ok\r",
    "lines": b"250-a\r\n250-b\r\n",
}


def stand_at(kind: str, name: str) -> ClientConnection:
    """Return a connection that stands there."""
    stand, connection = KINDS[kind][name], ClientConnection("us.test", lmtp=kind == "lmtp")
    for turn in stand.turns:
        if isinstance(turn, bytes):
            connection.receive_data(turn)
            events(connection)
        else:
            turn(connection)
    assert connection.state is stand.state
    if stand.waits:
        assert connection.timeout == TIMEOUTS[stand.waits]
    return connection


def events(connection: ClientConnection) -> list[Any]:
    """Return all that there is; what holds of any of it is looked at."""
    found: list[Any] = []
    while (event := connection.next_event()) is not NEED_DATA:
        found.append(event)
        if isinstance(event, Sent):
            assert len(event.replies) == len(TWO)
        if isinstance(event, Send):
            assert event.data.endswith(b"\r\n") and event.data.count(b"\r\n") == 1
    if any(isinstance(event, Failed) for event in found):
        assert isinstance(found[-1], Failed)
        assert (connection.state, connection.buffered) == (State.CLOSED, 0)
    return found


def hears(connection: ClientConnection, data: bytes) -> list[Any]:
    connection.receive_data(data)
    return events(connection)


def names(found: Iterable[object]) -> tuple[str, ...]:
    return tuple(type(event).__name__ for event in found)


def test_all_that_may_be_waited_for_is_tried() -> None:
    assert {stand.waits for stand in STANDS.values()} - {""} == set(TIMEOUTS) - {"content"}
    assert {stand.state for stand in STANDS.values()} == set(State)
    assert all(KINDS[kind].keys() <= TABLES[kind].keys() for kind in KINDS)
    assert SCOPES.keys() <= TIMEOUTS.keys()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("kind", "name"), PLACES)
def test_every_code_wherever_a_reply_may_come(kind: str, name: str, shape: bytes) -> None:
    for code, (told, state) in TABLES[kind][name].items():
        reply = SHAPES[shape].replace(b"%b", code)
        connection = stand_at(kind, name)
        found = hears(connection, reply)
        assert (names(found), connection.state) == (told, state), reply
        piece_by_piece = stand_at(kind, name)
        cut = [event for at in range(len(reply)) for event in hears(piece_by_piece, reply[at : at + 1])]
        if name != "before TLS":  # the first octet is too much, whatever it is
            assert (cut, piece_by_piece.state) == (found, state), reply


@pytest.mark.parametrize(("kind", "name"), PLACES)
def test_421_wherever_a_reply_may_come(kind: str, name: str) -> None:
    stand, connection = KINDS[kind][name], stand_at(kind, name)
    found = hears(connection, b"421 4.3.2 going\r\n")
    if name in ("closed", "QUIT"):
        assert names(found) == ("Closed",) * (name == "QUIT")
        return
    *before, failed = found
    assert isinstance(failed, Failed)
    assert failed.scope == ("tls" if stand.state is State.TLS else SCOPES.get(stand.waits, "lost"))
    assert name == "before TLS" or (failed.reply is not None and failed.reply.code == 421)
    assert not failed.in_doubt  # it said what became of it
    # Who has an answer keeps it: LMTP's first recipient, and those who were refused before.
    assert names(before) == ("Sent",) * (name in ("end", "end, the last", "nothing", "DATA for nobody"))
    codes = {"end": [421, 421], "end, the last": [250, 421], "nothing": [550, 550], "DATA for nobody": [550, 550]}
    assert [[reply.code for reply in event.replies] for event in before] == ([codes[name]] if before else [])


@pytest.mark.parametrize("junk", NO_REPLY)
@pytest.mark.parametrize(("kind", "name"), PLACES)
def test_what_is_no_reply_ends_the_connection(kind: str, name: str, junk: str) -> None:
    stand, whole, cut = KINDS[kind][name], stand_at(kind, name), stand_at(kind, name)
    found = hears(whole, NO_REPLY[junk])
    pieces = [event for octet in NO_REPLY[junk] for event in hears(cut, bytes([octet]))]
    if name == "closed":
        assert found == pieces == []
        return
    assert names(found) == names(pieces) == ("Failed",)
    assert found[0].scope == ("tls" if stand.state is State.TLS else SCOPES.get(stand.waits, "lost"))
    assert found[0].in_doubt == (name in ("end", "end, the last"))  # all of it had been sent, RFC 1047
    assert hears(whole, OK * 9) == []


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize(("kind", "name"), PLACES)
def test_half_a_reply_and_then_the_end(kind: str, name: str, half: str) -> None:
    stand, connection = KINDS[kind][name], stand_at(kind, name)
    if name in ("before TLS", "closed"):  # there each octet is too much, or no matter
        return
    assert hears(connection, HALVES[half]) == []
    connection.receive_eof()
    found = events(connection)
    if name == "QUIT":
        assert names(found) == ("Closed",)
        return
    settled = name in ("nothing", "DATA for nobody", "end, the last")
    assert names(found) == ("Sent",) * settled + ("Failed",)
    assert found[-1].scope == SCOPES.get(stand.waits, "lost")
    assert found[-1].in_doubt == (name == "end")
    assert events(connection) == []


@pytest.mark.parametrize(("kind", "name"), PLACES)
def test_a_reply_more_than_was_asked_for_ends_the_connection(kind: str, name: str) -> None:
    """It must answer nothing that is said later: neither a command that follows by itself, nor one of the caller."""
    stand = KINDS[kind][name]
    for code, (told, state) in TABLES[kind][name].items():
        if stand.left > 1 or told == ("Failed",) or state is State.CLOSED:
            continue
        connection = stand_at(kind, name)
        found = names(hears(connection, code + b" x\r\n" + OK))
        goes_on_by_itself = told in (("Send",), ("TlsReady",))
        assert found == (("Failed",) if goes_on_by_itself else (*told, "Failed")), code


CALLS: dict[str, tuple[Callable[[ClientConnection], bytes], set[State]]] = {
    "hello": (hello, {State.GREETED, State.READY}),
    "start_tls": (ClientConnection.start_tls, {State.READY}),
    "authenticate": (login, {State.READY}),
    "send": (send, {State.READY}),
    "data": (lambda connection: connection.data(b"x\r\n"), {State.CONTENT}),
    "end_data": (ClientConnection.end_data, {State.CONTENT}),
    "reset": (ClientConnection.reset, {State.READY}),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(("kind", "name"), PLACES)
def test_every_command_in_every_state(kind: str, name: str, call: str) -> None:
    stand, connection, (command, states) = KINDS[kind][name], stand_at(kind, name), CALLS[call]
    offered = call not in ("start_tls", "authenticate")  # neither is by who stands ready here
    if stand.state in states and offered:
        written = command(connection)
        assert written.endswith(b"\r\n")
    else:
        with pytest.raises(RuntimeError):
            command(connection)
        assert connection.state is stand.state


@pytest.mark.parametrize(
    ("kind", "name", "call"),
    [
        (kind, name, call)
        for (kind, name), call in product(PLACES, CALLS)
        if KINDS[kind][name].state in CALLS[call][1] and call not in ("start_tls", "authenticate", "data")
    ],
)
def test_a_reply_ahead_of_its_command_answers_nothing(kind: str, name: str, call: str) -> None:
    connection = stand_at(kind, name)
    connection.receive_data(OK)
    assert CALLS[call][0](connection) == b""
    assert names(events(connection)) == ("Failed",)


@pytest.mark.parametrize(("kind", "name"), PLACES)
def test_quit_is_said_between_transactions_alone(kind: str, name: str) -> None:
    stand, connection = KINDS[kind][name], stand_at(kind, name)
    silent = not stand.waits and stand.state in (State.GREETED, State.READY)
    assert connection.quit() == (b"QUIT\r\n" if silent else b"")
    assert connection.state is (State.QUITTING if silent else State.CLOSED)
