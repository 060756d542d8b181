"""The receiving connection: every dialog whole, byte by byte and with trailing data; smuggling; any order of commands."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smtp_dialog import DIALOGS, Answering, load, parse, play

from mailnode.message.binary_mime import are_lines
from mailnode.smtp.extensions.table import TABLE
from mailnode.smtp.wire import events as ev
from mailnode.smtp.wire.content import DataReader, Inspector
from mailnode.smtp.wire.limits import Limits
from mailnode.smtp.wire.profile import Profile
from mailnode.smtp.wire.server import ServerConnection
from mailnode.smtp.wire.server_states import State
from mailnode.values.envelope import MailOptions
from mailnode.values.smtp_reply import Reply
from mailnode.values.wire import NEED_DATA, PAUSED

ALL = sorted(DIALOGS.glob("*.txt"))


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
@pytest.mark.parametrize("pieces", ["whole", "bytewise"])
def test_dialog(path, pieces: str) -> None:
    play(load(path), pieces)


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
@pytest.mark.parametrize("trailing", [b"N", b"NOOP", b"NOOP\r"])
def test_dialog_with_half_a_command_behind_it(path, trailing: bytes) -> None:
    play(load(path), trailing=trailing)


def test_every_dialog_answers_something() -> None:
    for path in ALL:
        dialog = load(path)
        assert [side for side, _ in dialog.turns].count("S:") >= 1
        assert len(ALL) > 20


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
def test_every_word_after_ehlo_has_its_dialog(row) -> None:
    """It is said in one, and each of its parameters, or the command it stands for, is used in one."""
    turns = [turn for path in ALL for turn in load(path).turns]
    said = b"".join(data for side, data in turns if side == "S:")
    used = b"".join(data for side, data in turns if side == "C:").upper()
    assert f"250-{row.keyword}".encode() in said or f"250 {row.keyword}".encode() in said
    commands = {
        "CHUNKING": b"BDAT ",
        "STARTTLS": b"STARTTLS\r\n",
        "XCLIENT": b"XCLIENT ADDR=",
        "BINARYMIME": b"BODY=BINARYMIME",
    }
    for word in [f" {one.keyword}".encode() for one in (*row.mail, *row.rcpt)] or [commands.get(row.keyword, b"")]:
        assert word in used


# What is not CRLF.CRLF must not end a message.

FALSE_ENDS = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\n.\r",
    b"\r\n.\r",
    b"\0.\r\n",
    b"\r\n.\0\r\n",
    b"\r\n\0.\r\n",
    b"\r\n.\r\r\n",
    b"\r\r\n.\r\r\n",
]
SMUGGLED = b"MAIL FROM:<evil@x.test>\r\nRCPT TO:<b@y.test>\r\nDATA\r\nevil\r\n.\r\n"


def at_data(limits: Limits | None = None, **profile: bool) -> Answering:
    session = Answering(ServerConnection(Profile(limits=limits or Limits(), **profile)))
    session.feed(b"HELO x\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\n")
    session.feed(b"DATA\r\n")
    assert session.written.endswith(b"354 Go on\r\n")
    session.written = b""
    return session


# SMTP trap 1: a false end, then a second envelope, in DATA
@pytest.mark.parametrize("false_end", FALSE_ENDS)
def test_smuggling_at_every_split(false_end: bytes) -> None:
    stream = b"Subject: x\r\n\r\nbody" + false_end + SMUGGLED
    refused = b"550 5.5.2 Bare CR, bare LF or NUL in the message: line ends must be CRLF\r\n"
    for split in range(len(stream)):
        session = at_data()
        session.feed(stream[:split])
        session.feed(stream[split:])
        assert session.messages == [], split
        assert session.written == refused, split
        session.feed(b"NOOP\r\n")
        assert session.written == refused + b"250 2.0.0 Ok\r\n", split


# SMTP trap 2: in BDAT, at every split between two chunks
@pytest.mark.parametrize("false_end", FALSE_ENDS)
def test_smuggling_in_bdat(false_end: bytes) -> None:
    """One message or none: bare line feeds become CRLF within it."""
    content = b"Subject: x\r\n\r\nbody" + false_end + SMUGGLED
    taken = content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    bad = b"\0" in taken or taken.count(b"\r") != taken.count(b"\n")
    for split in range(len(content)):
        session = Answering(ServerConnection(Profile()))
        session.feed(b"EHLO x\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\n")
        session.written = b""
        session.feed(b"BDAT %d\r\n" % split + content[:split])
        session.feed(b"BDAT %d LAST\r\n" % (len(content) - split) + content[split:])
        assert session.messages == ([] if bad else [taken]), split
        codes = [line[:3] for line in session.written.splitlines()]
        assert codes in ([[b"250", b"550"], [b"550", b"550"]] if bad else [[b"250", b"250"]]), split
        session.written = b""
        session.feed(b"NOOP\r\n")
        assert session.written == b"250 2.0.0 Ok\r\n"


@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"\0", b".", b"x"]), max_size=20).map(b"".join), st.data())
def test_binary_content_whatever_the_chunks(content: bytes, data: st.DataObject) -> None:
    """Not an octet is changed, and it is told whether they are lines."""
    session = Answering(ServerConnection(Profile()))
    session.feed(b"EHLO x\r\nMAIL FROM:<a@x.test> BODY=BINARYMIME\r\nRCPT TO:<b@y.test>\r\n")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=4)))
    chunks = [content[start:end] for start, end in itertools.pairwise([0, *cuts, len(content)])]
    stream = b"".join(b"BDAT %d\r\n%s" % (len(chunk), chunk) for chunk in chunks) + b"BDAT 0 LAST\r\n"
    size = data.draw(st.integers(1, 30))
    for at in range(0, len(stream), size):
        session.feed(stream[at : at + size])
    assert session.messages == [content]
    end = session.events[-1]
    lines = are_lines(content) and (not content or content.endswith(b"\r\n"))
    assert (end.last, end.binary) == (True, not lines)


@given(
    st.lists(st.sampled_from([b".", b"..", b"\r\n", b"x", b".x", b"\r\n.", b"\r\n..\r\n", b"abc"]), max_size=12),
    st.data(),
)
def test_content_whatever_the_chunks(pieces: list[bytes], data: st.DataObject) -> None:
    """What a right client stuffs comes out as it was, however the octets are cut."""
    content = b"".join(pieces)
    content = content if content.endswith(b"\r\n") or not content else content + b"\r\n"
    stuffed = b"".join(b"." + line if line.startswith(b".") else line for line in content.splitlines(keepends=True))
    stream = stuffed + b".\r\nQUIT\r\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    session = at_data()
    for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        session.feed(stream[a:b])
    assert session.messages == [content]
    assert session.written == b"250 2.0.0 Ok\r\n221 2.0.0 Bye\r\n"


# SMTP trap 2: cut anywhere, many times
@given(
    st.lists(st.sampled_from([b".", b"\r\n", b"\r", b"\n", b"x", b"\0", b"\r\n.", b"\r\n.\r\n"]), max_size=14),
    st.data(),
)
def test_any_octets_whatever_the_chunks(pieces: list[bytes], data: st.DataObject) -> None:
    """The outcome does not depend on the cuts, and a message is taken only when all its line ends are CRLF."""
    stream = b"".join(pieces) + b"\r\n.\r\n"
    whole = at_data(Limits(content_line=5, errors_max=10**6))
    whole.feed(stream)
    cut = at_data(Limits(content_line=5, errors_max=10**6))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        cut.feed(stream[a:b])
    assert (cut.messages, cut.written) == (whole.messages, whole.written)
    end = (b"\r\n" + stream).index(b"\r\n.\r\n")
    content = stream[: max(0, end)]
    clean = not content.replace(b"\r\n", b"").translate(None, b".x")
    unstuffed = (b"\r\n" + content).replace(b"\r\n.", b"\r\n")[2:]
    short = all(len(line) <= 5 for line in unstuffed.split(b"\r\n"))
    assert bool(whole.messages) == (clean and short)
    if whole.messages:
        assert whole.messages[0] == unstuffed


# SMTP trap 4: at the edges of chunks, coming in
@pytest.mark.parametrize("size", [16383, 16384, 65535, 65536, 131072])
def test_dots_at_chunk_edges(size: int) -> None:
    for shift in range(-4, 5):
        content = b"x" * 10 + b"\r\n"
        content += b"y" * (size + shift - len(content) - 2) + b"\r\n"
        content += b".z\r\n"
        session = at_data(Limits(content_line=200000))
        stream = content.replace(b"\r\n.", b"\r\n..") + b".\r\n"
        session.feed(stream[:size])
        session.feed(stream[size:])
        assert session.messages == [content]


# Lines of any length.


# SMTP trap 5: in DATA
@pytest.mark.parametrize("length", [998, 1000, 2048, 65536, 65537, 1_000_000])
def test_long_content_lines(length: int) -> None:
    session = at_data()
    line = b"y" * length + b"\r\n"
    for position in range(0, length + 2, 4000):
        session.feed(line[position : position + 4000])
        assert session.connection.buffered < 10_000
    session.feed(b"NOOP\r\n.\r\n")
    if length <= 65536:
        assert session.messages == [line + b"NOOP\r\n"]
    else:
        assert session.messages == []
        assert session.written == b"550 5.6.0 Line in the message too long\r\n"


# SMTP trap 5: a command that never ends
def test_a_never_ending_line_needs_no_memory() -> None:
    session = Answering(ServerConnection(Profile()))
    for _ in range(300):
        session.feed(b"x" * 4096)
        assert session.connection.buffered <= 4096
    session.feed(b"\r\n")
    assert session.written == b"500 5.5.2 Line too long\r\n"


# SMTP trap 5: a message that never ends
def test_a_message_that_never_ends_is_hung_up_on() -> None:
    session = at_data(Limits(message_size=1000, discard_size=5000))
    for _ in range(7):
        session.feed(b"x" * 998 + b"\r\n")
    assert session.written == b"421 4.3.0 Message far too large\r\n"
    assert session.connection.state is State.CLOSED


# SMTP trap 20: a million of them
def test_a_million_chunks_of_one_octet_leave_nothing_behind() -> None:
    session = Answering(ServerConnection(Profile()))
    session.feed(b"EHLO x\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\n")
    session.answer = lambda event: session.connection.send(Reply(250, "", ("Ok",))) if event.complete else b""  # type: ignore[method-assign]
    for _ in range(2000):
        session.feed(b"BDAT 1\r\nx" * 10)
        assert session.connection.buffered == 0
        session.events.clear()
        session.written = b""


# SMTP trap 21: what follows a refused one
def test_chunks_behind_a_refused_one_are_read_to_their_end_and_no_errors() -> None:
    session = Answering(ServerConnection(Profile(limits=Limits(errors_max=3))))
    session.feed(b"EHLO x\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\n")
    session.written = b""
    session.feed(b"BDAT 1\r\n\0" + b"BDAT 1\r\nx" * 500 + b"BDAT 7 LAST\r\nQUIT\r\n\0" + b"RSET\r\n")
    replies = session.written.split(b"\r\n")[:-1]
    assert [reply[:3] for reply in replies] == [b"550"] * 502 + [b"250"]
    assert (session.connection.errors, session.connection.state) == (1, State.READY)


def test_chunks_behind_a_refused_one_without_end_are_hung_up_on() -> None:
    session = Answering(ServerConnection(Profile(limits=Limits(discard_size=100))))
    session.feed(b"EHLO x\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nBDAT 1\r\n\0")
    session.written = b""
    session.feed(b"BDAT 33\r\n" + b"x" * 33)
    session.feed(b"BDAT 66\r\n" + b"x" * 66)
    assert session.connection.state is State.FAILED
    session.feed(b"BDAT 1\r\n")
    assert session.written.split(b"\r\n")[2].startswith(b"552")
    assert session.connection.state is State.CLOSED


# What must be the last of a pipelined group.


# SMTP trap 10: behind EHLO and DATA
@pytest.mark.parametrize("command", ["EHLO x", "HELO x", "DATA"])
def test_commands_sent_ahead_end_a_strict_session(command: str) -> None:
    before = b"EHLO x\r\n", b"MAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\n"
    session = Answering(ServerConnection(Profile(strict_sync=True)))
    for turn in before:
        session.feed(turn)
    session.written = b""
    session.feed(command.encode() + b"\r\nM")
    assert session.written.startswith(b"554 5.5.0 SMTP synchronization error")
    assert session.closed
    lenient = Answering(ServerConnection(Profile()))
    for turn in before:
        lenient.feed(turn)
    lenient.feed(command.encode() + b"\r\nM")
    assert not lenient.closed


# SMTP trap 10: behind STARTTLS and AUTH
# SMTP trap 11: in one segment with STARTTLS
@pytest.mark.parametrize("command", [b"STARTTLS", b"AUTH PLAIN AHUAcA=="])
@pytest.mark.parametrize("behind", [b"M", b"MAIL FROM:<a@x.test>\r\n", b"\r\n"])
def test_nothing_may_stand_behind_starttls_and_auth(command: bytes, behind: bytes) -> None:
    session = Answering(ServerConnection(Profile(starttls=True, auth=True)))
    session.feed(b"EHLO x\r\n")
    session.feed(command + b"\r\n" + behind)
    assert b"554 5.5.0" in session.written
    assert not session.wants_tls
    assert session.closed


# SMTP trap 11: a line that is completed inside TLS
def test_octets_between_220_and_tls_are_dropped() -> None:
    session = Answering(ServerConnection(Profile(starttls=True)))
    session.feed(b"EHLO x\r\n")
    session.feed(b"STARTTLS\r\n")
    session.feed(b"MAIL FROM:<a@x.")
    assert session.connection.buffered == 0
    session.connection.tls_started()
    session.written = b""
    session.feed(b"test>\r\n")
    assert session.written == b"500 5.5.1 Command not recognized\r\n"


# SMTP trap 11: while STARTTLS is thought about
def test_octets_that_come_while_starttls_waits_for_its_answer_are_dropped() -> None:
    """The session may think about a command for a while: policies, or a brake on who makes mistakes."""
    connection = ServerConnection(Profile(starttls=True))
    connection.receive_data(b"EHLO x\r\nSTARTTLS\r\n")
    connection.next_event()
    connection.send(connection.hello_reply("us.test"))
    assert isinstance(connection.next_event(), ev.StartTls)
    connection.receive_data(b"EHLO evil\r\nMAIL FROM:<a@x.test>\r\nRCP")
    connection.send(Reply(220, "2.0.0", ("Go on",)))
    connection.tls_started()
    assert connection.next_event() is NEED_DATA
    connection.receive_data(b"EHLO y\r\n")
    assert connection.next_event() == ev.Helo("y", True)


# SMTP trap 27: what is offered before TLS
def test_auth_is_not_offered_before_tls_whatever_mechanisms_there_are() -> None:
    session = Answering(ServerConnection(Profile(starttls=True, auth=True)))
    session.connection.mechanisms = ("PLAIN",)
    session.feed(b"EHLO x\r\n")
    assert b"STARTTLS" in session.written
    assert b"AUTH" not in session.written


# SMTP trap 16: who is logged in after what
def test_auth_is_forgotten_by_tls_and_xclient_but_not_by_rset_or_ehlo() -> None:
    session = Answering(ServerConnection(Profile(auth=True, xclient=True, starttls=True), secure=True))
    session.connection.mechanisms = ("PLAIN",)
    for turn in (b"EHLO x\r\n", b"AUTH PLAIN AHUAcA==\r\n", b"RSET\r\n", b"EHLO y\r\n"):
        session.feed(turn)
    assert session.connection.authenticated
    session.feed(b"XCLIENT ADDR=1.2.3.4\r\n")
    assert not session.connection.authenticated


# Any commands in any order; each in each state is tried in test_smtp_states.py.

INPUTS = (
    b"HELO x\r\n",
    b"EHLO x\r\n",
    b"MAIL FROM:<a@x.test>\r\n",
    b"RCPT TO:<b@y.test>\r\n",
    b"DATA\r\n",
    b"BDAT 1\r\nx",
    b"RSET\r\n",
    b"NOOP\r\n",
    b"HELP\r\n",
    b"VRFY x\r\n",
    b"QUIT\r\n",
    b"AUTH LOGIN\r\n",
    b"XCLIENT ADDR=1.2.3.4\r\n",
    b"STARTTLS\r\n",
)


@given(st.lists(st.sampled_from([*INPUTS, b"\r\n.\r\n", b"\xff\r\n", b"x", b"*\r\n", b"\n", b"BDAT 3 LAST\r\nab"])))
def test_nothing_but_events_comes_out(turns: list[bytes]) -> None:
    """Any inputs in any order: one answer each, no exception, no stuck state."""
    session = Answering(ServerConnection(Profile(auth=True, starttls=True), secure=True))
    session.connection.mechanisms = ("PLAIN", "LOGIN")
    for turn in turns:
        session.feed(turn)
        assert session.connection.next_event() is NEED_DATA
    assert session.connection.buffered < 200


def test_paused_until_answered() -> None:
    connection = ServerConnection(Profile())
    connection.receive_data(b"HELO x\r\nMAIL FROM:<a@x.test>\r\n")
    assert isinstance(connection.next_event(), ev.Helo)
    assert connection.next_event() is PAUSED
    assert connection.more
    connection.send(connection.hello_reply("us"))
    assert isinstance(connection.next_event(), ev.Mail)
    assert not connection.more


def test_slow_after_some_errors_and_forgiven_by_a_message() -> None:
    session = Answering(ServerConnection(Profile(limits=Limits(errors_slow=2))))
    session.feed(b"X\r\nHELO x\r\nX\r\n")
    assert session.connection.slow
    session.feed(b"MAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nDATA\r\n.\r\n")
    assert not session.connection.slow


def test_events_carry_what_was_said() -> None:
    session = Answering(ServerConnection(Profile()))
    session.feed(b"EHLO x.test\r\n")
    session.feed(b"MAIL FROM:<a@x.test> SIZE=5 BODY=8BITMIME SMTPUTF8 RET=FULL ENVID=a+2Bb\r\n")
    session.feed(b'RCPT TO:<@r1.test,@[IPv6:::1]:"a b"@Y.test> NOTIFY=NEVER ORCPT=rfc822;x+3Dy@y.test\r\n')
    mail, rcpt = session.events[1:]
    assert mail.options == MailOptions(5, "8BITMIME", True, "FULL", "a+b")
    assert (rcpt.recipient.address.local, rcpt.recipient.address.domain) == ("a b", "Y.test")
    assert rcpt.recipient.options.notify == {"NEVER"}
    assert rcpt.recipient.options.orcpt == "rfc822;x=y@y.test"


def test_replies_to_each_recipient_must_match_them() -> None:
    session = Answering(ServerConnection(Profile(lmtp=True)))
    session.feed(b"LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<b@y.test>\r\nDATA\r\n")
    connection = session.connection
    connection.receive_data(b".\r\n")
    connection.next_event()
    with pytest.raises(RuntimeError):
        connection.send_each([])


def test_the_harness_notices_a_wrong_reply() -> None:
    with pytest.raises(AssertionError):
        play(parse("wrong", "C: NOOP\nS: 251 2.0.0 Ok"))
    with pytest.raises(AssertionError):
        play(parse("missing", "C: NOOP\nS: 250 2.0.0 Ok\nS: 250 2.0.0 Ok"))


@pytest.mark.parametrize("dots", [0, 1, 500])
@pytest.mark.parametrize("stuffed", [b"", b"..\r\n", b"..x\r\n..\r\n"])
def test_data_ends_at_its_line_however_many_dots_stand_before_it(dots, stuffed):
    sent = b"a." * dots + b"\r\n" + stuffed + b"b.\r\n"
    buffer = bytearray(sent + b".\r\nQUIT\r\n.\r\n")
    piece, ended = DataReader(buffer, Inspector(Limits())).read()
    assert (piece, ended, bytes(buffer)) == (sent.replace(b"\r\n.", b"\r\n"), True, b"QUIT\r\n.\r\n")
