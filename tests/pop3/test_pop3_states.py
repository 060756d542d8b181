"""POP3: every command in every state and in the midst of everything else, by what the table of commands says."""

from itertools import product

import pytest
from pop3_fakes import Wire

from mailnode.pop3.wire.connection import Pop3Connection
from mailnode.pop3.wire.grammar import COMMANDS, Arguments, BadCommand, PopCommand, PopSaslResponse, PopState
from mailnode.pop3.wire.responses import ok
from mailnode.values.wire import NEED_DATA, PAUSED

GIVEN = {
    Arguments.NONE: b"",
    Arguments.REMAINDER: b" alice",
    Arguments.WORD: b" *",
    Arguments.AUTH: b" PLAIN",
    Arguments.NUMBER: b" 1",
    Arguments.MAYBE_NUMBER: b" 1",
    Arguments.NUMBER_LINES: b" 1 1",
}
every_pair = pytest.mark.parametrize(("verb", "state"), list(product(COMMANDS, PopState)))


def line(verb):
    return verb + GIVEN[COMMANDS[verb][1]] + b"\r\n"


def in_state(state):
    connection = Pop3Connection()
    if state is PopState.TRANSACTION:
        connection.authenticated()
    return connection


@every_pair
def test_every_command_in_every_state(verb, state):
    connection = in_state(state)
    connection.receive_data(line(verb))
    event = connection.next_event()
    if state in COMMANDS[verb][0]:
        assert isinstance(event, PopCommand) and event.verb == verb.decode()
    else:
        assert event == BadCommand("not in this state")
    assert connection.next_event() is PAUSED
    connection.answer(ok())
    assert connection.next_event() is NEED_DATA


@every_pair
def test_every_command_while_another_is_answered(verb, state):
    connection = in_state(state)
    connection.receive_data(b"CAPA\r\n")
    connection.next_event()
    connection.receive_data(line(verb))
    assert connection.next_event() is PAUSED
    connection.begin_lines(ok())
    assert connection.next_event() is PAUSED
    connection.end_lines()
    assert connection.next_event() is not PAUSED


@every_pair
def test_every_command_in_the_place_of_a_response(verb, state):
    connection = in_state(state)
    connection.receive_data(b"CAPA\r\n")
    connection.next_event()
    connection.challenge(b"")
    connection.receive_data(line(verb))
    assert isinstance(connection.next_event(), PopSaslResponse | BadCommand)


@every_pair
def test_every_command_before_tls_has_come_up_is_forgotten(verb, state):
    connection = in_state(state)
    connection.receive_data(b"CAPA\r\n")
    connection.next_event()
    connection.begin_tls(ok())
    connection.receive_data(line(verb))
    assert connection.next_event() is PAUSED
    connection.tls_started()
    assert (connection.next_event(), connection.buffered) == (NEED_DATA, 0)


@every_pair
def test_a_session_answers_every_command_once(verb, state):
    wire = Wire([b"a: b\r\n\r\nc\r\n"], tls="starttls")
    if state is PopState.TRANSACTION:
        wire.login()
    else:
        wire.take()
    said = wire.send(line(verb))
    assert said.count(b"+OK") + said.count(b"-ERR") + (said == b"+ \r\n") == 1
    if state not in COMMANDS[verb][0]:
        assert said.startswith(b"-ERR")
