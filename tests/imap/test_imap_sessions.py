"""The session's own life: login, IDLE, APPEND, mailboxes (LIST-STATUS, CREATE-SPECIAL-USE), ends of all kinds."""

import pytest
from fake_mail import FakeAccount, FakeBlobs, FakeMailbox, FakeWriter
from imap_world import START, Client, World, play
from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher
from zope.interface.verify import verifyObject

from mailnode.errors import StoreUnavailable
from mailnode.imap.messages import search_returns
from mailnode.imap.session import IDLE_TIMEOUT, LOGIN_TIMEOUT, ImapSession
from mailnode.interfaces.sessions import ISessionMind
from mailnode.interfaces.store import IBlobs, IBlobWriter, IMailAccount, IMailbox
from mailnode.interfaces.wire import ISession
from mailnode.net import pump
from mailnode.net.no_reactor import run_now
from mailnode.values.flags import SEEN


def test_contracts():
    account = FakeAccount()
    verifyObject(IMailAccount, account)
    verifyObject(IMailbox, FakeMailbox(account, 1))
    verifyObject(IBlobs, FakeBlobs())
    verifyObject(IBlobWriter, FakeWriter(1))
    session = World().connect().session
    verifyObject(ISession, session)
    verifyObject(ISessionMind, session)


def fresh(make_world, *names, **options):
    def make():
        world = make_world()
        for name in names or ("",):
            world.connect(name, **options)
        return world

    return make


# --- ends


@pytest.mark.parametrize("how", ["LOGOUT", "errors", "shutdown", "account", "timeout"])
def test_a_peer_that_keeps_its_side_open_keeps_nothing_else(make_world, how):
    world = make_world()
    client = world.connect(select="INBOX")
    client.ask("a IDLE") if how != "errors" else None
    reasons = []

    def note(event):
        if event.get("event") == "session.ended":
            reasons.append(event["fields"]["reason"])

    globalLogPublisher.addObserver(note)
    try:
        match how:
            case "LOGOUT":
                client.send(b"DONE\r\nb LOGOUT\r\n")
            case "errors":
                client.send(b"x\r\n" * 30)
            case "shutdown":
                client.pump.draining()
            case "account":
                client.session.end("account disabled")
            case "timeout":
                for _ in range(32):
                    world.clock.advance(60)
    finally:
        globalLogPublisher.removeObserver(note)
    assert client.closed
    assert world.logins.standing == 0 and client.session.selected is None
    assert client.session not in world.services.views
    world.hints.publish("acc", 100)
    client.lose()
    assert world.logins.standing == 0
    expected = {"LOGOUT": [], "errors": ["too many errors"], "account": ["account disabled"]}
    assert reasons == expected.get(how, [how])


def test_a_login_that_stands_only_after_the_connection_is_lost_is_given_back():
    world = World()
    client = world.connect(login=False)
    password, waiting = world.logins.password, Deferred()

    async def slow(*args):
        await waiting
        return await password(*args)

    world.logins.password = slow
    client.ask("a LOGIN alice secret")
    client.lose()
    waiting.callback(None)
    assert world.logins.standing == 0 and len(world.logins.minds) == 1
    assert not world.clock.getDelayedCalls()


def test_a_login_is_held_as_long_as_its_last_command_runs():
    world = World()
    client = world.connect(select="INBOX")
    mailbox, waiting = client.session.selected.mailbox, Deferred()
    changes = mailbox.changes

    async def slow(*args, **kwargs):
        await waiting
        return await changes(*args, **kwargs)

    mailbox.changes = slow
    world.put()
    client.ask("a NOOP")
    client.lose()
    assert world.logins.standing == 1
    waiting.callback(None)
    assert world.logins.standing == 0


# --- before login


def test_greeting_and_login(make_world):
    world = make_world()
    client = Client(world, secure=True)
    assert client.received().startswith(b"* OK [CAPABILITY IMAP4rev1 ")
    assert client.ask("a LOGIN alice wrong") == ["a NO [AUTHENTICATIONFAILED] Wrong login or password"]
    assert client.ask("b SELECT INBOX")[0].startswith("b BAD")
    said = client.ask("c LOGIN alice secret")
    assert said[0].startswith("c OK [CAPABILITY IMAP4rev1 ") and "AUTH=" not in said[0]
    assert client.ask("d LOGIN alice secret")[0].startswith("d BAD")
    assert world.logins.standing == 1
    client.lose()
    assert world.logins.standing == 0


def test_authenticate_plain(make_world):
    play(
        fresh(make_world, login=False),
        """
        C: a AUTHENTICATE PLAIN
        S: +…
        C: AGFsaWNlAHNlY3JldA==
        S: a OK [CAPABILITY …] AUTHENTICATE completed
        """,
    )
    play(
        fresh(make_world, login=False),
        """
        C: a AUTHENTICATE PLAIN AGFsaWNlAHdyb25n
        S: a NO [AUTHENTICATIONFAILED] Wrong login or password
        C: b AUTHENTICATE PLAIN
        S: +…
        C: *
        S: b BAD AUTHENTICATE cancelled
        C: c AUTHENTICATE X-NONE
        S: c NO [CANNOT] Unknown authentication mechanism
        C: d AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==
        S: d OK [CAPABILITY …] AUTHENTICATE completed
        C: e NOOP
        S: e OK NOOP completed
        """,
    )


def test_no_login_without_tls(make_world):
    world = make_world(start_tls=True)
    client = Client(world, secure=False)
    greeting = client.received().decode()
    assert "LOGINDISABLED" in greeting and "STARTTLS" in greeting and "AUTH=" not in greeting
    assert client.ask("a LOGIN alice secret")[0].startswith("a NO [PRIVACYREQUIRED]")
    assert client.ask("b STARTTLS") == ["b OK Begin TLS negotiation"]
    client.pump.handshakeCompleted()
    assert "LOGINDISABLED" not in client.ask("c CAPABILITY")[0]
    assert client.ask("d STARTTLS") == ["d BAD TLS is up already"]
    assert client.ask("e LOGIN alice secret")[0].startswith("e OK")


def test_starttls_that_is_not_there(make_world):
    assert make_world().connect(login=False).ask("a STARTTLS") == ["a NO TLS is not available here"]


def test_any_state(make_world):
    play(
        fresh(make_world, login=False),
        """
        C: a ID ("name" "test" "version" NIL)
        S: * ID ("name" "mailnode" "version" "1")
        S: a OK ID completed
        C: b CAPABILITY
        S: * CAPABILITY IMAP4rev1 …AUTH=PLAIN
        S: b OK CAPABILITY completed
        C: c NOOP
        S: c OK NOOP completed
        """,
    )


def test_logout(make_world):
    world = make_world()
    client = world.connect(select="INBOX")
    assert client.ask("a LOGOUT\r\nb NOOP") == ["* BYE Logging out", "a OK LOGOUT completed"]
    assert client.closed


# --- ends


def test_timeouts(make_world):
    world = make_world()
    client = world.connect(login=False)
    world.clock.advance(LOGIN_TIMEOUT + 1)
    assert client.received() == b"* BYE No login in time\r\n" and client.closed
    client = world.connect()
    world.clock.advance(29 * 60)
    assert not client.closed
    world.clock.advance(IDLE_TIMEOUT)
    assert client.received() == b"* BYE Idle for too long\r\n" and client.closed


DRIPS = {  # what begins, and what comes every five minutes
    "line": (b"a SEARCH TEXT ", b"x"),
    "literal": (b"a SEARCH TEXT {30000+}\r\n", b"x"),
    "literals": (b"a SEARCH TEXT {1+}\r\nx", b" TEXT {1+}\r\nx"),
    "message": (b"a APPEND INBOX {30000+}\r\n", b"x"),
    "refused": (b"a NONSENSE {30000+}\r\n", b"x"),
    "idle": (b"a IDLE\r\n", b"x"),
}


@pytest.mark.parametrize("begun, piece", DRIPS.values(), ids=DRIPS)
def test_who_never_finishes_a_command_is_ended_though_octets_come(make_world, begun, piece):
    world = make_world()
    client = world.connect(select="INBOX")
    client.send(begun)
    client.received()
    pieces = 0
    while not client.closed:
        world.clock.advance(5 * 60)
        client.send(piece)
        pieces += 1
        assert pieces * 5 * 60 < 2 * IDLE_TIMEOUT + 10 * 60
    assert pieces * 5 * 60 > IDLE_TIMEOUT
    assert client.received().endswith(b"* BYE Idle for too long\r\n")


def test_a_slow_upload_may_take_hours(make_world):
    world = make_world()
    client = world.connect()
    octets = b"Subject: slowly\r\n\r\n" + b"x" * 500_000
    client.send(b"a APPEND INBOX {%d+}\r\n" % len(octets))
    for at in range(0, len(octets), 4096):  # 68 octets a second, for two hours
        world.clock.advance(60)
        client.send(octets[at : at + 4096])
    client.send(b"\r\n")
    assert b"a OK " in client.received()


def test_small_commands_keep_a_session_for_days(make_world):
    world = make_world()
    client = world.connect()
    for turn in range(300):
        world.clock.advance(1000)
        client.send(b"%d NO" % turn)  # in two pieces: some looks fall between them
        world.clock.advance(100)
        client.send(b"OP\r\n")
        assert client.received() == b"%d OK NOOP completed\r\n" % turn


# IMAP trap 54: an account that is disabled
def test_account_disabled_ends_the_session(make_world):
    world = make_world()
    idle, plain = world.connect("1", select="INBOX"), world.connect("2")
    idle.ask("a IDLE")
    for mind in world.logins.minds:
        mind.end("account disabled")
    for client in (idle, plain):
        assert client.received() == b"* BYE [UNAVAILABLE] Session ended by the server\r\n"
        assert client.closed


def test_end_comes_after_a_response_of_a_command_under_way(make_world):
    world = make_world()
    for _ in range(3):
        world.put(b"Subject: x\r\n\r\n" + b"y" * 200_000)
    said = _ended_under_way(world.connect(select="INBOX"), b"t FETCH 1:3 BODY.PEEK[]\r\n", within=False)
    assert said.endswith(b"y)\r\n* BYE [UNAVAILABLE] Session ended by the server\r\n")


@pytest.mark.parametrize(
    "command", [b"FETCH 1 BODY.PEEK[]", b"SEARCH ALL", b"UID SEARCH RETURN (ALL) NOT BEFORE 1-Jan-1990"]
)
def test_no_last_words_stand_within_a_response(make_world, command, monkeypatch):
    monkeypatch.setattr(search_returns, "NUMBERS", 2)
    monkeypatch.setattr(pump, "GATHERED", 1)
    world = make_world()
    for _ in range(9):
        world.put(b"Subject: x\r\n\r\n" + b"y" * 10**6)
    said = _ended_under_way(world.connect(select="INBOX"), b"t " + command + b"\r\n")
    assert said.startswith(b"* ") and b"BYE" not in said and not said.endswith(b"\r\n")


def _ended_under_way(client, command, within=True) -> bytes:
    """Return what is said to who reads one write of an answer before the account is disabled, and the rest after it."""
    write = client.transport.write

    def fill(data):
        write(data)
        client.pump.pauseProducing()

    client.transport.write = fill
    client.send(command)
    client.transport.write = write
    client.session.end("account disabled")
    assert client.closed is not within
    client.pump.resumeProducing()
    assert client.closed
    return client.received()


@pytest.mark.parametrize("command", [b"NOOP", b"UID STORE 1 +FLAGS (\\Seen)"])
def test_who_reads_no_answers_is_not_read_from(make_world, command):
    world = make_world()
    world.put(b"Subject: x\r\n\r\ny\r\n")
    client = world.connect(select="INBOX")
    client.received()
    client.pump.pauseProducing()
    client.send(b"".join(b"t%d %b\r\n" % (number, command) for number in range(20)))
    assert client.received() == b""
    client.pump.resumeProducing()
    assert client.received().endswith(b"t19 OK %b completed\r\n" % command.split()[0 if command == b"NOOP" else 1])


def test_shutdown(make_world):
    client = make_world().connect(select="INBOX")
    client.pump.draining()
    assert client.received() == b"* BYE [UNAVAILABLE] Server is shutting down\r\n" and client.closed


def test_unknown_trouble_in_a_command_is_logged_and_the_session_lives(make_world):
    client = make_world().connect()

    def broken(*args):
        raise ZeroDivisionError

    client.session.login.avatar.mail = type("Mail", (), {"mailboxes": broken})()
    assert client.ask("a STATUS INBOX (MESSAGES)") == ["a NO [UNAVAILABLE] Temporary trouble, try again later"]
    assert client.ask("b NOOP") == ["b OK NOOP completed"]


# --- IDLE


# IMAP trap 44: at once
def test_idle_pushes_at_once(make_world):
    play(
        fresh(make_world, "1", "2", select="INBOX"),
        r"""
        C1: a IDLE
        S1: + idling
        ! world.put()
        S1: * 1 EXISTS
        S1: * 1 RECENT
        ! world.put()
        S1: * 2 EXISTS
        S1: * 2 RECENT
        C2: b STORE 1 +FLAGS.SILENT (\Seen)
        S2: * 2 EXISTS
        S2: * 0 RECENT
        S2: b BAD No such message number
        C2: c STORE 1 +FLAGS.SILENT (\Seen)
        S2: c OK STORE completed
        S1: * 1 FETCH (FLAGS (\Seen \Recent))
        ! world.expunge(1)
        S1: * 1 EXPUNGE
        C1: x NOOP
        S1: * BAD Only DONE ends IDLE
        C1: done
        S1: a OK IDLE terminated
        """,
    )


# IMAP trap 44: what happens while it begins
def test_idle_tells_first_what_came_before(make_world):
    world = make_world()
    client = world.connect(select="INBOX")
    world.hints.lost = True
    client.ask("n NOOP")
    world.put()
    assert client.ask("a IDLE") == ["+ idling", "* 1 EXISTS", "* 1 RECENT"]


# IMAP trap 44: half an hour
def test_idle_survives_lost_hints_and_half_an_hour(make_world):
    world = make_world()
    client = world.connect(select="INBOX")
    client.ask("a IDLE")
    world.hints.lost = True
    world.put()
    world.clock.advance(5.1)
    assert client.received() == b"* 1 EXISTS\r\n* 1 RECENT\r\n"
    for _ in range(29 * 60):
        world.clock.advance(1)
    assert client.received().startswith(b"* OK Still here\r\n* OK Still here\r\n")
    assert not client.closed
    assert client.ask("DONE") == ["a OK IDLE terminated"]
    world.put()
    world.clock.advance(10)
    assert client.received() == b""


def test_idle_without_a_mailbox(make_world):
    client = make_world().connect()
    assert client.ask("a IDLE") == ["+ idling"]
    assert client.ask("DONE") == ["a OK IDLE terminated"]


# IMAP trap 8: IDLE and DONE
def test_idle_and_done_in_one_segment(make_world):
    client = make_world().connect(select="INBOX")
    assert client.ask("a IDLE\r\nDONE\r\nb NOOP") == ["+ idling", "a OK IDLE terminated", "b OK NOOP completed"]


def fill_at_once(client):
    """Let the output be full from the next write on."""
    write = client.transport.write

    def fill(data):
        write(data)
        client.pump.pauseProducing()

    client.transport.write = fill


def test_an_idle_client_that_does_not_read_is_told_the_end_and_closed(make_world):
    world = make_world()
    client = world.connect(select="INBOX")
    client.ask("a IDLE")
    fill_at_once(client)
    world.put()
    world.put()
    client.pump.draining()
    assert client.closed and world.logins.standing == 0
    assert client.received() == b"* 1 EXISTS\r\n* BYE [UNAVAILABLE] Server is shutting down\r\n"


def test_what_happens_while_an_idle_client_does_not_read_is_told_in_one(make_world):
    world = make_world()
    client = world.connect(select="INBOX")
    client.ask("a IDLE")
    fill_at_once(client)
    for _ in range(3):
        world.put()
    assert client.received() == b"* 1 EXISTS\r\n"
    for _ in range(3):
        client.pump.resumeProducing()
    assert client.received() == b"* 1 RECENT\r\n* 3 EXISTS\r\n* 3 RECENT\r\n"


def test_idle_goes_on_after_trouble(make_world, request):
    if "sqlite" in request.node.name:
        return
    world = make_world()
    client = world.connect(select="INBOX")
    client.ask("a IDLE")
    mailbox = client.session.selected.mailbox
    changes = mailbox.changes

    async def broken(*args, **kwargs):
        raise StoreUnavailable

    mailbox.changes = broken
    world.put()
    assert client.received() == b""
    mailbox.changes = changes
    world.clock.advance(6)
    assert client.received() == b"* 1 EXISTS\r\n* 1 RECENT\r\n"


def test_nothing_is_left_behind_a_lost_idle(make_world):
    world = make_world()
    client = world.connect(select="INBOX")
    client.ask("a IDLE")
    client.lose()
    world.put()
    assert not world.clock.getDelayedCalls()


# --- APPEND


# IMAP trap 3: TRYCREATE
def test_append(make_world):
    play(
        fresh(make_world, select="INBOX"),
        r"""
        C: a APPEND INBOX (\Seen Work) "05-jan-1999 20:55:23 +0130" {27}
        S: + OK
        C: Subject: appended
        C:
        C: body
        C:
        S: * FLAGS (\Seen \Answered \Flagged \Deleted \Draft Work)
        S: * OK [PERMANENTFLAGS (\Seen \Answered \Flagged \Deleted \Draft Work \*)] Flags kept
        S: * 1 EXISTS
        S: * 1 RECENT
        S: a OK [APPENDUID … 1] APPEND completed
        C: b FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE)
        S: * 1 FETCH (FLAGS (\Seen Work \Recent) INTERNALDATE " 5-Jan-1999 20:55:23 +0130" RFC822.SIZE 27)
        S: b OK FETCH completed
        C: c APPEND Drafts {3+}
        C: x:y
        S: c OK [APPENDUID … 1] APPEND completed
        C: d APPEND Nowhere {5}
        S: d NO [TRYCREATE] No such mailbox
        C: e APPEND Nowhere {5+}
        C: abcde
        S: e NO [TRYCREATE] No such mailbox
        C: f NOOP
        S: f OK NOOP completed
        """,
    )


def test_append_without_date_is_now(make_world):
    client = make_world().connect(select="INBOX")
    client.ask("a APPEND INBOX {4+}\r\na: b")
    assert 'INTERNALDATE "14-Nov-2023 22:13:20 +0000"' in client.ask("b FETCH 1 INTERNALDATE")[0]
    assert START == 1_700_000_000


# IMAP trap 28: LF that comes by APPEND
def test_append_makes_bare_lf_crlf_and_keeps_a_lone_cr(make_world):
    for bytewise in (False, True):
        client = make_world().connect(select="INBOX")
        client.send(b"a APPEND INBOX {24+}\r\nA: 1\nB: 2\r\n\rx\n\r\ny\r\r\nz\nw\r\r\n", bytewise)
        assert b"a OK" in client.received()
        client.send(b"b FETCH 1 (RFC822.SIZE BODY.PEEK[])\r\n")
        body = b"A: 1\r\nB: 2\r\n\rx\r\n\r\ny\r\r\nz\r\nw\r\n"
        assert client.received().startswith(
            b"* 1 FETCH (RFC822.SIZE %d BODY[] {%d}\r\n%b)" % (len(body), len(body), body)
        )


@pytest.mark.parametrize("message", [b"x", b"\nx", b"\n\nx", b"\rx", b"\n" * 1000 + b"x", b"xy", b"\r"])
def test_append_of_tiny_messages_whose_line_ends_grow(make_world, message):
    client = make_world().connect(select="INBOX")
    client.send(b"a APPEND INBOX {%d+}\r\n%b\r\n" % (len(message), message))
    assert b"a OK" in client.received()
    stored = message.replace(b"\n", b"\r\n")
    stored = stored if stored.endswith(b"\r\n") else stored.removesuffix(b"\r") + b"\r\n"
    assert client.ask("b FETCH 1 RFC822.SIZE")[0] == f"* 1 FETCH (RFC822.SIZE {len(stored)})"


def test_octets_above_ascii_in_quoted_strings(make_world):
    world = make_world()
    world.put(b"Subject: =?utf-8?q?sp=C3=A9cial?=\r\n\r\nx\r\n")
    client = world.connect(select="INBOX")
    bad = b"NO [CANNOT] Mailbox name is not allowed\r\n"
    for command, said in (
        (b'SEARCH CHARSET UTF-8 SUBJECT "sp\xc3\xa9cial"', b"* SEARCH 1\r\na OK SEARCH completed\r\n"),
        (b'SEARCH CHARSET ISO-8859-1 SUBJECT "sp\xe9cial"', b"* SEARCH 1\r\na OK SEARCH completed\r\n"),
        (b'SEARCH SUBJECT "sp\xc3\xa9cial"', b"* SEARCH 1\r\na OK SEARCH completed\r\n"),
        (b'CREATE "caf\xc3\xa9"', b"a " + bad),
        (b'CREATE "caf\xe9"', b"a " + bad),
        (b'APPEND "caf\xe9" {1}', b"a " + bad),
        (b'LIST "" "caf\xe9"', b"a OK LIST completed\r\n"),
        (b'SEARCH SUBJECT "\xe9\x00"', b"a BAD Expected a string\r\n"),
        (b'SEARCH SUBJECT "\xe9\n"', b"a BAD Expected a string\r\n"),
        (b"NOOP", b"a OK NOOP completed\r\n"),
    ):
        client.send(b"a " + command + b"\r\n")
        assert client.received() == said, command
    before = world.connect("2", login=False)
    before.send(b'a ID ("name" "caf\xc3\xa9")\r\nb LOGIN "alice" "s\xe9cret"\r\n')
    assert [line[:7] for line in before.received().split(b"\r\n")][:3] == [b'* ID ("', b"a OK ID", b"b NO [A"]


def test_append_limits(make_world, request):
    world = make_world(append_limit=100)
    client = world.connect()
    assert client.ask("a APPEND INBOX {101}") == ["a NO [TOOBIG] Message too large"]
    assert client.ask("b APPEND INBOX {0}") == ["b NO [CANNOT] A message cannot be empty"]
    client.send(b"c APPEND INBOX {101+}\r\n" + b"x" * 101 + b"\r\nd NOOP\r\n")
    assert client.received() == b"c NO [TOOBIG] Message too large\r\nd OK NOOP completed\r\n"
    if hasattr(world, "store"):
        run_now(world.store.set_quota("acc", 50, 0))
    else:
        world.account.quota = 50
    assert client.ask("e APPEND INBOX {60}") == ["e NO [OVERQUOTA] Over quota"]
    assert client.ask("f APPEND INBOX {9+}\r\na: b\r\n\r\nc")[-1].startswith("f OK")


# IMAP trap 51: keywords without end
def test_append_beyond_the_keyword_table(make_world):
    client = make_world().connect()
    names = " ".join(f"k{n}" for n in range(60))
    said = client.ask(f"a APPEND INBOX ({names}) {{4+}}\r\na: b")
    assert said == ["a NO [LIMIT] No more keywords can be added"]
    assert client.ask("b STATUS INBOX (MESSAGES)")[0] == "* STATUS INBOX (MESSAGES 0)"


# IMAP trap 9: lost within APPEND
def test_a_connection_lost_in_append_leaves_nothing(make_world):
    world = make_world()
    client = world.connect()
    client.send(b"a APPEND INBOX {1000}\r\nSubject: half")
    appending = client.session.under_way
    assert appending.writer is not None
    client.lose()
    assert appending.writer is None
    assert run_now(world.box().snapshot()).uids.tolist() == []


def test_append_with_rubbish_behind_it(make_world):
    client = make_world().connect()
    said = client.ask("a APPEND INBOX {4+}\r\na: brubbish")
    assert said[-1].startswith("a BAD")
    assert client.ask("b STATUS INBOX (MESSAGES)")[0] == "* STATUS INBOX (MESSAGES 0)"


def test_append_while_the_disk_is_full(make_world, request):
    if "sqlite" in request.node.name:
        return
    world = make_world()
    client = world.connect()
    world.account.broken = StoreUnavailable()
    said = client.ask("a APPEND INBOX {4+}\r\na: b")
    assert said == ["a NO [UNAVAILABLE] Mail storage is unavailable, try again later"]


def test_a_writer_that_fails_is_told_after_the_octets(make_world, request):
    if "sqlite" in request.node.name:
        return
    world = make_world()
    client = world.connect()
    client.send(b"a APPEND INBOX {10}\r\n")
    assert client.received() == b"+ OK\r\n"

    async def full(data):
        raise StoreUnavailable

    client.session.under_way.writer.write = full
    client.send(b"01234")
    assert client.received() == b""
    assert client.ask("56789") == ["a NO [UNAVAILABLE] Mail storage is unavailable, try again later"]
    assert client.ask("b NOOP") == ["b OK NOOP completed"]


# --- mailboxes


def test_mailboxes(make_world):
    play(
        fresh(make_world),
        r"""
        C: a CREATE Projects/2024/
        S: a OK [MAILBOXID (Facc-…)] CREATE completed
        C: b CREATE projects
        S: b OK [MAILBOXID (Facc-…)] CREATE completed
        C: c CREATE Projects
        S: c NO [ALREADYEXISTS] Mailbox already exists
        C: d CREATE inbox
        S: d NO [ALREADYEXISTS] Mailbox already exists
        C: e LIST "" %
        S: * LIST (\HasNoChildren) "/" INBOX
        S: …
        S: * LIST (\HasChildren) "/" Projects
        S: …
        S: e OK LIST completed
        C: f LIST "" ""
        S: * LIST (\Noselect) "/" ""
        S: f OK LIST completed
        C: g LIST (SPECIAL-USE) "" * RETURN (SUBSCRIBED)
        S: * LIST (\Subscribed \HasNoChildren \Archive) "/" Archive
        S: * LIST (\Subscribed \HasNoChildren \Drafts) "/" Drafts
        S: * LIST (\Subscribed \HasNoChildren \Junk) "/" Junk
        S: * LIST (\Subscribed \HasNoChildren \Sent) "/" Sent
        S: * LIST (\Subscribed \HasNoChildren \Trash) "/" Trash
        S: g OK LIST completed
        C: h SUBSCRIBE Missing
        S: h OK SUBSCRIBE completed
        C: i LSUB "" M*
        S: * LSUB () "/" Missing
        S: i OK LSUB completed
        C: j UNSUBSCRIBE Missing
        S: j OK UNSUBSCRIBE completed
        C: k LSUB "" M*
        S: k OK LSUB completed
        C: l DELETE INBOX
        S: l NO [CANNOT] Not possible with this mailbox
        C: m DELETE Nowhere
        S: m NO [NONEXISTENT] No such mailbox
        C: n RENAME Nowhere Here
        S: n NO [NONEXISTENT] No such mailbox
        C: o RENAME projects Trash
        S: o NO [ALREADYEXISTS] Mailbox already exists
        C: p RENAME projects Work/Old
        S: p OK RENAME completed
        C: q DELETE Work/Old
        S: q OK DELETE completed
        C: r NAMESPACE
        S: * NAMESPACE (("" "/")) (("Other Users/" "/")) (("Shared Folders/" "/"))
        S: r OK NAMESPACE completed
        C: s STATUS Nowhere (MESSAGES)
        S: s NO [NONEXISTENT] No such mailbox
        C: t CREATE B&APY-se
        S: t OK [MAILBOXID (Facc-…)] CREATE completed
        C: u LIST "" B*
        S: * LIST (\HasNoChildren) "/" B&APY-se
        S: u OK LIST completed
        """,
    )


def test_the_question_for_the_separator_reads_no_mailboxes(make_world, monkeypatch):
    world = make_world()
    client = world.connect()
    monkeypatch.delattr(type(world.account), "mailboxes")
    answer = ['* LIST (\\Noselect) "/" ""', "a OK LIST completed"]
    assert client.ask('a LIST "" ""') == client.ask('a LIST INBOX ""') == answer


@pytest.mark.parametrize(
    ("command", "rows"),
    [
        (b'LIST "" *', 306),
        (b'LIST (SUBSCRIBED RECURSIVEMATCH) "" *', 306),
        (b'LIST "" "*%y"', 0),
        (b'LSUB "" *', 306),
        (b'LSUB "" "*%y"', 0),
    ],
)
def test_many_mailboxes_give_others_their_turn(make_world, command, rows, monkeypatch):
    world = make_world()
    for number in range(300):
        run_now(world.account.create(f"box{number}"))
        run_now(world.account.subscribe(f"box{number}", True))
    client = world.connect()

    def later():
        world.clock.rightNow += 0.05
        return world.clock.rightNow

    turns = []
    call_later = world.clock.callLater

    def begin(delay, callback, *arguments):
        turns.append(delay)
        return call_later(delay, callback, *arguments)

    monkeypatch.setattr(world.clock, "seconds", later)
    monkeypatch.setattr(world.clock, "callLater", begin)
    client.send(b"t " + command + b"\r\n")
    said = client.received()
    assert b"t OK" not in said
    world.clock.advance(0)
    said += client.received()
    verb = command.split()[0]
    assert said.count(b"* %b (" % verb) == rows and said.endswith(b"t OK %b completed\r\n" % verb)
    assert turns.count(0) >= 9


def test_list_status_tells_all_selectable_ones(make_world):
    world = make_world()
    world.put(mailbox="Sent")
    said = world.connect().ask('a LIST "" % RETURN (STATUS (MESSAGES UNSEEN))')
    assert said.count("* STATUS Sent (MESSAGES 1 UNSEEN 1)") == 1
    assert sum(line.startswith("* STATUS") for line in said) == 6
    assert said.index('* LIST (\\HasNoChildren \\Sent) "/" Sent') + 1 == said.index(
        "* STATUS Sent (MESSAGES 1 UNSEEN 1)"
    )


def test_status_items(make_world):
    world = make_world()
    for _ in range(3):
        world.put()
    world.flag(1, "add", SEEN)
    said = world.connect().ask("a STATUS INBOX (UNSEEN MESSAGES RECENT UIDNEXT)")
    assert said[0] == "* STATUS INBOX (UNSEEN 2 MESSAGES 3 RECENT 3 UIDNEXT 4)"


# IMAP trap 8: two SELECTs and what stands behind
def test_pipelined_selects(make_world):
    world = make_world()
    world.put(mailbox="Sent")
    client = world.connect()
    said = client.ask("a SELECT INBOX\r\nb SELECT Sent\r\nc FETCH 1 (UID)\r\nd LOGOUT")
    assert said[-4:] == ["* 1 FETCH (UID 1)", "c OK FETCH completed", "* BYE Logging out", "d OK LOGOUT completed"]


# IMAP trap 8: LOGOUT behind FETCH
@pytest.mark.parametrize("bytewise", [False, True])
def test_logout_behind_a_long_fetch(make_world, bytewise):
    world = make_world()
    for _ in range(300):
        world.put()
    client = world.connect(select="INBOX")
    client.send(b"a FETCH 1:* (ENVELOPE)\r\nb LOGOUT\r\n", bytewise)
    said = client.received()
    assert said.count(b" FETCH (") == 300 and said.endswith(b"b OK LOGOUT completed\r\n")


def test_the_session_needs_nothing_but_its_constructor(make_world):
    world = make_world()
    client = world.connect(login=False)
    assert isinstance(client.session, ImapSession)
    assert client.session.selected is None


def test_an_ended_session_releases_everything_when_the_connection_goes(make_world):
    world = make_world()
    for last_words in ("LOGOUT", "IDLE", "NOOP"):
        client = world.connect(select="INBOX")
        client.ask(f"a {last_words}")
        client.session.end("account disabled")
        client.lose()
    assert world.logins.standing == 0
    assert not world.clock.getDelayedCalls()


def test_create_with_a_special_use(make_world):
    play(
        fresh(make_world),
        r"""
        C: a CREATE Starred (USE (\Flagged))
        S: a OK [MAILBOXID (Facc-…)] CREATE completed
        C: b LIST (SPECIAL-USE) "" S*
        S: * LIST (\HasNoChildren \Sent) "/" Sent
        S: * LIST (\HasNoChildren \Flagged) "/" Starred
        S: b OK LIST completed
        C: c CREATE Both (USE (\Flagged \All))
        S: c NO [USEATTR] Only one special use for a mailbox
        """,
    )


def test_a_login_that_ends_after_the_connection_is_taken_back(make_world):
    from twisted.internet.defer import Deferred

    world = make_world()
    client = world.connect(login=False)
    waiting = Deferred()
    password = world.logins.password

    async def slow(*args):
        await waiting
        return await password(*args)

    world.logins.password = slow
    client.send(b"a LOGIN alice secret\r\n")
    client.lose()
    waiting.callback(None)
    assert world.logins.standing == 0


def test_a_select_that_ends_after_the_connection_leaves_nothing(make_world, request):
    from twisted.internet.defer import Deferred

    if "sqlite" in request.node.name:
        return
    world = make_world()
    client = world.connect()
    waiting = Deferred()
    mailboxes = world.account.mailboxes

    async def slow():
        await waiting
        return await mailboxes()

    world.account.mailboxes = slow
    client.send(b"a SELECT INBOX\r\n")
    client.lose()
    waiting.callback(None)
    assert world.logins.standing == 0
    assert not world.clock.getDelayedCalls()


def test_a_connection_lost_while_append_is_scanned_is_no_trouble(make_world):
    from dataclasses import replace

    from twisted.internet.defer import Deferred

    world = make_world()
    waiting = Deferred()
    stage = world.services.stage

    async def slow(writer):
        staged = await stage(writer)
        await waiting
        return staged

    world.services = replace(world.services, stage=slow)
    client = world.connect(select="INBOX")
    client.session.trouble = lambda error: pytest.fail(repr(error))
    client.send(b"a APPEND INBOX {4+}\r\na: b\r\n")
    client.lose()
    waiting.callback(None)
    assert run_now(world.box().snapshot()).uids.tolist() == []
