"""The receiving connection: every state with every command, of every kind of service, by what the tables say."""

from __future__ import annotations

import re
from itertools import product

import pytest
from smtp_dialog import Answering

from mailnode.smtp.wire import events as ev
from mailnode.smtp.wire.profile import Profile
from mailnode.smtp.wire.server import ServerConnection
from mailnode.smtp.wire.server_states import (
    COMMAND_STATES,
    CONTENT_STATES,
    DEAF_STATES,
    TRANSITIONS,
    State,
    known_verbs,
)
from mailnode.values.smtp_reply import Reply
from mailnode.values.wire import NEED_DATA

KINDS = {
    "smtp": Profile(auth=True, xclient=True, starttls=True),
    "lmtp": Profile(auth=True, xclient=True, starttls=True, lmtp=True),
    "strangers": Profile(auth=True, starttls=True),
}
ENVELOPE = b"MAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\n"

# What leads to a state, behind the hello.
TURNS = {
    State.READY: (),
    State.MAIL: (b"MAIL FROM:<a@x.test>\r\n",),
    State.RCPT: (ENVELOPE,),
    State.DATA: (ENVELOPE, b"DATA\r\n"),
    State.CHUNK: (ENVELOPE, b"BDAT 100\r\n"),
    State.BDAT: (ENVELOPE, b"BDAT 1\r\nx"),
    State.FAILED: (ENVELOPE, b"BDAT 1\r\n\0"),
    State.AUTH: (b"AUTH LOGIN\r\n",),
    State.TLS: (b"STARTTLS\r\n",),
    State.CLOSED: (b"QUIT\r\n",),
}
ARGUMENTS = {
    "HELO": b" x",
    "EHLO": b" x",
    "LHLO": b" x",
    "MAIL": b" FROM:<a@x.test>",
    "RCPT": b" TO:<b@y.test>",
    "BDAT": b" 1\r\nx",
    "VRFY": b" x",
    "EXPN": b" x",
    "AUTH": b" LOGIN",
    "XCLIENT": b" ADDR=1.2.3.4",
}
# Where a command leads that is answered by more than one event, or never by a positive reply.
LEADS_ON = {"BDAT": State.BDAT}
STAYS = {"EXPN"}

PAIRS = list(product(KINDS, State, TRANSITIONS))


def line(verb: str) -> bytes:
    ends = b"" if verb == "BDAT" else b"\r\n"
    return verb.encode() + ARGUMENTS.get(verb, b"") + ends


def in_state(kind: str, state: State, verb: str) -> Answering:
    """TLS is up, but where it is to begin."""
    begins = state is State.TLS or (verb == "STARTTLS" and state is not State.AUTH)
    session = Answering(ServerConnection(KINDS[kind], secure=not begins))
    session.connection.mechanisms = ("PLAIN", "LOGIN")
    if state is not State.START:
        session.feed(line("LHLO" if kind == "lmtp" else "EHLO"))
        for turn in TURNS[state]:
            session.feed(turn)
    assert session.connection.state is state
    session.written = b""
    session.events.clear()
    return session


def test_every_state_is_tried() -> None:
    assert {*TURNS, State.START} == set(State)
    assert {*COMMAND_STATES, *CONTENT_STATES, *DEAF_STATES, State.AUTH} == set(State)


@pytest.mark.parametrize(("kind", "state", "verb"), PAIRS)
def test_every_command_in_every_state(kind: str, state: State, verb: str) -> None:
    session = in_state(kind, state, verb)
    session.feed(line(verb))
    code, now = session.written[:3], session.connection.state
    if state in COMMAND_STATES:
        assert len(re.findall(rb"^[0-9]{3} ", session.written, re.M)) == 1
    if state in DEAF_STATES:
        assert (code, session.events, session.connection.buffered, now) == (b"", [], 0, state)
    elif state in CONTENT_STATES:
        assert (code, now) == (b"", state)
        assert all(isinstance(event, ev.Content) for event in session.events)
    elif state is State.AUTH:
        assert isinstance(session.events[0], ev.AuthResponse | ev.AuthCancelled)
    elif verb not in known_verbs(KINDS[kind].lmtp, KINDS[kind].xclient):
        assert (code, now) == (b"500", state)
    elif state is State.FAILED and verb == "BDAT":  # what was on its way already
        assert (code, now, type(session.events[-1])) == (b"550", state, ev.Content)
    elif state not in TRANSITIONS[verb]:
        assert (code, now, type(session.events[-1])) == (b"503", state, ev.Refusal)
    elif verb in STAYS:
        assert (code, now) == (b"502", TRANSITIONS[verb][state])
    else:
        assert code[:1] in b"23"
        assert now is LEADS_ON.get(verb, TRANSITIONS[verb][state])
    assert session.connection.next_event() is NEED_DATA


@pytest.mark.parametrize(("kind", "state", "verb"), [pair for pair in PAIRS if pair[1] in COMMAND_STATES])
def test_a_negative_answer_changes_nothing(kind: str, state: State, verb: str) -> None:
    session = in_state(kind, state, verb)
    session.answer = lambda event: session.connection.send(Reply(451, "4.3.0", ("No",)))  # type: ignore[method-assign]
    session.feed(line(verb))
    is_chunk = verb == "BDAT" and state in TRANSITIONS["BDAT"]
    assert session.connection.state is (State.FAILED if is_chunk else state)
