"""POP3 dialogs over the whole stack but the socket: pump, connection, session, with fakes of the store and of logins."""

import base64

import pytest
from pop3_fakes import FakeExchange, FakeLogin, FakeLogins, FakeMaildrop, FakePopUser, Wire, pending, play
from twisted.internet.testing import StringTransport
from twisted.logger import globalLogPublisher
from zope.interface.verify import verifyObject

from mailnode.errors import (
    AuthenticationFailed,
    BlobDamaged,
    Busy,
    LoginNotAllowed,
    StoreUnavailable,
)
from mailnode.interfaces.sessions import ILogin, ILogins, IPopUser, ISaslExchange, ISessionMind
from mailnode.interfaces.store import IMaildrop
from mailnode.interfaces.wire import IChannel, IConnection, ISession
from mailnode.pop3.lease import RELEASE_PAUSES, RENEW_SECONDS
from mailnode.pop3.sending import LINES, PIECE, READ
from mailnode.pop3.session import Pop3Session
from mailnode.pop3.wire.connection import Pop3Connection

LOGIN = b"USER alice\r\nPASS se cret\r\n"
ONE = b"Subject: one\r\n\r\nfirst\r\n.second\r\n"
TWO = b"Subject: two\r\n\r\n..\r\nno newline"
GREETING = b"+OK mx.example.test POP3 server ready\r\n"


@pytest.fixture
def events():
    seen = []

    def observer(event):
        if isinstance(event.get("event"), str):
            seen.append((event["event"], event.get("fields", {})))

    globalLogPublisher.addObserver(observer)
    yield seen
    globalLogPublisher.removeObserver(observer)


def test_fakes_and_parts_keep_the_contracts():
    drop = FakeMaildrop([ONE])
    logins = FakeLogins(drop)
    verifyObject(IMaildrop, drop)
    verifyObject(IPopUser, FakePopUser(drop))
    verifyObject(ILogin, FakeLogin(FakePopUser(drop)))
    verifyObject(ILogins, logins)
    verifyObject(ISaslExchange, FakeExchange(logins, "PLAIN", None))
    wire = Wire()
    verifyObject(IConnection, Pop3Connection())
    verifyObject(IChannel, wire.pump)
    session = Pop3Session(wire.pump, Pop3Connection(), logins, wire.clock, hostname="h", offers_tls=False)
    verifyObject(ISession, session)
    verifyObject(ISessionMind, session)


# IMAP trap 47: no APOP
def test_greeting_offers_no_apop():
    assert play(b"") == GREETING
    assert b"<" not in Wire().take()


# IMAP trap 47: in one segment
def test_a_whole_session_pipelined_in_one_segment():
    commands = LOGIN + b"STAT\r\nLIST\r\nUIDL\r\nRETR 1\r\nRETR 2\r\nDELE 1\r\nSTAT\r\nLIST\r\nUIDL\r\nQUIT\r\n"
    assert play(commands, [ONE, TWO]) == (
        GREETING + b"+OK go on\r\n"
        b"+OK maildrop has 2 messages (62 octets)\r\n"
        b"+OK 2 62\r\n"
        b"+OK listing follows\r\n1 32\r\n2 30\r\n.\r\n"
        b"+OK listing follows\r\n1 uid1\r\n2 uid2\r\n.\r\n"
        b"+OK 32 octets\r\nSubject: one\r\n\r\nfirst\r\n..second\r\n.\r\n"
        b"+OK 30 octets\r\nSubject: two\r\n\r\n...\r\nno newline\r\n.\r\n"
        b"+OK marked as deleted\r\n"
        b"+OK 1 30\r\n"
        b"+OK listing follows\r\n2 30\r\n.\r\n"
        b"+OK listing follows\r\n2 uid2\r\n.\r\n"
        b"+OK goodbye\r\n"
    )


def test_empty_maildrop():
    assert play(LOGIN + b"STAT\r\nLIST\r\nUIDL\r\nLIST 1\r\nQUIT\r\n").endswith(
        b"+OK 0 0\r\n+OK listing follows\r\n.\r\n+OK listing follows\r\n.\r\n-ERR no such message\r\n+OK goodbye\r\n"
    )


# IMAP trap 45: LIST and UIDL of one
def test_list_and_uidl_of_one():
    assert play(LOGIN + b"LIST 2\r\nUIDL 2\r\nLIST 3\r\nUIDL 3\r\n", [ONE, TWO]).endswith(
        b"+OK 2 30\r\n+OK 2 uid2\r\n-ERR no such message\r\n-ERR no such message\r\n"
    )


# IMAP trap 46: TOP
def test_top():
    commands = LOGIN + b"TOP 1 0\r\nTOP 1 1\r\nTOP 1 999999999\r\nTOP 2 1\r\nTOP 3 1\r\n"
    assert play(commands, [ONE, TWO]).endswith(
        b"+OK top of the message follows\r\nSubject: one\r\n\r\n.\r\n"
        b"+OK top of the message follows\r\nSubject: one\r\n\r\nfirst\r\n.\r\n"
        b"+OK top of the message follows\r\nSubject: one\r\n\r\nfirst\r\n..second\r\n.\r\n"
        b"+OK top of the message follows\r\nSubject: two\r\n\r\n...\r\n.\r\n"
        b"-ERR no such message\r\n"
    )


# IMAP trap 46: deleted ones, RSET
def test_deleted_messages_are_gone_for_every_command_until_rset():
    commands = (
        LOGIN + b"DELE 1\r\nRETR 1\r\nTOP 1 1\r\nDELE 1\r\nLIST 1\r\nUIDL 1\r\nNOOP\r\nRSET\r\nSTAT\r\nLIST 1\r\n"
    )
    assert play(commands, [ONE, TWO]).endswith(
        b"+OK marked as deleted\r\n" + b"-ERR no such message\r\n" * 5 + b"+OK\r\n"
        b"+OK nothing is marked as deleted\r\n+OK 2 62\r\n+OK 1 32\r\n"
    )


def test_commands_before_login():
    got = play(b"STAT\r\nRETR 1\r\nNOOP\r\nPASS x\r\nAPOP a b\r\nXYZZY\r\nQUIT\r\n", [ONE])
    assert got == GREETING + (
        b"-ERR not in this state\r\n" * 3
        + b"-ERR USER comes first\r\n"
        + b"-ERR unknown command\r\n" * 2
        + b"+OK goodbye\r\n"
    )


def test_pass_comes_at_once_after_user():
    got = play(b"USER alice\r\nCAPA\r\nPASS se cret\r\n")
    assert got.endswith(b"-ERR USER comes first\r\n")


def test_wrong_password_and_unknown_user_are_answered_alike_and_may_try_again():
    got = play(b"USER alice\r\nPASS wrong\r\nUSER nobody\r\nPASS se cret\r\n" + LOGIN)
    assert got == GREETING + (
        b"+OK go on\r\n-ERR [AUTH] login failed\r\n" * 2 + b"+OK go on\r\n+OK maildrop has 0 messages (0 octets)\r\n"
    )


@pytest.mark.parametrize(
    ("error", "reply"),
    [
        (AuthenticationFailed(), b"-ERR [AUTH] login failed\r\n"),
        (LoginNotAllowed(), b"-ERR [SYS/PERM] this account may not log in\r\n"),
        (Busy(), b"-ERR [SYS/TEMP] try again later\r\n"),
        (StoreUnavailable(), b"-ERR [SYS/TEMP] try again later\r\n"),
    ],
)
def test_refused_logins(error, reply):
    wire = Wire()
    wire.logins.fault = error
    wire.take()
    assert wire.send(LOGIN) == b"+OK go on\r\n" + reply
    initial = base64.b64encode(b"\0alice\0se cret")
    assert wire.send(b"AUTH PLAIN " + initial + b"\r\n") == reply
    assert not wire.closed


# IMAP trap 47: codes of what is refused
@pytest.mark.parametrize(
    ("error", "reply"),
    [
        (Busy(), b"-ERR [IN-USE] another session has this maildrop open\r\n"),
        (StoreUnavailable(), b"-ERR [SYS/TEMP] try again later\r\n"),
    ],
)
def test_maildrop_that_cannot_be_opened(error, reply):
    wire = Wire()
    wire.logins.user.fault = error
    wire.take()
    assert wire.send(LOGIN) == b"+OK go on\r\n" + reply
    assert wire.logins.login.logouts == 1
    wire.logins.user.fault = None
    assert wire.send(LOGIN).endswith(b"+OK maildrop has 0 messages (0 octets)\r\n")


def test_names_that_are_not_utf8_never_reach_the_door():
    wire = Wire()
    wire.take()
    assert wire.send(b"USER \xff\r\n") == b"-ERR not UTF-8\r\n"
    assert wire.send(b"USER \xc3\xa9\r\nPASS \xff\r\n") == b"+OK go on\r\n-ERR not UTF-8\r\n"
    assert wire.send(b"USER \xc3\xa9\r\nPASS \xc3\xa9\r\n") == b"+OK go on\r\n-ERR [AUTH] login failed\r\n"
    assert wire.logins.asked == [(b"\xc3\xa9", b"\xc3\xa9")]


def test_sasl_with_initial_response_and_without():
    response = base64.b64encode(b"\0alice\0se cret") + b"\r\n"
    opened = b"+OK maildrop has 0 messages (0 octets)\r\n"
    assert play(b"AUTH PLAIN " + response) == GREETING + opened
    assert play(b"AUTH plain\r\n" + response) == GREETING + b"+ \r\n" + opened
    two = b"AUTH TWO-STEP =\r\n" + response + b"STAT\r\n"
    assert play(two) == GREETING + b"+ bW9yZSwgcGxlYXNl\r\n" + opened + b"+OK 0 0\r\n"


def test_sasl_cancelled_broken_and_unknown():
    got = play(b"AUTH PLAIN\r\n*\r\nAUTH PLAIN\r\n!!\r\nAUTH NTLM\r\nAUTH\r\nQUIT\r\n")
    assert got == GREETING + (
        b"+ \r\n-ERR [AUTH] cancelled\r\n+ \r\n-ERR not base64\r\n-ERR unknown mechanism\r\n"
        b"+OK mechanisms\r\nPLAIN\r\nTWO-STEP\r\n.\r\n+OK goodbye\r\n"
    )


def test_a_line_too_long_ends_the_exchange_and_not_the_connection():
    wire = Wire()
    wire.take()
    assert wire.send(b"AUTH PLAIN\r\n" + b"A" * 20000 + b"\r\nQUIT\r\n") == (
        b"+ \r\n-ERR line too long\r\n+OK goodbye\r\n"
    )


def capabilities(reply):
    assert reply.startswith(b"+OK capabilities\r\n")
    assert reply.endswith(b"\r\n.\r\n")
    return reply.decode().split("\r\n")[1:-2]


ALWAYS = ["PIPELINING", "RESP-CODES", "AUTH-RESP-CODE", "UTF8 USER", "LANG", "EXPIRE NEVER", "LOGIN-DELAY 0"]
ALWAYS += ["IMPLEMENTATION mailnode"]


# IMAP trap 47: CAPA
def test_capa_before_tls_under_tls_and_after_login():
    wire = Wire(tls="starttls", insecure=False)
    wire.take()
    assert capabilities(wire.send(b"CAPA\r\n")) == ["TOP", "UIDL", "STLS", *ALWAYS]
    assert wire.send(b"STLS\r\n") == b"+OK begin TLS\r\n"
    assert wire.tls_begun == 1
    wire.pump.handshakeCompleted()
    logins = ["USER", "SASL PLAIN TWO-STEP"]
    assert capabilities(wire.send(b"CAPA\r\n")) == ["TOP", "UIDL", *logins, *ALWAYS]
    wire.login()
    assert capabilities(wire.send(b"CAPA\r\n")) == ["TOP", "UIDL", *logins, *ALWAYS]


def test_login_in_clear_text_where_the_listener_allows_it():
    wire = Wire(tls="starttls", insecure=False, plain_login=True)
    wire.take()
    assert capabilities(wire.send(b"CAPA\r\n")) == ["TOP", "UIDL", "USER", "SASL PLAIN TWO-STEP", "STLS", *ALWAYS]
    wire.login()


def test_no_login_in_clear_text():
    wire = Wire(tls="starttls", insecure=False)
    wire.take()
    assert wire.send(b"USER alice\r\n") == b"-ERR start TLS first\r\n"
    assert wire.send(b"PASS se cret\r\n") == b"-ERR start TLS first\r\n"
    assert wire.send(b"AUTH PLAIN AGEAYg==\r\n") == b"-ERR start TLS first\r\n"
    assert wire.send(b"AUTH\r\n") == b"+OK mechanisms\r\n.\r\n"
    assert wire.logins.asked == []


# IMAP trap 6: STLS
def test_stls_forgets_what_came_in_clear_text():
    wire = Wire(tls="starttls")
    wire.take()
    assert wire.send(b"USER mallory\r\nSTLS\r\nUSER x\r\nPASS y\r\n") == (
        b"+OK go on\r\n-ERR commands behind STLS\r\n+OK go on\r\n-ERR [AUTH] login failed\r\n"
    )
    assert wire.tls_begun == 0
    assert wire.send(b"USER mallory\r\n" + b"STLS\r\n") == b"+OK go on\r\n+OK begin TLS\r\n"
    assert wire.send(b"USER mallory\r\nUS") == b""
    wire.pump.handshakeCompleted()
    assert wire.take() == b""
    assert wire.send(b"PASS se cret\r\n") == b"-ERR USER comes first\r\n"
    wire.login()


@pytest.mark.parametrize(
    ("options", "before", "reply"),
    [
        ({"tls": "none"}, b"", b"-ERR no TLS here\r\n"),
        ({"tls": "starttls"}, LOGIN, b"-ERR not in this state\r\n"),
        ({"tls": "starttls"}, b"UTF8\r\n", b"-ERR not after UTF8\r\n"),
    ],
)
def test_stls_refused(options, before, reply):
    wire = Wire(**options)
    wire.send(before)
    assert wire.send(b"STLS\r\n") == reply
    assert wire.tls_begun == 0


def test_stls_twice_and_implicit_tls():
    wire = Wire(tls="starttls")
    wire.send(b"STLS\r\n")
    wire.pump.handshakeCompleted()
    assert wire.send(b"STLS\r\n") == b"-ERR TLS is up already\r\n"
    implicit = Wire(tls="implicit", insecure=False)
    assert implicit.take() == b""
    implicit.pump.handshakeCompleted()
    assert implicit.take() == GREETING
    assert implicit.send(b"STLS\r\n") == b"-ERR TLS is up already\r\n"
    implicit.login()


def test_utf8_and_lang():
    got = play(b"UTF8\r\nLANG\r\nLANG EN\r\nLANG *\r\nLANG tlh\r\nUTF8 x\r\n" + LOGIN + b"UTF8\r\nLANG en\r\n")
    assert got == GREETING + (
        b"+OK UTF8 enabled\r\n+OK languages\r\nen English\r\n.\r\n+OK en English it is\r\n+OK en English it is\r\n"
        b"-ERR no such language\r\n-ERR bad arguments\r\n+OK go on\r\n+OK maildrop has 0 messages (0 octets)\r\n"
        b"-ERR not in this state\r\n+OK en English it is\r\n"
    )


# IMAP trap 46: QUIT
def test_quit_deletes_what_was_marked_and_nothing_else():
    wire = Wire([ONE, TWO, ONE])
    wire.login()
    wire.send(b"DELE 3\r\nDELE 1\r\nQUIT\r\n")
    assert wire.drop.committed == [1, 3]
    assert wire.closed
    wire.lose()
    assert wire.logins.login.logouts == 1
    assert not wire.drop.released


def test_who_never_finishes_a_line_is_ended_though_octets_come():
    wire = Wire([ONE])
    wire.login()
    seconds = 0
    while not wire.closed:
        wire.send(b"x")
        wire.clock.advance(200)
        seconds += 200
        assert seconds <= 2 * 600 + 200
    assert seconds > 600


# IMAP trap 46: no QUIT
@pytest.mark.parametrize("how", ["lost", "timeout", "drained", "ended"])
def test_without_quit_nothing_is_deleted(how):
    wire = Wire([ONE])
    wire.login()
    wire.send(b"DELE 1\r\n")
    if how == "timeout":
        wire.clock.advance(599)
        assert not wire.closed
        wire.clock.advance(2)
    elif how == "drained":
        wire.factory.draining()
    elif how == "ended":
        wire.logins.mind.end("password changed")
    if how != "lost":
        assert wire.closed
        assert wire.drop.released  # at once: the peer may leave its side of the connection open
    assert wire.take() == b""  # RFC 1939 3: not a word
    wire.lose()
    assert wire.drop.committed is None
    assert wire.drop.released
    assert wire.logins.login.logouts == 1
    assert wire.factory.connections == 0


@pytest.mark.parametrize("how", ["quit", "mistakes", "trouble"])
def test_a_peer_that_keeps_its_side_open_keeps_nothing_else(how):
    wire = Wire([ONE])
    wire.login()
    if how == "quit":
        wire.send(b"QUIT\r\n")
    elif how == "mistakes":
        wire.send(b"HELO x\r\n" * 10)
    else:
        wire.drop.fault["retrieve"] = RuntimeError("as was asked for")
        assert wire.send(b"RETR 1\r\n") == b"-ERR [SYS/TEMP] internal trouble, try again later\r\n"
    assert wire.closed and wire.factory.connections == 1
    assert wire.logins.login.logouts == 1
    assert wire.drop.released or wire.drop.committed == []
    wire.lose()
    assert wire.logins.login.logouts == 1


# IMAP trap 46: a commit that fails
@pytest.mark.parametrize(("error", "released"), [(Busy(), False), (StoreUnavailable(), True)])
def test_commit_that_fails_is_told(error, released):
    wire = Wire([ONE])
    wire.login()
    wire.drop.fault["commit"] = error
    assert wire.send(b"DELE 1\r\nQUIT\r\n").endswith(b"-ERR [SYS/TEMP] the messages were not deleted\r\n")
    assert wire.drop.committed is None
    assert wire.drop.released is released
    assert wire.closed


def test_a_lease_that_could_not_be_let_go_of_is_let_go_of_later():
    wire = Wire([ONE])
    wire.login()
    wire.drop.fault.update(commit=StoreUnavailable(), release=StoreUnavailable())
    wire.send(b"DELE 1\r\nQUIT\r\n")
    for seconds in RELEASE_PAUSES[:-1]:
        wire.clock.advance(seconds)
    assert wire.closed and not wire.drop.released
    wire.drop.fault.clear()
    wire.clock.advance(RELEASE_PAUSES[-1])
    assert wire.drop.released
    assert wire.drop.calls.count("release") == len(RELEASE_PAUSES) + 1


def test_unknown_trouble_in_commit():
    wire = Wire([ONE])
    wire.login()
    wire.drop.fault["commit"] = ZeroDivisionError("secret detail")
    got = wire.send(b"DELE 1\r\nQUIT\r\n")
    assert got.endswith(b"-ERR [SYS/TEMP] internal trouble, try again later\r\n")
    assert b"secret" not in got
    assert wire.closed


# IMAP trap 48: expunged by IMAP
def test_message_expunged_by_an_imap_session():
    wire = Wire([ONE, TWO])
    wire.login()
    del wire.drop.contents[1]
    gone = b"-ERR the message was deleted by another program\r\n"
    assert wire.send(b"RETR 1\r\nTOP 1 0\r\n") == gone + gone
    got = wire.send(b"STAT\r\nUIDL\r\nRETR 2\r\n")
    assert got.startswith(b"+OK 2 62\r\n+OK listing follows\r\n1 uid1\r\n2 uid2\r\n.\r\n+OK 30 octets\r\n")
    wire.send(b"DELE 1\r\nQUIT\r\n")
    assert wire.drop.committed == [1]


@pytest.mark.parametrize("error", [BlobDamaged(), StoreUnavailable(), Busy()])
def test_message_that_cannot_be_read(error, events):
    wire = Wire([ONE, TWO])
    wire.login()
    wire.drop.fault["retrieve"] = error
    assert wire.send(b"RETR 1\r\n") == b"-ERR [SYS/TEMP] the message cannot be read at present\r\n"
    assert not wire.closed
    assert "message 1: " in dict(events)["session.error"]["error"]
    del wire.drop.fault["retrieve"]
    assert wire.send(b"RETR 2\r\n").endswith(b"no newline\r\n.\r\n")


def test_a_small_message_leaves_in_one_piece():
    wire = Wire([ONE])
    wire.login()
    pieces = []
    wire.transport.write = pieces.append
    wire.send(b"RETR 1\r\n")
    wire.send(b"TOP 1 0\r\n")
    assert [piece[:3] + piece[-3:] for piece in pieces] == [b"+OK.\r\n", b"+OK.\r\n"]


def test_short_message_is_damage_not_an_end():
    wire = Wire([ONE])
    wire.login()
    wire.drop.contents[1] = b""
    assert wire.send(b"RETR 1\r\n") == b"-ERR [SYS/TEMP] the message cannot be read at present\r\n"


def test_message_lost_in_the_middle_is_never_made_to_look_whole():
    wire = Wire([b"x" * (3 * READ)])
    wire.login()
    wire.drop.contents[1] = b"x" * READ + b"y"
    got = wire.send(b"RETR 1\r\n")
    assert got.startswith(b"+OK")
    assert not got.endswith(b".\r\n")
    assert wire.transport.disconnected or wire.transport.disconnecting


def test_unknown_trouble_in_the_middle_of_a_message_says_nothing_into_it():
    wire = Wire([b"x" * (3 * READ)])
    wire.login()
    producer = wire.transport.producer

    def full(data):
        StringTransport.write(wire.transport, data)
        producer.pauseProducing()

    wire.transport.write = full
    wire.send(b"RETR 1\r\n")
    wire.drop.fault["retrieve"] = ZeroDivisionError()
    got = b""
    while not wire.transport.disconnected:
        producer.resumeProducing()
        got += wire.take()
    assert set(got) == {ord("x")}


def test_a_long_list_goes_in_pieces_and_waits_for_the_client():
    count = 12 * LINES + 1
    wire = Wire([ONE] * count)
    wire.login()
    producer = wire.transport.producer

    def full(data):
        StringTransport.write(wire.transport, data)
        producer.pauseProducing()

    wire.transport.write = full
    pieces = [wire.send(b"LIST\r\n")]
    while not pieces[-1].endswith(b"\r\n.\r\n"):
        producer.resumeProducing()
        pieces.append(wire.take())
        assert pieces[-1]
    assert len(pieces) > 1
    assert max(map(len, pieces)) <= 2 * PIECE
    lines = b"".join(pieces).split(b"\r\n")
    assert lines[1:-2] == [b"%d %d" % (number, len(ONE)) for number in range(1, count + 1)]


def test_large_message_goes_in_pieces_and_waits_for_the_client():
    line = b".234567890" * 7 + b"\r\n"
    content = b"A: b\r\n\r\n" + line * (2 * READ // len(line))
    wire = Wire([content])
    wire.login()
    producer = wire.transport.producer

    def full(data):
        StringTransport.write(wire.transport, data)
        producer.pauseProducing()

    wire.transport.write = full
    got = wire.send(b"RETR 1\r\nSTAT\r\n")  # the first line; the piece waits
    rounds = 0
    while not got.endswith(b"+OK 1 %d\r\n" % len(content)):
        producer.resumeProducing()
        more = wire.take()
        assert 0 < len(more) <= 2 * PIECE
        got += more
        rounds += 1
    assert rounds >= 7
    assert wire.drop.largest_read == READ
    body = got.split(b"\r\n", 1)[1].rsplit(b".\r\n+OK", 1)[0]
    assert body == content.replace(b"\r\n.", b"\r\n..")


def test_client_gone_while_a_message_goes_out():
    wire = Wire([b"x" * (3 * READ)])
    wire.login()
    producer = wire.transport.producer
    wire.transport.write = lambda data: producer.pauseProducing()
    wire.send(b"RETR 1\r\n")
    wire.lose()
    assert wire.drop.released
    assert wire.drop.calls.count("retrieve") == 1


def test_client_gone_while_the_login_is_checked():
    wire = Wire([ONE])
    wire.logins.waiting = pending()
    wire.send(LOGIN)
    wire.lose()
    assert not wire.drop.released
    wire.logins.waiting.callback(None)
    assert wire.drop.released
    assert wire.logins.login.logouts == 1
    wire.clock.advance(RENEW_SECONDS * 2)
    assert "renew" not in wire.drop.calls


def test_draining_waits_for_the_command_under_way():
    wire = Wire([ONE])
    wire.logins.waiting = pending()
    wire.take()
    wire.send(LOGIN + b"RETR 1\r\n")
    wire.factory.draining()
    assert not wire.closed
    wire.logins.waiting.callback(None)
    assert wire.closed
    assert wire.take() == b"+OK maildrop has 1 messages (32 octets)\r\n"


def test_lease_is_renewed_until_the_end():
    wire = Wire([ONE])
    wire.clock.advance(RENEW_SECONDS * 3)
    wire.login()
    for number in range(1, 4):
        wire.clock.advance(RENEW_SECONDS)
        assert wire.drop.calls.count("renew") == number
        wire.send(b"NOOP\r\n")
    wire.drop.fault["renew"] = StoreUnavailable()
    wire.clock.advance(RENEW_SECONDS)
    wire.clock.advance(RENEW_SECONDS)
    assert wire.drop.calls.count("renew") == 5
    wire.send(b"QUIT\r\n")
    wire.lose()
    wire.clock.advance(RENEW_SECONDS * 5)
    assert wire.drop.calls.count("renew") == 5
    assert wire.clock.getDelayedCalls() == []


# IMAP trap 54: a lock that was lost
def test_lost_lease_ends_the_session_and_deletes_nothing(events):
    wire = Wire([ONE])
    wire.login()
    wire.send(b"DELE 1\r\n")
    wire.drop.fault["renew"] = Busy()
    wire.clock.advance(RENEW_SECONDS)
    assert wire.closed
    wire.lose()
    assert wire.drop.committed is None
    assert not wire.drop.released  # it is somebody else's now
    assert ("session.ended", "the maildrop lease was lost") in [(e, f.get("reason")) for e, f in events]


def test_ten_mistakes_end_the_session(events):
    wire = Wire()
    wire.take()
    for _ in range(9):
        assert wire.send(b"HELO x\r\n") == b"-ERR unknown command\r\n"
    assert wire.send(b"HELO x\r\nQUIT\r\n") == b"-ERR too many errors\r\n"
    assert wire.closed
    assert [f["reason"] for e, f in events if e == "session.ended"] == ["too many errors"]


def test_failed_logins_count_as_mistakes():
    wire = Wire()
    wire.take()
    wire.send(b"USER alice\r\nPASS x\r\n" * 9)
    assert wire.send(b"USER alice\r\nPASS x\r\n").endswith(b"-ERR too many errors\r\n")
    assert len(wire.logins.asked) == 10


def test_hostile_octets():
    wire = Wire()
    wire.take()
    got = wire.send(b"\0\xff\r\nUSER a\0b\r\n" + b"\xff" * 300 + b"\r\nQUIT\r\n")
    assert got == b"-ERR unknown command\r\n-ERR bad arguments\r\n-ERR line too long\r\n+OK goodbye\r\n"


def test_many_messages_are_listed_in_pieces():
    wire = Wire([b"x\r\n"] * 20000)
    wire.login()
    got = wire.send(b"UIDL\r\n")
    lines = got.split(b"\r\n")
    assert lines[1] == b"1 uid1"
    assert lines[20000] == b"20000 uid20000"
    assert lines[20001:] == [b".", b""]


def test_too_many_connections():
    from twisted.internet.address import IPv4Address, IPv6Address

    wire = Wire(max_connections=4, max_per_peer=2)

    def connect(address):
        protocol = wire.factory.buildProtocol(address)
        protocol.makeConnection(transport := StringTransport())
        return transport.value()[:4] == b"+OK ", protocol

    def from_(host):
        return IPv6Address("TCP", host, 1) if ":" in host else IPv4Address("TCP", host, 1)

    assert connect(from_("2001:db8::1"))[0]
    assert connect(from_("2001:db8::2"))[0]
    assert not connect(from_("2001:db8::3"))[0]  # the same network
    taken, pump = connect(from_("192.0.2.1"))
    assert taken
    assert not connect(from_("192.0.2.2"))[0]  # four in all
    pump.connectionLost()
    taken, _ = connect(from_("192.0.2.2"))
    assert taken
    refused = wire.factory.buildProtocol(from_("192.0.2.3"))
    refused.makeConnection(transport := StringTransport())
    assert transport.value() == b"-ERR [SYS/TEMP] too many connections, try again later\r\n"
    assert transport.disconnecting
    assert wire.factory.connections == 4
