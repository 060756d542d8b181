"""UNAUTHENTICATE (RFC 8437): the connection stays, all else is as before the login."""

import zlib

import pytest
from imap_world import play
from test_imap_compress import Deflated

from mailnode.imap.hiding import Hiding
from mailnode.imap.session import LOGIN_TIMEOUT


def make(make_world, **options):
    def world():
        world = make_world(**options)
        for _ in range(2):
            world.put()
        world.connect(login=False)
        return world

    return world


def test_one_connection_for_two_logins(make_world):
    play(
        make(make_world),
        """
        C: a UNAUTHENTICATE
        S: a BAD Command is not allowed now
        C: b LOGIN alice secret
        S: b OK [CAPABILITY … UNAUTHENTICATE…] …
        C: c UNAUTHENTICATE now
        S: c BAD …
        C: d UNAUTHENTICATE
        S: d OK UNAUTHENTICATE completed
        C: e LIST "" *
        S: e BAD Command is not allowed now
        C: f CAPABILITY
        S: * CAPABILITY … AUTH=PLAIN…
        S: f OK …
        C: g LOGIN alice wrong
        S: g NO [AUTHENTICATIONFAILED] …
        C: h LOGIN alice secret
        S: h OK [CAPABILITY …] …
        C: i SELECT INBOX
        S: …
        S: * 2 EXISTS
        S: …
        S: …
        S: …
        S: …
        S: …
        S: …
        S: …
        S: i OK [READ-WRITE] SELECT completed
        C: j UNAUTHENTICATE
        S: j OK UNAUTHENTICATE completed
        C: k FETCH 1 FLAGS
        S: k BAD Command is not allowed now
        C: l LOGOUT
        S: * BYE Logging out
        S: l OK LOGOUT completed
    """,
    )


# RFC 8437 3: no waiting between it and AUTHENTICATE
def test_the_login_is_given_back_and_the_next_may_stand_behind_it(make_world):
    world = make(make_world)()
    client = world.clients[""]
    client.ask("a LOGIN alice secret")
    assert world.logins.standing == 1
    client.send(b"b SELECT INBOX\r\nc UNAUTHENTICATE\r\nd AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==\r\ne NOOP\r\n")
    said = client.received().decode().split("\r\n")
    assert [line[:4] for line in said if line[:2] in ("b ", "c ", "d ", "e ")] == ["b OK", "c OK", "d OK", "e OK"]
    assert "EXPUNGE" not in "".join(said) and "CLOSED" not in "".join(said)
    assert world.logins.standing == 1
    client.ask("f UNAUTHENTICATE")
    assert world.logins.standing == 0


def test_nothing_that_was_enabled_or_asked_for_stays(make_world):
    world = make(make_world)()
    client = world.clients[""]
    client.ask("a LOGIN alice secret")
    client.ask("b ENABLE UTF8=ACCEPT QRESYNC UIDONLY")
    client.ask("c NOTIFY SET (SELECTED (MessageNew MessageExpunge FlagChange)) (PERSONAL (MessageNew MessageExpunge))")
    client.ask("d SELECT INBOX")
    client.ask("e UID SEARCH RETURN (SAVE) ALL")
    client.ask("f UNAUTHENTICATE")
    world.put()
    world.clock.advance(1)
    assert client.received() == b"", "NOTIFY holds no more"
    client.ask("g LOGIN alice secret")
    assert client.ask("h ENABLE")[0].startswith("h BAD")
    assert not any("HIGHESTMODSEQ" in line and line.startswith("i") for line in client.ask("i SELECT INBOX"))
    assert client.ask("j FETCH 1 (UID)") == ["* 1 FETCH (UID 1)", "j OK FETCH completed"], "UIDONLY holds no more"
    assert client.ask("k SEARCH $") == ["* SEARCH", "k OK SEARCH completed"]
    assert client.ask("l STORE 1 +FLAGS (\\Seen)")[0] == "* 1 FETCH (FLAGS (\\Seen))", "nor does CONDSTORE"
    assert client.ask('m CREATE "R&AOQ-der"')[0].startswith("m OK")
    assert any("R&AOQ-der" in line for line in client.ask('n LIST "" R*')), "nor is a name in UTF-8"


def test_hints_of_the_account_come_no_more(make_world):
    world = make(make_world)()
    client = world.clients[""]
    client.ask("a LOGIN alice secret")
    client.ask("b SELECT INBOX")
    client.ask("c UNAUTHENTICATE")
    heard = []
    client.session.hinted = lambda account, modseq: heard.append(account)
    world.put()
    assert heard == []


# What the client said by ID stays, what was hidden from the account does not.
def test_what_is_hidden_from_the_program_stays_hidden(make_world):
    world = make(make_world, hiding=Hiding(frozenset({"MOVE"}), {"old": frozenset({"IDLE"})}))()
    world.logins.hidden = "QRESYNC"
    client = world.clients[""]
    client.ask("a LOGIN alice secret")
    client.ask('b ID ("name" "Old")')
    assert not {"MOVE", "IDLE", "QRESYNC"} & set(client.ask("c CAPABILITY")[0].split())
    client.ask("d UNAUTHENTICATE")
    told = set(client.ask("e CAPABILITY")[0].split())
    assert "QRESYNC" in told and not {"MOVE", "IDLE"} & told


def test_who_does_not_log_in_again_is_told_bye(make_world):
    world = make(make_world, login_seconds=LOGIN_TIMEOUT * 1.5)()
    client = world.clients[""]
    client.ask("a LOGIN alice secret")
    client.ask("b UNAUTHENTICATE")
    world.clock.advance(LOGIN_TIMEOUT - 1)
    assert client.ask("c NOOP") == ["c OK NOOP completed"]
    world.clock.advance(LOGIN_TIMEOUT - 1)
    assert client.received() == b"* BYE No login in time\r\n", "whatever it says meanwhile"


@pytest.mark.parametrize("bytewise", [False, True])
@pytest.mark.parametrize("flush", [zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_FINISH])
@pytest.mark.parametrize("waits", [True, False])
def test_compression_ends_behind_it(make_world, bytewise, flush, waits):
    world = make(make_world)()
    client = world.clients[""]
    client.ask("a LOGIN alice secret")
    for _ in range(3):
        assert client.ask("b COMPRESS DEFLATE") == ["b OK DEFLATE active"]
        deflated = Deflated(client)
        assert deflated.ask("c SELECT INBOX\r\n", bytewise)[-1].startswith("c OK")
        asked = deflated.octets(b"d NOOP\r\ne UNAUTHENTICATE\r\n", flush)
        login = b"b LOGIN alice secret\r\n"
        client.send(asked if waits else asked + login, bytewise)
        said = client.received()
        if waits:
            client.send(login, bytewise)
            said += client.received()
        stream = deflated._in
        assert stream.decompress(said) == b"d OK NOOP completed\r\ne OK UNAUTHENTICATE completed\r\n"
        assert stream.eof, "our side ends its stream"
        assert stream.unused_data.startswith(b"b OK [CAPABILITY")
        assert client.ask("f NOOP") == ["f OK NOOP completed"]
