"""The connection: how commands are put together from octets (LITERAL+: RFC 7888), what it refuses by itself, in which order."""

import gc
import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imap_dialogs import Answering, connect, outcome

from mailnode.imap.commands.append import AppendStart
from mailnode.imap.commands.authenticate import Authenticate
from mailnode.imap.commands.capability import Capability
from mailnode.imap.commands.fetch import Fetch
from mailnode.imap.commands.id import Id
from mailnode.imap.commands.idle import Idle
from mailnode.imap.commands.login import Login
from mailnode.imap.commands.logout import Logout
from mailnode.imap.commands.noop import Noop
from mailnode.imap.commands.select import Examine, Select
from mailnode.imap.commands.starttls import StartTls
from mailnode.imap.commands.table import TABLE
from mailnode.imap.wire.command import (
    AppendAborted,
    AppendChunk,
    AppendEnd,
    AppendMore,
    Command,
    ConnectionReply,
    IdleDone,
    ImapState,
    SaslResponse,
    Together,
)
from mailnode.imap.wire.connection import CHUNK, TOGETHER, ImapConnection
from mailnode.imap.wire.lexer import Flags, InternalDate
from mailnode.imap.wire.limits import ImapLimits
from mailnode.imap.wire.states import TRANSITIONS, Mode
from mailnode.imap.wire.uploads import Begin, Octets, Passage
from mailnode.values.flags import SEEN
from mailnode.values.wire import NEED_DATA, PAUSED

BEFORE = ImapState.NOT_AUTHENTICATED
ASK = b"+ OK\r\n"


def refusals(seen):
    return [event for event in seen if isinstance(event, bytes) and event != ASK]


# --- tags and lines


# IMAP trap 5: tags as they came
@pytest.mark.parametrize("tag", [b"a1", b"A.B-c", b"0", b"]", b"!#$&',./:;<=>?@[^_`|}~x", b"x" * 2000])
def test_the_tag_comes_back_exactly(tag):
    assert outcome(tag + b" NOOP\r\n") == [Noop(tag)]
    assert outcome(tag + b" NONSENSE\r\n") == [tag + b" BAD Unknown command\r\n"]


# IMAP trap 5: a plus sign in a tag
@pytest.mark.parametrize(
    "line",
    [b"a+b NOOP", b"+ NOOP", b" NOOP", b"a(b NOOP", b"\x00 NOOP", b"\xe4 NOOP", b"a\nNOOP", b"* NOOP", b'"a" NOOP'],
)
def test_what_is_no_tag_is_answered_untagged(line):
    assert outcome(line + b"\r\n") == [b"* BAD Invalid tag\r\n"]


# IMAP trap 5: empty lines
def test_empty_lines_are_passed_over():
    assert outcome(b"\r\n\r\na NOOP\r\n\r\nb NOOP\r\n") == [Noop(b"a"), Noop(b"b")]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"a", b"No command"),
        (b"a ", b"No command"),
        (b"a  NOOP", b"No command"),
        (b"a FROB x y", b"Unknown command"),
        (b"a UID", b"Unknown command"),
        (b"a UID NOOP", b"Unknown command"),
        (b"a UID  FETCH 1 FLAGS", b"Unknown command"),
        (b"a NOOP\x00", b"Unknown command"),
        (b"a NO\xd6P", b"Unknown command"),
        (b"a NOOP ", b"Unexpected text at the end of the command"),
        (b"a NOOP x", b"Unexpected text at the end of the command"),
        (b"a SELECT", b"Missing arguments or misplaced characters"),
        (b"a SELECT ", b"Expected an atom or a string"),
        (b"a SELECT  INBOX", b"Expected an atom or a string"),
        (b"a APPEND INBOX", b"Missing arguments or misplaced characters"),
    ],
)
def test_bad_commands_are_answered_with_their_tag(line, text):
    assert outcome(line + b"\r\n") == [b"a BAD " + text + b"\r\n"]


def test_commands_in_any_case():
    assert outcome(b"a nOoP\r\nb uid FETCH 1 uid\r\n")[0] == Noop(b"a")


@pytest.mark.parametrize("octets", [b"a NOOP\n", b"a NOOP\r", b"a NOOP\n\n", b"a NOOP\rb NOOP\n"])
def test_only_crlf_ends_a_line(octets):
    assert outcome(octets, trailing=False) == []


def test_bare_line_ends_inside_a_line_are_refused():
    assert outcome(b"a SELECT a\nb\r\n") == [b"a BAD Unexpected text at the end of the command\r\n"]
    assert outcome(b'a SELECT "a\rb"\r\n') == [b"a BAD Expected a string\r\n"]


# --- states


@pytest.mark.parametrize(("name", "state"), list(itertools.product(TABLE, ImapState)))
def test_every_command_in_every_state(name, state):
    """A command out of its state is BAD before its arguments are looked at; in it, the arguments decide."""
    if state is ImapState.LOGOUT:
        side = Answering(connect(BEFORE))
        side.connection.ended()
        side.feed(b"a " + name + b"\r\n")
        assert side.seen == []
        return
    seen = outcome(b"a " + name + b" \x01\r\n", state=state)
    if name == b"STARTTLS" and state is BEFORE:
        assert seen == [b"a BAD TLS is up already\r\n"]
        return
    allowed = state in TABLE[name].states
    assert len(seen) == 1
    assert seen[0].startswith(b"a BAD ")
    assert (seen[0] == b"a BAD Command is not allowed now\r\n") == (not allowed)


@pytest.mark.parametrize(
    ("state", "told"), list(itertools.product(ImapState, ["authenticated", "selected", "unselected", "ended"]))
)
def test_every_transition(state, told):
    connection = connect(state if state is not ImapState.LOGOUT else BEFORE)
    if state is ImapState.LOGOUT:
        connection.ended()
    if (state, told) in TRANSITIONS:
        getattr(connection, told)()
        assert connection.state is TRANSITIONS[state, told]
    else:
        with pytest.raises(RuntimeError):
            getattr(connection, told)()


# IMAP trap 6: LOGINDISABLED
def test_login_is_not_asked_for_without_tls():
    refusal = b"a NO [PRIVACYREQUIRED] Log in under TLS only\r\n"
    assert outcome(b"a LOGIN alice secret\r\n", state=BEFORE, secure=False) == [refusal]
    assert outcome(b"a AUTHENTICATE PLAIN\r\n", state=BEFORE, secure=False) == [refusal]
    # The literal is not invited, and one that comes uninvited is never taken for a command.
    assert outcome(b"a LOGIN {5}\r\n", state=BEFORE, secure=False) == [refusal]
    assert outcome(b"a LOGIN {10+}\r\nx CAPABI\r\n {3+}\r\nabc\r\n", state=BEFORE, secure=False) == [refusal]
    assert connect(BEFORE, secure=False).login_disabled
    assert not connect(BEFORE, secure=True).login_disabled


def test_plain_text_logins_where_they_are_allowed():
    side = Answering(ImapConnection(TABLE, plaintext_login=True))
    side.feed(b"a LOGIN alice secret\r\n")
    assert side.seen == [Login(b"a", b"alice", b"secret")]


def test_secrets_do_not_show_in_reprs():
    assert "secret" not in repr(Login(b"a", b"alice", b"secret"))
    assert "secret" not in repr(Authenticate(b"a", "PLAIN", b"secret"))


# --- literals


# IMAP trap 2: in every place, several to a command, empty ones
@pytest.mark.parametrize("sign", [b"", b"+"])
def test_literals_wherever_an_astring_stands(sign):
    asked = [ASK] if not sign else []
    assert outcome(b"a LOGIN {5%b}\r\nalice {6%b}\r\nsecret\r\n" % (sign, sign), state=BEFORE) == [
        *asked,
        *asked,
        Login(b"a", b"alice", b"secret"),
    ]
    assert outcome(b"a SELECT {5%b}\r\ninBox\r\n" % sign) == [*asked, Select(b"a", "INBOX")]


def test_a_literal_may_hold_anything_but_nul():
    text = b'x\r\n{3+}\r\n" \\ \xff'
    seen = outcome(b"a LOGIN {%d+}\r\n%b {0+}\r\n\r\n" % (len(text), text), state=BEFORE)
    assert seen == [Login(b"a", text, b"")]
    assert outcome(b"a LOGIN {1+}\r\n\x00 x\r\n", state=BEFORE) == [b"a BAD Literal contains NUL\r\n"]


# IMAP trap 2: of a command that is refused
def test_the_octets_of_a_refused_literal_are_no_commands():
    inside = b"x1 LOGOUT\r\nx2 LOGOUT\r\n"
    announced = b"{%d+}\r\n" % len(inside) + inside
    for start in (b"a FROB ", b"a SELECT x y ", b"a NOOP ", b"a+ ", b"a LOGIN ", b"a SELECT ~"):
        (answer,) = outcome(start + announced + b" tail\r\n")
        assert b" BAD " in answer
    (answer,) = outcome(b"a FROB " + announced + announced + b"\r\n")
    assert answer == b"a BAD Unknown command\r\n"


def test_a_refused_synchronising_literal_is_not_asked_for():
    assert outcome(b"a FROB {5}\r\n") == [b"a BAD Unknown command\r\n"]
    assert outcome(b"a FROB {5+}\r\nhello {5}\r\n") == [b"a BAD Unknown command\r\n"]
    assert outcome(b"a SELECT ~{5}\r\n") == [b"a BAD Binary literals are not allowed here\r\n"]


# IMAP trap 2: over the limit: no octet of it is a command
@pytest.mark.parametrize(("state", "limit"), [(BEFORE, 8192), (ImapState.AUTHENTICATED, 65536)])
def test_literals_over_the_limit_are_thrown_away(state, limit):
    command = b"LOGIN" if state is BEFORE else b"SELECT"
    refusal = b"a BAD [TOOBIG] Literal too long\r\n"
    assert outcome(b"a %b {%d}\r\n" % (command, limit + 1), state=state) == [refusal]
    octets = b"a %b {%d+}\r\n%b\r\n" % (command, limit + 1, b"NOOP\r\n" * (limit // 6 + 1))
    octets = octets[: octets.index(b"\r\n") + 2] + (b"NOOP\r\n" * limit)[: limit + 1] + b"\r\n"
    assert outcome(octets, state=state) == [refusal]


def test_literals_of_one_command_count_together():
    octets = b"a LOGIN {5000+}\r\n" + b"x" * 5000 + b" {5000}\r\n"
    assert outcome(octets, state=BEFORE) == [b"a BAD [TOOBIG] Literal too long\r\n"]


# IMAP trap 2: numbers beyond any
@pytest.mark.parametrize("size", [b"4294967296", b"99999999999", b"1" * 40, b"0" * 5000 + b"5"])
def test_literals_beyond_any_number(size):
    refusal = b"a BAD [TOOBIG] Literal too long\r\n"
    assert outcome(b"a SELECT {%b}\r\n" % size) == [refusal]
    assert outcome(b"a SELECT {%b+}\r\n" % size) == [b"* BYE [TOOBIG] Literal too long\r\n"]
    assert outcome(b"a FROB {3+}\r\nabc{%b+}\r\n" % size) == [b"* BYE [TOOBIG] Literal too long\r\n"]


def test_a_huge_literal_before_login_ends_the_connection_and_is_not_kept():
    side = Answering(connect(BEFORE))
    side.feed(b"a LOGIN {4000000000+}\r\n" + b"x" * 100_000)
    assert side.seen == [b"* BYE [TOOBIG] Literal too long\r\n"]
    assert side.closed
    assert side.connection.buffered == 0


@pytest.mark.parametrize(
    "size", [b"+5", b"-5", b"1_0", b"5++", b" 5", b"", b"0x5", "\N{ARABIC-INDIC DIGIT FIVE}".encode()]
)
def test_what_is_no_literal_size(size):
    (answer,) = outcome(b"a SELECT {%b}\r\n" % size)
    assert answer.startswith(b"a BAD ")


# --- limits of lines


# IMAP trap 4: lines of 64 KiB
@pytest.mark.parametrize("size", [9_000, 60_000])
def test_long_lines_are_accepted_after_login(size):
    names = b" ".join(b"X-%06d" % n for n in range(size // 9))
    (fetch,) = outcome(b"a FETCH 1 BODY[HEADER.FIELDS (" + names + b")]\r\n")
    assert len(fetch.items[0].section.fields) == size // 9


# IMAP trap 4: lines without an end
@pytest.mark.parametrize(("state", "limit"), [(BEFORE, 8192), (ImapState.AUTHENTICATED, 65536)])
def test_an_endless_line_is_not_gathered(state, limit):
    side = Answering(connect(state))
    side.feed(b"tag1 LOGIN ")
    for _ in range(200):
        side.feed(b"x" * 10_000)
        assert side.connection.buffered <= limit + 10_000
    assert side.seen == []
    side.feed(b"\r\nb NOOP\r\n")
    assert side.seen == [b"tag1 BAD Line too long\r\n", Noop(b"b")]


def id_fields(octet, value):
    """30 pairs of names of 30 octets and values of 1,024 (RFC 2971 3.3). :param value: how a value stands on the wire."""
    return tuple((b"%02d" % n + octet * 28, octet * 1024) for n in range(30)), b" ".join(
        b'"%02d%b" %b' % (n, octet.replace(b'"', b'\\"') * 28, value) for n in range(30)
    )


@pytest.mark.parametrize("state", [BEFORE, ImapState.AUTHENTICATED])
@pytest.mark.parametrize(
    ("octet", "value"),
    [(b"x", b'"%b"' % (b"x" * 1024)), (b'"', b'"%b"' % (b'\\"' * 1024)), (b"x", b"{1024+}\r\n" + b"x" * 1024)],
)
def test_an_id_as_long_as_can_be(state, octet, value):
    fields, wire = id_fields(octet, value)
    assert outcome(b"tag iD (" + wire + b")\r\nb NOOP\r\n", state=state) == [Id(b"tag", fields), Noop(b"b")]


# IMAP trap 4: before login
def test_an_endless_id_before_login_is_not_gathered():
    side = Answering(connect(BEFORE))
    side.feed(b"tag ID (")
    for _ in range(200):
        side.feed(b'"x" "' + b"y" * 10_000 + b'" ')
        assert side.connection.buffered <= 65536 + 11_000
    side.feed(b")\r\nb NOOP\r\n")
    assert side.seen == [b"tag BAD Line too long\r\n", Noop(b"b")]
    side.feed(b'c ID ("a" {65537}\r\n')
    assert side.seen[2:] == [b"c BAD [TOOBIG] Literal too long\r\n"]


def test_a_line_too_long_keeps_its_literal_out_of_the_commands():
    line = b"a LOGIN " + b"x" * 9000 + b"{10+}\r\nb LOGOUT\r\n"
    assert outcome(line + b"\r\n", state=BEFORE) == [b"a BAD Line too long\r\n"]


def test_a_long_line_without_a_tag():
    assert outcome(b"x" * 9000 + b"\r\n", state=BEFORE) == [b"* BAD Line too long\r\n"]


def test_the_lines_of_one_command_count_together():
    octets = b"a LOGIN {1+}\r\nx" + b" {1+}\r\nx" * 2000 + b"\r\n"
    assert outcome(octets, state=BEFORE) == [b"a BAD Line too long\r\n"]


# IMAP trap 5: mistakes without end
def test_too_many_bad_commands_end_the_connection():
    limits = ImapLimits(bad_commands=3)
    octets = b"a X\r\nb X\r\nc X\r\nd NOOP\r\n"
    assert outcome(octets, limits=limits) == [
        b"a BAD Unknown command\r\n",
        b"b BAD Unknown command\r\n",
        b"c BAD Unknown command\r\n* BYE Too many errors\r\n",
    ]
    # A good command starts the count anew, but only for somebody who has logged in.
    between = b"a X\r\nb X\r\nc NOOP\r\nd X\r\n"
    assert refusals(outcome(between, limits=limits))[-1] == b"d BAD Unknown command\r\n"
    assert outcome(between, limits=limits, state=BEFORE)[-1].endswith(b"* BYE Too many errors\r\n")


# --- order and pipelining


def test_nothing_comes_before_the_answer():
    connection = connect(ImapState.AUTHENTICATED)
    connection.receive_data(b"a SELECT INBOX\r\nb FETCH 1 UID\r\nc FROB\r\n")
    assert connection.next_event() == Select(b"a", "INBOX")
    assert connection.next_event() is PAUSED
    assert connection.next_event() is PAUSED
    connection.selected()
    connection.completed()
    assert isinstance(connection.next_event(), Fetch)
    assert connection.next_event() is PAUSED
    connection.completed()
    assert connection.next_event() == ConnectionReply(b"c BAD Unknown command\r\n")
    assert connection.next_event() is NEED_DATA


# IMAP trap 8: a whole session in one segment
def test_pipelined_from_login_to_logout():
    seen = outcome(
        b"a LOGIN alice secret\r\nb SELECT INBOX\r\nc EXAMINE Sent\r\nd FETCH 1:* UID\r\ne IDLE\r\nDONE\r\nf LOGOUT\r\ng NOOP\r\n",
        state=BEFORE,
    )
    assert [type(e) for e in seen] == [Login, Select, Examine, Fetch, Idle, IdleDone, Logout]


def test_a_select_that_failed_refuses_the_fetch_behind_it():
    connection = connect(ImapState.AUTHENTICATED)
    connection.receive_data(b"a SELECT Nowhere\r\nb FETCH 1 UID\r\n")
    connection.next_event()
    connection.unselected()
    connection.completed()
    assert connection.next_event() == ConnectionReply(b"b BAD Command is not allowed now\r\n")


# What brings a connection into each mode, from which state.
BEGIN = {
    Mode.COMMAND: (ImapState.SELECTED, b""),
    Mode.LITERAL: (ImapState.SELECTED, b"z SELECT {10+}\r\n"),
    Mode.SKIP: (ImapState.SELECTED, b"z FROB {10+}\r\n"),
    Mode.SASL: (BEFORE, b"z AUTHENTICATE PLAIN\r\n"),
    Mode.IDLE: (ImapState.SELECTED, b"z IDLE\r\n"),
    Mode.MESSAGE: (ImapState.SELECTED, b"z APPEND x {10+}\r\n"),
    Mode.MESSAGE_END: (ImapState.SELECTED, b"z APPEND x {0+}\r\n"),
    Mode.CLOSED: (ImapState.SELECTED, b"z LOGOUT\r\n"),
}


def in_mode(mode):
    state, octets = BEGIN[mode]
    side = Answering(connect(state))
    side.feed(octets)
    assert side.connection._mode is mode
    return side


VERBS = ["completed", "continue_sasl", "idling", "accept_append"]


@pytest.mark.parametrize(("mode", "verb"), list(itertools.product([m for m in BEGIN if m is not Mode.CLOSED], VERBS)))
def test_an_answer_nobody_waits_for_is_a_programming_error(mode, verb):
    with pytest.raises(RuntimeError):
        getattr(in_mode(mode).connection, verb)()


@pytest.mark.parametrize(("mode", "name"), list(itertools.product(BEGIN, TABLE)))
def test_every_command_in_every_mode(mode, name):
    """Only where a command may begin is it taken for one; elsewhere nothing is answered under its tag."""
    side = in_mode(mode)
    side.seen.clear()
    side.feed(b"yy " + name + b"\r\n")
    tags = {event[:2] if isinstance(event, bytes) else getattr(event, "tag", b"") for event in side.seen}
    assert (b"yy" in tags) == (mode is Mode.COMMAND), side.seen


@pytest.mark.parametrize("name", TABLE)
def test_every_command_behind_one_that_is_not_answered_waits(name):
    connection = connect(ImapState.SELECTED)
    connection.receive_data(b"z IDLE\r\n")
    assert connection.next_event() == Idle(b"z")
    connection.receive_data(b"yy " + name + b"\r\n")
    assert connection.next_event() is PAUSED


@pytest.mark.parametrize("verb", VERBS)
def test_an_ended_connection_stays_ended(verb):
    connection = connect(ImapState.AUTHENTICATED)
    connection.receive_data(b"a APPEND x {4+}\r\n")
    connection.next_event()
    connection.ended()
    getattr(connection, verb)()
    connection.receive_data(b"b NOOP\r\n")
    assert connection.next_event() is NEED_DATA
    assert connection.buffered == 0


# --- STARTTLS


# IMAP trap 6: what stood behind STARTTLS
def test_plain_text_behind_starttls_is_thrown_away():
    connection = connect(BEFORE, secure=False)
    connection.receive_data(b"a STARTTLS\r\nb CAPABILITY\r\nc LOGIN ali")
    assert connection.next_event() == StartTls(b"a")
    assert connection.next_event() is PAUSED
    connection.receive_data(b"ce secret\r\nd NOOP\r\n")
    connection.tls_started()
    assert connection.next_event() is NEED_DATA
    connection.receive_data(b"e CAPABILITY\r\n")
    assert connection.next_event() == Capability(b"e")


def test_starttls_refused_goes_on_in_plain_text():
    connection = connect(BEFORE, secure=False)
    connection.receive_data(b"a STARTTLS\r\nb NOOP\r\n")
    connection.next_event()
    connection.completed()
    assert connection.next_event() == Noop(b"b")


# --- AUTHENTICATE


# IMAP trap 6: cancelled, broken
@pytest.mark.parametrize(
    ("line", "event"),
    [
        (b"AGFsaWNlAHNlY3JldA==", SaslResponse(b"\0alice\0secret")),
        (b"", SaslResponse(b"")),
        (b"=", SaslResponse(b"")),
        (b"*", SaslResponse(None)),
        (b"AGFs aWNl", SaslResponse(None)),
        (b"AGFsaWN", SaslResponse(None)),
        (b"AGFsaWNl=", SaslResponse(None)),
        (b"AGFs\xffWNl", SaslResponse(None)),
        (b"A" * 12288, SaslResponse(b"\0" * 9216)),
        (b"A" * 12292, SaslResponse(None)),
        (b"A" * 100_000, SaslResponse(None)),
    ],
)
def test_authenticate_reads_lines_of_base64(line, event):
    assert outcome(b"a AUTHENTICATE plain\r\n" + line + b"\r\n", state=BEFORE) == [Authenticate(b"a", "PLAIN"), event]


# IMAP trap 6: an empty initial response
@pytest.mark.parametrize(
    ("line", "event"),
    [
        (b"a AUTHENTICATE PLAIN AGEAYg==", Authenticate(b"a", "PLAIN", b"\0a\0b")),
        (b"a AUTHENTICATE PLAIN =", Authenticate(b"a", "PLAIN", b"")),
        (b"a AUTHENTICATE SCRAM-SHA-256-PLUS =", Authenticate(b"a", "SCRAM-SHA-256-PLUS", b"")),
        (b"a AUTHENTICATE PLAIN ", b"a BAD Initial response is not base64\r\n"),
        (b"a AUTHENTICATE PLAIN A", b"a BAD Initial response is not base64\r\n"),
        (b"a AUTHENTICATE PLAIN AAAA AAAA", b"a BAD Initial response is not base64\r\n"),
        (b"a AUTHENTICATE PLAIN ==", b"a BAD Unexpected text at the end of the command\r\n"),
        (b"a AUTHENTICATE", b"a BAD Missing arguments or misplaced characters\r\n"),
    ],
)
def test_initial_responses(line, event):
    assert outcome(line + b"\r\n", state=BEFORE) == [event]


# --- IDLE


# IMAP trap 44: DONE in any case
@pytest.mark.parametrize("word", [b"DONE", b"done", b"dOnE"])
def test_done_ends_idle(word):
    assert outcome(b"a IDLE\r\n" + word + b"\r\n") == [Idle(b"a"), IdleDone()]


@pytest.mark.parametrize("line", [b"", b"DONE ", b" DONE", b"b NOOP", b"b SELECT x", b"DON\xcb", b"x" * 100_000])
def test_only_done_ends_idle(line):
    refusal = b"* BAD Only DONE ends IDLE\r\n"
    assert outcome(b"a IDLE\r\n" + line + b"\r\nDONE\r\n") == [Idle(b"a"), refusal, IdleDone()]


def test_a_command_with_a_literal_during_idle():
    refusal = b"* BAD Only DONE ends IDLE\r\n"
    inside = b"a IDLE\r\nb SELECT {6+}\r\nDONE\r\n\r\nDONE\r\n"
    assert outcome(inside) == [Idle(b"a"), refusal, IdleDone()]


# --- APPEND


@pytest.mark.parametrize("sign", [b"", b"+"])
def test_append_streams_its_message(sign):
    message = b"Subject: x\r\n\r\nb LOGOUT\r\n"
    seen = outcome(
        b'a APPEND "Sent" (\\Seen $Sent) " 1-Feb-2024 03:04:05 +0100" {%d%b}\r\n%b\r\n' % (len(message), sign, message)
    )
    begin = Begin(Flags(SEEN, ("$Sent",)), InternalDate(1706753045 * 1_000_000, 60))
    start = AppendStart(b"a", Passage((begin, Octets(len(message)))), "Sent")
    asked = [ASK] if not sign else []
    assert seen == [start, *asked, AppendChunk(message), AppendEnd()]


def start_of(mailbox, size):
    return AppendStart(b"a", Passage((Begin(Flags()), Octets(size))), mailbox)


@pytest.mark.parametrize("sign", [b"", b"+"])
def test_append_to_a_mailbox_named_by_a_literal(sign):
    asked = [ASK] if not sign else []
    seen = outcome(b"a APPEND {4%b}\r\nSent {3%b}\r\nabc\r\n" % (sign, sign))
    assert seen == [*asked, start_of("Sent", 3), *asked, AppendChunk(b"abc"), AppendEnd()]


def test_an_empty_message():
    assert outcome(b"a APPEND Sent {0+}\r\n\r\n") == [start_of("Sent", 0), AppendEnd()]


def test_a_large_message_is_never_gathered():
    side = Answering(connect(ImapState.AUTHENTICATED))
    size = 5_000_000
    side.feed(b"a APPEND Sent {%d+}\r\n" % size)
    connection = side.connection
    total = 0
    while total < size:
        piece = b"0123456789abcde\n" * 4096
        connection.receive_data(piece[: size - total])
        total += min(len(piece), size - total)
        while (event := connection.next_event()) is not NEED_DATA:
            assert isinstance(event, AppendChunk)
            assert len(event.data) <= CHUNK
        assert connection.buffered == 0
    side.feed(b"\r\n")
    assert side.seen[-1] == AppendEnd()


@given(st.binary(max_size=30), st.lists(st.integers(1, 4), max_size=30))
def test_a_message_arrives_as_it_was_however_it_is_cut(sent, cuts):
    side = Answering(connect(ImapState.AUTHENTICATED))
    side.feed(b"a APPEND Sent {%d+}\r\n" % len(sent))
    at = 0
    for cut in [*cuts, len(sent)]:
        side.feed(sent[at : at + cut])
        at += cut
    side.feed(b"\r\n")
    assert b"".join(event.data for event in side.seen if isinstance(event, AppendChunk)) == sent
    assert side.seen[-1] == AppendEnd()


# IMAP trap 3: nobody sends what nobody takes
def test_a_refused_append_is_answered_before_its_message():
    start = start_of("Nowhere", 10)
    assert outcome(b"a APPEND Nowhere {10}\r\n", refuse_append=True) == [start]
    assert outcome(b"a APPEND Nowhere {10+}\r\nb LOGOUT\r\n\r\n", refuse_append=True) == [start]


@pytest.mark.parametrize("sign", [b"", b"+"])
def test_several_messages_in_one_append(sign):
    asked = [ASK] if not sign else []
    seen = outcome(
        b'a APPEND Sent (\\Seen) {3%b}\r\nabc " 1-Feb-2024 03:04:05 +0100" {2%b}\r\nde {1%b}\r\nf\r\n'
        % (sign, sign, sign)
    )
    date = InternalDate(1706753045 * 1_000_000, 60)
    assert seen == [
        AppendStart(b"a", Passage((Begin(Flags(SEEN)), Octets(3))), "Sent"),
        *asked,
        AppendChunk(b"abc"),
        AppendMore(Passage((Begin(Flags(), date), Octets(2)))),
        *asked,
        AppendChunk(b"de"),
        AppendMore(start_of("Sent", 1).passage),
        *asked,
        AppendChunk(b"f"),
        AppendEnd(),
    ]


@pytest.mark.parametrize("behind", [b"", b" {3+}\r\nb NOOP\r\n\r\n", b" x\r\n", b" {5}\r\n"])
def test_what_follows_a_refused_message_is_thrown_away(behind):
    """The rest of the command is on its way only as far as nobody waits for the server's word."""
    side = Answering(connect(ImapState.AUTHENTICATED))
    side.feed(b"a APPEND Sent {3+}\r\nabc")
    side._refuse_append = True
    side.feed(b" {7+}\r\nb NOOP\r" + (behind or b"\r\n") + b"c NOOP\r\n")
    assert side.seen == [start_of("Sent", 3), AppendChunk(b"abc"), AppendMore(start_of("Sent", 7).passage), Noop(b"c")]


def test_a_line_behind_a_message_that_has_no_end():
    seen = outcome(b"a APPEND Sent {3+}\r\nabc (" + b"x" * 70_000 + b" {9+}\r\nb NOOP\r\nxyz\r\n")
    assert seen[1:] == [AppendChunk(b"abc"), AppendAborted("Line too long")]
    side = Answering(connect(ImapState.AUTHENTICATED))
    side.feed(b"a APPEND Sent {3+}\r\nabc {99999999999+}\r\n")
    assert side.closed and b"BYE [TOOBIG]" in side.seen[-1]


# IMAP trap 3: too large, waited for or not
def test_an_append_over_the_size_limit():
    limits = ImapLimits(message=1000)
    refusal = b"a NO [TOOBIG] Message too large\r\n"
    assert outcome(b"a APPEND Sent {1001}\r\n", limits=limits) == [refusal]
    assert outcome(b"a APPEND Sent {1001+}\r\n" + b"b NOOP\r\n" * 125 + b"x\r\n", limits=limits) == [refusal]
    assert len(outcome(b"a APPEND Sent {1000+}\r\n" + b"x" * 1000 + b"\r\n", limits=limits)) == 3


@pytest.mark.parametrize(
    "tail",
    [b" ", b"x", b"{3+}\r\nabc", b"\n", b"\r\r\n", b" (\\Seen){3+}\r\nabc", b" x {3+}\r\nabc", b" (\\Seen)", b"x {3}"],
)
def test_what_follows_a_message_must_be_the_end_or_another(tail):
    seen = outcome(b"a APPEND Sent {3+}\r\nabc" + tail + b"\r\n")
    assert seen[1] == AppendChunk(b"abc") and isinstance(seen[2], AppendAborted) and seen[2].status == b"BAD"
    assert len(seen) == 3


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (b"INBOX (\\Bogus) ", b"a BAD Unknown system flag"),
        (b'INBOX " 1-Foo-2024 00:00:00 +0000" ', b"a BAD No such date"),
        (b"INBOX", b"a BAD Missing arguments or misplaced characters"),
        (b"INBOX (\\Seen)", b"a BAD Missing arguments or misplaced characters"),
        (b"INBOX  ", b"a BAD Unexpected text at the end of the command"),
        (b"INBOX UTF8 (", b"a BAD A binary literal is needed here"),
        (b"a//b ", b"a NO [CANNOT] Mailbox name is not allowed"),
        (b"&bad ", b"a NO [CANNOT] Mailbox name is not allowed"),
    ],
)
def test_append_is_judged_before_its_message(arguments, answer):
    assert outcome(b"a APPEND " + arguments + b"{10}\r\n") == [answer + b"\r\n"]
    assert outcome(b"a APPEND " + arguments + b"{10+}\r\nb LOGOUT\r\n\r\n") == [answer + b"\r\n"]


def test_a_connection_lost_in_the_middle_of_a_message_gives_no_end():
    side = Answering(connect(ImapState.AUTHENTICATED))
    side.feed(b"a APPEND Sent {10+}\r\nabc")
    side.connection.receive_eof()
    side.run()
    assert not any(isinstance(event, AppendEnd) for event in side.seen)


# --- everything at once


FRAGMENTS = st.sampled_from(
    [b"a ", b"NOOP", b"LOGIN ", b"FETCH ", b"UID ", b"SEARCH ", b"APPEND x ", b"AUTHENTICATE PLAIN", b"IDLE", b"DONE",
     b"STARTTLS", b"LOGOUT", b"\r\n", b"\r", b"\n", b"{3}", b"{3+}", b"~{3}", b"{", b"}", b'"', b"\\", b"(", b")", b" ",
     b"*", b"+", b"1:*", b"\x00", b"\xff", b"x", b"{99999999999+}", b"{9000+}", b"BODY[", b"]", b"<0.1>", b"SELECT "]
)  # fmt: skip


@settings(max_examples=300)
@given(
    st.lists(FRAGMENTS | st.binary(max_size=8), max_size=40).map(b"".join),
    st.sampled_from([BEFORE, ImapState.AUTHENTICATED, ImapState.SELECTED]),
    st.booleans(),
    st.booleans(),
)
def test_any_input_gives_events_and_nothing_else(octets, state, secure, refuse):
    outcome(octets, state=state, secure=secure or state is not BEFORE, refuse_append=refuse, trailing=False)


@settings(max_examples=200)
@given(st.lists(FRAGMENTS, max_size=30).map(b"".join), st.sampled_from(sorted(BEGIN, key=lambda mode: mode.value)))
def test_every_mode_takes_any_input(octets, mode):
    side = in_mode(mode)
    side.feed(octets)
    for event in side.seen:
        assert isinstance(
            event, (bytes, Command, AppendChunk, AppendMore, AppendEnd, AppendAborted, IdleDone, SaslResponse)
        )


@pytest.mark.parametrize(
    "piece",
    [
        b"a NOOP\r\n",
        b"\r\n",
        b"a FROB {1+}\r\n",
        b"x",
        b"{",
        b"\r",
    ],
)
def test_input_is_handled_in_linear_time(piece):
    def seconds(count):
        side = Answering(connect(ImapState.SELECTED, limits=ImapLimits(bad_commands=10**9)))
        began = time.process_time()
        for _ in range(count):
            side.feed(piece * 1000)
        return time.process_time() - began

    gc.collect()
    gc.freeze()  # what other tests left is not looked through, each time that there are many new objects
    try:
        seconds(2)
        assert seconds(80) < 8 * 3 * max(seconds(10), 0.01)
    finally:
        gc.unfreeze()


# --- commands that run together

STORE = b"%b STORE %d +FLAGS (\\Seen)\r\n"
UID_STORE = b"%b UID STORE %d +FLAGS (\\Seen)\r\n"


def given(octets):
    """Return the tags of what comes out of a connection at once, those that run together as one."""
    connection = connect(ImapState.SELECTED)
    connection.receive_data(octets)
    tags = []
    while (event := connection.next_event()) not in (NEED_DATA, PAUSED) and len(tags) < 9:
        if isinstance(event, ConnectionReply):
            tags.append(event.data[:5])
            continue
        tags.append(b"".join(c.tag for c in event.commands) if isinstance(event, Together) else event.tag)
        connection.completed()
    return tags


@pytest.mark.parametrize(
    ("octets", "tags"),
    [
        (STORE % (b"a", 1) + STORE % (b"b", 2) + STORE % (b"c", 1), [b"abc"]),
        (STORE % (b"a", 1) + UID_STORE % (b"b", 1) + UID_STORE % (b"c", 1), [b"abc"]),
        (UID_STORE % (b"a", 1) + UID_STORE % (b"b", 1) + STORE % (b"c", 1) + STORE % (b"d", 1), [b"ab", b"cd"]),
        (STORE % (b"a", 1) + UID_STORE % (b"b", 1) + STORE % (b"c", 1), [b"ab", b"c"]),
        (STORE % (b"a", 1) + b"b NOOP\r\n" + STORE % (b"c", 1) + STORE % (b"d", 1), [b"a", b"b", b"cd"]),
        (STORE % (b"a", 1) + b"b STORE 1\r\n" + STORE % (b"c", 1), [b"a", b"b BAD", b"c"]),
        (STORE % (b"a", 1) + STORE % (b"b", 2) + b"c STORE 1 FLAGS {1+}\r\n", [b"ab"]),
        (STORE % (b"a", 1) + STORE % (b"b", 2) + (STORE % (b"c", 2))[:-1], [b"ab"]),
        (STORE % (b"a", 1) + b"\r\n" + STORE % (b"b", 1), [b"a", b"b"]),
        (b"a FETCH 1 UID\r\nb FETCH 1 UID\r\n", [b"a", b"b"]),
        (STORE % (b"a", 1) * (TOGETHER + 2), [b"a" * TOGETHER, b"aa"]),
    ],
)
def test_what_waits_behind_a_command_comes_with_it_where_the_table_says_so(octets, tags):
    assert given(octets) == tags


def test_commands_of_a_group_are_allowed_in_the_same_states_and_run_by_the_same():
    for row in TABLE.values():
        for other in TABLE.values():
            if row.together and row.together == other.together:
                assert row.states == other.states and row.needs_view == other.needs_view
                assert row.run_together is other.run_together is not None
