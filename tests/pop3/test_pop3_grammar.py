"""POP3's command table and the sans-I/O connection."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailnode.pop3.wire.connection import Pop3Connection
from mailnode.pop3.wire.content import TopFilter
from mailnode.pop3.wire.grammar import BadCommand, PopCommand, PopSaslResponse, PopState, parse_command
from mailnode.pop3.wire.responses import PopReply, err, ok
from mailnode.values.wire import NEED_DATA, PAUSED

BEFORE, AFTER = PopState.AUTHORIZATION, PopState.TRANSACTION


@pytest.mark.parametrize(
    ("line", "state", "expected"),
    [
        (b"USER alice@example.test", BEFORE, PopCommand("USER", text=b"alice@example.test")),
        (b"user Alice B", BEFORE, PopCommand("USER", text=b"Alice B")),
        (b"PASS  two  spaces ", BEFORE, PopCommand("PASS", text=b" two  spaces ")),
        (b"AUTH", BEFORE, PopCommand("AUTH")),
        (b"AUTH plain", BEFORE, PopCommand("AUTH", text=b"PLAIN")),
        (b"AUTH PLAIN =", BEFORE, PopCommand("AUTH", text=b"PLAIN", initial=b"")),
        (b"AUTH PLAIN AGEAYg==", BEFORE, PopCommand("AUTH", text=b"PLAIN", initial=b"\0a\0b")),
        (b"STLS", BEFORE, PopCommand("STLS")),
        (b"sTaT", AFTER, PopCommand("STAT")),
        (b"LIST", AFTER, PopCommand("LIST")),
        (b"LIST 3", AFTER, PopCommand("LIST", number=3)),
        (b"LIST 3 ", AFTER, PopCommand("LIST", number=3)),
        (b"UIDL 0003", AFTER, PopCommand("UIDL", number=3)),
        (b"TOP 1 0", AFTER, PopCommand("TOP", number=1)),
        (b"TOP 1 9999999999", AFTER, PopCommand("TOP", number=1, lines=9999999999)),
        (b"CAPA", BEFORE, PopCommand("CAPA")),
        (b"CAPA", AFTER, PopCommand("CAPA")),
        (b"LANG *", AFTER, PopCommand("LANG", text=b"*")),
        (b"QUIT", BEFORE, PopCommand("QUIT")),
    ],
)
def test_good_commands(line, state, expected):
    assert parse_command(line, state) == expected


@pytest.mark.parametrize(
    ("line", "state"),
    [
        (b"", BEFORE),
        (b" USER a", BEFORE),
        (b"USER", BEFORE),
        (b"USER ", BEFORE),
        (b"PASS", BEFORE),
        (b"USER a\0b", BEFORE),
        (b"APOP a c4c9334bac560ecc979e58001b3e22fb", BEFORE),
        (b"AUTH PLAIN =A=", BEFORE),
        (b"AUTH PLAIN AGEAYg== x", BEFORE),
        (b"AUTH PLAIN A", BEFORE),
        (b"STLS now", BEFORE),
        (b"STLS", AFTER),
        (b"USER a", AFTER),
        (b"STAT", BEFORE),
        (b"RETR 1", BEFORE),
        (b"NOOP", BEFORE),
        (b"RETR", AFTER),
        (b"RETR 0", AFTER),
        (b"RETR -1", AFTER),
        (b"RETR +1", AFTER),
        (b"RETR 1_0", AFTER),
        (b"RETR 1.0", AFTER),
        (b"RETR \xd9\xa1", AFTER),
        (b"RETR 1 2", AFTER),
        (b"RETR " + b"9" * 11, AFTER),
        (b"RETR " + b"1" * 240, AFTER),
        (b"LIST x", AFTER),
        (b"LIST 0", AFTER),
        (b"TOP 1", AFTER),
        (b"TOP 1 -1", AFTER),
        (b"TOP 1 1 1", AFTER),
        (b"\xff\xfe\0", AFTER),
    ],
)
def test_bad_commands(line, state):
    assert isinstance(parse_command(line, state), BadCommand)


@given(st.binary(max_size=300))
def test_no_line_raises(line):
    for state in PopState:
        assert isinstance(parse_command(line, state), PopCommand | BadCommand)


def test_lock_step():
    connection = Pop3Connection()
    assert connection.next_event() is NEED_DATA
    connection.receive_data(b"CAPA\r\nQUIT\r\n")
    assert connection.next_event() == PopCommand("CAPA")
    assert connection.next_event() is PAUSED
    connection.begin_lines(ok())
    assert connection.next_event() is PAUSED
    connection.end_lines()
    assert connection.next_event() == PopCommand("QUIT")
    connection.answer(ok())
    assert connection.next_event() is NEED_DATA
    assert connection.buffered == 0


def feed(connection, data, piece):
    events = []
    for at in range(0, len(data), piece):
        connection.receive_data(data[at : at + piece])
        while (event := connection.next_event()) not in (NEED_DATA, PAUSED):
            events.append(event)
            connection.answer(ok())
    return events


@pytest.mark.parametrize("piece", [1, 2, 7, 100, 100_000])
def test_line_limit_is_255_octets(piece):
    longest = b"PASS " + b"x" * 248
    data = longest + b"\r\n" + longest + b"x\r\n" + b"USER a\r\n"
    events = feed(Pop3Connection(), data, piece)
    assert events == [PopCommand("PASS", text=b"x" * 248), BadCommand("line too long"), PopCommand("USER", text=b"a")]


@pytest.mark.parametrize("piece", [1000, 100_000])
def test_endless_line_needs_no_memory_and_is_answered_once(piece):
    connection = Pop3Connection()
    largest = 0
    events = []
    for _ in range(1_000_000 // piece):
        events += feed(connection, b"x" * piece, piece)
        largest = max(largest, connection.buffered)
    events += feed(connection, b"\r\nCAPA\r\n", 1)
    assert events == [BadCommand("line too long"), PopCommand("CAPA")]
    assert largest <= 255


def test_bare_cr_and_lf_end_no_line():
    connection = Pop3Connection()
    connection.receive_data(b"QUIT\nQUIT\rQUIT\r")
    assert connection.next_event() is NEED_DATA
    connection.receive_data(b"\n")
    assert isinstance(connection.next_event(), BadCommand)


def test_sasl_lines():
    connection = Pop3Connection()
    connection.receive_data(b"AUTH PLAIN\r\n")
    assert connection.next_event() == PopCommand("AUTH", text=b"PLAIN")
    assert connection.challenge(b"") == b"+ \r\n"
    assert connection.next_event() is NEED_DATA
    connection.receive_data(b"QUIT\r\n*\r\n=\r\n")
    assert connection.next_event() == PopSaslResponse(b"A\x42\x13")  # "QUIT" is good base64 and no command here
    assert connection.challenge(b"ab") == b"+ YWI=\r\n"
    assert connection.next_event() == PopSaslResponse(None)
    connection.challenge(b"")
    assert isinstance(connection.next_event(), BadCommand)
    connection.answer(err("x"))
    connection.receive_data(b"QUIT\r\n")
    assert connection.next_event() == PopCommand("QUIT")


@pytest.mark.parametrize("piece", [1, 1000, 20_000])
def test_sasl_line_limit_is_12288(piece):
    def exchange(length):
        connection = Pop3Connection()
        connection.receive_data(b"AUTH PLAIN\r\n")
        connection.next_event()
        connection.challenge(b"")
        return feed(connection, b"A" * length + b"\r\nCAPA\r\n", piece)

    assert exchange(12284)[0] == PopSaslResponse(b"\0" * (12284 // 4 * 3))
    assert exchange(12288) == [BadCommand("line too long"), PopCommand("CAPA")]


def test_commands_behind_stls_are_refused():
    connection = Pop3Connection()
    connection.receive_data(b"STLS\r\nUSER mallory\r\n")
    assert isinstance(connection.next_event(), BadCommand)


def test_clear_text_before_the_handshake_is_thrown_away():
    connection = Pop3Connection()
    connection.receive_data(b"STLS\r\n")
    assert connection.next_event() == PopCommand("STLS")
    connection.receive_data(b"USER mal")  # between the command and its answer
    assert connection.begin_tls(ok("go")) == b"+OK go\r\n"
    connection.receive_data(b"lory\r\n")
    assert connection.next_event() is PAUSED
    connection.tls_started()
    assert connection.next_event() is NEED_DATA
    connection.receive_data(b"QUIT\r\n")
    assert connection.next_event() == PopCommand("QUIT")


@pytest.mark.parametrize(
    ("reply", "octets"),
    [
        (ok(), b"+OK\r\n"),
        (ok("2 320"), b"+OK 2 320\r\n"),
        (err("no", "SYS/TEMP"), b"-ERR [SYS/TEMP] no\r\n"),
        (err("a\r\n+OK b\0"), b"-ERR a  +OK b \r\n"),
        (PopReply(True, "x" * 600), b"+OK " + b"x" * 506 + b"\r\n"),
    ],
)
def test_replies_are_one_line_of_at_most_512_octets(reply, octets):
    assert bytes(reply) == octets


@pytest.mark.parametrize(
    ("content", "lines", "expected"),
    [
        (b"A: b\r\n\r\none\r\ntwo\r\n", 0, b"A: b\r\n\r\n"),
        (b"A: b\r\n\r\none\r\ntwo\r\n", 1, b"A: b\r\n\r\none\r\n"),
        (b"A: b\r\n\r\none\r\ntwo\r\n", 2, b"A: b\r\n\r\none\r\ntwo\r\n"),
        (b"A: b\r\n\r\none\r\ntwo\r\n", 3, b"A: b\r\n\r\none\r\ntwo\r\n"),
        (b"A: b\r\n\r\none\r\ntwo", 2, b"A: b\r\n\r\none\r\ntwo"),
        (b"A: b\r\n\r\n\r\n\r\nx", 1, b"A: b\r\n\r\n\r\n"),
        (b"\r\none\r\ntwo\r\n", 1, b"\r\none\r\n"),
        (b"A: b\r\n", 5, b"A: b\r\n"),
        (b"", 5, b""),
    ],
)
def test_top(content, lines, expected):
    for size in (1, 2, 3, 5, 100):
        top = TopFilter(lines)
        got = b""
        for at in range(0, len(content), size):
            got += top.take(content[at : at + size])
            if top.done:
                break
        assert got == expected, size
