"""ManageSieve: which octets are commands, and which are none (RFC 5804 1.2 and 4)."""

from itertools import product

import pytest
from managesieve_support import literal

from mailnode.managesieve.wire.connection import MAX_REFUSED, MAX_SCRIPT, MAX_TEXT, ManageSieveConnection
from mailnode.managesieve.wire.grammar import (
    COMMANDS,
    MAX_LINE,
    BadManageCommand,
    ManageCommand,
    ManageSaslResponse,
    ManageState,
    Takes,
    TlsUp,
)
from mailnode.managesieve.wire.responses import bye, no, ok, string
from mailnode.values.wire import NEED_DATA, PAUSED

BEFORE, AFTER = ManageState.BEFORE_LOGIN, ManageState.AFTER_LOGIN
GIVEN = {
    Takes.NAME: b'"main"',
    Takes.SCRIPT: literal(b"keep;"),
    Takes.SIZE: b"17",
    Takes.MECHANISM: b'"PLAIN"',
    Takes.INITIAL: b'"AGEAYg=="',
    Takes.TAG: b'"tag"',
}
every_pair = pytest.mark.parametrize(("verb", "state"), list(product(COMMANDS, ManageState)))


def line(verb):
    return b" ".join([verb, *(GIVEN[takes] for takes in COMMANDS[verb][1])]) + b"\r\n"


def in_state(state):
    connection = ManageSieveConnection()
    connection.enter(state)
    return connection


def events(octets, state=AFTER):
    """Every event of some pieces of input, each answered."""
    connection, found = in_state(state), []
    for piece in octets:
        connection.receive_data(piece)
        while (event := connection.next_event()) is not NEED_DATA:
            found.append(event)
            assert connection.next_event() is PAUSED
            connection.answer(ok())
    return found


def one(data, state=AFTER):
    """The one event of an input, whole, octet by octet and with the beginning of another command behind it."""
    (event,) = events([data], state)
    assert events((bytes((octet,)) for octet in data), state) == [event]
    if data != b"STARTTLS\r\n":
        assert events([data + b"NOO"], state) == [event]
    return event


def reason(data, state=AFTER):
    event = one(data, state)
    assert isinstance(event, BadManageCommand) and not event.lost
    return event.reason


@every_pair
def test_every_command_in_every_state(verb, state):
    event = one(line(verb), state)
    if state in COMMANDS[verb][0]:
        assert isinstance(event, ManageCommand) and event.verb == verb.decode()
    else:
        when = "before" if state is BEFORE else "after"
        assert event == BadManageCommand(f"no {verb.decode()} {when} the login")


@every_pair
def test_every_command_in_the_place_of_a_response(verb, state):
    connection = in_state(state)
    connection.receive_data(b"NOOP\r\n")
    connection.next_event()
    assert connection.challenge(b"") == b'""\r\n'
    connection.receive_data(line(verb) + b"NOOP\r\n")
    assert connection.next_event() == BadManageCommand("a response is one string, in base64")
    connection.answer(ok())
    assert connection.next_event() == ManageCommand("NOOP")


@every_pair
def test_every_command_before_tls_has_come_up_is_forgotten(verb, state):
    connection = in_state(state)
    connection.receive_data(b"NOOP\r\n")
    connection.next_event()
    assert connection.begin_tls(ok()) == b"OK\r\n"
    connection.receive_data(line(verb))
    assert connection.next_event() is PAUSED
    connection.tls_started()
    assert connection.next_event() == TlsUp()
    assert (connection.next_event(), connection.buffered) == (PAUSED, 0)
    connection.answer(ok())
    assert connection.next_event() is NEED_DATA


@pytest.mark.parametrize("verb", COMMANDS)
def test_each_command_lacking_or_having_one_argument_too_many(verb):
    state = BEFORE if AFTER not in COMMANDS[verb][0] else AFTER
    takes = COMMANDS[verb][1]
    assert "takes" in reason(line(verb)[:-2] + b' "more"\r\n', state)
    if takes and takes[-1] not in (Takes.INITIAL, Takes.TAG):
        assert "takes" in reason(b" ".join([verb, *(GIVEN[one] for one in takes[:-1])]) + b"\r\n", state)


def test_implicit_tls_is_no_news():
    connection = ManageSieveConnection()
    connection.tls_started()
    assert connection.next_event() is NEED_DATA


def test_what_arguments_come_to():
    assert one(b'putscript "a\\"b\\\\" {5+}\r\nkeep;\r\n') == ManageCommand("PUTSCRIPT", ('a"b\\',), b"keep;")
    assert one(b'PutScript {1+}\r\na "keep;"\r\n') == ManageCommand("PUTSCRIPT", ("a",), b"keep;")
    assert one(b"PUTSCRIPT {1+}\r\na {0+}\r\n\r\n") == ManageCommand("PUTSCRIPT", ("a",), b"")
    assert one(b'  HAVESPACE  "\xc3\xa4"   4294967295 \r\n') == ManageCommand("HAVESPACE", ("ä",), size=2**32 - 1)
    assert one(b'RENAMESCRIPT "a" {3+}\r\n{1}\r\n') == ManageCommand("RENAMESCRIPT", ("a", "{1}"))
    assert one(b'NOOP ""\r\n') == ManageCommand("NOOP", word=b"")
    assert one(b"NOOP {4+}\r\n\r\n\xff\0\r\n") == ManageCommand("NOOP", word=b"\r\n\xff\0")
    assert one(b'SETACTIVE ""\r\n') == ManageCommand("SETACTIVE", ("",))
    assert one(b'Authenticate "plain"\r\n', BEFORE) == ManageCommand("AUTHENTICATE", word=b"PLAIN")
    assert one(b'AUTHENTICATE "PLAIN" ""\r\n', BEFORE) == ManageCommand("AUTHENTICATE", word=b"PLAIN", initial=b"")
    assert one(b'AUTHENTICATE "PLAIN" {4+}\r\nYWJj\r\n', BEFORE).initial == b"abc"


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b" ", b"HELP", b"GETSCRIPTS", b'"GETSCRIPT" "a"', b"(", b"{"),
        *(b"GETSCRIPT", b"GETSCRIPT a", b'GETSCRIPT"a"', b'GETSCRIPT "a', b'GETSCRIPT "a""b"', b'GETSCRIPT "a\\b"'),
        *(b'GETSCRIPT "a\rb"', b'GETSCRIPT "a\0b"', b'GETSCRIPT "a\nb"', b'GETSCRIPT\t"a"', b'GETSCRIPT "a"\n'),
        *(b'GETSCRIPT "\xff"', b'GETSCRIPT "\xc3"', b'GETSCRIPT "\xed\xa0\x80"', b"GETSCRIPT 5", b"GETSCRIPT {}"),
        *(
            b'HAVESPACE "a" "5"',
            b'HAVESPACE "a" 05',
            b'HAVESPACE "a" -1',
            b'HAVESPACE "a" 4294967296',
            b'HAVESPACE "a" 1.5',
        ),
        *(b'HAVESPACE "a" \xd9\xa3', b'HAVESPACE "a"5', b'HAVESPACE 5 "a"', b'HAVESPACE "a" 99999999999999999999'),
        *(b'PUTSCRIPT "a"', b'CHECKSCRIPT "a" "b"', b'RENAMESCRIPT "a"', b"LISTSCRIPTS x", b"LOGOUT ()"),
    ],
)
def test_what_is_no_command(data):
    assert reason(data + b"\r\n")


@pytest.mark.parametrize("data", [b"*", b"AGEAYg==", b'"AGEAYg=', b'"%"', b'"" ""', b'"a=b="', b"{1+}\r\n="])
def test_what_is_no_response(data):
    connection = ManageSieveConnection()
    connection.challenge(b"x")
    connection.receive_data(data + b"\r\n")
    assert isinstance(connection.next_event(), BadManageCommand)


@pytest.mark.parametrize(
    ("data", "answer"), [(b'"*"', None), (b'""', b""), (b'"YQ=="', b"a"), (b"{4+}\r\nYQ==", b"a"), (b"{1+}\r\n*", None)]
)
def test_responses(data, answer):
    connection = ManageSieveConnection()
    assert connection.challenge(b"x") == b'"eA=="\r\n'
    connection.receive_data(data + b"\r\nCAPABILITY\r\n")
    assert connection.next_event() == ManageSaslResponse(answer)
    connection.answer(ok())
    assert connection.next_event() == ManageCommand("CAPABILITY")


def test_a_quoted_string_has_1024_octets_at_most():
    """A token is longer: AUTHENTICATE may have what fits into a line."""
    name = b"x" * 1024
    assert one(b'GETSCRIPT "' + name + b'"\r\n').names == (name.decode(),)
    assert one(b"GETSCRIPT " + literal(name + b"x") + b"\r\n").names == (name.decode() + "x",)
    assert reason(b'GETSCRIPT "' + name + b'x"\r\n') == "a quoted string has at most 1024 octets"
    assert reason(b'GETSCRIPT "' + b"\\\\" * 513 + b'"\r\n')  # as it is written
    assert one(b'AUTHENTICATE "XOAUTH2" "' + b"QUFB" * 2000 + b'"\r\n', BEFORE).initial == b"AAA" * 2000


def test_octets_of_a_literal_are_never_commands():
    hidden = b'"\r\nDELETESCRIPT "a"\r\n{7+}\r\n'
    assert one(b'PUTSCRIPT "a" ' + literal(hidden) + b"\r\n").script == hidden
    for begins in (b"NONE ", b'PUTSCRIPT "a', b"LISTSCRIPTS ", b"PUTSCRIPT ", b'HAVESPACE "a" '):
        assert reason(begins + literal(hidden) + b"\r\n"), begins
    assert reason(b"PUTSCRIPT " + literal(hidden) + b" " + literal(hidden) + b" " + literal(hidden) + b"\r\n") == (
        "too many strings"
    )


def test_what_comes_before_the_login_is_short():
    assert one(b"NOOP " + literal(b"x" * MAX_TEXT) + b"\r\n", BEFORE).word == b"x" * MAX_TEXT
    refused = BadManageCommand(f"more than {MAX_TEXT} octets", "QUOTA/MAXSIZE")
    many = b"x" * (MAX_TEXT + 1)
    assert events([b"NOOP " + literal(many) + b"\r\nNOOP\r\n"], BEFORE) == [refused, ManageCommand("NOOP")]
    assert events([b'PUTSCRIPT "a" ' + literal(many) + b"\r\n"], BEFORE) == [
        BadManageCommand("no PUTSCRIPT before the login")
    ]


@pytest.mark.parametrize("begins", [b"CHECKSCRIPT ", b'PUTSCRIPT "a" ', b"PUTSCRIPT {1+}\r\na "])
def test_a_script_has_a_megabyte_at_most(begins):
    script = b"#" * MAX_SCRIPT
    assert events([begins + literal(script) + b"\r\n"])[0].script == script
    refused = BadManageCommand(f"more than {MAX_SCRIPT} octets", "QUOTA/MAXSIZE")
    assert events([begins + literal(script + b"#"), b"\r\nNOOP\r\n"]) == [refused, ManageCommand("NOOP")]


def test_a_refused_literal_takes_no_memory():
    connection = in_state(AFTER)
    connection.receive_data(b"CHECKSCRIPT {%d+}\r\n" % (MAX_REFUSED - 100))
    assert connection.next_event() is NEED_DATA
    for _ in range((MAX_REFUSED - 100) // 65536):
        connection.receive_data(b"x" * 65536)
        assert connection.next_event() is NEED_DATA and connection.buffered == 0
        assert connection.begun == 0
    connection.receive_data(b"x" * 65536 + b"\r\n")
    assert isinstance(connection.next_event(), BadManageCommand)


def lost(data, state=AFTER):
    (event,) = events([data], state)[:1]
    assert isinstance(event, BadManageCommand) and event.lost
    return event


def test_where_nobody_knows_what_follows_the_connection_ends():
    assert "plus" in lost(b'PUTSCRIPT "a" {5}\r\n').reason
    assert "plus" in lost(b"NONE {5}\r\n").reason
    assert lost(b"CHECKSCRIPT {%d+}\r\n" % (MAX_REFUSED + 1)).code == "QUOTA/MAXSIZE"
    assert lost(b"CHECKSCRIPT {99999999999999999999+}\r\n").code == "QUOTA/MAXSIZE"
    assert lost(b"CHECKSCRIPT {" + b"9" * 10_000 + b"+}\r\n").code == "QUOTA/MAXSIZE"
    assert lost(b"CHECKSCRIPT {" + b"0" * 30 + b"5+}\r\n").code == "QUOTA/MAXSIZE"
    assert lost(b"N" * MAX_LINE).reason == "line too long"
    assert lost(b"N" * (MAX_LINE - 1) + b"\r\n").reason == "line too long"
    assert reason(b"N" * (MAX_LINE - 2) + b"\r\n") == "unknown command"


def test_a_command_without_end_is_not_read_for_ever():
    connection, octets = in_state(AFTER), 0
    while connection.next_event() is NEED_DATA:
        piece = b'"" {0+}\r\n' * 7000
        connection.receive_data(piece)
        octets += len(piece)
        assert connection.buffered <= len(piece)
    assert octets <= MAX_REFUSED + 2 * len(piece)


def test_a_part_of_a_command_is_one_that_has_begun():
    connection = in_state(AFTER)
    assert connection.begun is None
    connection.receive_data(b"CHECKSCRIPT ")
    assert (connection.next_event(), connection.begun) == (NEED_DATA, 0)
    connection.receive_data(b"{5+}\r\n")
    assert (connection.next_event(), connection.begun) == (NEED_DATA, 0)
    connection.receive_data(b"keep;")
    assert (connection.next_event(), connection.begun) == (NEED_DATA, 0)
    connection.receive_data(b"\r\n")
    assert connection.next_event() == ManageCommand("CHECKSCRIPT", script=b"keep;")
    connection.answer(ok())
    assert connection.begun is None


def test_what_stands_behind_starttls_is_not_taken_for_a_command_under_tls():
    found = events([b"STARTTLS\r\nLOGOUT\r\n"], BEFORE)
    assert found == [BadManageCommand("something stands behind STARTTLS"), ManageCommand("LOGOUT")]


def test_secrets_do_not_show():
    assert "abc" not in repr(one(b'AUTHENTICATE "PLAIN" "YWJj"\r\n', BEFORE))
    assert "abc" not in repr(ManageSaslResponse(b"abc"))


@pytest.mark.parametrize(
    ("reply", "octets"),
    [
        (ok(), b"OK\r\n"),
        (ok("done"), b'OK "done"\r\n'),
        (no("there is none", "NONEXISTENT"), b'NO (NONEXISTENT) "there is none"\r\n'),
        (no('a "b" \\'), b'NO "a \\"b\\" \\\\"\r\n'),
        (no("line 1\r\nline 2"), b"NO {14}\r\nline 1\r\nline 2\r\n"),
        (no("nothing\0here"), b'NO "nothing here"\r\n'),
        (bye("ä", "TRYLATER"), b'BYE (TRYLATER) "\xc3\xa4"\r\n'),
        (ok("done", "TAG", b"x"), b'OK (TAG "x") "done"\r\n'),
        (ok("done", "TAG", b""), b'OK (TAG "") "done"\r\n'),
        (ok("done", "TAG", b"\xff"), b'OK (TAG {1}\r\n\xff) "done"\r\n'),
    ],
)
def test_replies(reply, octets):
    assert bytes(reply) == octets


def test_strings_are_quoted_where_they_can_be():
    assert string(b"a" * 1024) == b'"' + b"a" * 1024 + b'"'
    assert string(b"a" * 1025) == b"{1025}\r\n" + b"a" * 1025
    assert string(b"\\" * 513) == b"{513}\r\n" + b"\\" * 513
    assert string(b"a\nb") == b"{3}\r\na\nb"
