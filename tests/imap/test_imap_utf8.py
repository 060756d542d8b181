"""UTF8=ACCEPT (RFC 6855): strings and names of mailboxes in UTF-8 both ways, once it is enabled."""

import pytest
from imap_world import play

from mailnode.net.no_reactor import run_now

ENABLE = b"e ENABLE UTF8=ACCEPT\r\n"


@pytest.fixture(params=[b"UTF8=ACCEPT", b"IMAP4rev2"])
def enabled(make_world, request):
    """A session that has enabled it, or IMAP4rev2, which has the same (RFC 9051 5.1)."""
    world = make_world()
    client = world.connect()
    client.send(b"e ENABLE %b\r\n" % request.param)
    assert client.received() == b"* ENABLED %b\r\ne OK ENABLE completed\r\n" % request.param
    return world


def ask(world, line, name=""):
    client = world.clients[name]
    client.send(b"a " + line + b"\r\n")
    return client.received()


# IMAP trap 39: names in UTF-8
def test_names_are_said_and_taken_in_utf8(enabled):
    cafe = 'café & "bar"'.encode()
    assert b"a OK" in ask(enabled, b'CREATE "caf\xc3\xa9 & \\"bar\\""')
    assert b'* LIST (\\HasNoChildren) "/" "caf\xc3\xa9 & \\"bar\\""\r\n' in ask(enabled, b'LIST "" "caf\xc3\xa9*"')
    assert ask(enabled, b'LIST "caf\xc3\xa9" "*" RETURN (STATUS (MESSAGES))').count(b"\xc3\xa9") == 2
    assert ask(enabled, b"STATUS {%d+}\r\n%b (MESSAGES)" % (len(cafe), cafe)) == (
        b'* STATUS "caf\xc3\xa9 & \\"bar\\"" (MESSAGES 0)\r\na OK STATUS completed\r\n'
    )
    assert b"a OK" in ask(enabled, b'SUBSCRIBE "caf\xc3\xa9 & \\"bar\\""')
    assert b'"/" "caf\xc3\xa9 & \\"bar\\""\r\n' in ask(enabled, b'LSUB "" "caf%"')
    assert b'* QUOTAROOT "caf\xc3\xa9 & \\"bar\\""\r\n' in ask(enabled, b'GETQUOTAROOT "caf\xc3\xa9 & \\"bar\\""')
    assert b"a OK" in ask(enabled, b'SETMETADATA "caf\xc3\xa9 & \\"bar\\"" (/private/comment "x")')
    assert b'* METADATA "caf\xc3\xa9 & \\"bar\\"" (' in ask(
        enabled, b'GETMETADATA "caf\xc3\xa9 & \\"bar\\"" /private/comment'
    )
    assert b'* MYRIGHTS "caf\xc3\xa9 & \\"bar\\"" ' in ask(enabled, b'MYRIGHTS "caf\xc3\xa9 & \\"bar\\""')
    assert b"a OK" in ask(enabled, b'SELECT "caf\xc3\xa9 & \\"bar\\""')
    # another session has not enabled it
    enabled.connect("2")
    assert b'"/" "caf&AOk- &- \\"bar\\""' in ask(enabled, b'LIST "" "caf&AOk-*"', "2")


def test_an_ampersand_is_a_letter(enabled):
    assert b"a OK" in ask(enabled, b"CREATE Q&A")
    assert b'"/" Q&A\r\n' in ask(enabled, b'LIST "" Q*')
    assert b"a OK" in ask(enabled, b"CREATE &AOk-")
    enabled.connect("2")
    assert b'"/" &-AOk-\r\n' in ask(enabled, b'LIST "" %', "2")
    assert b'"/" Q&-A\r\n' in ask(enabled, b'LIST "" Q*', "2")


def test_names_are_composed(enabled):
    assert b"a OK" in ask(enabled, b'CREATE "cafe\xcc\x81"')
    assert b"a NO [ALREADYEXISTS]" in ask(enabled, b'CREATE "caf\xc3\xa9"')
    assert b'"/" "caf\xc3\xa9"\r\n' in ask(enabled, b'LIST "" "cafe\xcc\x81"')


@pytest.mark.parametrize("name", [b"\xc2\x80", b"a\xc2\x9f", b"\xe2\x80\xa8", b"x\xe2\x80\xa9y", b"\x7f"])
def test_controls_and_separators_of_lines_are_no_names(enabled, name):
    assert ask(enabled, b'CREATE "%b"' % name) == b"a NO [CANNOT] Mailbox name is not allowed\r\n"


# IMAP trap 1: octets that are no UTF-8
@pytest.mark.parametrize("octets", [b"\xe9", b"\xc3", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"a\xffb"])
def test_what_is_no_utf8_in_a_quoted_string_is_bad(enabled, octets):
    for line in (b'CREATE "%b"', b'LIST "" "%b"', b'STATUS "%b" (MESSAGES)', b'APPEND "%b" {5}'):
        assert ask(enabled, line % octets) == b"a BAD String is not UTF-8\r\n"
    assert (
        ask(enabled, b"CREATE {%d+}\r\n%b" % (len(octets), octets)) == b"a NO [CANNOT] Mailbox name is not allowed\r\n"
    )
    assert ask(enabled, b"NOOP") == b"a OK NOOP completed\r\n"


def test_searches_name_no_charset(make_world):
    world = make_world()
    world.put("Subject: é\r\n\r\nx\r\n".encode())
    client = world.connect(select="INBOX")
    assert ask(world, b"SEARCH CHARSET UTF-8 SUBJECT {2+}\r\n\xc3\xa9") == b"* SEARCH 1\r\na OK SEARCH completed\r\n"
    client.send(ENABLE)
    client.received()
    for verb in (b"SEARCH", b"UID SEARCH"):
        assert ask(world, verb + b" CHARSET UTF-8 SUBJECT x") == b"a BAD All strings are UTF-8 now\r\n"
        assert ask(world, verb + b' SUBJECT "\xc3\xa9"') == b"* SEARCH 1\r\na OK SEARCH completed\r\n"


def test_a_message_with_utf8_in_its_header(make_world):
    def make():
        world = make_world()
        world.connect(select="INBOX")
        return world

    play(
        make,
        r"""
        C: a APPEND INBOX UTF8 (~{14}
        S: a NO [CANNOT] UTF8=ACCEPT is not enabled
        C: b ENABLE UTF8=ACCEPT
        S: * ENABLED UTF8=ACCEPT
        S: b OK ENABLE completed
        C: c APPEND INBOX (\Seen) UTF8 (~{14}
        S: + OK
        C: Subject: é
        C:
        C: ) utf8 (~{6+}
        C: a: b
        C: ) {6+}
        C: c: d
        C:
        S: * 3 EXISTS
        S: * 3 RECENT
        S: c OK [APPENDUID … 1:3] APPEND completed
        C: d FETCH 1 (FLAGS RFC822.SIZE)
        S: * 1 FETCH (FLAGS (\Seen \Recent) RFC822.SIZE 15)
        S: d OK FETCH completed
        """.replace("{14}", "{15}"),
    )


@pytest.mark.parametrize(
    "command",
    [
        b"UTF8 (~{6+}\r\na: b\r\n",
        b"UTF8 (~{6+}\r\na: b\r\n) x",
        b"UTF8 (~{6+}\r\na: b\r\n)) ",
        b"UTF8 (~{6+}\r\na: b\r\n {6+}\r\na: b\r\n",
        b"UTF8 ({6+}\r\na: b\r\n)",
        b"UTF8 ~{6+}\r\na: b\r\n",
        b"UTF8(~{6+}\r\na: b\r\n)",
        b'UTF8 ("a")',
    ],
)
def test_utf8_data_has_its_form(enabled, command):
    enabled.clients[""].send(b"a APPEND INBOX " + command + b"\r\nb NOOP\r\n")
    said = enabled.clients[""].received().split(b"\r\n")
    assert said[0].startswith(b"a BAD") and said[1] == b"b OK NOOP completed", said
    assert not len(run_now(enabled.box().snapshot()).uids)


def test_starttls_forgets_it(make_world):
    connection = make_world().connect().connection
    connection.accept_utf8()
    connection.tls_started()
    assert not connection.utf8
